"""Silence is not calm: feeds, publishers and the worker that stop are alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from monitor.alerts.history import history_from_facts
from monitor.alerts.lifecycle import Standing
from monitor.alerts.quiet import quiet, week_shapes
from monitor.alerts.rules import default_rules
from monitor.domain import Feed, FeedState, StoryFact
from tests.alerts.news import story
from tests.alerts.test_lifecycle import open_alert

NOW = datetime(2026, 4, 22, 12, tzinfo=UTC)  # a Wednesday
RULE = next(rule for rule in default_rules() if rule.name == "quiet")


def feed(number: int = 1, **fields: object) -> Feed:
    base = Feed(
        id=number,
        url=f"https://feed.example/{number}",
        title=f"Feed {number}",
        publisher="Aldgate Wire",
        family="Aldgate",
        language="en",
        enabled=True,
        sample=False,
        note="",
        state=FeedState.OK,
        added=NOW - timedelta(days=90),
        last_success=NOW,
        last_item=NOW - timedelta(hours=1),
        items_per_day=24.0,
    )
    return replace(base, **fields)  # type: ignore[arg-type]


def firing(*feeds: Feed, now: datetime = NOW) -> list[str]:
    return [o.series for o in quiet(RULE, feeds, {}, [], now) if o.standing is Standing.FIRE]


def test_a_feed_that_keeps_its_habit_is_calm() -> None:
    assert firing(feed()) == []


def test_a_busy_feed_that_stops_is_an_alert_within_hours() -> None:
    assert firing(feed(last_item=NOW - timedelta(hours=7))) == ["feed:Feed 1"]


def test_a_slow_feed_may_be_slow() -> None:
    assert firing(feed(items_per_day=0.5, last_item=NOW - timedelta(days=9))) == []
    assert firing(feed(items_per_day=0.5, last_item=NOW - timedelta(days=18))) == ["feed:Feed 1"]


def test_a_batch_a_day_is_not_missed_before_three_of_them_are() -> None:
    paper = feed(items_per_day=150 / 7, batches_per_day=5 / 7, last_item=datetime(2026, 4, 17, 17, tzinfo=UTC))
    monday = datetime(2026, 4, 20, tzinfo=UTC)
    assert [firing(paper, now=monday + timedelta(hours=hour)) for hour in range(24)] == [[]] * 24
    assert firing(replace(paper, batches_per_day=None), now=monday + timedelta(hours=16)) == ["feed:Feed 1"]
    assert firing(paper, now=monday + timedelta(days=4)) == ["feed:Feed 1"]


def test_a_weekend_is_given_time() -> None:
    sunday = NOW + timedelta(days=4)
    assert firing(feed(last_item=sunday - timedelta(hours=40)), now=sunday) == []


def test_a_feed_that_fails_for_hours_is_an_alert_with_the_reason() -> None:
    broken = feed(state=FeedState.FAILING, failures=9, last_success=NOW - timedelta(hours=8), last_error="HTTP 503")
    [observation] = quiet(RULE, [broken], {}, [], NOW)
    assert "failed 9 times" in observation.summary
    assert "HTTP 503" in observation.summary


def test_a_feed_without_a_habit_or_switched_off_is_left_alone() -> None:
    old = NOW - timedelta(days=30)
    assert firing(feed(items_per_day=None, last_item=old), feed(2, enabled=False, last_item=old)) == []
    assert firing(feed(state=FeedState.DISABLED, last_item=old)) == []


def test_a_publisher_is_silent_when_all_its_feeds_are() -> None:
    old = NOW - timedelta(days=2)
    both = firing(feed(1, last_item=old), feed(2, last_item=old))
    assert both == ["feed:Feed 1", "feed:Feed 2", "publisher:Aldgate Wire"]
    assert "publisher:Aldgate Wire" not in firing(feed(1, last_item=old), feed(2))


def test_what_speaks_again_is_calm_at_once() -> None:
    alert = open_alert("feed:Feed 1", rule=RULE.name)
    [observation] = quiet(RULE, [feed()], {}, [alert], NOW)
    assert (observation.standing, observation.series) == (Standing.CALM, "feed:Feed 1")


def test_a_publisher_with_one_feed_is_told_of_where_the_rule_covers_publishers_only() -> None:
    own = replace(RULE, scope=("publisher:*",))
    [observation] = quiet(own, [feed(last_item=NOW - timedelta(days=2))], {}, [], NOW)
    assert observation.series == "publisher:Aldgate Wire"
    assert "usually 24 items a day" in observation.summary


def test_a_feed_that_is_gone_for_good_is_told_and_one_that_a_person_switched_off_is_not() -> None:
    gone = feed(enabled=False, state=FeedState.DISABLED, failures=1, last_error="HTTP 410", last_polled=NOW)
    [observation] = quiet(RULE, [gone], {}, [], NOW)
    assert observation.summary == "Is gone for good and was switched off: HTTP 410"
    assert firing(gone, now=NOW + timedelta(days=4)) == []
    assert firing(replace(gone, failures=0, last_error=None)) == []


def news_of(publisher: str, hours: Sequence[int], weeks: int = 5) -> list[StoryFact]:
    """One story in each of these hours of the week."""
    monday = datetime(2026, 3, 16, tzinfo=UTC)
    return [story(monday + timedelta(weeks=w, hours=h), publisher=publisher) for w in range(weeks) for h in hours]


def test_a_habit_knows_the_week_of_its_publisher() -> None:
    weekdays = [day * 24 + hour for day in range(5) for hour in range(8, 18)]
    facts = news_of("Aldgate Wire", weekdays) + news_of("Borough Post", range(168))
    shapes = week_shapes(
        history_from_facts(facts, datetime(2026, 3, 16, tzinfo=UTC), datetime(2026, 4, 20, tzinfo=UTC))
    )
    sunday = datetime(2026, 4, 26, 12, tzinfo=UTC)
    friday = datetime(2026, 4, 24, 17, 30, tzinfo=UTC)
    paper = feed(1, items_per_day=50 / 7, last_item=friday)
    wire = feed(2, publisher="Borough Post", items_per_day=24.0, last_item=friday)

    def silent(*feeds: Feed, now: datetime) -> list[str]:
        return [o.series for o in quiet(RULE, feeds, {}, [], now, shapes) if o.standing is Standing.FIRE]

    assert silent(paper, wire, now=friday + timedelta(hours=9)) == ["feed:Feed 2"]
    assert silent(paper, now=sunday) == []
    assert silent(paper, now=datetime(2026, 4, 27, 10, tzinfo=UTC)) == []
    assert silent(paper, now=datetime(2026, 4, 27, 17, tzinfo=UTC)) == ["feed:Feed 1"]


def test_a_publisher_of_few_weeks_has_no_shape_yet() -> None:
    facts = news_of("Aldgate Wire", range(168), weeks=2)
    history = history_from_facts(facts, datetime(2026, 3, 16, tzinfo=UTC), datetime(2026, 3, 30, tzinfo=UTC))
    assert week_shapes(history) == {}
