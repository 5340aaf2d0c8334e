"""Use case: what people do with alerts. Each step is checked against the role, written with its event, and audited.

Roles are the caller's to know (login, or the operator's shell): viewers read, analysts work, admins set up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from monitor.alerts.calibration import CALIBRATED, Calibration
from monitor.alerts.lifecycle import next_step
from monitor.alerts.rules import params_of, valid_pattern
from monitor.deliver import quiet_hours_of, recent_clock
from monitor.domain import (
    Alert,
    AlertState,
    NewDelivery,
    Rule,
    RuleKind,
    SendReason,
    Silence,
    TransitionKind,
    Verdict,
)
from monitor.errors import AlertError
from monitor.notify.plan import plan_deliveries
from monitor.people import Person, allow
from monitor.store.base import Store

LONGEST_SILENCE: Final = timedelta(days=90)
REASONS: Final = ("wrong_company", "not_negative", "not_material", "duplicate", "expected", "other", "")
_NOTE: Final = 4000


def acknowledge(
    store: Store, alert_id: int, actor: str, now: datetime, *, role: str = "analyst", note: str = ""
) -> Alert:
    """Someone takes the alert: it stops repeating and does not escalate. Doing it twice changes nothing."""
    allow(store, Person(actor, role), "analyst", "acknowledge an alert", now)
    alert = _active(store, alert_id, "acknowledge")
    if alert.state is AlertState.ACKNOWLEDGED:
        return alert
    return store.change_alert(
        alert_id, kind="acknowledge", actor=actor, now=now, note=_noted(note), state=AlertState.ACKNOWLEDGED
    )


def assign(
    store: Store, alert_id: int, assignee: str, actor: str, now: datetime, *, role: str = "analyst", note: str = ""
) -> Alert:
    """Give the alert to a person; an empty name takes it back."""
    allow(store, Person(actor, role), "analyst", "assign an alert", now)
    _active(store, alert_id, "assign")
    name = assignee.strip()
    if len(name) > 200:
        raise AlertError("assign: 'assignee' must be at most 200 characters")
    return store.change_alert(
        alert_id, kind="assign", actor=actor, now=now, note=_noted(note) or name or "nobody", assignee=name
    )


def comment(store: Store, alert_id: int, text: str, actor: str, now: datetime, *, role: str = "analyst") -> Alert:
    allow(store, Person(actor, role), "analyst", "comment on an alert", now)
    if not text.strip():
        raise AlertError("comment: 'text' must not be empty")
    _there(store, alert_id)
    return store.change_alert(alert_id, kind="comment", actor=actor, now=now, note=_noted(text))


def snooze(
    store: Store, alert_id: int, until: datetime, actor: str, now: datetime, *, role: str = "analyst", note: str = ""
) -> Alert:
    """No word about the alert until then; it goes on collecting evidence."""
    allow(store, Person(actor, role), "analyst", "snooze an alert", now)
    _active(store, alert_id, "snooze")
    if not now < until <= now + LONGEST_SILENCE:
        raise AlertError("snooze: 'until' must lie ahead, at most 90 days")
    return store.change_alert(alert_id, kind="snooze", actor=actor, now=now, note=_noted(note), snoozed_until=until)


def resolve(
    store: Store,
    alert_id: int,
    actor: str,
    now: datetime,
    *,
    role: str = "analyst",
    note: str = "",
    links_base: str = "",
) -> Alert:
    """Close by hand; the channels that heard of it hear that too. The rule's cooldown starts."""
    allow(store, Person(actor, role), "analyst", "resolve an alert", now)
    alert = _active(store, alert_id, "resolve")
    text = f"Resolved by {actor}" + (f": {note.strip()}" if note.strip() else "") + f". It was: {alert.summary}"
    return store.change_alert(
        alert_id,
        kind="resolve",
        actor=actor,
        now=now,
        note=_noted(note),
        state=AlertState.RESOLVED,
        deliveries=_told(store, alert, TransitionKind.RESOLVE, text, now, links_base),
    )


def reopen(store: Store, alert_id: int, actor: str, now: datetime, *, role: str = "analyst", note: str = "") -> Alert:
    """Open a resolved alert again. Raises `AlertError` when another one is open on the same rule and series."""
    allow(store, Person(actor, role), "analyst", "reopen an alert", now)
    alert = _there(store, alert_id)
    if alert.state is not AlertState.RESOLVED:
        raise AlertError(f"reopen: alert {alert_id} is {alert.state.value}, not resolved")
    active = (AlertState.OPEN, AlertState.ACKNOWLEDGED, AlertState.ESCALATED)
    for other in store.alerts(active, limit=10_000):
        if (other.rule, other.series) == (alert.rule, alert.series):
            raise AlertError(f"reopen: alert {other.id} is already open on {alert.series}")
    return store.change_alert(alert_id, kind="reopen", actor=actor, now=now, note=_noted(note), state=AlertState.OPEN)


