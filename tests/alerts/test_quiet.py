"""Silence is not calm: feeds, publishers and the worker that stop are alerts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from monitor.alerts.kinds import quiet
from monitor.alerts.lifecycle import Standing
from monitor.alerts.rules import default_rules
from monitor.domain import Feed, FeedState
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
    assert firing(feed(items_per_day=0.5, last_item=NOW - timedelta(days=5))) == []
    assert firing(feed(items_per_day=0.5, last_item=NOW - timedelta(days=9))) == ["feed:Feed 1"]


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
