"""Spans of time, filters in the address, bands and what changed most: all pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from dashboard import bands, filters, times
from dashboard.filters import Filters
from dashboard.times import DAY, HOUR, Span

NOON = datetime(2026, 3, 12, 12, 30, tzinfo=UTC)


def test_a_preset_ends_with_the_newest_data_not_with_today() -> None:
    span = times.span_of("24h", anchor=datetime(2020, 3, 9, 14, 5, tzinfo=UTC), earliest=None)
    assert span == Span(start=datetime(2020, 3, 8, 15, tzinfo=UTC), end=datetime(2020, 3, 9, 15, tzinfo=UTC))


def test_a_long_preset_holds_whole_days() -> None:
    span = times.span_of("30d", anchor=NOON, earliest=None)
    assert span.end == datetime(2026, 3, 13, tzinfo=UTC)
    assert span.length == timedelta(days=30)
    assert span.step == DAY


def test_custom_days_are_the_viewers_and_inclusive() -> None:
    span = times.span_of(
        "custom",
        anchor=NOON,
        earliest=None,
        custom=(date(2026, 3, 2), date(2026, 3, 1)),
        zone=times.zone_named("Asia/Shanghai"),
    )
    assert span.start == datetime(2026, 2, 28, 16, tzinfo=UTC)
    assert span.length == 2 * DAY


def test_all_begins_with_the_first_story() -> None:
    span = times.span_of("all", anchor=NOON, earliest=datetime(2017, 5, 4, tzinfo=UTC))
    assert span.start == datetime(2017, 5, 4, tzinfo=UTC)
    assert span.step == timedelta(days=7)


def test_thin_news_is_shown_in_wider_steps() -> None:
    week = Span(start=NOON - 7 * DAY, end=NOON)
    assert times.readable_step(week, 1000) == timedelta(hours=6)
    assert times.readable_step(week, 40) == DAY


def test_an_unknown_zone_is_utc() -> None:
    assert times.zone_named("Mars/Olympus") is UTC
    assert times.zone_named(None) is UTC


def test_filters_survive_the_address() -> None:
    chosen = Filters(
        range="custom",
        first=date(2020, 2, 1),
        last=date(2020, 3, 31),
        text='"bank run" -sport',
        topics=("litigation", "fraud_crime"),
        sentiments=("negative",),
        entities=("Norvik Bank",),
        confidence=0.7,
        grouped=False,
    )
    assert filters.read(filters.write(chosen)) == chosen


def test_the_defaults_leave_the_address_empty() -> None:
    assert filters.write(Filters()) == {}


@pytest.mark.parametrize(
    "params",
    [
        {"range": ["nonsense"]},
        {"topic": ["no_such_topic"]},
        {"from": ["not-a-date"]},
        {"confidence": ["7"]},
        {"sentiment": ["angry"]},
        {"group": ["maybe"]},
    ],
)
def test_nonsense_in_the_address_is_ignored(params: dict[str, list[str]]) -> None:
    assert filters.read(params) == Filters()


def hours(share: float, stories: int = 20, count: int = 24 * 40) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame({"stories": [stories] * count, "negative": rng.binomial(stories, share, count)})


def test_the_band_holds_most_of_what_is_usual() -> None:
    frame = bands.with_band(hours(0.25), past=24 * 28).iloc[24 * 28 :]
    inside = ((frame["share"] >= frame["low"]) & (frame["share"] <= frame["high"])).mean()
    assert 0.9 < inside < 0.99


def test_a_jump_leaves_the_band() -> None:
    frame = hours(0.25)
    frame.loc[len(frame) - 1, "negative"] = 16
    last = bands.with_band(frame, past=24 * 28).iloc[-1]
    assert last["share"] > last["high"]


def test_a_young_series_has_no_band() -> None:
    frame = bands.with_band(hours(0.25, stories=2, count=10), past=24)
    assert frame["low"].isna().all()


def test_empty_buckets_have_no_share() -> None:
    frame = bands.with_band(pd.DataFrame({"stories": [0, 4], "negative": [0, 1]}), past=24)
    assert np.isnan(frame["share"].iloc[0])
    assert frame["share"].iloc[1] == 0.25


def test_what_changed_most_is_what_surprises_most() -> None:
    now = {"topic:litigation": (30, 20), "topic:market_move": (400, 104), "topic:other": (9, 1)}
    before = {"topic:litigation": (30, 4), "topic:market_move": (400, 100), "entity:Acme": (12, 9)}
    changed = bands.changed_most(now, before)
    assert [change.series for change in changed[:2]] == ["topic:litigation", "entity:Acme"]
    assert changed[1].z < 0
    assert "topic:other" not in {change.series for change in changed}


def test_a_step_begins_on_a_monday() -> None:
    assert times.floor(NOON, 7 * DAY).weekday() == 0
    assert times.floor(NOON, HOUR) == NOON.replace(minute=0)
