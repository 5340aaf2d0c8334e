"""Which deliveries a transition causes, and when. Pure: no store, no clock, no channel.

Grouping follows Prometheus Alertmanager (group_wait 30 s, group_interval 5 min, repeat_interval 4 h): the first word
of a rule waits 30 s for its neighbours, the next one waits until 5 min after the one before, a critical one waits
only the 30 s. Deliveries of one channel, group and due time are sent as one message; because that triple is fixed
when the delivery is written, a message that is sent again after a crash has the same contents and the same key.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from monitor.domain import (
    Alert,
    AlertState,
    ChannelConfig,
    Delivery,
    DeliveryState,
    Evidence,
    NewDelivery,
    Rule,
    SendReason,
    Severity,
    Silence,
    Transition,
    TransitionKind,
)
from monitor.errors import DeliveryError
from monitor.notify.words import SEVERITY_ORDER

GROUP_WAIT: Final = timedelta(seconds=30)
GROUP_INTERVAL: Final = timedelta(minutes=5)
REPEAT_INTERVAL: Final = timedelta(hours=4)
TOP_STORIES: Final = 3
ALERTS_PATH: Final = "/alerts"

_REASONS: Final = {
    TransitionKind.OPEN: SendReason.FIRST,
    TransitionKind.WORSEN: SendReason.WORSENED,
    TransitionKind.ESCALATE: SendReason.ESCALATED,
    TransitionKind.RESOLVE: SendReason.RESOLVED,
}

GroupClock = Mapping[tuple[str, str], datetime]
"""(channel, group) → when its newest message was sent, or is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopStory:
    title: str
    publisher: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """All that a message says about one alert, frozen in the delivery's payload. Times are ISO 8601 in UTC."""

    rule: str
    kind: str
    series: str
    severity: str
    summary: str
    at: str
    opened_at: str | None
    window_start: str
    window_end: str
    window_hours: float
    stories: int
    negative: int
    expected: float
    p_value: float
    families: int
    model_version: str
    top: tuple[TopStory, ...] = ()
    links_base: str = ""
    repeat: int = 0

    def to_payload(self) -> dict[str, Any]:
        payload: dict[str, Any] = {name: getattr(self, name) for name in _NOTICE_FIELDS}
        payload["top"] = [{"title": one.title, "publisher": one.publisher, "url": one.url} for one in self.top]
        return payload

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Notice:
        values = dict(payload)
        values["top"] = tuple(TopStory(**story) for story in values.get("top", ()))
        return cls(**values)


_NOTICE_FIELDS: Final = tuple(field.name for field in fields(Notice))


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """A daily span, in the desk's time zone, in which lesser alerts wait. Nothing is dropped: it comes at the end."""

    start: time
    end: time
    zone: ZoneInfo
    below: Severity = Severity.CRITICAL  # severities under this one wait

    @classmethod
    def from_setting(cls, value: Mapping[str, Any] | None) -> QuietHours | None:
        """From the store's setting `quiet_hours`: {"start": "22:00", "end": "07:00", "timezone": "Europe/London",
        "below": "critical"}; None or empty means no quiet hours. Raises `DeliveryError` naming the field."""
        if not value:
            return None
        times = {}
        for name in ("start", "end"):
            try:
                times[name] = time.fromisoformat(str(value.get(name, "")))
            except ValueError as error:
                raise DeliveryError(f"quiet hours: {name!r} must be a time such as 22:00") from error
        try:
            zone = ZoneInfo(str(value.get("timezone") or "UTC"))
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise DeliveryError("quiet hours: 'timezone' must be a name such as Europe/London") from error
        try:
            below = Severity(value.get("below", Severity.CRITICAL))
        except ValueError as error:
            raise DeliveryError("quiet hours: 'below' must be info, warning or critical") from error
        return cls(start=times["start"], end=times["end"], zone=zone, below=below)

    def release(self, moment: datetime, severity: Severity) -> datetime:
        """When something due at `moment` may be sent: then, or at the end of the quiet span it falls into."""
        if SEVERITY_ORDER[severity] >= SEVERITY_ORDER[self.below] or self.start == self.end:
            return moment
        local = moment.astimezone(self.zone)
        clock = local.time().replace(tzinfo=None)
        overnight = self.start > self.end
        quiet = (clock >= self.start or clock < self.end) if overnight else self.start <= clock < self.end
        if not quiet:
            return moment
        day = local.date() + timedelta(days=1 if overnight and clock >= self.start else 0)
        return datetime.combine(day, self.end, tzinfo=self.zone).astimezone(UTC)


