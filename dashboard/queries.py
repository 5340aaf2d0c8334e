"""Cached reads of the store as DataFrames and frozen values.

Every cached function takes `key`: the store's URL with its data version. A page that saw this version does not ask
again; after a write the version is another one. The store itself is passed unhashed (leading underscore).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.times import DAY, Span, floor
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
COUNTS: Final = ("articles", "stories", "negative", "neutral", "positive", "score_sum")
_TTL: Final = timedelta(minutes=10)
_ENTRIES: Final = 256
_SIX_HOURS: Final = timedelta(hours=6)
_FIRST: Final = datetime(1900, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)


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
        return _earliest(self.key, self._store)

    def hours(self, series: str, span: Span, cells: CellFilter | None = None) -> pd.DataFrame:
        """Counts of one series by the hour, non-empty hours only; columns time (UTC) and `COUNTS`."""
        return _rows(self.key, self._store, (series,), span, "hour", cells)

    def topics_over_time(self, span: Span, step: timedelta, cells: CellFilter) -> pd.DataFrame:
        """Counts by topic and step; columns series (`topic:…`), time and `COUNTS`.

        Without a filter a story counts under each of its topics; cells know its main topic only.
        """
        if not (cells.publishers or cells.languages):
            return self.trends([series_of_topic(topic) for topic in TOPICS], span, step)
        rows = _by(self.key, self._store, "topic", span, _store_step(step), cells)
        rows = rows.assign(series="topic:" + rows["series"].astype(str), time=_floored(rows["time"], step))
        return rows.groupby(["series", "time"], as_index=False)[list(COUNTS)].sum()

    def trend(
        self, series: str, span: Span, cells: CellFilter | None = None, step: timedelta | None = None
    ) -> pd.DataFrame:
        """Counts of one series in equal steps over the span, zeros included; columns time (UTC) and `COUNTS`.

        With `cells` the additive cells are added up instead, so that publishers, languages and topics filter.
        """
        width = step or span.step
        rows = _rows(self.key, self._store, (series,), span, _store_step(width), cells)
        return _even(rows, span, width)

    def trends(self, series: Sequence[str], span: Span, step: timedelta | None = None) -> pd.DataFrame:
        """Counts of several series, non-empty buckets only; columns series, time and `COUNTS`."""
        width = step or span.step
        rows = _rows(self.key, self._store, tuple(series), span, _store_step(width), None)
        rows = rows.assign(time=_floored(rows["time"], width))
        return rows.groupby(["series", "time"], as_index=False)[list(COUNTS)].sum()

    def totals(self, series: Sequence[str], start: datetime, end: datetime) -> dict[str, tuple[int, int]]:
        """series → (stories, negative) over [start, end), counted in hours."""
        rows = _rows(self.key, self._store, tuple(series), Span(start=start, end=end), "all", None)
        return {
            str(name): (int(stories), int(negative))
            for name, stories, negative in zip(rows["series"], rows["stories"], rows["negative"], strict=True)
        }

    def names(self, start: datetime, end: datetime, prefixes: Sequence[str]) -> list[str]:
        return cast(list[str], self._read("series_names", start, end, tuple(prefixes)))

    def by(self, what: str, span: Span, cells: CellFilter | None = None) -> pd.DataFrame:
        """Counts per publisher, language or topic over the span, most stories first."""
        rows = _by(self.key, self._store, what, span, "all", cells or CellFilter())
        return rows[["series", *COUNTS]].sort_values("stories", ascending=False)

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

    def _read(self, method: str, *args: Any, **options: Any) -> Any:
        return _read(self.key, self._store, method, args, options)


@st.cache_data(ttl=_TTL, max_entries=_ENTRIES, show_spinner=False)
def _read(key: Key, _store: Store, method: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    return getattr(_store, method)(*args, **options)


@st.cache_data(ttl=_TTL, max_entries=_ENTRIES, show_spinner=False)
def _earliest(key: Key, _store: Store) -> datetime | None:
    days = _store.rollups(["all"], _FIRST, _LAST, step="day")
    return days[0].hour if days else None


@st.cache_data(ttl=_TTL, max_entries=_ENTRIES, show_spinner=False)
def _rows(
    key: Key, _store: Store, series: tuple[str, ...], span: Span, step: str, cells: CellFilter | None
) -> pd.DataFrame:
    if cells is not None and (cells.publishers or cells.languages or cells.topics):
        return _frame(_store.cell_columns(cells, span.start, span.end, step=step))
    return _frame(_store.rollup_columns(list(series), span.start, span.end, step=step))


@st.cache_data(ttl=_TTL, max_entries=_ENTRIES, show_spinner=False)
def _by(key: Key, _store: Store, what: str, span: Span, step: str, cells: CellFilter) -> pd.DataFrame:
    return _frame(_store.cell_columns(cells, span.start, span.end, step=step, by=what))


def _store_step(width: timedelta) -> str:
    """The widest step of the store that adds up to buckets of this width: the database adds, not the page."""
    return "day" if width % DAY == timedelta(0) else "6h" if width % _SIX_HOURS == timedelta(0) else "hour"


def _frame(columns: RollupColumns) -> pd.DataFrame:
    hours = np.asarray(columns.hour, dtype="datetime64[h]") if columns.hour else np.array([], dtype="datetime64[h]")
    frame = {name: list(getattr(columns, name)) for name in COUNTS}
    return pd.DataFrame({"series": list(columns.series), "time": pd.to_datetime(hours, utc=True), **frame})


def _floored(times: pd.Series, step: timedelta) -> pd.Series:
    """`dashboard.times.floor` for a column."""
    origin = pd.Timestamp(floor(_FIRST, step))
    width = pd.Timedelta(step)
    return origin + ((times - origin) // width) * width


def _even(rows: pd.DataFrame, span: Span, step: timedelta) -> pd.DataFrame:
    """Buckets of the step over the span, also the empty ones."""
    first = floor(span.start, step)
    grid = pd.date_range(first, span.end, freq=pd.Timedelta(step), inclusive="left", tz="UTC", name="time")
    if rows.empty:
        return pd.DataFrame(0, index=grid, columns=list(COUNTS)).reset_index()
    rows = rows.assign(time=_floored(rows["time"], step))
    return rows.groupby("time")[list(COUNTS)].sum().reindex(grid, fill_value=0).reset_index()
