from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from monitor.domain import ArticleDraft, DateQuality, Feed, FeedState
from monitor.feeds.caching import max_age_s, retry_after_s
from monitor.feeds.cadence import after_failure, after_success, batches, habit, own_interval_s, pace, state_of
from tests.feeds.loopback import NOW, feed


@pytest.mark.parametrize(("a_day", "seconds"), [(1000, 300), (96, 300), (24, 1200), (8, 3600), (0.1, 3600), (0, 3600)])
def test_the_cadence_follows_the_habit_between_5_and_60_minutes(a_day: float, seconds: float) -> None:
    assert own_interval_s(a_day, 900) == seconds


def test_before_a_habit_is_known_the_present_cadence_stays() -> None:
    assert own_interval_s(None, 900) == 900


def test_servers_can_ask_for_patience_within_limits() -> None:
    one = feed("https://n.example/f")

    def wait(**asked: float) -> float:
        return (after_success(one, 96, NOW, **asked).next_poll - NOW).total_seconds()

    assert 300 <= wait() <= 330
    assert 1800 <= wait(ttl_s=1800) <= 1980
    assert 3600 <= wait(max_age_s=86_400) <= 3960, "a cache time cannot silence a feed for a day"
    assert 7200 <= wait(retry_after_s=7200) <= 7920


def test_feeds_added_at_once_do_not_stay_in_step() -> None:
    moments = {after_success(feed("https://n.example/f", n), 96, NOW).next_poll for n in range(50)}
    assert len(moments) > 40


def test_failures_double_the_wait_up_to_half_a_day() -> None:
    one = feed("https://n.example/f")
    waits = [(after_failure(one, n, NOW).next_poll - NOW).total_seconds() for n in (1, 2, 3, 50, 10_000)]
    assert waits[1] == pytest.approx(2 * waits[0]) and waits[2] == pytest.approx(4 * waits[0])
    assert waits[3] == waits[4] <= 1.1 * 12 * 3600


def drafts(*hours_ago: float) -> list[ArticleDraft]:
    return [
        ArticleDraft(
            guid=None,
            url=None,
            title="x",
            summary="",
            published=NOW - timedelta(hours=h),
            date_quality=DateQuality.EXACT,
        )
        for h in hours_ago
    ]


def test_a_habit_starts_from_the_dates_and_learns_from_polls() -> None:
    new = feed("https://n.example/f")
    first = habit(new, drafts(*range(24)), 24, NOW)
    assert first == pytest.approx(24, rel=0.1)
    assert habit(new, drafts(*range(24), 9000), 25, NOW) == pytest.approx(24, rel=0.1), "a pinned item does not matter"
    known = feed("https://n.example/f", items_per_day=24.0, last_success=NOW - timedelta(days=1))
    assert habit(known, (), 24, NOW) == pytest.approx(24)
    quieter = habit(known, (), 2, NOW)
    assert quieter is not None and 20 < quieter < 24
    assert habit(known, (), 0, NOW) == 24.0, "silence teaches nothing while it lasts"


@pytest.mark.parametrize(("a_day", "days"), [(24.0, 3), (3.0, 8), (1.0, 20), (0.3, 60)])
def test_a_feed_that_stops_is_called_silent_however_often_it_is_asked_and_speaks_again(a_day: float, days: int) -> None:
    now = NOW
    stopped = feed("u", items_per_day=a_day, last_success=NOW, last_item=NOW)
    for _ in range(days * 24):
        now += timedelta(hours=1)
        brought = habit(stopped, (), 0, now)
        state = state_of(brought, stopped.batches_per_day, stopped.last_item, now)
        stopped = replace(stopped, items_per_day=brought, last_success=now, state=state)
    assert stopped.state is FeedState.SILENT
    assert own_interval_s(pace(a_day, stopped.last_item, now), 300.0) >= own_interval_s(a_day, 300.0)
    back = habit(stopped, (), 1, now)
    assert back is not None and back < a_day, "the first item brings the whole gap with it"
    assert state_of(back, None, now, now) is FeedState.OK