def plan_deliveries(
    transition: Transition,
    alert_id: int | None,
    channels: Iterable[ChannelConfig],
    rule: Rule | None,
    silences: Sequence[Silence],
    now: datetime,
    *,
    links_base: str = "",
    quiet_hours: QuietHours | None = None,
    opened_at: datetime | None = None,
    snoozed_until: datetime | None = None,
    clock: GroupClock | None = None,
) -> list[NewDelivery]:
    """Deliveries of one transition, one for each channel that wants it; none for updates, silenced, snoozed or
    inhibited ones. An alert whose first word a silence held back is announced by `plan_reminders` once it ends.

    alert_id: None for an alert that the store is about to open; the store fills it in. opened_at: for transitions of
    an alert that is open already. clock: from `group_clock`, so that a rule that just spoke waits 5 minutes.
    """
    reason = _REASONS.get(transition.kind)
    if reason is None or transition.inhibited_by is not None:
        return []
    opened = transition.at if transition.kind is TransitionKind.OPEN else opened_at
    notice = _notice(transition, rule, opened, links_base)
    moment = transition.at
    return _deliveries(
        notice, reason, moment, alert_id, channels, rule, silences, now, quiet_hours, snoozed_until, clock or {}
    )


def plan_reminders(
    alerts: Iterable[Alert],
    channels: Sequence[ChannelConfig],
    rules: Mapping[str, Rule],
    silences: Sequence[Silence],
    now: datetime,
    *,
    links_base: str = "",
    quiet_hours: QuietHours | None = None,
    clock: GroupClock | None = None,
) -> list[NewDelivery]:
    """What open, unacknowledged alerts should have said by now: the first word, or the repeat of this 4 h span.

    Keys are derived from the alert, so what was written before is written once; a first word that a silence held
    back gets its turn when the silence ends.
    """
    planned: list[NewDelivery] = []
    for alert in alerts:
        if alert.state not in (AlertState.OPEN, AlertState.ESCALATED) or alert.inhibited_by is not None:
            continue
        repeat = max(0, int((now - alert.opened_at) / REPEAT_INTERVAL))
        rule = rules.get(alert.rule)
        notice = _notice_of_alert(alert, rule, links_base, repeat)
        reason = SendReason.REPEAT_DUE if repeat else SendReason.FIRST
        planned += _deliveries(
            notice,
            reason,
            alert.opened_at,
            alert.id,
            channels,
            rule,
            silences,
            now,
            quiet_hours,
            alert.snoozed_until,
            clock or {},
        )
    return planned


def group_clock(deliveries: Iterable[Delivery]) -> dict[tuple[str, str], datetime]:
    """When each (channel, group) last spoke, or will: read from the deliveries of the last minutes."""
    clock: dict[tuple[str, str], datetime] = {}
    for delivery in deliveries:
        if delivery.state is DeliveryState.PENDING:
            moment = delivery.due
        elif delivery.state is DeliveryState.SENT and delivery.sent_at is not None:
            moment = delivery.sent_at
        else:
            continue
        place = (delivery.channel, delivery.group_key)
        if place not in clock or moment > clock[place]:
            clock[place] = moment
    return clock


def delivery_key(rule: str, series: str, moment: datetime, reason: SendReason, channel: str, repeat: int = 0) -> str:
    """The idempotency key: the same cause, reason, channel and repeat number give the same 32 hex digits."""
    parts = (rule, series, moment.astimezone(UTC).isoformat(), reason.value, channel, str(repeat))
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def is_silenced(rule: str, series: str, silences: Iterable[Silence], now: datetime) -> bool:
    return any(
        silence.start <= now < silence.end
        and (silence.rule is None or silence.rule == rule)
        and _fits(silence.matcher, series)
        for silence in silences
    )


def _fits(matcher: str, series: str) -> bool:
    """`*` stands for anything; every other character for itself, for names may hold brackets and question marks."""
    return re.fullmatch(".*".join(re.escape(piece) for piece in matcher.split("*")), series, re.DOTALL) is not None


