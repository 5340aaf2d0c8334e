"""Walks over what a desk sets up and takes away: feeds, channels, quiet hours, silences, versions, files."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest
from playwright.sync_api import Browser, Download, Page, expect

from monitor.store import open_store
from tests.browser.conftest import Desk, Served, serving
from tests.browser.receiver import Receiver, receiving
from tests.tools import free_port, require_tool

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture(scope="module")
def open_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A dashboard that may reach loopback."""
    require_tool("chromium", "/usr/bin/chromium")
    with serving(tmp_path_factory.mktemp("walks"), free_port(), ALLOW_NETWORKS="127.0.0.0/8") as one:
        yield one


@pytest.fixture
def walk(browser: Browser, open_desk: Served) -> Iterator[Desk]:
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, locale="en-GB", timezone_id="Europe/Zurich", accept_downloads=True
    )
    desk = Desk(context.new_page(), open_desk.url).listen()
    yield desk
    # No worker runs beside these pages, and after a while they say so.
    assert desk.page.get_by_test_id("stAlertContentError").filter(has_not_text="worker").all_inner_texts() == []
    assert desk.errors == []
    context.close()


def test_a_feed_is_looked_at_added_paused_taken_out_as_opml_and_removed(
    walk: Desk, receiver: Receiver, open_desk: Served
) -> None:
    page = walk.open("feeds")
    before = int(page.get_by_text(re.compile(r"^\d+ feeds$")).inner_text().split()[0])
    page.get_by_role("button", name="Add feed").first.click()
    page.get_by_label("Address").fill(f"{receiver.url}/rss.xml")
    page.get_by_label("Address").press("Tab")
    walk.settle()
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("2 items would come; the newest:")).to_be_visible()
    expect(page.get_by_text("Quill Insurance faces a lawsuit")).to_be_visible()
    assert page.get_by_label("Publisher", exact=True).input_value() == "Harbour Gazette"
    page.get_by_test_id("stForm").get_by_role("button", name="Add feed").click()
    expect(page.get_by_text(f"{before + 1} feeds")).to_be_visible()
    page.keyboard.press("Escape")

    page.get_by_role("button", name="OPML").click()
    outline = fetched(page, "Download all feeds as OPML").decode()
    assert receiver.url in outline
    page.get_by_test_id("stPopoverBody").locator('input[type="file"]').set_input_files(
        [{"name": "more.opml", "mimeType": "text/xml", "buffer": outline.replace("rss.xml", "second.xml").encode()}]
    )
    page.get_by_role("button", name="Add its feeds").click()
    expect(page.get_by_text(f"{before + 2} feeds")).to_be_visible()

    number = feed_number(open_desk.home, f"{receiver.url}/second.xml")
    page = walk.open(f"feeds?feed={number}")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.get_by_role("button", name="Remove", exact=True).click()
    page.get_by_role("button", name="Remove this feed").click()
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)


def feed_number(home: Path, url: str) -> int:
    store = open_store(f"sqlite:///{home / 'headwind.db'}", role="reader")
    found = next(feed.id for feed in store.feeds() if feed.url == url)
    store.close()
    return found


def test_a_channel_is_set_up_tested_and_removed(walk: Desk, receiver: Receiver) -> None:
    page = walk.open("settings")
    page.get_by_role("combobox", name="Kind").click()
    page.get_by_role("option", name="Webhook").click()
    expect(page.get_by_text("JSON by POST")).to_be_visible()
    walk.settle()
    form = page.get_by_test_id("stForm")
    form.get_by_label("Channel", exact=True).fill("desk-hook")
    form.get_by_label("Address").fill(f"{receiver.url}/hook")
    form.get_by_role("button", name="Save channel").click()
    expect(page.get_by_text("Alerts go to ")).to_be_visible()
    walk.settle()
    choose(page, "Channel", "desk-hook")
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_text("The test message was sent.")).to_be_visible()
    assert len(receiver.posts) == 1
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_text("desk-hook")).to_have_count(0)


