"""Documents that wait together are stored in one transaction, as if one came after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from monitor.domain import AddCounts, Feed, Fetched, NewArticle, NewFeed, ParsedFeed, PollRecord, PollResult
from monitor.errors import FeedError, StoreBusyError, StoreError
from monitor.feeds.documents import parse_document
from monitor.feeds.stories import StoryIndex
from monitor.ingest import poll_due
from monitor.store import open_store
from monitor.store.sql import SqlStore
from tests.feeds.loopback import NOW, rss

LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)


class AtOnce:
    """In place of fetcher and parser: every document is there, and parsed, before the first is stored."""

    def __init__(self, bodies: dict[str, bytes]) -> None:
        self._bodies = bodies

    def start(self, feeds: Iterable[Feed], now: datetime, put: Callable[[Feed, Fetched | FeedError], None]) -> AtOnce:
        for feed in feeds:
            put(feed, Fetched(url=feed.url, status=200, body=self._bodies[feed.url]))
        return self

    def submit(self, fetched: Fetched, done: Callable[[ParsedFeed | FeedError], None]) -> None:
        try:
            done(parse_document(fetched.body))
        except FeedError as error:
            done(error)

    def taken(self, feed: Feed) -> None: ...
    def cancel(self) -> None: ...


class Refusing(SqlStore):
    """A store that counts its transactions of polls and refuses those of several feeds, or of one."""

    refuses: Callable[[Sequence[tuple[PollRecord, Sequence[NewArticle]]]], StoreError | None] = staticmethod(
        lambda polls: None
    )
    sizes: list[int]

    def record_polls(self, polls: Sequence[tuple[PollRecord, Sequence[NewArticle]]]) -> list[AddCounts]:
        self.sizes = [*getattr(self, "sizes", []), len(polls)]
        if (error := self.refuses(polls)) is not None:
            raise error
        return super().record_polls(polls)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Refusing]:
    opened = open_store(f"sqlite:///{tmp_path / 'headwind.db'}")
    opened.__class__ = Refusing
    assert isinstance(opened, Refusing)
    yield opened
    opened.close()


def polled(store: SqlStore, bodies: Sequence[bytes]) -> list[PollResult]:
    urls = [f"https://f{number}.example/rss" for number in range(len(bodies))]
    for url in urls:
        store.add_feed(NewFeed(url=url), NOW)
    both = AtOnce(dict(zip(urls, bodies, strict=True)))
    return list(poll_due(store, both, both, StoryIndex(), NOW))  # type: ignore[arg-type]


def test_documents_that_wait_are_stored_together_and_each_is_told_of(store: Refusing) -> None:
    link = "https://n.example/1"
    bodies = [
        rss(("Port strike halts Calder freight", link)),
        rss(("Port strike halts Calder freight, unions say", link), ("Mill shuts", "https://n.example/2")),
        b"no feed at all",
        *(rss(f"Tollgate opens branch {number}") for number in range(7)),
    ]
    results = polled(store, bodies)
    assert store.sizes == [8, 2]
    assert [(one.new, one.revised, one.seen) for one in results[:3]] == [(1, 0, 0), (1, 0, 0), (0, 0, 0)]
    assert "not an RSS" in (results[2].error or "")
    assert sorted(article.title for article in store.recent_articles(LONG_AGO))[:2] == [
        "Mill shuts",
        "Port strike halts Calder freight",
    ]
    assert store.status().articles == 9
    assert [feed.failures for feed in store.feeds()] == [0, 0, 1, *[0] * 7]


def test_copies_in_documents_that_wait_together_are_one_story(store: Refusing) -> None:
    title = "Calder Bank halts withdrawals after deposit run"
    polled(store, [rss((title, f"https://n{number}.example/1")) for number in range(3)])
    assert (store.status().articles, store.status().stories) == (3, 1)


def test_what_cannot_be_stored_together_is_stored_feed_by_feed(store: Refusing) -> None:
    store.refuses = lambda polls: StoreError("store: a row cannot be written") if len(polls) > 1 else None
    results = polled(store, [rss("Mill shuts"), rss("Port opens"), rss("Rates rise")])
    assert [(one.new, one.error) for one in results] == [(1, None)] * 3
    assert store.sizes[:1] == [3]
    assert store.status().articles == 3


def test_a_busy_store_is_not_asked_again_for_each_of_them(store: Refusing) -> None:
    store.refuses = lambda polls: StoreBusyError("store: busy")
    results = polled(store, [rss("Mill shuts"), rss("Port opens")])
    assert [one.error for one in results] == ["store: busy"] * 2
    assert store.sizes == [2]
    assert [feed.last_success for feed in store.feeds()] == [None, None]
