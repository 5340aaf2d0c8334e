"""The past that the statistic reads: counts of stories per series and hour, as arrays.

Only stories that count towards alerts are here. A day whose stories carry calendar days only (an imported archive)
cannot be told apart by the hour: it is marked `day_like`, its counts are spread evenly over its hours, so that sums
over whole days are exact, and it is judged at its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitor.domain import (
    ALL,
    ArticleQuery,
    DateQuality,
    ScoredArticle,
    StoryFact,
    series_of,
)

Floats = NDArray[np.float64]
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
OTHER: Final = "topic:other"

# Above this share of a day's stories at midnight, most of the day's dates have no time of day.
_MIDNIGHT_SHARE: Final = 0.6
_ENOUGH_TO_TELL: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Counts from `start` (midnight UTC) in steps of an hour up to `end` (exclusive; on the hour or within one).

    stories, negative, score: [series, hours] of stories that count, the negative ones, the sum of scores of all.
    volume: [hours] stories of all news that are not negative; the measure of how much news came at all.
    day_like: [days] dates of that day have no time of day; its counts are spread over its hours.
    other_left_out: `all` holds no story whose only topic is `other`.
    """

    start: datetime
    end: datetime
    series: tuple[str, ...]
    stories: Floats
    negative: Floats
    volume: Floats
    day_like: NDArray[np.bool_]
    score: Floats | None = None

    @property
    def hours(self) -> int:
        return int(self.negative.shape[1])

    @property
    def last_fraction(self) -> float:
        """How much of the last hour lies before `end`, 0 to 1; the statistic expects that much less of it."""
        whole = self.start + (self.hours - 1) * HOUR
        return min(1.0, max(1 / 60, (self.end - whole) / HOUR))

    def hour_at(self, index: int) -> datetime:
        return self.start + index * HOUR

    def first_hour(self) -> datetime | None:
        """The first hour with any counting story: where the real past begins."""
        seen = np.flatnonzero(self.volume + self.total_negative() > 0)
        return self.hour_at(int(seen[0])) if len(seen) else None

    def total_negative(self) -> Floats:
        """[hours] negative stories of all news; zeros when `all` is not among the series."""
        if ALL in self.series:
            return np.asarray(self.negative[self.series.index(ALL)])
        return np.zeros(self.hours)


class HistorySource(Protocol):
    """Where the past comes from: the store when live, a list of story facts in tests and replays."""

    def history(self, start: datetime, end: datetime) -> History:
        """Counts of every series in [start, end)."""
        ...

    def negative_facts(self, series: str, start: datetime, end: datetime, limit: int) -> list[StoryFact]:
        """Counting negative stories of a series in the span, most negative first."""
        ...

    def named_in_title(self, story_ids: Sequence[str]) -> dict[str, frozenset[str]]:
        """Story id → the watched entities that its titles name."""
        ...

    def search(self, query: ArticleQuery) -> list[ScoredArticle]:
        """Articles that a keyword rule's query finds."""
        ...

    def arrivals(self, start: datetime, end: datetime) -> list[tuple[str, str, int, int]]:
        """(feed, publisher, hours since 1970, items) of what was first seen in [start, end) and counts."""
        ...


