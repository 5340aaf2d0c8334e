"""The use cases on real parts: a web server on loopback, the parser's processes, a SQLite file."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from monitor.archives import import_archive
from monitor.domain import DateQuality, Entity, FeedState, NewFeed
from monitor.errors import ArchiveError, FeedError
from monitor.feeds.documents import parse_document
from monitor.feeds.fetch import Fetcher
from monitor.feeds.parser import ParserPool
from monitor.feeds.stories import StoryIndex
from monitor.ingest import catch_up, poll_due
from monitor.mentions import rematch, rematch_entity
from monitor.store import open_store
from monitor.store.base import Store
from monitor.upkeep import language_of, publisher_of
from tests.feeds.loopback import NOW, Server, answer, rss, server

LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'headwind.db'}")
    yield opened
    opened.close()


def articles(store: Store) -> dict[str, object]:
    return {article.title: article for article in store.recent_articles(LONG_AGO)}


# ── polling ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_first_poll_never_counts_and_the_next_one_does(
    site: Server, fetcher: Fetcher, parser: ParserPool, store: Store
) -> None:
    store.add_feed(NewFeed(url=site.serve("/feed", answer(rss("Old news of the bank")))), NOW)
    index = StoryIndex()
    list(poll_due(store, fetcher, parser, index, NOW))
    site.serve("/feed", answer(rss("Fresh trouble at the port", "Old news of the bank")))
    [result] = poll_due(store, fetcher, parser, index, NOW + timedelta(hours=2))
    assert (result.new, result.seen) == (1, 1)
    found = {a.title: a.counts for a in store.recent_articles(LONG_AGO)}
    assert found == {"Old news of the bank": False, "Fresh trouble at the port": True}


def test_a_changed_title_is_a_revision_of_the_same_article(
    site: Server, fetcher: Fetcher, parser: ParserPool, store: Store
) -> None:
    link = "https://news.example/1"
    store.add_feed(NewFeed(url=site.serve("/feed", answer(rss(("Bank in talks", link))))), NOW)
    index = StoryIndex()
    list(poll_due(store, fetcher, parser, index, NOW))
    site.serve("/feed", answer(rss(("Bank agrees to be bought", link))))
    [result] = poll_due(store, fetcher, parser, index, NOW + timedelta(hours=2))
    assert (result.new, result.revised) == (0, 1)
    assert store.status().articles == 1


def test_a_feed_takes_the_language_of_its_first_items(
    site: Server, fetcher: Fetcher, parser: ParserPool, store: Store
) -> None:
    chinese = rss(("某银行公布季度亏损", "https://n.example/1"), ("央行推迟债券发行", "https://n.example/2"))
    feed = store.add_feed(NewFeed(url=site.serve("/zh", answer(chinese))), NOW)
    assert feed.language == "en"
    list(poll_due(store, fetcher, parser, StoryIndex(), NOW))
    assert [one.language for one in store.feeds()] == ["zh"]


@pytest.mark.parametrize(
    ("title", "language", "publisher", "spoken"),
    [
        ("News", "", "wire.example", "en"),
        ("Press releases", "mul", "wire.example", "en"),
        ("Harbour Post: News", "en", "Harbour Post: News", "en"),
        ("最新资讯", "en-us", "最新资讯", "zh"),
        ("新闻", "", "wire.example", "zh"),
    ],
)
def test_what_a_feed_does_not_say_of_itself_is_seen_from_its_items_and_its_host(
    title: str, language: str, publisher: str, spoken: str
) -> None:
    item = "某银行公布季度亏损" if spoken == "zh" else "Bank posts a loss for the quarter"
    head = f"<title>{title}</title><language>{language}</language>"
    parsed = parse_document(f"<rss><channel>{head}<item><title>{item}</title></item></channel></rss>".encode())
    assert (publisher_of(parsed, "https://www.wire.example/rss"), language_of(parsed)) == (publisher, spoken)


@pytest.mark.parametrize(
    ("title", "item", "news"),
    [
        ("错误提示", "服务已停止", False),
        ("Wire", "This feed has been discontinued", False),
        ("Wire", "Bridge returned error 503!", False),
        ("Error", "Please renew", False),
        ("Wire", "Feed maker Cargill closes two mills", True),
        ("Wire", "Error: bank counts deposits twice", True),
        ("Wire", "Error in bank's accounts found", True),
        ("Wire", "404 jobs go at Calderwick Bank", True),
    ],
)
def test_a_document_that_holds_only_a_notice_of_an_error_is_a_failure_in_its_words(
    title: str, item: str, news: bool
) -> None:
    one = f"<item><title>{item}</title></item>"
    head = f"<rss><channel><title>{title}</title>"
    assert len(parse_document(f"{head}{one}<item><title>More</title></item></channel></rss>".encode()).drafts) == 2
    if news:
        assert parse_document(f"{head}{one}</channel></rss>".encode()).drafts[0].title == item
        return
    with pytest.raises(FeedError, match=f"notice of an error: {title}: {item}"):
        parse_document(f"{head}{one}</channel></rss>".encode())


def test_two_feeds_with_one_article_do_not_revise_it_for_ever(
    site: Server, fetcher: Fetcher, parser: ParserPool, store: Store
) -> None:
    link = "https://news.example/1"
    for path, title in (("/front", "Short title"), ("/business", "A longer title for the business page")):
        store.add_feed(NewFeed(url=site.serve(path, answer(rss((title, link)))), publisher="News"), NOW)
    index = StoryIndex()
    for hour in (0, 2, 4):
        results = list(poll_due(store, fetcher, parser, index, NOW + timedelta(hours=hour)))
        assert sum(result.revised for result in results) == 0
    assert store.status().articles == 1


def test_copies_across_feeds_become_one_story_with_their_mentions(
    site: Server, fetcher: Fetcher, parser: ParserPool, store: Store
) -> None:
    entity = store.save_entity(Entity(id=0, name="Calderwick Bank"), NOW)
    title = "Calderwick Bank halts withdrawals after liquidity shortfall"
    for name in ("a", "b"):
        document = rss((title, f"https://{name}.example/1"))
        store.add_feed(NewFeed(url=site.serve(f"/{name}", answer(document)), publisher=name.upper()), NOW)
    list(poll_due(store, fetcher, parser, StoryIndex(), NOW))
    status = store.status()
    assert (status.articles, status.stories) == (2, 1)
    assert entity.id
    again = StoryIndex()
    catch_up(store, again, NOW)
    assert len(again) == 2, "a restarted worker knows the stories"


def test_what_another_process_took_in_meanwhile_is_one_story_with_what_comes_here(
    site: Server, fetcher: Fetcher, parser: ParserPool, store: Store, tmp_path: Path
) -> None:
    title = "Calderwick Bank halts withdrawals after liquidity shortfall"
    worker, command_line = StoryIndex(), StoryIndex()
    for path, headline, index in (
        ("/a", "Harbour strike ends in Portwell", worker),
        ("/b", title, command_line),
        ("/c", title + ", sources say", worker),
    ):
        document = rss((headline, f"https://news.example{path}"))
        store.add_feed(NewFeed(url=site.serve(path, answer(document)), publisher=path), NOW)
        list(poll_due(store, fetcher, parser, index, NOW))
    assert (store.status().articles, store.status().stories) == (3, 2)

    archive = tmp_path / "late.csv"
    published = (NOW - timedelta(minutes=30)).isoformat()
    archive.write_text(f"title,published,url\n{title} - report,{published},https://late.example/1\n")
    assert import_archive(store, StoryIndex(), archive, NOW).new == 1
    assert store.status().stories == 2, "an import knows what feeds brought"

    later = NOW + timedelta(hours=1)
    store.add_feed(NewFeed(url=site.serve("/d", answer(rss((f"{title} - report", "https://d.example/1"))))), NOW)
    list(poll_due(store, fetcher, parser, worker, later))
    assert (store.status().articles, store.status().stories) == (5, 2)


def test_slow_feeds_hold_up_no_other(fetcher: Fetcher, parser: ParserPool, store: Store) -> None:
    def slow(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(1.5)
        answer(rss("Slow news"))(handler)

    with server("127.0.0.2") as lazy, server("127.0.0.3") as quick:
        slow_url = lazy.serve("/feed", slow)
        for number in range(3):
            store.add_feed(NewFeed(url=quick.serve(f"/{number}", answer(rss(f"Quick news {number}")))), NOW)
        store.add_feed(NewFeed(url=slow_url), NOW)
        order = [result.feed.url for result in poll_due(store, fetcher, parser, StoryIndex(), NOW)]
    assert order[-1] == slow_url and len(order) == 4


def test_a_round_can_be_stopped_and_loses_nothing(
    site: Server, fetcher: Fetcher, parser: ParserPool, store: Store
) -> None:
    for number in range(24):
        store.add_feed(NewFeed(url=site.serve(f"/{number}", answer(rss(f"News {number}")))), NOW)
    index, done = StoryIndex(), []
    for result in poll_due(store, fetcher, parser, index, NOW, stopped=lambda: len(done) >= 2):
        done.append(result)
    assert 2 <= len(done) <= 16  # what was read by then is stored, at most two transactions of eight documents
    assert store.status().articles == len(done)
    rest = list(poll_due(store, fetcher, parser, index, NOW))
    assert len(rest) == 24 - len(done) and store.status().articles == 24


def test_sample_feeds_mark_their_articles(site: Server, fetcher: Fetcher, parser: ParserPool, store: Store) -> None:
    store.add_feed(NewFeed(url=site.serve("/feed", answer(rss("Invented news"))), sample=True), NOW)
    list(poll_due(store, fetcher, parser, StoryIndex(), NOW))
    assert store.status().samples == 1


def test_a_feed_that_moved_for_good_gets_its_new_address(
    site: Server, fetcher: Fetcher, parser: ParserPool, store: Store
) -> None:
    site.serve("/new", answer(rss("Rates rise")))
    added = store.add_feed(NewFeed(url=site.serve("/old", answer(b"", 301, Location="/new"))), NOW)
    list(poll_due(store, fetcher, parser, StoryIndex(), NOW))
    moved = store.feed(added.id)
    assert moved is not None and moved.url == site.url("/new") and moved.state is FeedState.OK


# ── archives ─────────────────────────────────────────────────────────────────────────────────────────────────────

CSV = """title,published,summary,url,source
Rates rise in Norland,2020-03-01T10:00:00+00:00,The bank acted.,https://n.example/1,Wire
"Port, closed by storm",2020-03-01,,,Wire
,2020-03-01,,,Wire
No date here,,,,Wire
Not a date,next week,,,Wire
Tomorrow's news,2999-01-01,,,Wire
Too,2020-03-01,many,cells,here,now
Old <b>bold</b> news,2019-12-31T23:59:00-05:00,,javascript:alert(1),Other
"""


def test_an_archive_is_imported_as_if_it_had_come_then(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "news.csv"
    path.write_text(CSV)
    done = []
    report = import_archive(store, StoryIndex(), path, NOW, done.append)
    assert (report.rows, report.new, report.skipped) == (8, 3, 5)
    assert sum(done) == 8
    told = "\n".join(report.problems)
    for line, reason in ((4, "'title'"), (5, "'published'"), (6, "not a date"), (7, "future"), (8, "6 cells")):
        assert f"line {line}: " in told and reason in told
    found = {a.title: a for a in store.recent_articles(LONG_AGO)}
    exact, day, old = found["Rates rise in Norland"], found["Port, closed by storm"], found["Old bold news"]
    assert exact.first_seen == exact.published and exact.counts and exact.publisher == "Wire"
    assert (day.date_quality, exact.date_quality) == (DateQuality.DAY, DateQuality.EXACT)
    assert old.url is None and old.published == datetime(2020, 1, 1, 4, 59, tzinfo=UTC)


def test_importing_again_or_after_a_break_adds_only_what_is_missing(store: Store, tmp_path: Path) -> None:
    rows = [f"Headline number {n} of the year,2020-03-{1 + n % 28:02d}T10:00:00Z" for n in range(6_000)]
    path = tmp_path / "news.csv.gz"
    path.write_bytes(gzip.compress(("title,published\n" + "\n".join(rows)).encode()))

    class Broken(Exception):
        pass

    def stop(_: int) -> None:
        if store.status().articles >= 2_000:
            raise Broken

    with pytest.raises(Broken):
        import_archive(store, StoryIndex(), path, NOW, stop)
    first = store.status().articles
    report = import_archive(store, StoryIndex(), path, NOW)
    assert 0 < first < 6_000 and report.new == 6_000 - first and report.seen == first
    again = import_archive(store, StoryIndex(), path, NOW)
    assert (again.new, again.seen) == (0, 6_000)
    assert store.status().articles == 6_000


def test_times_that_always_stand_at_midnight_are_days(store: Store, tmp_path: Path) -> None:
    lines = [
        {"title": f"Daily item {n} from afar", "published": "2020-03-01 00:00:00", "source": "D"} for n in range(5)
    ]
    lines += [
        {"title": f"Timed item {n} from near", "published": f"2020-03-01T0{n}:30:00", "source": "T"} for n in range(5)
    ]
    path = tmp_path / "news.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n[1]\n{broken\n")
    report = import_archive(store, StoryIndex(), path, NOW)
    assert (report.new, report.skipped) == (10, 2)
    qualities = {a.publisher: a.date_quality for a in store.recent_articles(LONG_AGO)}
    assert qualities == {"D": DateQuality.DAY, "T": DateQuality.EXACT}


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.csv", b"headline,published\nx,2020-01-01\n", "'title' is missing"),
        ("a.csv", b"title,date\nx,2020-01-01\n", "'published' is missing"),
        ("a.csv", b"", "'title' is missing"),
        ("a.jsonl", b'{"headline": "x"}\n', "'title'"),
        ("a.csv", b"\x89PNG\r\n\x1a\n\0\0\0\0", "not text"),
        ("a.csv.gz", gzip.compress(b"title,published\n" + b"x,2020-01-01\n" * 9_999)[:-40], "cut short"),
    ],
)
def test_what_is_no_archive_is_one_clear_line(name: str, data: bytes, told: str, store: Store, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ArchiveError) as caught:
        import_archive(store, StoryIndex(), path, NOW)
    assert told in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(ArchiveError):
        import_archive(store, StoryIndex(), tmp_path / "none.csv", NOW)


def test_an_open_quote_and_foreign_bytes_cost_only_their_rows(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "news.csv"
    path.write_bytes(
        b'title,published\nGood one here,2020-01-01\nCaf\xe9 closes,2020-01-02\n"open,2020-01-03\n' + b"x" * 200_000
    )
    report = import_archive(store, StoryIndex(), path, NOW)
    assert report.new == 1 and report.skipped >= 2


# ── entities ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_entity_added_in_the_midst_of_a_round_is_found_in_what_the_round_still_brings(
    site: Server, fetcher: Fetcher, parser: ParserPool, store: Store
) -> None:
    saved: list[Entity] = []

    def late(request: BaseHTTPRequestHandler) -> None:
        if not saved:
            saved.append(store.save_entity(Entity(id=0, name="Calderwick"), NOW))
            rematch_entity(store, saved[0])
        answer(rss("Calderwick cuts jobs"))(request)

    store.add_feed(NewFeed(url=site.serve("/feed", late)), NOW)
    list(poll_due(store, fetcher, parser, StoryIndex(), NOW))
    [one] = store.recent_articles(LONG_AGO)
    scored = store.article(one.id)
    assert scored is not None and scored.entities == ("Calderwick",)


def test_what_is_stored_while_an_entity_is_matched_back_keeps_its_mentions(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "news.csv"

    def bring(title: str) -> None:
        path.write_text(f"title,published\n{title},2020-03-01\n")
        import_archive(store, StoryIndex(), path, NOW)

    bring("Nothing of note at the port")
    entity = store.save_entity(Entity(id=0, name="Calderwick"), NOW)
    rematch(store, [entity], lambda _: bring("Calderwick cuts jobs"))
    found = [store.article(one.id) for one in store.recent_articles(LONG_AGO)]
    assert [one.article.title for one in found if one and one.entities] == ["Calderwick cuts jobs"]


def test_an_entity_added_later_is_found_in_what_is_stored(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "news.csv"
    path.write_text(
        "title,published\nCalderwick Bank cuts jobs,2020-03-01\nCalderwick rallies,2020-03-01\nNobody here,2020-03-01\n"
    )
    import_archive(store, StoryIndex(), path, NOW)
    short = store.save_entity(Entity(id=0, name="Calderwick"), NOW)
    assert rematch_entity(store, short) == 2
    full = store.save_entity(Entity(id=0, name="Calderwick Bank"), NOW)
    assert rematch_entity(store, full) == 1
    named = {
        scored.article.title: scored.entities
        for one in store.recent_articles(LONG_AGO)
        if (scored := store.article(one.id)) is not None
    }
    assert named == {
        "Calderwick Bank cuts jobs": ("Calderwick Bank",),
        "Calderwick rallies": ("Calderwick",),
        "Nobody here": (),
    }
