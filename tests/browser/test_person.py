"""More of what a person does: files of every kind, clicks on charts, the watchlist as a file, the theme, widths."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from dashboard.nav import PAGES
from tests.browser.conftest import Desk, Served
from tests.text import files

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

NEWS = "Calder Foods faces a probe. Its profit rises."


def test_files_of_every_kind_are_scored_at_once(desk: Desk) -> None:
    page = desk.open("score")
    page.get_by_text("Upload files").first.click()
    documents = {
        "note.txt": NEWS.encode(),
        "note.md": f"# Note\n\n{NEWS}".encode(),
        "page.html": f"<html><body><p>{NEWS}</p></body></html>".encode(),
        "report.pdf": files.pdf(NEWS),
        "memo.docx": files.docx(NEWS),
        "mail.eml": files.mail(NEWS),
    }
    tables = {
        "clients.csv": b"id,headline\n1,Calder Foods faces a probe\n2,Quill Insurance profit rises\n",
        "book.xlsx": files.xlsx(("id", "headline"), ("1", "Calder Foods faces a probe")),
    }
    page.locator('input[type="file"]').set_input_files(
        [{"name": name, "mimeType": "", "buffer": data} for name, data in {**documents, **tables}.items()]
    )
    expect(page.get_by_text("6 documents")).to_be_visible()
    expect(page.get_by_role("button", name="Score 2 rows")).to_be_visible()
    page.get_by_role("button", name="Score 1 row").click()
    expect(page.get_by_text("1 rows: 1 negative, 0 neutral, 0 positive")).to_be_visible()
    expect(page.locator("mark").first).to_be_visible()
    assert page.get_by_test_id("stAlertContentError").count() == 0
    assert desk.errors == []


def test_a_file_that_is_not_what_it_says_is_named(desk: Desk) -> None:
    page = desk.open("score")
    page.get_by_text("Upload files").first.click()
    page.locator('input[type="file"]').set_input_files(
        [{"name": "report.pdf", "mimeType": "application/pdf", "buffer": b"MZ" + bytes(400)}]
    )
    expect(page.get_by_test_id("stAlertContentError")).to_contain_text("report.pdf")


def test_a_click_on_the_trend_shows_the_stories_of_that_step(desk: Desk) -> None:
    page = desk.open("topics?topic=credit_distress&range=7d")
    expect(page.get_by_text("The most negative stories of this span")).to_be_visible()
    click_last_point(page)
    expect(page.get_by_text("Stories from ")).to_be_visible()


def test_a_click_on_the_heat_map_opens_the_news_of_that_cell(desk: Desk) -> None:
    page = desk.open("?range=7d")
    expect(page.get_by_text("Where is the bad news?")).to_be_visible()
    chart = page.get_by_test_id("stPlotlyChart").nth(2)
    chart.scroll_into_view_if_needed()
    point = chart.locator(".scatterlayer .point").last
    box = point.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_url("**/news?*topic=*")
    desk.settle()
    expect(page.get_by_text(" found")).to_be_visible()


def click_last_point(page: Page) -> None:
    chart = page.get_by_test_id("stPlotlyChart").first
    chart.locator(".main-svg").first.wait_for()
    point = chart.locator(".scatterlayer .trace .point").last
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def test_a_comparison_is_shared_by_its_address(desk: Desk) -> None:
    desk.open("topics?topic=litigation&compare=topic:credit_distress&measure=stories&range=30d")
    expect(desk.page.get_by_text("How do they compare?")).to_be_visible()
    expect(desk.page.get_by_text("How negative is Litigation?")).to_be_visible()
    expect(desk.page.get_by_role("radio", name="30 days")).to_be_checked()


def test_a_watchlist_file_is_looked_at_before_it_is_saved(desk: Desk) -> None:
    page = desk.open("watchlist")
    page.get_by_role("button", name="CSV file").click()
    page.locator('input[type="file"]').set_input_files(
        [
            {
                "name": "names.csv",
                "mimeType": "text/csv",
                "buffer": b"name,aliases\nKnight Holding,Knight|Halyard Knight\n",
            }
        ]
    )
    expect(page.get_by_text("1 company would be saved")).to_be_visible()
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_visible()


def test_the_list_is_walked_through_by_keys(desk: Desk) -> None:
    page = desk.open("news?range=7d")
    page.wait_for_url("**/news?*article=*")
    # The address says which article is open before the buttons that listen to the keys are drawn.
    expect(page.locator(".st-key-news-next button")).to_be_enabled()
    desk.settle()
    first = page.url
    page.keyboard.press("j")
    page.wait_for_function("before => location.href !== before", arg=first)
    expect(page.locator(".st-key-news-previous button")).to_be_enabled()
    desk.settle()
    page.keyboard.press("k")
    page.wait_for_function("before => location.href === before", arg=first)


def test_the_theme_is_switched(desk: Desk) -> None:
    page = desk.open("settings")
    ground = "getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    page.get_by_test_id("stMainMenu").click()
    page.get_by_test_id("stMainMenuItem-theme-Dark").click()
    page.wait_for_function(f"{ground} === 'rgb(18, 23, 29)'")
    assert desk.errors == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1920, "dark"), (390, "light")])
def test_every_page_fits_the_screen(browser: Browser, served: Served, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    desk = Desk(context.new_page(), served.url).listen()
    for name in PAGES:
        page = desk.open("" if name == "now" else name)
        wide = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - window.innerWidth")
        assert wide <= 1, f"{name} is {wide} px wider than a screen of {width}"
    assert desk.errors == []
    context.close()


FOCUSED = """(async () => {
  const looks = e => { const s = getComputedStyle(e);
    return [s.outlineStyle, s.outlineWidth, s.outlineColor, s.boxShadow, s.borderColor, s.backgroundColor].join(); };
  const marked = [];
  // A widget may draw the mark around itself: the element or one of the boxes just around it.
  for (let e = document.activeElement, up = 0; e && e !== document.body && up < 4; e = e.parentElement, up++)
    marked.push([e, looks(e)]);
  // Main is a frame that the browser stops at because it scrolls; there is nothing in it to press.
  const name = ["BODY", "MAIN"].includes(document.activeElement.tagName) ? "" :
    document.activeElement.tagName + " " + (document.activeElement.innerText || document.activeElement.ariaLabel || "");
  document.activeElement.blur();
  await new Promise(done => setTimeout(done, 100));  // widgets that keep their focus in a state draw a moment later
  const seen = marked.some(([e, before]) => looks(e) !== before);
  if (marked.length) marked[0][0].focus({focusVisible: true});
  return [name, seen];
})()"""
"""Name of the focused element, and whether it or a box around it looks different without the focus."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_has_the_focus_is_seen(browser: Browser, served: Served, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    desk = Desk(context.new_page(), served.url).listen()
    page = desk.open("alerts")
    # Colours fade in; what counts is where they end.
    page.add_style_tag(content="* { transition: none !important; animation: none !important; }")
    walked: dict[str, bool] = {}
    for _ in range(16):
        page.keyboard.press("Tab")
        name, seen = page.evaluate(FOCUSED)
        if name:
            walked[name] = walked.get(name, False) or seen
    assert len(walked) > 8, "the walk by Tab reaches the menu, the switches and the list"
    assert [name for name, seen in walked.items() if not seen] == []
    context.close()