def until(history: History, hours: int) -> History:
    """The history as it was after its first `hours`; views, nothing is copied."""
    if hours >= history.hours:
        return history
    return replace(
        history,
        end=history.hour_at(hours),
        stories=history.stories[:, :hours],
        negative=history.negative[:, :hours],
        volume=history.volume[:hours],
        day_like=history.day_like[: -(-hours // 24)],
        score=None if history.score is None else history.score[:, :hours],
    )


def midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def hours_between(start: datetime, end: datetime) -> int:
    """Hour cells from `start` that [start, end) touches."""
    return max(1, int(-((start - end) // HOUR)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Plain counts by series and hour, before anything is made of them: [series, hours] each."""

    series: tuple[str, ...]
    stories: Floats
    negative: Floats
    score: Floats


def counts_from_rows(rows: Sequence[tuple[str, int, int, int, float]], start: datetime, end: datetime) -> Counts:
    """From the store's plain rows (series, hours since 1970, stories, negative, score), see `Store.alert_counts`.
    start: midnight."""
    size = hours_between(start, end)
    row: dict[str, int] = {ALL: 0, OTHER: 1}
    count = len(rows)
    place = np.fromiter((row.setdefault(r[0], len(row)) for r in rows), dtype=np.int64, count=count)
    columns = np.array([r[1:] for r in rows], dtype=np.float64).reshape(count, 4).T
    hour = columns[0].astype(np.int64) - int(start.timestamp()) // 3600
    inside = (hour >= 0) & (hour < size)
    flat = place[inside] * size + hour[inside]
    shape = (len(row), size)
    stories, negative, score = (_table(flat, columns[index][inside], shape) for index in (1, 2, 3))
    return Counts(series=tuple(row), stories=stories, negative=negative, score=score)


def joined(first: Counts, then: Counts) -> Counts:
    """Two spans that touch as one; new arrays."""
    row = {name: place for place, name in enumerate(dict.fromkeys((*first.series, *then.series)))}
    places = [row[name] for name in then.series]
    size = first.stories.shape[1]

    def table(one: Floats, other: Floats) -> Floats:
        whole = np.zeros((len(row), size + other.shape[1]))
        whole[: len(one), :size] = one
        whole[places, size:] = other
        return whole

    return Counts(
        series=tuple(row),
        stories=table(first.stories, then.stories),
        negative=table(first.negative, then.negative),
        score=table(first.score, then.score),
    )


def history_of_counts(counts: Counts, start: datetime, end: datetime) -> History:
    """The history that the store's counts make. The arrays become the history's own."""
    return _finished(start, end, counts.series, counts.stories, counts.negative, counts.score, None)


def history_from_counts(rows: Sequence[tuple[str, int, int, int, float]], start: datetime, end: datetime) -> History:
    """From the store's plain rows, see `Store.alert_counts`."""
    start = midnight(start)
    return history_of_counts(counts_from_rows(rows, start, end), start, end)


def history_from_facts(facts: Iterable[StoryFact], start: datetime, end: datetime) -> History:
    """From story facts: every series that a fact belongs to. Facts outside the span are passed over."""
    start = midnight(start)
    size = hours_between(start, end)
    row: dict[str, int] = {ALL: 0, OTHER: 1}
    places: list[int] = []
    hours: list[int] = []
    bad: list[bool] = []
    scores: list[float] = []
    days = size // 24 + 1
    dated, undated = np.zeros(days), np.zeros(days)
    for fact in facts:
        hour = (fact.hour - start) // HOUR
        if not fact.counts or not 0 <= hour < size:
            continue
        if fact.date_quality is DateQuality.EXACT:
            dated[hour // 24] += 1
        else:
            undated[hour // 24] += 1
        negative = fact.sentiment == "negative"
        for name in series_of(fact):
            places.append(row.setdefault(name, len(row)))
            hours.append(hour)
            bad.append(negative)
            scores.append(fact.score)
    shape = (len(row), size)
    flat = np.array(places, dtype=np.int64) * size + np.array(hours, dtype=np.int64)
    stories, minus, score = (_table(flat, weights, shape) for weights in (None, bad, scores))
    day_like = _filled(undated > dated, (dated + undated) >= 1)
    return _finished(start, end, tuple(row), stories, minus, score, day_like)


def _table(flat: NDArray[np.int64], weights: ArrayLike | None, shape: tuple[int, int]) -> Floats:
    """[series, hours] sums of the weights (1 each without any) by flat place."""
    values = np.ones(len(flat)) if weights is None else np.asarray(weights, dtype=np.float64)
    return np.asarray(np.bincount(flat, weights=values, minlength=shape[0] * shape[1]).reshape(shape), dtype=np.float64)


def _finished(
    start: datetime,
    end: datetime,
    names: tuple[str, ...],
    stories: Floats,
    negative: Floats,
    score: Floats,
    day_like: NDArray[np.bool_] | None,
) -> History:
    if ALL in names:
        top = names.index(ALL)
        if day_like is None:
            day_like = _told_by_midnight(stories[top], over=end == midnight(end))
        volume = stories[top] - negative[top]
    else:
        volume = np.zeros(stories.shape[1])
    if day_like is None:
        day_like = np.zeros(-(-stories.shape[1] // 24), dtype=bool)
    day_like = day_like[: -(-stories.shape[1] // 24)]
    for array in (stories, negative, score, volume[None, :]):
        _spread(array, day_like)
    return History(
        start=start,
        end=end,
        series=names,
        stories=stories,
        negative=negative,
        volume=np.maximum(0.0, volume),
        day_like=day_like,
        score=score,
    )


def _told_by_midnight(all_stories: Floats, over: bool) -> NDArray[np.bool_]:
    """[days] where nearly every story stands at midnight; days with too few stories follow the day before. So does a
    last day that is not `over`: sources without a time of day may still come, and a day that changes its kind twice
    would end an alert in the morning and open it again at night."""
    days = -(-len(all_stories) // 24)
    padded = np.zeros(days * 24)
    padded[: len(all_stories)] = all_stories
    table = padded.reshape(days, 24)
    total = table.sum(axis=1)
    at_midnight = table[:, 0] >= _MIDNIGHT_SHARE * np.maximum(total, 1)
    tells = total >= _ENOUGH_TO_TELL
    if not over:
        tells[-1] = False
    return _filled(at_midnight & (total > 0), tells)


def _filled(flags: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Flags where known, and the last known one before; before the first known one, that one."""
    index = np.where(known, np.arange(len(flags)), -1)
    last = np.maximum.accumulate(index)
    first = int(np.argmax(known)) if known.any() else 0
    return np.asarray(flags[np.where(last >= 0, last, first)] & known.any())


def _spread(array: Floats, day_like: NDArray[np.bool_]) -> None:
    """Even out the days without time of day, in place; an unfinished last day over the hours that it has."""
    for day in np.flatnonzero(day_like):
        part = array[:, day * 24 : day * 24 + 24]
        part[:] = part.mean(axis=1, keepdims=True)
