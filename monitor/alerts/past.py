"""The past as the statistic reads it again each quarter of an hour: what cannot have changed is kept.

All but the last days of the counts, and the levels learnt from them, stay the same while no hour of those days is
counted anew; the store says so (`Store.counts_version`). What comes out is exactly what reading and learning
everything would give; tests/alerts/test_past.py compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from monitor.alerts.history import (
    DAY,
    HOUR,
    Counts,
    History,
    counts_from_rows,
    history_of_counts,
    joined,
    midnight,
)
from monitor.alerts.statistics import Levels, SpikeParams, learn

if TYPE_CHECKING:
    from monitor.store.base import Store


@dataclass(slots=True)
class _Levels:
    key: tuple[Any, ...]
    levels: Levels


class Past:
    """Keeps the counts up to some days before now. One for each store and evaluating thread."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._old: Counts | None = None
        self._levels: dict[SpikeParams, _Levels] = {}

    def read(self, store: Store, version: str, span: timedelta, end: datetime, *, crosses: bool) -> History:
        """Counts of every series in the `span` before `end`, under the live model `version`. crosses: with the topics
        of entities. Raises `StoreError`."""
        start, cut = midnight(end - span), _cut(end)
        key = (version, start, cut, crosses, store.counts_version(start, cut))
        if self._old is None or self._key != key:
            rows = store.alert_counts(start, cut, topics_of_entities=crosses)
            self._old, self._key = counts_from_rows(rows, start, cut), key
            self._levels.clear()
        new = counts_from_rows(store.alert_counts(cut, end, topics_of_entities=crosses), cut, end)
        return history_of_counts(joined(self._old, new), start, end)

    def levels(self, history: History, params: SpikeParams) -> Levels:
        """The levels of a history that `read` gave last. They rest on the days before the cut, on which series there
        are (their classes share a prior), and on which days have no time of day."""
        days = (_cut(history.end) - history.start) // DAY
        key = (history.series, history.start, len(history.day_like), history.day_like[:days].tobytes())
        kept = self._levels.get(params)
        if kept is None or kept.key != key:
            kept = self._levels[params] = _Levels(key, learn(history, params))
        return kept.levels


def _cut(end: datetime) -> datetime:
    """Midnight before the days that the levels of the last hour's day do not rest on: its gap and itself."""
    return midnight(end - HOUR / 3600) - SpikeParams().gap_days * DAY