def judge(
    store: Store,
    alert_id: int,
    right: bool,
    actor: str,
    now: datetime,
    *,
    role: str = "analyst",
    reason: str = "",
    note: str = "",
    links_base: str = "",
) -> Alert:
    """An analyst's verdict. A false alarm that is still open is resolved with it; the verdict is kept as a row."""
    allow(store, Person(actor, role), "analyst", "judge an alert", now)
    if reason not in REASONS:
        raise AlertError(f"verdict: 'reason' must be one of {', '.join(filter(None, REASONS))}")
    alert = _there(store, alert_id)
    store.save_verdict(
        Verdict(subject=f"alert:{alert_id}", actor=actor, at=now, right=right, reason=reason, note=_noted(note))
    )
    word = "right" if right else "false_alarm"
    closes = not right and alert.state is not AlertState.RESOLVED
    text = f"Marked as a false alarm by {actor}. It was: {alert.summary}"
    return store.change_alert(
        alert_id,
        kind="verdict",
        actor=actor,
        now=now,
        note=_noted(f"{word} {reason} {note}"),
        verdict=word,
        state=AlertState.RESOLVED if closes else None,
        deliveries=_told(store, alert, TransitionKind.RESOLVE, text, now, links_base) if closes else (),
    )


def mark_false_alarm(store: Store, alert_id: int, actor: str, now: datetime, *, reason: str = "", **more: str) -> Alert:
    return judge(store, alert_id, False, actor, now, reason=reason, **more)


def precision(store: Store, since: datetime | None = None) -> tuple[int, int]:
    """(right, judged) over the alerts opened since then that carry a verdict."""
    judged = [alert.verdict for alert in store.alerts(since=since, limit=10_000) if alert.verdict]
    return sum(verdict == "right" for verdict in judged), len(judged)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRecord:
    """What a rule really brought, beside the budget of a spike rule. weeks: how far back `came` looks; told alerts
    only.

    budget: None for kinds without one. calibration: of spike rules; None before the first evaluation.
    """

    rule: str
    budget: float | None
    came: float
    weeks: float
    alerts: int
    right: int
    judged: int
    calibration: Calibration | None


def rule_records(store: Store, now: datetime, weeks: float = 8.0) -> list[RuleRecord]:
    """Alerts a week that each rule brought, how many were right, and for spike rules the false-alarm budget."""
    kept = store.setting(CALIBRATED) or {}
    alerts = store.alerts(since=now - timedelta(weeks=weeks), limit=10_000)
    lines = []
    for rule in store.rules():
        own = [alert for alert in alerts if alert.rule == rule.name and alert.inhibited_by is None]
        verdicts = [alert.verdict for alert in own if alert.verdict]
        entry = kept.get(rule.name)
        lines.append(
            RuleRecord(
                rule=rule.name,
                budget=float(params_of(rule)["budget_per_week"]) if rule.kind is RuleKind.SPIKE else None,
                came=len(own) / weeks,
                weeks=weeks,
                alerts=len(own),
                right=sum(verdict == "right" for verdict in verdicts),
                judged=len(verdicts),
                calibration=None if entry is None else Calibration.from_dict(entry["calibration"]),
            )
        )
    return lines


def silence(
    store: Store,
    matcher: str,
    start: datetime,
    end: datetime,
    actor: str,
    now: datetime,
    *,
    role: str = "analyst",
    rule: str | None = None,
    note: str = "",
) -> Silence:
    """A span in which matching alerts are not notified. They open and collect evidence all the same."""
    allow(store, Person(actor, role), "analyst", "silence alerts", now)
    if not valid_pattern(matcher):
        raise AlertError(f"silence: 'matcher' {matcher!r} is no series pattern; try all, topic:*, entity:Name*")
    if end <= start or end <= now:
        raise AlertError("silence: 'end' must lie after 'start' and ahead of now")
    if end - start > LONGEST_SILENCE:
        raise AlertError("silence: 'end' must lie within 90 days of 'start'")
    if rule is not None and rule not in {each.name for each in store.rules()}:
        raise AlertError(f"silence: 'rule' {rule!r} is not known")
    return store.save_silence(
        Silence(id=0, matcher=matcher, rule=rule, start=start, end=end, actor=actor, note=_noted(note)), now
    )


def end_silence(store: Store, silence_id: int, actor: str, now: datetime, *, role: str = "analyst") -> None:
    allow(store, Person(actor, role), "analyst", "end a silence", now)
    if silence_id not in {each.id for each in store.silences()}:
        raise AlertError(f"there is no silence {silence_id}")
    store.end_silence(silence_id, actor, now)


def _there(store: Store, alert_id: int) -> Alert:
    alert = store.alert(alert_id)
    if alert is None:
        raise AlertError(f"there is no alert {alert_id}")
    return alert


def _active(store: Store, alert_id: int, step: str) -> Alert:
    alert = _there(store, alert_id)
    if alert.state is AlertState.RESOLVED:
        raise AlertError(f"{step}: alert {alert_id} is resolved; reopen it first")
    return alert


def _noted(text: str) -> str:
    return text.strip()[:_NOTE]


def _told(
    store: Store, alert: Alert, kind: TransitionKind, summary: str, now: datetime, links_base: str
) -> list[NewDelivery]:
    """Deliveries of a step by hand, in the transaction of the step."""
    transition = next_step(alert, kind, now, summary)
    rule: Rule | None = next((each for each in store.rules() if each.name == alert.rule), None)
    return [
        delivery
        for delivery in plan_deliveries(
            transition,
            alert.id,
            store.channels(),
            rule,
            store.silences(now),
            now,
            links_base=links_base,
            opened_at=alert.opened_at,
            quiet_hours=quiet_hours_of(store),
            snoozed_until=alert.snoozed_until,
            clock=recent_clock(store),
        )
        if delivery.reason is SendReason.RESOLVED
    ]
