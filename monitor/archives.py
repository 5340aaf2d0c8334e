"""The use case "take in the past": the rows of an archive → articles with story and mentions → store.

Each row comes in as if it had been seen when it was published, in order of time, so that a backtest meets the past as
it was. A row that cannot be used is a line in the report; it never ends the import.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path

from monitor.domain import AddCounts, DateQuality, NewArticle
from monitor.entities.matcher import Matcher
from monitor.feeds.archive import ArchiveRow, BadRow, read_archive
from monitor.feeds.identity import archive_identity
from monitor.feeds.stories import REMEMBERED, WINDOW, Item, StoryIndex
from monitor.mentions import Watched
from monitor.store.base import Store
from monitor.text.language import detect_language

_BLOCK = 200_000  # rows that are put in order of time together
_CHUNK = 5_000  # rows of one transaction
# Each row touches pages of its own in the indexes of identities and stories. The more rows a transaction has, the more
# of them share a page: 2,000 rows each wrote 14 KB an article in a store of 250,000, 5,000 wrote 10.
_GIVE_WAY_S = 0.01  # between transactions, so that a worker that waits for its turn gets it
_MIDNIGHTS = 0.2  # share of times at 00:00 from which a source is taken to know only days


@dataclass(slots=True)
class ImportReport:
    """What an import did. rows = new + revised + seen + skipped. problems: a line per skipped row, the first 1,000."""

    rows: int = 0
    new: int = 0
    revised: int = 0
    seen: int = 0
    skipped: int = 0
    problems: list[str] = field(default_factory=list)

    def skip(self, bad: BadRow) -> None:
        self.skipped += 1
        if len(self.problems) < 1_000:
            self.problems.append(str(bad))


def import_archive(
    store: Store,
    index: StoryIndex,
    path: Path,
    now: datetime,
    progress: Callable[[int], object] = lambda _: None,
) -> ImportReport:
    """Import a CSV or JSON-lines archive: each row as if it had come when it was published.

    Resumable: rows are known by their identity, so a second run adds what is missing and nothing twice. Bad rows are
    reported by line and skipped. `progress` gets the number of rows done since it was last called. Raises
    `ArchiveError` for a file with wrong columns, before anything is written.
    """
    report = ImportReport()
    watched = Watched(store)
    families = {feed.publisher: feed.family for feed in store.feeds()}
    rows = read_archive(path)
    neighbours = _Neighbours(store, index)
    while block := list(islice(rows, _BLOCK)):
        good: list[ArchiveRow] = []
        for row in block:
            if isinstance(row, BadRow):
                report.skip(row)
            elif row.published > now:
                report.skip(BadRow(row.line, "column 'published': lies in the future"))
            else:
                good.append(row)
        report.rows += len(block)
        progress(len(block) - len(good))
        daily = _day_sources(good)
        good.sort(key=lambda row: row.published)
        neighbours.known_until = None
        for start in range(0, len(good), _CHUNK):
            chunk = good[start : start + _CHUNK]
            with store.ingesting():
                neighbours.meet(chunk[0].published, chunk[-1].published)
                counts = _import_chunk(store, index, watched.matcher(), families, path, chunk, daily, now)
                index.newest = store.newest_article()
            report.new += counts.new
            report.revised += counts.revised
            report.seen += counts.seen
            progress(len(chunk))
            time.sleep(_GIVE_WAY_S)
    return report


class _Neighbours:
    """Tells the index of an import what the store holds around the rows that come next: what was there before the
    import, and what a worker beside it brings."""

    def __init__(self, store: Store, index: StoryIndex) -> None:
        self._store, self._index = store, index
        self._alone = True  # until now everything in the store came from this import
        self.known_until: datetime | None = None  # the index knows the store's articles up to here

    def meet(self, first: datetime, last: datetime) -> None:
        """`first` and `last`: times of the rows that come next. To be called while `store.ingesting()`."""
        newest = self._store.newest_article()
        if newest != self._index.newest:
            if not self._alone:
                self._index.prime(self._store.articles_after(self._index.newest, first - WINDOW))
            self._alone = False
        if self._alone:
            return
        start, end = first - WINDOW, last + WINDOW
        if self.known_until is not None:
            start = max(start, self.known_until)
        if start < end:
            self._index.prime(self._store.recent_articles(start, end))
            self.known_until = end


def _day_sources(rows: Sequence[ArchiveRow]) -> set[str]:
    """Sources whose rows stand at midnight so often that midnight can only mean "that day"."""
    total = Counter(row.source for row in rows)
    midnights = Counter(row.source for row in rows if row.midnight)
    return {source for source, count in midnights.items() if count >= max(3.0, _MIDNIGHTS * total[source])}


def _import_chunk(
    store: Store,
    index: StoryIndex,
    matcher: Matcher,
    families: dict[str, str],
    path: Path,
    chunk: Sequence[ArchiveRow],
    daily: set[str],
    now: datetime,
) -> AddCounts:
    rows = {archive_identity(row.title, row.published, row.url, row.source): row for row in reversed(chunk)}
    known = store.known_identities(list(rows))
    fresh = sorted((key for key in rows if key not in known), key=lambda key: (rows[key].published, rows[key].line))
    if not fresh:
        return AddCounts(seen=len(chunk))
    index.forget_before(chunk[0].published - REMEMBERED)
    stories = index.assign([Item(key, rows[key].title, rows[key].published) for key in fresh])
    articles = []
    for key, story in zip(fresh, stories, strict=True):
        row = rows[key]
        publisher = row.source or path.name.split(".")[0]
        by_day = row.date_quality is DateQuality.DAY or (row.midnight and row.source in daily)
        articles.append(
            NewArticle(
                identity=key,
                story_id=story,
                feed_id=None,
                publisher=publisher,
                family=families.get(publisher, publisher),
                language=detect_language(f"{row.title} {row.summary}", stated=row.language),
                title=row.title,
                summary=row.summary,
                url=row.url,
                author="",
                published=row.published,
                first_seen=row.published,
                date_quality=DateQuality.DAY if by_day else DateQuality.EXACT,
                counts=True,
                mentions=matcher.mentions(row.title, row.summary),
            )
        )
    counts = store.add_articles(articles, now) if articles else AddCounts()
    return AddCounts(new=counts.new, revised=counts.revised, seen=len(chunk) - counts.new - counts.revised)
