"""Feeds: fetching, parsing, rounds of polls, and the list of what is polled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from monitor import ingest, pages, upkeep
from monitor.app.core import Core
from monitor.domain import (
    Feed,
    NewFeed,
    ParsedFeed,
    PollResult,
)
from monitor.errors import FeedError
from monitor.feeds.defaults import UNVERIFIED, default_feeds
from monitor.feeds.fetch import Fetcher
from monitor.feeds.opml import read_opml, write_opml
from monitor.feeds.parser import ParserPool
from monitor.feeds.stories import StoryIndex
from monitor.people import OPERATOR, Person

_DUE = 20_000  # feeds of one round; a silent one holds the end of its round up for 20 s, so rounds are not cut small


class FeedsPart(Core):
    def fetcher(self) -> Fetcher:
        with self._lock:
            if self._fetcher is None:
                self._fetcher = Fetcher(
                    allow_networks=self.settings.allow_networks,
                    proxy=self.settings.egress_proxy,
                    ca_bundle=self.settings.ca_bundle,
                )
            return self._fetcher

    def parser(self) -> ParserPool:
        with self._lock:
            if self._parser is None:
                self._parser = ParserPool(pages=bool(self.settings.full_text))
            return self._parser

    def poll(
        self, now: datetime, feeds: Sequence[Feed] | None = None, stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[PollResult]:
        """One round over the given feeds, or over all that are enabled; results come as they finish."""
        wanted = [feed for feed in self.store.feeds() if feed.enabled] if feeds is None else list(feeds)
        yield from ingest.poll_due(self.store, self.fetcher(), self.parser(), self._story_index(), now, wanted, stopped)

    def poll_due(self, now: datetime, stopped: Callable[[], bool] = lambda: False) -> Iterator[PollResult]:
        """The worker's round: only what is due."""
        due = self.store.due_feeds(now, _DUE)
        if due and not stopped():
            yield from self.poll(now, due, stopped)

    def read_pages(self, now: datetime, stopped: Callable[[], bool] = lambda: False) -> Iterator[pages.PageResult]:
        """The full text of fresh articles, where the setting `full_text` asks for it; nothing otherwise."""
        if self.settings.full_text:
            publishers = pages.publishers_of(self.settings.full_text)
            yield from pages.read_pages(self.store, self.fetcher(), self.parser(), publishers, now, stopped)

    def check_feed(self, url: str) -> ParsedFeed:
        """Fetch and parse an address without storing anything. Raises `FeedError`."""
        [(_, answer)] = ingest.check_addresses(self.fetcher(), self.parser(), [url], datetime.now(UTC))
        if isinstance(answer, FeedError):
            raise answer
        return answer

    def check_feeds(self) -> Iterator[tuple[str, ParsedFeed | FeedError]]:
        """Each feed's address with what it answers, or why it does not, in the order in which they answer. One that
        is reached is no longer marked unverified."""
        feeds = {feed.url: feed for feed in self.store.feeds()}
        for url, answer in ingest.check_addresses(self.fetcher(), self.parser(), list(feeds), datetime.now(UTC)):
            if feeds[url].note == UNVERIFIED and not isinstance(answer, FeedError):
                self.store.note_feed(feeds[url].id, "")
            yield url, answer

    def add_feed(self, feed: NewFeed, now: datetime, by: Person = OPERATOR) -> tuple[Feed, ParsedFeed]:
        """Check the address, fill in what the feed says of itself, and store it. Raises `FeedError`."""
        return upkeep.add_feed(self.store, feed, self.check_feed, by, now)

    def switch_feed(self, feed_id: int, on: bool, now: datetime, by: Person = OPERATOR) -> None:
        """Pause a feed, or poll it again."""
        upkeep.set_feed_enabled(self.store, feed_id, on, by, now)

    def add_default_feeds(self, now: datetime, by: Person = OPERATOR) -> int:
        """The public feeds that risk teams start from; gives how many are new."""
        return upkeep.add_missing_feeds(self.store, default_feeds(), by, now)

    def import_opml(self, path: Path, now: datetime, by: Person = OPERATOR) -> tuple[int, int]:
        """(added, already there). Raises `FeedError` when it is no OPML."""
        found = read_opml(path)
        added = upkeep.add_missing_feeds(self.store, found, by, now)
        return added, len(found) - added

    def export_opml(self, now: datetime) -> str:
        return write_opml(self.store.feeds(), now)

    def _story_index(self) -> StoryIndex:
        """The index of this process. It learns from the store what it does not know: stories survive a restart."""
        with self._lock:
            if self._index is None:
                self._index = StoryIndex()
            return self._index