def test_quiet_hours_are_switched_on_and_off(walk: Desk) -> None:
    page = walk.open("settings?view=quiet")
    expect(page.get_by_text("There are no quiet hours")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Quiet hours are on")).to_be_visible()
    walk.settle()
    page.get_by_role("button", name="Switch off").click()
    expect(page.get_by_text("There are no quiet hours")).to_be_visible()


def test_a_silence_is_started_and_ended(walk: Desk) -> None:
    page = walk.open("alerts?view=silences")
    choose(page, "Series", "Litigation")
    page.get_by_label("Note").fill("court day")
    page.get_by_role("button", name="Start silence").click()
    expect(page.get_by_text("1 silence is active")).to_be_visible()
    walk.settle()
    page.get_by_role("button", name="End it now").click()
    expect(page.get_by_text("0 silences are active")).to_be_visible()


def test_a_version_is_promoted_and_rolled_back(walk: Desk) -> None:
    page = walk.open("model?view=versions")
    page.get_by_role("button", name="Promote").click()
    page.get_by_test_id("stPopoverBody").get_by_role("button", name="Promote").click()
    expect(page.get_by_text("scripted-2 is live, after scripted-1")).to_be_visible()
    page = walk.open("model?view=versions")
    page.get_by_role("button", name="Roll back").click()
    page.get_by_test_id("stPopoverBody").get_by_role("button", name="Roll back").click()
    expect(page.get_by_text("scripted-1 is live, after scripted-2")).to_be_visible()


def test_a_verdict_takes_a_text_off_the_review_queue(walk: Desk) -> None:
    page = walk.open("model?view=review")
    expect(page.get_by_text(" worth a look")).to_be_visible()
    page.wait_for_url("**article=*")
    walk.settle()
    judged = page.url
    page.get_by_role("button", name="Right").click()
    page.wait_for_function("before => location.href !== before", arg=judged)


def test_what_was_found_is_taken_away_as_csv_xlsx_and_json(walk: Desk) -> None:
    page = walk.open("news?range=30d&sentiment=negative")
    found = int(page.get_by_text(" found").inner_text().split()[0].replace(",", ""))
    page.get_by_role("button", name="Export").click()
    rows = list(csv.DictReader(io.StringIO(fetched(page, "CSV").decode("utf-8-sig"))))
    listed = json.loads(fetched(page, "JSON"))
    sheet = openpyxl.load_workbook(io.BytesIO(fetched(page, "XLSX"))).active
    assert sheet is not None
    assert len(rows) == len(listed) == sheet.max_row - 1 == found
    assert {row["sentiment"] for row in rows} == {"negative"}


def test_the_evidence_of_an_alert_is_taken_away(walk: Desk) -> None:
    page = walk.open("alerts?alert=1")
    evidence = json.loads(fetched(page, "Evidence as JSON"))
    assert evidence["id"] == 1
    assert b"<html" in fetched(page, "Evidence as HTML").lower()


def test_a_watchlist_file_is_read_with_its_ambiguous_names_and_saved(walk: Desk) -> None:
    page = walk.open("watchlist")
    before = int(page.get_by_text(" companies on the watchlist").inner_text().split()[0])
    page.get_by_role("button", name="CSV file").click()
    listed = fetched(page, "Download as CSV").decode("utf-8-sig")
    page.get_by_test_id("stPopoverBody").locator('input[type="file"]').set_input_files(
        [{"name": "names.csv", "mimeType": "text/csv", "buffer": f"{listed}Knight,,,,\n".encode()}]
    )
    expect(page.get_by_text(f"{before + 1} companies would be saved")).to_be_visible()
    walk.settle()
    page.get_by_test_id("stPopoverBody").get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text(f"{before + 1} companies on the watchlist")).to_be_visible()


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label, exact=True).first.click()
    page.get_by_role("option", name=option, exact=True).click()


def fetched(page: Page, name: str) -> bytes:
    with page.expect_download() as waited:
        page.get_by_role("button", name=name, exact=True).click()
    download: Download = waited.value
    return download.path().read_bytes()
