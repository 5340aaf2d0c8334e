"""Use case: the daily digest, one message a day and channel through the same outbox as every alert.

It carries the head of the audit chain: whoever rewrites the log later cannot rewrite the mails of the days before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from monitor.domain import (
    ALL,
    Alert,
    AlertState,
    AuditEntry,
    DeliveryState,
    Feed,
    FeedState,
    NewDelivery,
    Rollup,
    SendReason,
    StatusCounts,
    StoryFact,
)
from monitor.notify.kinds import wants_digest
from monitor.notify.plan import ALERTS_PATH, delivery_key
from monitor.notify.words import cut, one_line, series_label
from monitor.store.base import Alerts, Counting, Deliveries, Desk, Feeds

SPAN: Final = timedelta(hours=24)
STORIES: Final = 5
LISTED: Final = 10


class DigestStore(Feeds, Counting, Alerts, Deliveries, Desk, Protocol):
    """The part of the store that the digest reads, and the outbox it writes to."""

    def status(self) -> StatusCounts: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """What a day came to. All that the words are made of; pure from here on."""

    at: datetime
    status: StatusCounts
    day: Rollup | None
    before: Rollup | None  # the 24 hours before, for comparison
    open_alerts: tuple[Alert, ...]
    opened: int
    resolved: int
    stories: tuple[StoryFact, ...]
    feeds: tuple[Feed, ...]  # silent or failing
    dead: int
    audit_head: AuditEntry | None
    audit_fault: str | None


def plan_digest(store: DigestStore, now: datetime, *, links_base: str = "") -> int:
    """Put today's digest (UTC day of `now`) into the outbox of every channel that wants one; a second call on the
    same day adds nothing. Gives how many deliveries are new."""
    channels = [config for config in store.channels() if config.enabled and wants_digest(config)]
    if not channels:
        return 0
    digest = read_digest(store, now)
    payload = {
        "subject": f"Headwind digest, {now:%Y-%m-%d}: {_count(len(digest.open_alerts), 'open alert')}",
        "lines": lines_of(digest),
        "url": links_base.rstrip("/"),
        "data": data_of(digest),
    }
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    planned = [
        NewDelivery(
            key=delivery_key("digest", ALL, midnight, SendReason.DIGEST, config.name),
            channel=config.name,
            reason=SendReason.DIGEST,
            group_key="digest",
            due=now,
            payload=payload,
        )
        for config in channels
    ]
    return store.add_deliveries(planned, now)


def read_digest(store: DigestStore, now: datetime) -> Digest:
    start, earlier = now - SPAN, now - 2 * SPAN
    recent = store.alerts(since=earlier, limit=1000)
    current = store.alerts((AlertState.OPEN, AlertState.ESCALATED, AlertState.ACKNOWLEDGED), limit=1000)
    heads = store.audit(1)
    return Digest(
        at=now,
        status=store.status(),
        day=_sum(store.rollups([ALL], start, now)),
        before=_sum(store.rollups([ALL], earlier, start)),
        open_alerts=tuple(current),
        opened=sum(alert.opened_at >= start for alert in recent),
        resolved=sum(alert.resolved_at is not None and alert.resolved_at >= start for alert in recent),
        stories=tuple(store.story_facts(ALL, start, now, negative_only=True, limit=STORIES)),
        feeds=tuple(feed for feed in store.feeds() if feed.state in (FeedState.SILENT, FeedState.FAILING)),
        dead=len(store.deliveries((DeliveryState.DEAD,), limit=1000)),
        audit_head=heads[0] if heads else None,
        audit_fault=store.verify_audit(),
    )


def lines_of(digest: Digest) -> list[str]:
    """The digest in words, one list entry a line; three leading blanks set a line under the one before."""
    lines = [f"The 24 hours to {digest.at:%Y-%m-%d %H:%M} UTC", "", _day_line(digest)]
    if digest.status.unscored:
        lines.append(f"{digest.status.unscored:,} articles still wait to be scored, so the counts may grow.")
    lines += ["", f"Alerts: {digest.opened} opened, {digest.resolved} resolved, {len(digest.open_alerts)} open now"]
    lines += [
        f"- {alert.severity.value.upper()} {series_label(alert.series)} ({alert.state.value}): "
        f"{cut(one_line(alert.summary), 140)}"
        for alert in digest.open_alerts[:LISTED]
    ]
    lines += _more(len(digest.open_alerts))
    if digest.stories:
        lines += ["", "Most negative stories:"]
        for number, story in enumerate(digest.stories, 1):
            lines.append(f"{number}. {cut(one_line(story.title), 160)}")
            lines.append(f"   {_count(len(story.publishers), 'publisher')}, {story.main_topic.replace('_', ' ')}")
    lines += ["", _feeds_line(digest)]
    lines += [
        f"- {cut(one_line(feed.title or feed.url), 80)}: {feed.state.value}"
        + (f", last answer {feed.last_success:%Y-%m-%d %H:%M} UTC" if feed.last_success else ", never answered")
        for feed in digest.feeds[:LISTED]
    ]
    lines += _more(len(digest.feeds))
    if digest.dead:
        lines += ["", f"{_count(digest.dead, 'notification')} could not be delivered; see Settings, Deliveries."]
    return [*lines, "", *_audit_lines(digest)]


def data_of(digest: Digest) -> dict[str, Any]:
    """The digest for webhooks."""
    day, head = digest.day, digest.audit_head
    return {
        "at": digest.at.isoformat(),
        "articles": day.articles if day else 0,
        "stories": day.stories if day else 0,
        "negative": day.negative if day else 0,
        "unscored": digest.status.unscored,
        "alerts": {"opened": digest.opened, "resolved": digest.resolved, "open": len(digest.open_alerts)},
        "open_alerts": [
            {"id": alert.id, "series": alert.series, "severity": alert.severity.value, "state": alert.state.value,
             "path": f"{ALERTS_PATH}?alert={alert.id}"}
            for alert in digest.open_alerts[:200]
        ],
        "top": [{"title": one_line(story.title), "score": story.score} for story in digest.stories],
        "feeds": [{"url": feed.url, "state": feed.state.value} for feed in digest.feeds[:200]],
        "dead_deliveries": digest.dead,
        "audit": {"seq": head.seq, "hash": head.hash, "holds": digest.audit_fault is None} if head else None,
        "model_version": digest.status.model_version,
    }  # fmt: skip


def _day_line(digest: Digest) -> str:
    day = digest.day
    if day is None:
        return "No scored news at all in this span. If that is not expected, look at the Feeds page."
    text = f"{day.articles:,} articles, {day.stories:,} stories, {day.negative:,} of them negative"
    if day.stories:
        text += f" ({day.negative / day.stories:.0%})"
    if digest.before is not None and digest.before.stories:
        text += f"; the day before {digest.before.negative / digest.before.stories:.0%} of {digest.before.stories:,}"
    return text


def _feeds_line(digest: Digest) -> str:
    total = digest.status.feeds.get("total", 0)
    if not digest.feeds:
        return f"Feeds: all {total} answer." if total else "Feeds: none is set up."
    return f"Feeds: {len(digest.feeds)} of {total} silent or failing"


def _audit_lines(digest: Digest) -> list[str]:
    if digest.audit_head is None:
        return ["Audit log: empty"]
    line = f"Audit log: entry {digest.audit_head.seq}, head {digest.audit_head.hash}"
    return [line] if digest.audit_fault is None else [line, f"AUDIT LOG BROKEN: {digest.audit_fault}"]


def _more(count: int) -> list[str]:
    return [f"… and {count - LISTED:,} more"] if count > LISTED else []


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _sum(rows: list[Rollup]) -> Rollup | None:
    if not rows:
        return None
    return Rollup(
        series=ALL,
        hour=rows[0].hour,
        articles=sum(row.articles for row in rows),
        stories=sum(row.stories for row in rows),
        negative=sum(row.negative for row in rows),
        neutral=sum(row.neutral for row in rows),
        positive=sum(row.positive for row in rows),
        score_sum=sum(row.score_sum for row in rows),
        alert_stories=sum(row.alert_stories for row in rows),
        alert_negative=sum(row.alert_negative for row in rows),
    )
