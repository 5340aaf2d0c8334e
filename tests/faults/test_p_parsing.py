"""P1 to P10 of the faults that parsing survives. Hostile documents go through the pool, as in the product."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.domain import DateQuality, Fetched, NewFeed, ParsedFeed
from monitor.errors import FeedError
from monitor.feeds.dating import settle_date
from monitor.feeds.documents import parse_document
from monitor.feeds.identity import identity_candidates
from monitor.feeds.parser import ParserPool
from monitor.feeds.plain import plain_text, web_link
from monitor.feeds.stories import StoryIndex
from monitor.ingest import poll_due
from monitor.store import open_store
from tests.feeds.loopback import NOW, answer, fetcher, rss, server
from tests.tools import require_corpora


@pytest.fixture(scope="module")
def pool() -> Iterator[ParserPool]:
    made = ParserPool(workers=1, timeout_s=2.0)
    yield made
    made.close()


def item(inner: str) -> bytes:
    return f'<rss version="2.0"><channel><title>News</title><item>{inner}</item></channel></rss>'.encode()


def titles(body: bytes, content_type: str = "application/rss+xml") -> list[str]:
    return [draft.title for draft in parse_document(body, content_type, "https://news.example/feed").drafts]


ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>News</title><entry><title type="{type}">{title}</title>
<id>tag:news.example,2026:1</id><link href="/story/1"/><updated>2026-03-04T10:00:00Z</updated>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>One.</p><p>Two.</p></div></content></entry></feed>"""
RDF = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="https://bank.example/"><title>Bank</title></channel>
<item rdf:about="https://bank.example/1"><title>Rates held</title><link>https://bank.example/1</link>
<dc:date>2026-03-04T09:00:00+00:00</dc:date></item></rdf:RDF>"""
JSON_FEED = """{"version": "https://jsonfeed.org/version/1.1", "title": "News", "language": "en-GB", "items": [
{"id": "1", "url": "https://news.example/1", "title": "Rates <b>held</b>", "content_html": "<p>One</p><p>Two</p>",
 "date_published": "2026-03-04T10:00:00+01:00", "authors": [{"name": "A. Writer"}]},
{"id": 2, "content_text": "No title here", "url": "javascript:alert(1)"}, {"id": "3"}, "not an item"]}"""


# ── P1: many documents ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (item("<title>Plain</title>"), "Plain"),
        (item("<title>Profit &amp;amp; loss</title>"), "Profit & loss"),
        (item("<title>Profit &amp; loss</title>"), "Profit & loss"),
        (item("<title><![CDATA[Profit & <b>loss</b>]]></title>"), "Profit & loss"),
        (item("<title>A &lt; B and C &gt; D</title>"), "A < B and C > D"),
        (item("<title>  spread\n over\tlines </title>"), "spread over lines"),
        (item("<title>S&amp;P 500 up 1%</title>"), "S&P 500 up 1%"),
        (item("<title>Caf&#233; &#x2014; closed</title>"), "Café — closed"),
        (item("<title></title><description>Only a text.</description>"), "Only a text."),
        (ATOM.format(type="text", title="AT&amp;T rises").encode(), "AT&T rises"),
        (ATOM.format(type="html", title="&lt;i&gt;AT&amp;amp;T&lt;/i&gt; rises").encode(), "AT&T rises"),
        (RDF.encode(), "Rates held"),
        (b"<rss><channel><item><title>No version", None),
        (b"<rss version='2.0'><channel><item><title>Bare & wild</title></item></channel></rss>", "Bare & wild"),
        (b"\xef\xbb\xbf" + item("<title>Mark</title>"), "Mark"),
        (b"\n\n  " + b'<?xml version="1.0"?>' + item("<title>Late prolog</title>"), "Late prolog"),
    ],
)
def test_P1_documents_well_and_ill_formed_give_the_text_they_mean(document: bytes, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(FeedError):
            titles(document)
    else:
        assert titles(document) == [expected]


def test_P1_json_feeds_are_read_like_the_others() -> None:
    parsed = parse_document(JSON_FEED.encode(), "application/feed+json", "https://news.example/feed.json")
    first, second = parsed.drafts
    assert (first.title, first.summary, first.author) == ("Rates held", "One Two", "A. Writer")
    assert first.published == datetime(2026, 3, 4, 9, 0, tzinfo=UTC)
    assert (second.title, second.url, second.guid) == ("No title here", None, "2")
    assert (parsed.language, parsed.dropped) == ("en", 1)


@pytest.mark.corpora
def test_P1_real_documents_read_right() -> None:
    folder = require_corpora() / "feeds"
    good = 0
    for path in sorted(folder.glob("*.xml")):
        try:
            parsed = parse_document(path.read_bytes(), "text/xml", "https://news.example/feed")
        except FeedError as error:
            assert path.name.startswith(("bloomberg_news_sitemap", "reuters_mostread_broken", "error_document")), (
                path.name,
                error,
            )
            continue
        good += 1
        for draft in parsed.drafts:
            assert draft.title and "<" not in draft.title.replace("< ", "") and "&amp;" not in draft.title
            assert draft.url is None or draft.url.startswith("http")
            assert draft.published is None or draft.date_quality is not DateQuality.NONE
    assert good == 37


# ── P2: encodings ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-16", "utf-16-le", "utf-32", "gb18030", "iso-8859-1", "windows-1252"]
)
def test_P2_every_encoding_gives_unicode_text(encoding: str) -> None:
    word = "央行加息" if encoding == "gb18030" else "Café über 5 €" if encoding == "windows-1252" else "Café über"
    declared = "utf-16" if encoding == "utf-16-le" else encoding
    body = f'<?xml version="1.0" encoding="{declared}"?>'.encode(encoding) + item(
        f"<title>{word}</title>"
    ).decode().encode(encoding).removeprefix(
        b"\xff\xfe\x00\x00" if encoding == "utf-32" else b"\xff\xfe" if encoding == "utf-16" else b"\0\0\0"
    )
    assert titles(body) == [word]


def test_P2_a_wrong_prolog_and_control_bytes_still_give_text() -> None:
    wrong = b'<?xml version="1.0" encoding="utf-16"?>' + item("<title>Caf\u00e9</title>")
    assert titles(wrong) == ["Café"]
    control = titles(item("<title>Rates\x00 \x08rise\x1b</title>"))
    assert control in ([], ["Rates rise"]) or control == ["Rates rise"]


def test_P2_text_never_holds_what_a_store_or_a_page_cannot_take() -> None:
    hostile = "Rates\x00\x1b \ud800rise \u202efall\u2066\ufeff\uffff"
    assert plain_text(hostile, 100) == "Rates rise fall"
    assert plain_text("أسعار الفائدة ترتفع", 100) == "أسعار الفائدة ترتفع"


# ── P3: entities ─────────────────────────────────────────────────────────────────────────────────────────────────

LAUGHS = (
    '<!DOCTYPE rss [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {b} "{("&" + a + ";") * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>"
)


@pytest.mark.parametrize(
    "document",
    [
        LAUGHS.encode() + item("<title>Title &i;</title>"),
        b'<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/hostname">]>' + item("<title>Title &x;</title>"),
        b'<?xml version="1.0"?><!-- > --><!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
        + item("<title>Title &x;</title>"),
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/hostname">]>'.encode(
            "utf-16"
        )
        + item("<title>Title &x;</title>").decode().encode("utf-16-le"),
    ],
    ids=["billion laughs", "external entity", "hidden doctype", "utf-16 doctype"],
)
def test_P3_nothing_is_expanded_and_no_file_is_read(document: bytes, pool: ParserPool) -> None:
    secret = Path("/etc/hostname").read_text().strip() if Path("/etc/hostname").exists() else "no such file"
    try:
        parsed = pool.parse(Fetched(url="https://news.example/", status=200, body=document))
    except FeedError as error:
        assert error.kind in ("not_a_feed", "parser")
        return
    for draft in parsed.drafts:
        assert "haha" not in draft.title and len(draft.title) < 50
        assert secret not in draft.title


# ── P4, P5: documents that hold the parser ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "inner",
    [
        "<title>Trap</title><author>a@" + "a." * 32_000 + "!</author>",
        "<title>Trap</title><description>" + "&lt;!--" * 64_000 + "</description>",
    ],
    ids=["P4 author", "P5 comments"],
)
def test_P4_P5_a_document_that_holds_the_parser_is_stopped_and_the_next_is_served(inner: str, pool: ParserPool) -> None:
    began = time.monotonic()
    outcome: ParsedFeed | FeedError
    try:
        outcome = pool.parse(Fetched(url="https://trap.example/", status=200, body=item(inner)))
    except FeedError as error:
        outcome = error
    if isinstance(outcome, FeedError):
        assert outcome.kind == "parser"
    assert time.monotonic() - began < 60, "bounded, also on a busy machine"
    served = pool.parse(Fetched(url="https://news.example/", status=200, body=rss("Rates rise")))
    assert [draft.title for draft in served.drafts] == ["Rates rise"]


# ── P6, P7: markup and links ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "markup",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<svg onload=alert(1)>",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "&amp;lt;script&amp;gt;alert(1)&amp;lt;/script&amp;gt;",
        "&amp;amp;amp;lt;svg onload=alert(1)&amp;amp;amp;gt;",
        "<scr<script>ipt>alert(1)</scr</script>ipt>",
        "<iframe src=javascript:alert(1)>",
    ],
)
def test_P6_markup_in_any_field_becomes_inert_text(markup: str) -> None:
    wrapped = f"<![CDATA[Rates {markup} rise]]>"
    parsed = parse_document(
        item(f"<title>{wrapped}</title><author>{wrapped}</author><description>{wrapped}</description>")
    )
    draft = parsed.drafts[0]
    for text in (draft.title, draft.summary, draft.author):
        assert "<s" not in text.lower() and "<i" not in text.lower() and "onerror" not in text.replace("onerror=", "")
        assert "<" not in text


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        " JaVaScRiPt:alert(1)",
        "file:///etc/passwd",
        "vbscript:x",
        "http://",
        "//",
    ],
)
def test_P7_a_link_that_is_not_http_is_no_link(link: str) -> None:
    draft = parse_document(item(f"<title>Rates</title><link>{link}</link><enclosure url='{link}'/>")).drafts[0]
    assert draft.url is None
    assert web_link(link) is None


# ── P9, P10: dates and identity ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "date",
    [
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "",
        "yesterday",
        "Wed, 04 Mar 2026 10:00:00 +1500",
        "2026-03-04T10:00:00-15:00",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Wed, 04 Mar 2026 23:00:00 GMT",
    ],
)
def test_P9_an_impossible_date_becomes_first_seen_and_counts_for_no_alert(date: str, tmp_path: Path) -> None:
    draft = parse_document(item(f"<title>Rates rise</title><pubDate>{date}</pubDate>")).drafts[0]
    published, quality = settle_date(draft.published, draft.date_quality, NOW)
    assert (published, quality) == (NOW, DateQuality.NONE)


def test_P9_days_and_small_clock_differences_keep_their_quality() -> None:
    day = parse_document(item("<title>Rates</title><pubDate>2026-03-04</pubDate>")).drafts[0]
    assert settle_date(day.published, day.date_quality, NOW) == (datetime(2026, 3, 4, tzinfo=UTC), DateQuality.DAY)
    ahead = NOW + timedelta(minutes=5)
    assert settle_date(ahead, DateQuality.EXACT, NOW) == (NOW, DateQuality.EXACT)


def test_P9_undated_items_are_stored_and_never_count(tmp_path: Path, pool: ParserPool) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'headwind.db'}")
    with server() as site, fetcher() as asked:
        store.add_feed(NewFeed(url=site.serve("/feed", answer(rss("Rates rise")))), NOW)
        index = StoryIndex()
        list(poll_due(store, asked, pool, index, NOW))
        site.serve("/feed", answer(item("<title>Undated news arrives</title><pubDate>31 Dec 9999</pubDate>")))
        list(poll_due(store, asked, pool, index, NOW + timedelta(hours=2)))
    articles = {article.title: article for article in store.recent_articles(NOW - timedelta(days=1))}
    assert not articles["Rates rise"].counts, "a first poll never counts"
    assert not articles["Undated news arrives"].counts
    assert articles["Undated news arrives"].published == NOW + timedelta(hours=2)
    store.close()


def test_P10_missing_duplicate_and_reused_guids_give_one_stable_row_each(tmp_path: Path, pool: ParserPool) -> None:
    def document(*entries: tuple[str, str, str]) -> bytes:
        made = "".join(
            f"<item><title>{t}</title>{f'<guid>{g}</guid>' if g else ''}{f'<link>{link}</link>' if link else ''}</item>"
            for t, g, link in entries
        )
        return f'<rss version="2.0"><channel><title>News</title>{made}</channel></rss>'.encode()

    first = document(
        ("No guid", "", "https://a.example/1"),
        ("Same guid one", "same", "https://a.example/2"),
        ("Same guid two", "same", "https://a.example/3"),
        ("Twice", "twice", "https://a.example/4"),
        ("Twice", "twice", "https://a.example/4?utm_source=rss"),
        ("No link", "only-guid", ""),
        ("Nothing but a title", "", ""),
        ("Home page one", "h1", "https://a.example/"),
        ("Home page two", "h2", "https://a.example/"),
    )
    later = document(
        ("Quite another story", "only-guid-2", ""), ("New under an old guid", "same", "https://a.example/9")
    )
    store = open_store(f"sqlite:///{tmp_path / 'headwind.db'}")
    with server() as site, fetcher() as asked:
        store.add_feed(NewFeed(url=site.serve("/feed", answer(first))), NOW)
        index, new = StoryIndex(), []
        for hour in range(3):
            new += [result.new for result in poll_due(store, asked, pool, index, NOW + timedelta(hours=2 * hour))]
        site.serve("/feed", answer(later))
        new += [result.new for result in poll_due(store, asked, pool, index, NOW + timedelta(hours=8))]
    assert new == [8, 0, 0, 2]
    assert store.status().articles == 10
    store.close()


def test_P10_of_50_000_entries_the_newest_thousand_are_read(pool: ParserPool) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    entries = "".join(
        f"<item><title>Item {n}</title><guid>{n}</guid>"
        f"<pubDate>{(start + timedelta(minutes=n)).strftime('%a, %d %b %Y %H:%M:%S GMT')}</pubDate></item>"
        for n in range(50_000)
    )
    body = f'<rss version="2.0"><channel><title>News</title>{entries}</channel></rss>'.encode()
    parsed = parse_document(body)
    assert len(parsed.drafts) == 1_000
    assert {draft.title for draft in parsed.drafts} == {f"Item {n}" for n in range(49_000, 50_000)}
    assert parsed.dropped == 49_000
    assert len({keys[0] for keys in identity_candidates(parsed.drafts, 1)}) == 1_000
