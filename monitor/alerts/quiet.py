"""No news is an alert: a feed, a publisher or the worker, silent against its own habit. Pure, like the other kinds.

How long a feed may be silent follows its habit: so many items a day in so many batches, spread over the week
as its publisher's past is. A paper that never writes at weekends owes nothing on a Sunday; a wire that writes every
hour is missed on one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from monitor.alerts.history import HOUR, Floats, History
from monitor.alerts.kinds import calm
from monitor.alerts.lifecycle import Observation, Standing
from monitor.alerts.rules import in_scope, params_of, rule_to_dict
from monitor.domain import Alert, Evidence, Feed, FeedState, Rule

PIPELINE: Final = "pipeline"
GONE_FOR: Final = timedelta(days=3)  # a feed that is gone for good is told for so long, then it is a choice
_BEAT: Final = "worker"
_WEEK: Final = 168
_WEEKS_NEEDED: Final = 3
_STORIES_NEEDED: Final = 50
BATCHES_MISSED: Final = 3.0
"""Beside `factor` items so many batches must be missing: thirty items each evening are one batch a day."""


def _office_hours() -> Floats:
    shape = np.full(_WEEK, 0.25)
    for day in range(5):
        shape[day * 24 + 6 : day * 24 + 20] = 1.0
    shape[5 * 24 :] = 0.0
    return shape / shape.mean()


OFFICE_HOURS: Final = _office_hours()
"""What is taken for a publisher whose own week is not known yet: working days from 6 to 20 h UTC, little at night."""

Shapes = Mapping[str, Floats]
"""publisher → [168] how its news is spread over the week, from Monday 0 h UTC, mean 1."""


def week_shapes(history: History) -> dict[str, Floats]:
    """How each publisher's past is spread over the hours of the week. One with less than three weeks or fifty stories
    has no shape yet. Days without time of day are spread evenly over their hours, so such a publisher has a shape by
    weekday."""
    first = history.first_hour()
    if first is None:
        return {}
    begin = (first - history.start) // HOUR
    weeks = (history.hours - begin) // _WEEK
    if weeks < _WEEKS_NEEDED:
        return {}
    part = slice(history.hours - weeks * _WEEK, history.hours)
    turn = (history.start.weekday() * 24 + history.hours) % _WEEK  # where the part begins in the week
    found = {}
    for row, name in enumerate(history.series):
        if name.startswith("publisher:") and history.stories[row, part].sum() >= _STORIES_NEEDED:
            mean = np.roll(history.stories[row, part].reshape(weeks, _WEEK).mean(axis=0), turn)
            smooth = 0.5 * mean + 0.25 * (np.roll(mean, 1) + np.roll(mean, -1))
            found[name.removeprefix("publisher:")] = smooth / smooth.mean()
    return found


def quiet(
    rule: Rule,
    feeds: Sequence[Feed],
    beats: Mapping[str, tuple[datetime, Mapping[str, Any]]],
    open_alerts: Sequence[Alert],
    now: datetime,
    shapes: Shapes | None = None,
) -> list[Observation]:
    """What is silent. A publisher is silent when all its feeds are; one with a single feed is told of once, as the
    feed where the rule covers that."""
    params = params_of(rule)
    found: list[Observation] = []
    words = {
        feed.id: _silent_feed(feed, params, now, (shapes or {}).get(feed.publisher, OFFICE_HOURS)) for feed in feeds
    }
    for feed in feeds:
        series = series_of_feed(feed)
        if words[feed.id] and in_scope(rule, series):
            found.append(silence_observation(rule, series, words[feed.id], _since(feed), now))
    watched = [feed for feed in feeds if feed.enabled or words[feed.id]]
    for publisher in sorted({feed.publisher for feed in watched if feed.publisher}):
        own = [feed for feed in watched if feed.publisher == publisher]
        series = f"publisher:{publisher}"
        if not in_scope(rule, series) or not all(words[feed.id] for feed in own):
            continue
        if len(own) > 1:
            text = all_silent_words(len(own), publisher)
            found.append(silence_observation(rule, series, text, max(_since(feed) for feed in own), now))
        elif not in_scope(rule, series_of_feed(own[0])):
            found.append(silence_observation(rule, series, words[own[0].id], _since(own[0]), now))
    if in_scope(rule, PIPELINE) and _BEAT in beats:
        last = beats[_BEAT][0]
        if now - last > timedelta(minutes=float(params["pipeline_minutes"])):
            text = f"the worker has given no sign of life since {last:%Y-%m-%d %H:%M} UTC"
            found.append(silence_observation(rule, PIPELINE, text, last, now))
    return found + calm(rule, open_alerts, {observation.series for observation in found})


def series_of_feed(feed: Feed) -> str:
    return f"feed:{feed.title or feed.url}"


def _since(feed: Feed) -> datetime:
    return feed.last_item or feed.last_success or feed.added


def _silent_feed(feed: Feed, params: Mapping[str, Any], now: datetime, shape: Floats) -> str:
    """In words what is wrong with a feed; empty when it keeps its habit, has none yet, or a person switched it off."""
    if not feed.enabled or feed.state is FeedState.DISABLED:
        gone = feed.failures > 0 and feed.last_polled is not None and now - feed.last_polled < GONE_FOR
        return f"is gone for good and was switched off: {feed.last_error or 'no reason'}" if gone else ""
    patience = timedelta(hours=float(params["min_hours"]))
    if feed.state is FeedState.FAILING:
        since = feed.last_success or feed.added
        if now - since > patience:
            return (
                f"has failed {feed.failures} times since {since:%Y-%m-%d %H:%M} UTC: {feed.last_error or 'no reason'}"
            )
        return ""
    if not feed.items_per_day or feed.last_item is None or now - feed.last_item <= patience:
        return ""
    missed_days = _usual_days(feed.last_item, now, shape)
    if missed_days * feed.items_per_day < float(params["factor"]):
        return ""
    if missed_days * (feed.batches_per_day or feed.items_per_day) < BATCHES_MISSED:
        return ""
    return silent_words(feed.last_item, feed.items_per_day)


def silent_words(last: datetime, items_per_day: float) -> str:
    return f"nothing new since {last:%Y-%m-%d %H:%M} UTC, usually {items_per_day:.3g} items a day"


def all_silent_words(feeds: int, publisher: str) -> str:
    return f"all {feeds} feeds of {publisher} are silent"


def _usual_days(last: datetime, now: datetime, shape: Floats) -> float:
    """How much of its news a publisher usually brings in the time since `last`, in average days of its week."""
    whole, rest = divmod(now - last, _WEEK * HOUR)
    total, at = float(whole) * _WEEK, last.astimezone(UTC)
    end = at + rest
    while at < end:  # hour by hour over what is left of a week; the first and the last count as far as they reach
        until = min(at.replace(minute=0, second=0, microsecond=0) + HOUR, end)
        total += float(shape[at.weekday() * 24 + at.hour]) * ((until - at) / HOUR)
        at = until
    return total / 24


def silence_observation(rule: Rule, series: str, words: str, since: datetime, now: datetime) -> Observation:
    """A series that is silent since then, in words and with its evidence."""
    evidence = Evidence(
        window_start=min(since, now),
        window_end=now,
        window_hours=max(0.0, round((now - since) / HOUR, 2)),
        stories=0,
        negative=0,
        expected=0.0,
        p_value=1.0,
        families=0,
        model_version="",
        rule=rule_to_dict(rule),
        baseline={"since": since.isoformat()},
    )
    return Observation(
        rule=rule.name,
        series=series,
        standing=Standing.FIRE,
        severity=rule.severity,
        summary=words[0].upper() + words[1:],
        evidence=evidence,
    )
