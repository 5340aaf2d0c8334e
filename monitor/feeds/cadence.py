"""When to ask a feed again, and how it is: pure functions of what is known about it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.domain import HABIT_DAYS, ArticleDraft, DateQuality, Feed, FeedState, learned_habit
from monitor.feeds.caching import CAP_S

SHORTEST_S = 300.0
LONGEST_S = 3600.0
SAMPLE_S = 5.0  # our own sample feeds on loopback: a newcomer watches the news come in
LONGEST_BACK_OFF_S = 12 * 3600.0
_LOOKS_PER_ITEM = 3.0  # so that an item is on average seen after a sixth of the time between two
_ONE_BATCH = timedelta(seconds=LONGEST_S)  # items that follow each other within this come in one poll
_MISSED_ITEMS = 10.0  # so many must be missing before a feed is judged silent,
_MISSED_BATCHES = 3.0  # and so many batches,
_PATIENCE_H = 26.0  # and so many working hours: a day's round may be late


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """interval_s: the feed's own cadence. next_poll: when it is asked again, with waits and back-off in it."""

    interval_s: float
    next_poll: datetime


def own_interval_s(items_per_day: float | None, now_s: float) -> float:
    """Seconds between polls of a feed that brings so many items a day, between 5 and 60 minutes."""
    if items_per_day is None:
        return min(max(now_s, SHORTEST_S), LONGEST_S)
    if items_per_day <= 0:
        return LONGEST_S
    return min(max(86_400.0 / items_per_day / _LOOKS_PER_ITEM, SHORTEST_S), LONGEST_S)


def after_success(
    feed: Feed,
    items_per_day: float | None,
    now: datetime,
    *,
    max_age_s: float | None = None,
    ttl_s: float | None = None,
    retry_after_s: float | None = None,
) -> Plan:
    """Own cadence, or later when the server asks for it: cache times up to 60 minutes, Retry-After up to 24 h."""
    interval = SAMPLE_S if feed.sample else own_interval_s(items_per_day, feed.interval_s)
    cached = min(max(max_age_s or 0.0, ttl_s or 0.0), LONGEST_S)
    wait = max(interval, cached, min(retry_after_s or 0.0, CAP_S))
    return Plan(interval_s=interval, next_poll=now + timedelta(seconds=_spread(feed, wait)))


def after_failure(feed: Feed, failures: int, now: datetime, *, retry_after_s: float | None = None) -> Plan:
    """Twice as long after each failure in a row, up to 12 h, and never never. `failures` counts this one."""
    interval = min(max(feed.interval_s, SHORTEST_S), LONGEST_S)
    back_off = min(interval * 2.0 ** min(failures - 1, 20), LONGEST_BACK_OFF_S)
    wait = max(back_off, min(retry_after_s or 0.0, CAP_S))
    return Plan(interval_s=interval, next_poll=now + timedelta(seconds=_spread(feed, wait)))


def _spread(feed: Feed, wait: float) -> float:
    """Up to a tenth longer, by feed, so that a thousand feeds added at once do not stay in step."""
    digest = hashlib.blake2b(f"{feed.id}:{feed.url}".encode(), digest_size=2).digest()
    return wait * (1.0 + 0.1 * int.from_bytes(digest) / 65_535)


# ── habit and silence ────────────────────────────────────────────────────────────────────────────────────────────


def habit(feed: Feed, drafts: Sequence[ArticleDraft], new: int, now: datetime) -> float | None:
    """Items a day. From the dates in the first document, then from what polls bring, remembered over two weeks.

    Silence teaches nothing while it lasts: a feed that stopped is judged by what it was, else it would come to be
    expected to bring nothing and never be called silent. The first item after it brings the whole gap with it.
    """
    if feed.items_per_day is None or feed.last_success is None:
        return _density(_times(drafts))
    return _learned(feed, feed.items_per_day, new, now)


def batches(feed: Feed, drafts: Sequence[ArticleDraft], new: int, now: datetime) -> float | None:
    """How many polls a day bring anything, learned as the habit is. A paper that puts thirty items out each evening
    has one batch a day, and is not late in the morning."""
    if feed.batches_per_day is None or feed.last_success is None:
        times = _times(drafts)
        first_of_batch = [at for at, before in zip(times[1:], times, strict=False) if at - before > _ONE_BATCH]
        return _density(times[:1] + first_of_batch)
    return _learned(feed, feed.batches_per_day, min(new, 1), now)


def _learned(feed: Feed, known: float, brought: int, now: datetime) -> float:
    days = (now - (feed.last_item or feed.last_success or now)).total_seconds() / 86_400.0
    if days <= 0 or not brought:
        return known
    return learned_habit(known, brought, days)


def pace(items_per_day: float | None, last_item: datetime | None, now: datetime) -> float | None:
    """Items a day to choose the cadence by: the habit, fading while nothing comes, so that a feed that stopped is not
    asked every five minutes for a year."""
    if items_per_day is None or last_item is None:
        return items_per_day
    return items_per_day * math.exp(-max(0.0, (now - last_item).total_seconds() / 86_400.0) / HABIT_DAYS)


def _times(drafts: Sequence[ArticleDraft]) -> list[datetime]:
    return sorted(d.published for d in drafts if d.published and d.date_quality is not DateQuality.NONE)


def _density(times: Sequence[datetime]) -> float | None:
    if len(times) < 3:
        return None
    # The middle half is spared by one old item that a feed keeps pinned.
    low, high = times[len(times) // 4], times[-1]
    span_days = max((high - low).total_seconds() / 86_400.0, 1 / 24)
    return (len(times) - len(times) // 4 - 1) / span_days


def state_of(
    items_per_day: float | None, batches_per_day: float | None, last_item: datetime | None, now: datetime
) -> FeedState:
    """OK or SILENT for a feed that answers: silent when nothing has come for a day, for ten times the usual gap
    between items, and for three times that between batches. Hours of Saturday and Sunday (UTC) do not count: whoever
    writes on working days only is as late on Monday morning as he was on Friday evening."""
    if last_item is None or items_per_day is None or items_per_day <= 0:
        return FeedState.OK
    rate = min(items_per_day / _MISSED_ITEMS, (batches_per_day or items_per_day) / _MISSED_BATCHES)
    return FeedState.SILENT if _working_hours(last_item, now) > max(_PATIENCE_H, 24.0 / rate) else FeedState.OK


def _working_hours(start: datetime, end: datetime) -> float:
    """Hours between two times without those of Saturday and Sunday (UTC)."""
    weeks = max(0, (end - start).days // 7)
    hours, at = weeks * 5 * 24.0, start + timedelta(weeks=weeks)
    while at < end:
        midnight = datetime(at.year, at.month, at.day, tzinfo=at.tzinfo) + timedelta(days=1)
        until = min(midnight, end)
        if at.weekday() < 5:
            hours += (until - at).total_seconds() / 3600.0
        at = until
    return hours
