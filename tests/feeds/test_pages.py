"""The full text of articles: off unless asked for, kept, searchable, and never at the cost of an article."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from monitor.app import App, open_app
from monitor.domain import ArticleQuery, NewFeed
from monitor.feeds.pages import TEXT_LENGTH
from monitor.pages import publishers_of
from tests.feeds.loopback import NOW, Server, answer, rss

PARAGRAPHS = "".join(
    f"<p>Paragraph {n} tells how the lender ran out of cash and what the examiners from Quillhaven did on Tuesday.</p>"
    for n in range(6)
)
PAGE = (
    "<html><head><title>t</title><script>alert('scriptword')</script></head><body><nav><a href='/'>menuword</a></nav>"
    "<article><h1>Bank halts withdrawals</h1>{}</article><footer>footerword</footer></body></html>"
)


def found(app: App, words: str) -> list[str]:
    return [one.article.title for one in app.store.search_articles(ArticleQuery(text=words))[0]]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    monkeypatch.setenv("HEADWIND_ALLOW_NETWORKS", "127.0.0.0/8")
    monkeypatch.setenv("HEADWIND_FULL_TEXT", "Harbour Post, Candlemark")
    app = open_app()
    yield app
    app.close()


def news(app: App, site: Server, **pages: bytes) -> None:
    """A feed of the Harbour Post with an article for each page."""
    items = [
        (f"News about {name}", site.serve(f"/{name}", answer(body, Content_Type="text/html")))
        for name, body in pages.items()
    ]
    app.store.add_feed(NewFeed(url=site.serve("/feed", answer(rss(*items))), publisher="Harbour Post"), NOW)
    list(app.poll(NOW))


def test_nothing_is_read_unless_the_deployment_asks_for_it(site: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWIND_ALLOW_NETWORKS", "127.0.0.0/8")
    app = open_app()
    try:
        news(app, site, bank=PAGE.format(PARAGRAPHS).encode())
        assert list(app.read_pages(NOW)) == []
        assert [path for path, _ in site.requests] == ["/feed"]
    finally:
        app.close()


def test_a_text_is_kept_without_its_surroundings_and_found_by_its_words(site: Server, opened: App) -> None:
    news(opened, site, bank=PAGE.format(PARAGRAPHS).encode(), long=PAGE.format(PARAGRAPHS * 200).encode())
    other = rss(("Not ours", site.serve("/other", answer(PAGE.format(PARAGRAPHS).encode()))))
    opened.store.add_feed(NewFeed(url=site.serve("/feed2", answer(other)), publisher="Elsewhere"), NOW)
    list(opened.poll(NOW))
    results = {result.article.title: result for result in opened.read_pages(NOW)}
    assert set(results) == {"News about bank", "News about long"}, "of the publishers that are named"
    text = opened.store.full_text(results["News about bank"].article.id) or ""
    assert "examiners from Quillhaven" in text
    assert not any(word in text for word in ("menuword", "footerword", "scriptword", "<"))
    assert results["News about long"].characters == TEXT_LENGTH
    assert sorted(found(opened, "Quillhaven")) == ["News about bank", "News about long"]
    assert found(opened, '"ran out of cash" -long') == ["News about bank"]
    assert list(opened.read_pages(NOW + timedelta(hours=3))) == [], "a page is read once"


def test_whatever_a_page_does_the_article_stays(site: Server, opened: App) -> None:
    news(
        opened, site,
        empty=b"<html><body></body></html>",
        deep=b"<html><body>" + b"<div>" * 300_000,
        bomb=b"<html><p>" + b"&amp;" * 1_000_000,
        good=PAGE.format(PARAGRAPHS).encode(),
    )  # fmt: skip
    items = [
        ("Elsewhere", "http://10.0.0.1/x"),
        ("Missing", site.url("/none")),
        ("Paper", site.serve("/pdf", answer(b"%PDF-1.7"))),
    ]
    opened.store.add_feed(NewFeed(url=site.serve("/feed2", answer(rss(*items))), publisher="Candlemark"), NOW)
    list(opened.poll(NOW))
    before = opened.store.status().articles
    results = {result.article.title: result.error for result in opened.read_pages(NOW)}
    assert len(results) == 7
    assert "private address" in (results["Elsewhere"] or "")
    assert results["Missing"] == "the server answered 404"
    assert results["Paper"] == "this is not a web page"
    assert results["News about empty"] == "no article was found on the page"
    assert results["News about good"] is None
    assert opened.store.status().articles == before
    asked = 0
    for hour in range(1, 40):
        asked += sum(result.article.title == "Missing" for result in opened.read_pages(NOW + timedelta(hours=hour)))
    assert asked == 2, "three times in all"


@pytest.mark.parametrize(("setting", "publishers"), [("all", None), ("A, B,", ["A", "B"]), (" ", [])])
def test_the_setting_names_publishers_or_all(setting: str, publishers: list[str] | None) -> None:
    assert publishers_of(setting) == publishers
