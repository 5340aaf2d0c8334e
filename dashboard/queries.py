"""Reads of the store as DataFrames and frozen values, kept for all sessions together.

What is kept stands under the store's URL with its data version. A page that saw this version does not ask again; after
a write the version is another one. Values are shared between sessions and must not be changed.

Counts are kept for whole days and for a window of round days around the span that was asked for, and cut to it: a span
that moves by a day, or another session's span of the same weeks, finds them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, cast

import numpy as np
import pandas as pd

from dashboard.held import Held
from dashboard.times import DAY, HOUR, Span, floor
from models.labels import TOPICS
from monitor.domain import (
    Alert,
    AlertEvent,
    AlertState,
    ArticleQuery,
    AuditEntry,
    CellFilter,
    ChannelConfig,
    Delivery,
    DeliveryState,
    Entity,
    Feed,
    RollupColumns,
    Rule,
    ScoredArticle,
    Silence,
    StatusCounts,
    StoryFact,
    Verdict,
    series_of_topic,
)
from monitor.store.base import Store

Key = tuple[str, int]
Column = np.ndarray[Any, Any]
COUNTS: Final = ("articles", "stories", "negative", "neutral", "positive", "score_sum")
TOPIC_SERIES: Final = tuple(series_of_topic(topic) for topic in TOPICS)
_STORIES: Final = (COUNTS.index("stories"), COUNTS.index("negative"))
_LIMIT: Final = 128 * 2**20
_AGAIN_S: Final = 600.0
"""What no write counts (the size of files, how long something waits) is looked at again so often."""

_ROW: Final = 4096
"""About the bytes of a frozen value: an article, a story, an alert with its evidence."""

_SIX_HOURS: Final = timedelta(hours=6)
_FEW_ROWS: Final = 8192
"""Totals that are so many rows of a day and series at most are added up here from days that are kept."""

_PUBLISHERS: Final = 100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MONDAY: Final = 96
"""The first Monday after that, in hours."""

_FIRST: Final = datetime(1900, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)


class Counts(NamedTuple):
    """Rows of counts, by series and time. hour: whole hours since 1970; sums: one column each of `COUNTS`."""

    series: Column
    hour: Column
    sums: Column

    def within(self, span: Span) -> Counts:
        inside = (self.hour >= _hour(span.start)) & (self.hour < _hour(span.end))
        return self if inside.all() else Counts(*(column[inside] for column in self))

    def added(self, step: timedelta) -> Counts:
        """In buckets of the step, counted from a Monday (`times.floor`); the rows of a bucket follow each other."""
        bucket = self.hour - (self.hour - _MONDAY) % (step // HOUR)
        if not len(bucket):
            return self
        first = np.ones(len(bucket), dtype=bool)
        first[1:] = (bucket[1:] != bucket[:-1]) | (self.series[1:] != self.series[:-1])
        starts = np.flatnonzero(first)
        return Counts(self.series[starts], bucket[starts], np.add.reduceat(self.sums, starts))

    def even(self, start: datetime, step: timedelta, number: int) -> pd.DataFrame:
        """So many buckets of one series from a start on, also the empty ones; columns time (UTC) and `COUNTS`."""
        sums = np.zeros((number, len(COUNTS)))
        np.add.at(sums, (self.hour - _hour(start)) // (step // HOUR), self.sums)
        times = pd.date_range(start, periods=number, freq=pd.Timedelta(step), name="time")
        return pd.DataFrame({"time": times, **_columns(sums)})

    def frame(self) -> pd.DataFrame:
        times = pd.to_datetime(self.hour * 3600, unit="s", utc=True)
        return pd.DataFrame({"series": pd.Series(self.series, dtype=object), "time": times, **_columns(self.sums)})


class Reads:
    """The reads of one page run, all at the same data version."""

    def __init__(self, store: Store, url: str) -> None:
        self._store = store
        self.key: Key = (url, store.data_version())

    # ── counts ──────────────────────────────────────────────────────────────────────────────────────────────────

    def status(self) -> StatusCounts:
        return cast(StatusCounts, self._read("status"))

    def earliest(self) -> datetime | None:
        """Start of the first day with a counted story; None for an empty store."""

        def read() -> datetime | None:
            days = self._store.rollups(["all"], _FIRST, _LAST, step="day")
            return days[0].hour if days else None

        return cast(datetime | None, self._keep("earliest", read))

    def days_before(self, series: str, end: datetime, number: int, cells: CellFilter | None = None) -> pd.DataFrame:
        """Counts of one series in so many blocks of 24 h up to `end`, oldest first; columns time (UTC) and `COUNTS`."""
        span = Span(start=end - number * DAY, end=end)
        step = "day" if span.is_whole_days else "hour"
        return self._counts((series,), span, step, cells).even(span.start, DAY, number)

    def topics_over_time(self, span: Span, step: timedelta, cells: CellFilter) -> pd.DataFrame:
        """Counts by topic and step; columns series (`topic:…`), time and `COUNTS`.

        Without a filter a story counts under each of its topics; cells know its main topic only.
        """
        if not (cells.publishers or cells.languages):
            return self.trends(TOPIC_SERIES, span, step)
        rows = self._counts((), span, _store_step(step), cells, by="topic").added(step)
        return rows._replace(series="topic:" + rows.series).frame()

    def trend(
        self, series: str, span: Span, cells: CellFilter | None = None, step: timedelta | None = None
    ) -> pd.DataFrame:
        """Counts of one series in equal steps over the span, zeros included; columns time (UTC) and `COUNTS`.

        With `cells` the additive cells are added up instead, so that publishers, languages and topics filter.
        """
        width = step or span.step
        first = floor(span.start, width)
        return self._counts((series,), span, _store_step(width), cells).even(
            first, width, -((first - span.end) // width)
        )

    def trends(self, series: Sequence[str], span: Span, step: timedelta | None = None) -> pd.DataFrame:
        """Counts of several series, non-empty buckets only; columns series, time and `COUNTS`."""
        width = step or span.step
        return self._counts(tuple(series), span, _store_step(width)).added(width).frame()

    def totals(self, series: Sequence[str], start: datetime, end: datetime) -> dict[str, tuple[int, int]]:
        """series → (stories, negative) over [start, end), counted in hours."""
        span = Span(start=start, end=end)
        few = span.is_whole_days and len(series) * (span.length // DAY) <= _FEW_ROWS
        rows = self._counts(tuple(series), span, "day" if few else "all")
        found: dict[str, tuple[int, int]] = {}
        for name, (stories, negative) in zip(rows.series, rows.sums[:, _STORIES].astype(int).tolist(), strict=True):
            before = found.get(name, (0, 0))
            found[name] = (before[0] + stories, before[1] + negative)
        return found

    def values(self, what: str, span: Span) -> list[str]:
        """The publishers or languages with stories in the span, in order."""
        few = span.is_whole_days and _PUBLISHERS * (span.length // DAY) <= _FEW_ROWS
        return sorted(set(self._counts((), span, "day" if few else "all", by=what).series))

    # ── articles and stories ────────────────────────────────────────────────────────────────────────────────────

    def facts(self, series: str, start: datetime, end: datetime, *, negative: bool, limit: int) -> list[StoryFact]:
        return cast(list[StoryFact], self._read("story_facts", series, start, end, negative_only=negative, limit=limit))

    def search(self, query: ArticleQuery) -> tuple[list[ScoredArticle], int]:
        return cast(tuple[list[ScoredArticle], int], self._read("search_articles", query))

    def article(self, article_id: int) -> ScoredArticle | None:
        return cast(ScoredArticle | None, self._read("article", article_id))

    def story(self, story_id: str) -> list[ScoredArticle]:
        return cast(list[ScoredArticle], self._read("story_articles", story_id))

    def revisions(self, article_id: int) -> list[tuple[datetime, str, str]]:
        return cast(list[tuple[datetime, str, str]], self._read("revisions", article_id))

    def feeds(self) -> list[Feed]:
        return cast(list[Feed], self._read("feeds"))

    def entities(self) -> list[Entity]:
        return cast(list[Entity], self._read("entities"))

    # ── alerts and desk ─────────────────────────────────────────────────────────────────────────────────────────

    def alerts(self, states: Sequence[AlertState] = (), since: datetime | None = None, limit: int = 500) -> list[Alert]:
        return cast(list[Alert], self._read("alerts", tuple(states), since=since, limit=limit))

    def alert(self, alert_id: int) -> Alert | None:
        return cast(Alert | None, self._read("alert", alert_id))

    def events(self, alert_id: int) -> list[AlertEvent]:
        return cast(list[AlertEvent], self._read("alert_events", alert_id))

    def rules(self) -> list[Rule]:
        return cast(list[Rule], self._read("rules"))

    def silences(self) -> list[Silence]:
        return cast(list[Silence], self._read("silences"))

    def channels(self) -> list[ChannelConfig]:
        """Options may hold secrets: never show them."""
        return self._store.channels()  # not cached: secrets stay out of the cache

    def deliveries(self, states: Sequence[DeliveryState] = (), limit: int = 200) -> list[Delivery]:
        return cast(list[Delivery], self._read("deliveries", tuple(states), limit))

    def verdicts(self, prefix: str = "") -> list[Verdict]:
        return cast(list[Verdict], self._read("verdicts", prefix))

    def audit(self, limit: int = 200) -> list[AuditEntry]:
        return cast(list[AuditEntry], self._read("audit", limit))

    def setting(self, name: str) -> Any | None:
        return self._read("setting", name)

    def live_model(self) -> tuple[str, tuple[str, ...]] | None:
        return cast(tuple[str, tuple[str, ...]] | None, self._read("live_model"))

    def model_history(self) -> list[tuple[datetime, str, str, str]]:
        return cast(list[tuple[datetime, str, str, str]], self._read("model_history"))

    def beats(self) -> dict[str, tuple[datetime, dict[str, Any]]]:
        """Signs of life; never cached, because they are unaudited and move by themselves."""
        return self._store.beats()

    def _counts(
        self, series: tuple[str, ...], span: Span, step: str, cells: CellFilter | None = None, by: str = ""
    ) -> Counts:
        """Rows of the span, of which those before and after it are kept too where that does not change its buckets."""
        where = cells or CellFilter()
        of_cells = bool(where.publishers or where.languages or where.topics or by)
        round_days = {"day": 32 * DAY, "hour": 8 * DAY}.get(step, DAY)
        wide = step == "hour" or (step == "day" and span.is_whole_days)
        window = span.around(round_days) if wide else span

        def read() -> Counts:
            if of_cells:
                return _counts(self._store.cell_columns(where, window.start, window.end, step=step, by=by))
            return _counts(self._store.rollup_columns(list(series), window.start, window.end, step=step))

        rows = cast(Counts, self._keep(("counts", series, window, step, where, by), read))
        return rows.within(span) if wide else rows

    def _read(self, method: str, *args: Any, **options: Any) -> Any:
        return self._keep(
            (method, args, *sorted(options.items())), lambda: getattr(self._store, method)(*args, **options)
        )

    def _keep(self, what: Hashable, read: Callable[[], Any]) -> Any:
        return _KEPT.get((self.key, what), read)


def _weight(value: Any) -> int:
    """About the bytes of a read."""
    if isinstance(value, Counts):
        return 200 + 8 * len(value.hour) * (2 + len(COUNTS))
    items = value[0] if isinstance(value, tuple) and value and isinstance(value[0], list) else value
    return _ROW * (1 + (len(items) if isinstance(items, list | dict) else 0))


_KEPT: Final[Held[Any]] = Held(_weight, limit=_LIMIT, lasts_s=_AGAIN_S)


def _store_step(width: timedelta) -> str:
    """The widest step of the store that adds up to buckets of this width: the database adds, not the page."""
    return "day" if width % DAY == timedelta(0) else "6h" if width % _SIX_HOURS == timedelta(0) else "hour"


def _hour(at: datetime) -> int:
    """The first whole hour since 1970 that begins at or after a moment."""
    return -((_EPOCH - at) // HOUR)


def _counts(columns: RollupColumns) -> Counts:
    sums = np.array([getattr(columns, name) for name in COUNTS], dtype=float).T
    return Counts(np.array(columns.series, dtype=object), np.array(columns.hour, dtype=np.int64), sums)


def _columns(sums: Column) -> dict[str, Column]:
    """Sums by their names; all but the score are whole numbers."""
    return {
        name: sums[:, place] if name == "score_sum" else sums[:, place].astype(np.int64)
        for place, name in enumerate(COUNTS)
    }
