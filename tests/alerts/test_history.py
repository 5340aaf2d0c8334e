"""The past as arrays: the same from the store's rows as from story facts, and honest about days without time."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from monitor.alerts.history import history_from_counts, history_from_facts, until
from monitor.alerts.sources import FactsSource, StoreSource
from monitor.domain import DateQuality
from tests.alerts.news import MONDAY, ordinary, story
from tests.alerts.newsroom import NOW, Newsroom

HOUR = int(MONDAY.timestamp()) // 3600
DAY = timedelta(days=1)


def test_the_store_and_its_story_facts_give_the_same_past(settled: Newsroom) -> None:
    settled.publish(settled.burst(6, entity="Acorn", hours=2))
    begin, end = NOW - timedelta(days=20), NOW
    rows = StoreSource(settled.store, ("*",)).history(begin, end)
    facts = FactsSource(settled.store.iter_story_facts(begin - DAY, end)).history(begin, end)
    for name in ("all", "topic:litigation", "entity:Acorn", "entity:Acorn/topic:litigation", "publisher:Aldgate Wire"):
        one, two = rows.series.index(name), facts.series.index(name)
        assert np.array_equal(rows.stories[one], facts.stories[two]), name
        assert np.array_equal(rows.negative[one], facts.negative[two]), name
    assert np.array_equal(rows.volume, facts.volume)


def test_topics_of_entities_are_read_only_when_a_rule_asks(settled: Newsroom) -> None:
    settled.publish(settled.burst(3, entity="Acorn"))
    span = (NOW - DAY, NOW)
    assert not any("/topic:" in name for name in StoreSource(settled.store, ("all", "entity:*")).history(*span).series)
    assert "entity:Acorn/topic:litigation" in StoreSource(settled.store, ("entity:*/topic:*",)).history(*span).series


def test_what_counts_for_nothing_is_not_in_the_past() -> None:
    facts = [story(MONDAY, "negative"), story(MONDAY, "negative", counts=False)]
    history = history_from_facts(facts, MONDAY, MONDAY + DAY)
    assert history.negative[history.series.index("all")].sum() == 1


def test_stories_whose_only_topic_is_other_are_no_part_of_all_news() -> None:
    facts = [story(MONDAY, kind, (topic,)) for topic in ("other", "litigation") for kind in ("negative", "neutral")]
    history = history_from_facts(facts, MONDAY, MONDAY + DAY)
    top = history.series.index("all")
    assert (history.stories[top].sum(), history.negative[top].sum(), history.volume.sum()) == (2, 1, 1)


def test_a_day_of_dates_without_time_is_spread_over_its_hours() -> None:
    rows = [("all", HOUR, 24, 12, 0.0), ("all", HOUR + 24, 24, 12, 0.0)]
    history = history_from_counts(rows, MONDAY, MONDAY + 2 * DAY)
    assert history.day_like.tolist() == [True, True]
    assert np.allclose(history.stories[history.series.index("all")], 1.0)


def test_the_first_hour_of_a_day_says_nothing_about_its_dates() -> None:
    past = [("all", HOUR + hour, 3, 1, 0.0) for hour in range(24)]
    history = history_from_counts([*past, ("all", HOUR + 24, 9, 1, 0.0)], MONDAY, MONDAY + DAY + timedelta(minutes=30))
    assert history.day_like.tolist() == [False, False]


def test_a_day_that_is_not_over_is_taken_to_be_like_the_day_before() -> None:
    rows = [("all", HOUR, 24, 12, 0.0), *(("all", HOUR + 24 + hour, 2, 1, 0.0) for hour in range(1, 9))]
    day_like = [history_from_counts(rows, MONDAY, MONDAY + span).day_like.tolist() for span in (1.5 * DAY, 2 * DAY)]
    assert day_like == [[True, True], [True, False]]


def test_one_source_with_times_does_not_hide_that_most_have_none() -> None:
    facts = ordinary(3, quality=DateQuality.DAY) + ordinary(3, per_day=8, seed=2)
    assert history_from_facts(facts, MONDAY, MONDAY + 3 * DAY).day_like.all()


def test_an_earlier_look_sees_less() -> None:
    history = history_from_facts(ordinary(3), MONDAY, MONDAY + 3 * DAY)
    early = until(history, 30)
    assert (early.hours, early.end, len(early.day_like)) == (30, MONDAY + timedelta(hours=30), 2)


def test_an_empty_past_is_empty() -> None:
    history = history_from_counts([], MONDAY, MONDAY + DAY)
    assert history.first_hour() is None
    assert history.hours == 24