def test_a_feed_is_silent_against_its_own_habit_only() -> None:
    busy, rare = 48.0, 0.5
    thursday = datetime(2026, 3, 5, 12, tzinfo=UTC)
    assert state_of(busy, busy, thursday - timedelta(hours=30), thursday) is FeedState.SILENT
    assert state_of(rare, rare, thursday - timedelta(days=10), thursday) is FeedState.OK
    monday = datetime(2026, 3, 9, 6, tzinfo=UTC)
    assert state_of(busy, busy, monday - timedelta(hours=58), monday) is FeedState.OK, "a weekend is no silence"
    assert state_of(None, None, None, thursday) is FeedState.OK


def weekday_feed(hours: tuple[int, ...], items: int, weeks: int = 4) -> tuple[Feed, list[datetime]]:
    """A feed that has brought so many items at these hours of each working day, polled each hour, as it stands after
    the last Friday; and the hours from then to Monday midnight."""
    now = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
    known = feed("u")
    while now < datetime(2026, 3, 2, tzinfo=UTC) + timedelta(weeks=weeks, days=-2):
        brought = items if now.weekday() < 5 and now.hour in hours else 0
        seen = [replace(one, published=now) for one in drafts(*range(brought))]
        known = replace(
            known,
            items_per_day=habit(known, seen, brought, now) or (None if not brought else float(brought)),
            batches_per_day=batches(known, seen, brought, now) or (None if not brought else 1.0),
            last_success=now,
            last_item=now if brought else known.last_item,
        )
        now += timedelta(hours=1)
    return known, [now + timedelta(hours=hour) for hour in range(72)]


@pytest.mark.parametrize(("hours", "items"), [((16,), 30), ((9, 16), 12), (tuple(range(7, 18)), 3)])
def test_a_weekday_feed_is_not_silent_on_monday_and_is_when_the_week_goes_on_without_it(
    hours: tuple[int, ...], items: int
) -> None:
    known, weekend = weekday_feed(hours, items)

    def state(at: datetime) -> FeedState:
        return state_of(known.items_per_day, known.batches_per_day, known.last_item, at)

    until = [at for at in weekend if at.weekday() >= 5 or at.hour <= hours[0]]
    assert {state(at) for at in until} == {FeedState.OK}
    assert state(weekend[0] + timedelta(days=8)) is FeedState.SILENT


def test_the_first_document_says_in_how_many_batches_its_items_came() -> None:
    evenings = [day * 24 + minute / 60 for day in range(6) for minute in range(30)]
    assert habit(feed("u"), drafts(*evenings), 180, NOW) == pytest.approx(30, rel=0.25)
    assert batches(feed("u"), drafts(*evenings), 180, NOW) == pytest.approx(1, rel=0.01)
    assert batches(feed("u"), drafts(*range(0, 48, 2)), 24, NOW) == pytest.approx(12, rel=0.1)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"cache-control": "public, max-age=600"}, 600),
        ({"cache-control": "max-age=600, no-cache"}, 0),
        ({"cache-control": "max-age=999999999999999999"}, 86_400),
        ({"cache-control": "max-age=soon", "expires": "0"}, 0),
        ({"expires": "Wed, 04 Mar 2026 13:00:00 GMT"}, 3600),
        ({"expires": "Wed, 04 Mar 2026 13:00:00 GMT", "date": "Wed, 04 Mar 2026 12:30:00 GMT"}, 1800),
        ({"expires": "-1"}, 0),
        ({}, None),
    ],
)
def test_cache_headers_are_read_forgivingly(headers: dict[str, str], seconds: float | None) -> None:
    assert max_age_s(headers, NOW) == seconds


def test_retry_after_in_the_past_is_now_and_garbage_is_nothing() -> None:
    assert retry_after_s({"retry-after": "Wed, 04 Mar 2020 13:00:00 GMT"}, NOW) == 0
    assert retry_after_s({"retry-after": "²"}, NOW) is None
    assert retry_after_s({"retry-after": "Wed, 99 Foo 2020"}, NOW) is None
