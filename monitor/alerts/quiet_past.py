"""Silence on the past: the hours in which a quiet rule would have spoken, from when items came.

The judgement is the live one (`quiet.py`): a feed owes news by its habit, spread over the week as its publisher's past
is. The habit is remembered over two weeks, as polling remembers it, and learns nothing while a feed is silent. Each
hour rests on earlier hours only. What is not in the store has no past: failed polls, feeds that were removed or
switched off, the worker's signs of life.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.alerts.history import HOUR, Floats, History, until
from monitor.alerts.kinds import calm
from monitor.alerts.lifecycle import Observation
from monitor.alerts.quiet import (
    BATCHES_MISSED,
    OFFICE_HOURS,
    all_silent_words,
    silence_observation,
    silent_words,
    week_shapes,
)
from monitor.alerts.rules import in_scope, params_of
from monitor.domain import Alert, Rule, learned_habit

Arrival = tuple[str, str, int, int]
"""(feed, empty for what came by no feed; publisher; hours since 1970; items that came in that hour)."""

_LEARN_HOURS: Final = 7 * 24  # items a day are not known before
_SHAPE_HOURS: Final = 7 * 24  # how often the shape of the week is made anew
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class _Source:
    """One feed, or all that came of a publisher by no feed. last: [hours] the hour of its last item, -1 before the
    first; rate: [hours] its items a day; silent: [hours] whether it is silent at the end of the hour."""

    series: str
    publisher: str
    last: NDArray[np.int64]
    rate: Floats
    silent: NDArray[np.bool_]


class QuietPast:
    """What a quiet rule would have said at each hour of a history. `busy`: [hours] where something is silent."""

    def __init__(self, rule: Rule, history: History, arrivals: Sequence[Arrival]) -> None:
        self._rule, self._history = rule, history
        params = params_of(rule)
        factor, patience = float(params["factor"]), float(params["min_hours"])
        clocks: dict[str, Floats] = {}
        came: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
        origin = int((history.start - _EPOCH) / HOUR)
        for feed, publisher, hour, items in arrivals:
            if 0 <= hour - origin < history.hours:
                came[feed, publisher][hour - origin] = items
        shapes = _shapes(history)
        self._by_publisher: dict[str, list[_Source]] = defaultdict(list)
        for (feed, publisher), hours in sorted(came.items()):
            if publisher not in clocks:
                clocks[publisher] = np.cumsum(_weekly(history, [part.get(publisher, OFFICE_HOURS) for part in shapes]))
            series = f"feed:{feed}" if feed else f"publisher:{publisher}"
            self._by_publisher[publisher].append(
                _source(series, publisher, hours, clocks[publisher], history.hours, factor, patience)
            )
        self.busy: NDArray[np.bool_] = np.zeros(history.hours, dtype=bool)
        for sources in self._by_publisher.values():
            for source in sources:
                self.busy |= source.silent

    def observe(self, hour: int, open_alerts: Sequence[Alert], now: datetime) -> list[Observation]:
        """Observations at the end of an hour; a publisher is silent when all its sources are, and one with a single
        feed is told of once, as the feed where the rule covers that."""
        found: list[Observation] = []
        for publisher, sources in self._by_publisher.items():
            silent = [source for source in sources if source.silent[hour]]
            told = [source for source in silent if source.series[:5] == "feed:" and in_scope(self._rule, source.series)]
            found += [self._said(source.series, [source], hour, now) for source in told]
            series = f"publisher:{publisher}"
            alone = len(sources) == 1 and bool(told)
            if len(silent) == len(sources) and not alone and in_scope(self._rule, series):
                found.append(self._said(series, sources, hour, now))
        return found + calm(self._rule, open_alerts, {observation.series for observation in found})

    def _said(self, series: str, sources: Sequence[_Source], hour: int, now: datetime) -> Observation:
        newest = max(sources, key=lambda source: int(source.last[hour]))
        since = self._history.hour_at(int(newest.last[hour]) + 1)
        text = (
            all_silent_words(len(sources), newest.publisher)
            if len(sources) > 1
            else silent_words(since, float(newest.rate[hour]))
        )
        return silence_observation(self._rule, series, text, since, now)


def _source(
    series: str, publisher: str, came: dict[int, int], clock: Floats, hours: int, factor: float, patience: float
) -> _Source:
    last = np.full(hours, -1, dtype=np.int64)
    rates = np.zeros(hours)
    silent = np.zeros(hours, dtype=bool)
    order = sorted(came)
    first, early, batches = order[0], 0, 0
    rate: float | None = None
    batch_rate = 0.0  # hours that brought anything, a day: as polling counts batches
    for place, hour in enumerate(order):
        if rate is None:
            early += came[hour]
            batches += 1
            if hour - first >= _LEARN_HOURS:
                rate, batch_rate = early / ((hour - first) / 24), batches / ((hour - first) / 24)
        else:
            days = (hour - order[place - 1]) / 24
            rate, batch_rate = learned_habit(rate, came[hour], days), learned_habit(batch_rate, 1, days)
        end = order[place + 1] if place + 1 < len(order) else hours
        last[hour:end], rates[hour:end] = hour, rate or 0.0
        if rate and end - hour > patience:
            gap = np.arange(hour, end)
            missed_days = (clock[hour:end] - clock[hour]) / 24
            missed = (missed_days * rate >= factor) & (missed_days * batch_rate >= BATCHES_MISSED)
            silent[hour:end] = missed & (gap - hour > patience)
    return _Source(series, publisher, last, rates, silent)


def _shapes(history: History) -> list[dict[str, Floats]]:
    """For each week of the history, how each publisher's past before them is spread over the week."""
    return [week_shapes(until(history, first)) if first else {} for first in range(0, history.hours, _SHAPE_HOURS)]


def _weekly(history: History, parts: Sequence[Floats]) -> Floats:
    """[hours] the shape in force at each hour, from one shape for each week."""
    at = history.start.weekday() * 24 + history.start.hour
    hours = np.arange(history.hours)
    return np.asarray(np.stack(parts)[hours // _SHAPE_HOURS, (hours + at) % 168])