def _deliveries(
    notice: Notice,
    reason: SendReason,
    moment: datetime,
    alert_id: int | None,
    channels: Iterable[ChannelConfig],
    rule: Rule | None,
    silences: Sequence[Silence],
    now: datetime,
    quiet_hours: QuietHours | None,
    snoozed_until: datetime | None,
    clock: GroupClock,
) -> list[NewDelivery]:
    if is_silenced(notice.rule, notice.series, silences, now) or (snoozed_until is not None and now < snoozed_until):
        return []
    severity = Severity(notice.severity)
    channels = list(channels)
    wanted = set(rule.channels) if rule is not None else set()
    if not any(channel.name in wanted for channel in channels):
        wanted = set()  # every channel that the rule names is gone: better a word too many than none
    payload = notice.to_payload()
    planned = []
    for channel in channels:
        if not channel.enabled or (wanted and channel.name not in wanted):
            continue
        if SEVERITY_ORDER[severity] < SEVERITY_ORDER[channel.min_severity]:
            continue
        due = _due(now, severity, clock.get((channel.name, notice.rule)))
        if quiet_hours is not None:
            due = quiet_hours.release(due, severity)
        planned.append(
            NewDelivery(
                key=delivery_key(notice.rule, notice.series, moment, reason, channel.name, notice.repeat),
                channel=channel.name,
                reason=reason,
                group_key=notice.rule,
                due=due,
                alert_ids=() if alert_id is None else (alert_id,),
                payload=payload,
            )
        )
    return planned


def _due(now: datetime, severity: Severity, spoke: datetime | None) -> datetime:
    soon = now + GROUP_WAIT
    if spoke is None or severity is Severity.CRITICAL:
        return soon
    if now <= spoke <= now + GROUP_INTERVAL:
        return spoke  # a message of this group is waiting: join it
    return max(soon, spoke + GROUP_INTERVAL) if spoke < now else soon


def _notice(transition: Transition, rule: Rule | None, opened: datetime | None, links_base: str) -> Notice:
    return _notice_from(
        transition.rule, rule, transition.series, transition.severity, transition.summary, transition.at, opened,
        transition.evidence, links_base, 0,
    )  # fmt: skip


def _notice_of_alert(alert: Alert, rule: Rule | None, links_base: str, repeat: int) -> Notice:
    return _notice_from(
        alert.rule, rule, alert.series, alert.severity, alert.summary, alert.updated_at, alert.opened_at,
        alert.evidence, links_base, repeat,
    )  # fmt: skip


def _notice_from(
    rule_name: str,
    rule: Rule | None,
    series: str,
    severity: Severity,
    summary: str,
    at: datetime,
    opened: datetime | None,
    evidence: Evidence,
    links_base: str,
    repeat: int,
) -> Notice:
    return Notice(
        rule=rule_name,
        kind=rule.kind.value if rule is not None else str(evidence.rule.get("kind", "")),
        series=series,
        severity=severity.value,
        summary=summary,
        at=_iso(at),
        opened_at=_iso(opened) if opened is not None else None,
        window_start=_iso(evidence.window_start),
        window_end=_iso(evidence.window_end),
        window_hours=float(evidence.window_hours),
        stories=int(evidence.stories),
        negative=int(evidence.negative),
        expected=float(evidence.expected),
        p_value=float(evidence.p_value),
        families=int(evidence.families),
        model_version=evidence.model_version,
        top=tuple(_top_story(story) for story in evidence.top[:TOP_STORIES]),
        links_base=links_base.rstrip("/"),
        repeat=repeat,
    )


def _top_story(story: Mapping[str, Any]) -> TopStory:
    articles = story.get("articles") or [{}]
    publishers = [str(name) for name in story.get("publishers") or () if name]
    publisher = publishers[0] if publishers else str(articles[0].get("publisher") or "")
    more = len(publishers) - 1
    return TopStory(
        title=str(story.get("title") or articles[0].get("title") or ""),
        publisher=f"{publisher} and {more} more" if publisher and more > 0 else publisher,
        url=str(story.get("url") or articles[0].get("url") or ""),
    )


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
