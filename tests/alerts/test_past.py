"""What is kept between evaluations is what reading and learning everything anew would give."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from monitor.alerts.backtest import WARM_UP
from monitor.alerts.history import History
from monitor.alerts.past import Past
from monitor.alerts.sources import StoreSource
from monitor.alerts.statistics import SpikeParams, learn, scan
from monitor.domain import DateQuality
from monitor.store.base import Store
from tests.alerts.newsroom import NOW, Newsroom

PARAMS = SpikeParams()


def _same(store: Store, past: Past, end: datetime) -> History:
    """Both ways of reading give the same past, levels and p-values; the kept one."""
    kept = past.read(store, "scripted-1", WARM_UP, end, crosses=False)
    fresh = StoreSource(store).history(end - WARM_UP, end)
    assert sorted(kept.series) == sorted(fresh.series)
    order = [kept.series.index(name) for name in fresh.series]
    np.testing.assert_array_equal(kept.negative[order], fresh.negative)
    np.testing.assert_array_equal(kept.stories[order], fresh.stories)
    np.testing.assert_array_equal(kept.volume, fresh.volume)
    levels, learnt = past.levels(kept, PARAMS), learn(fresh, PARAMS)
    np.testing.assert_allclose(levels.rate[order], learnt.rate)
    np.testing.assert_allclose(levels.shape, learnt.shape)
    first = fresh.hours - 48
    ours = scan(kept, PARAMS, fresh.series, first=first, levels=levels)
    np.testing.assert_allclose(ours.p, scan(fresh, PARAMS, first=first).p)
    return kept


def test_the_kept_past_is_the_past(settled: Newsroom) -> None:
    past, store = Past(), settled.store
    _same(store, past, NOW)
    settled.publish(settled.burst(entity="Acorn"))  # a series that the past did not know
    assert "entity:Acorn" in _same(store, past, NOW + timedelta(minutes=15)).series
    _same(store, past, NOW + timedelta(hours=30))


def test_what_is_counted_anew_in_the_past_is_read_anew(settled: Newsroom) -> None:
    past, store = Past(), settled.store
    before = _same(store, past, NOW)
    old = NOW - timedelta(days=9)
    settled.publish([settled.article(old, f"Old lawsuit {n}") for n in range(5)])
    after = _same(store, past, NOW)
    assert after.total_negative().sum() == before.total_negative().sum() + 5


def test_days_without_time_of_day_are_kept_as_such(newsroom: Newsroom) -> None:
    newsroom.publish(newsroom.past(days=30, quality=DateQuality.DAY))
    past = Past()
    midnight = NOW.replace(hour=0, minute=0)
    assert _same(newsroom.store, past, midnight).day_like.any()
    _same(newsroom.store, past, midnight + timedelta(hours=5))
