"""From observations to transitions: one open alert a rule and series. Pure; every kind of rule goes through here.

An observation says how a series stands with a rule: it fires, it holds (would not open an alert, keeps one open), it
is calm, or nothing can be said. Between firing and calm lies the hysteresis: an open alert resolves only after it has
been calm for a while, and a resolved one does not open again before the rule's cooldown is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from monitor.alerts.rules import in_scope
from monitor.domain import ALL, Alert, AlertState, Evidence, Rule, Severity, Transition, TransitionKind

_ORDER: Final = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}
REOPENED_STAYS: Final = timedelta(hours=24)
_TOLD: Final = "told_negative"
_EXPLAINED: Final = "explained_by"


class Standing(StrEnum):
    FIRE = "fire"
    HOLD = "hold"
    CALM = "calm"
    UNKNOWN = "unknown"  # too young, paused or not judged at this hour: nothing opens and nothing resolves


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """How one series stands with one rule. `evidence` is needed to open or update; stories are the negative ones.

    calm_for: how long it has been calm; the alert resolves at `resolve_after`.
    allowance: how many stories would be no news, so that a narrower alert explains this one when no more are left.
    """

    rule: str
    series: str
    standing: Standing
    severity: Severity = Severity.WARNING
    summary: str = ""
    evidence: Evidence | None = None
    story_ids: frozenset[str] = frozenset()
    calm_for: timedelta = timedelta(0)
    resolve_after: timedelta = timedelta(0)
    allowance: float = 0.0
    note: str = ""


def evaluate(
    rules: Sequence[Rule],
    observations: Iterable[Observation],
    open_alerts: Sequence[Alert],
    last_resolved: Mapping[tuple[str, str], datetime],
    now: datetime,
    reopened: Mapping[int, datetime] | None = None,
) -> list[Transition]:
    """What changes now, all series at once. An alert of a rule that is gone, off or no longer about its series is
    resolved. reopened: alert id → when a person last opened it again: from then on its calm and its escalation count.
    Nothing here reads a clock or a store."""
    again = reopened or {}
    by_name = {rule.name: rule for rule in rules if rule.enabled}
    seen = list(observations)
    opened = {(alert.rule, alert.series): alert for alert in open_alerts if alert.state is not AlertState.RESOLVED}
    explained = _explanations(seen, opened)
    transitions: list[Transition] = []
    for observation in sorted(seen, key=lambda o: (o.rule, _breadth(o.series), o.series)):
        rule = by_name.get(observation.rule)
        if rule is None:
            continue
        key = (observation.rule, observation.series)
        alert = opened.get(key)
        if alert is None:
            transition = _opening(rule, observation, last_resolved.get(key), explained.get(key), now)
        else:
            transition = _continuing(observation, alert, explained.get(key), now, again.get(alert.id))
        if transition is not None:
            transitions.append(transition)
    transitions += _escalations(by_name, opened.values(), transitions, now, again)
    transitions += _orphans(by_name, opened.values(), now)
    return transitions


def _opening(
    rule: Rule, observation: Observation, resolved: datetime | None, explained_by: str | None, now: datetime
) -> Transition | None:
    if observation.standing is not Standing.FIRE or observation.evidence is None:
        return None
    if resolved is not None and now - resolved < timedelta(seconds=rule.cooldown_s):
        return None
    return Transition(
        kind=TransitionKind.OPEN,
        rule=rule.name,
        series=observation.series,
        severity=observation.severity,
        at=now,
        summary=observation.summary,
        evidence=_told(observation.evidence, observation.evidence.negative, explained_by),
        inhibited_by=explained_by,
    )


def _continuing(
    observation: Observation, alert: Alert, explained_by: str | None, now: datetime, reopened: datetime | None
) -> Transition | None:
    if observation.standing is Standing.CALM:
        if observation.calm_for < observation.resolve_after:
            return None
        if reopened is not None and now - reopened < max(observation.resolve_after, REOPENED_STAYS):
            return None  # a person wanted it open: what was calm before that does not close it
        hours = (now - alert.opened_at).total_seconds() / 3600
        return next_step(
            alert, TransitionKind.RESOLVE, now, f"Calm again after {_span(hours)}. It was: {alert.summary}"
        )
    if observation.standing is Standing.UNKNOWN or observation.evidence is None:
        return None
    fresh = observation.evidence
    told = int(alert.evidence.baseline.get(_TOLD, alert.evidence.negative))
    severity = max(alert.severity, observation.severity, key=_ORDER.__getitem__)
    louder = _ORDER[severity] > _ORDER[alert.severity]
    doubled = fresh.negative >= 2 * max(told, 1)
    explained = explained_by or _explained(alert) if alert.inhibited_by is not None else None
    freed = alert.inhibited_by is not None and explained_by is None
    if observation.standing is Standing.FIRE and (louder or doubled or freed):
        return Transition(
            kind=TransitionKind.WORSEN,
            rule=alert.rule,
            series=alert.series,
            severity=severity,
            at=now,
            summary=observation.summary,
            evidence=_told(fresh, fresh.negative, None if freed else explained),
            alert_id=alert.id,
            inhibited_by=None if freed else explained,
        )
    if fresh.negative <= alert.evidence.negative and fresh.families <= alert.evidence.families:
        return None
    return Transition(
        kind=TransitionKind.UPDATE,
        rule=alert.rule,
        series=alert.series,
        severity=severity,
        at=now,
        summary=observation.summary,
        evidence=_told(fresh, told, explained),
        alert_id=alert.id,
        inhibited_by=explained,
    )


def _escalations(
    rules: Mapping[str, Rule],
    alerts: Iterable[Alert],
    transitions: Sequence[Transition],
    now: datetime,
    reopened: Mapping[int, datetime],
) -> list[Transition]:
    """Alerts that nobody took for as long as their rule allows; not the snoozed, the explained or the resolving."""
    resolving = {t.alert_id for t in transitions if t.kind is TransitionKind.RESOLVE}
    found = []
    for alert in alerts:
        rule = rules.get(alert.rule)
        if rule is None or rule.escalate_after_s is None or alert.state is not AlertState.OPEN:
            continue
        if alert.id in resolving or alert.inhibited_by is not None:
            continue
        if alert.snoozed_until is not None and now < alert.snoozed_until:
            continue
        waited = (now - reopened.get(alert.id, alert.opened_at)).total_seconds()
        if waited >= rule.escalate_after_s:
            text = f"Nobody has taken this for {_span(waited / 3600)}. {alert.summary}"
            found.append(next_step(alert, TransitionKind.ESCALATE, now, text))
    return found


def _orphans(rules: Mapping[str, Rule], alerts: Iterable[Alert], now: datetime) -> list[Transition]:
    found = []
    for alert in alerts:
        rule = rules.get(alert.rule)
        if "scope" not in alert.evidence.rule:
            continue  # raised by the supervisor, not by a rule of the desk
        if rule is None:
            found.append(next_step(alert, TransitionKind.RESOLVE, now, f"The rule {alert.rule} is off or gone."))
        elif not in_scope(rule, alert.series):
            found.append(next_step(alert, TransitionKind.RESOLVE, now, f"The rule no longer covers {alert.series}."))
    return found


def _explanations(
    observations: Sequence[Observation], opened: Mapping[tuple[str, str], Alert]
) -> dict[tuple[str, str], str]:
    """(rule, series) → the narrower series whose stories explain it: without them it would be no news.

    Companies explain topics and all news; a topic does not explain all news: that is news of its own.
    """
    firing = [o for o in observations if o.standing is Standing.FIRE and o.story_ids]
    holding = [o for o in observations if o.standing is Standing.HOLD and o.story_ids and (o.rule, o.series) in opened]
    found: dict[tuple[str, str], str] = {}
    for wide in firing:
        narrower = [
            o for o in firing + holding if o.rule == wide.rule and _narrower(o.series, wide.series) and o.story_ids
        ]
        shared = sorted(
            ((len(o.story_ids & wide.story_ids), o.series, o) for o in narrower), key=lambda x: (-x[0], x[1])
        )
        if not shared or not shared[0][0]:
            continue
        rest = wide.story_ids.difference(*(o.story_ids for _, _, o in shared))
        if len(rest) <= wide.allowance:
            found[(wide.rule, wide.series)] = shared[0][1]
    return found


def _narrower(inner: str, outer: str) -> bool:
    return (_breadth(inner) == 0 and _breadth(outer) > 0) or inner.startswith(outer + "/")


def _breadth(series: str) -> int:
    if series == ALL:
        return 2
    return 0 if series.startswith("entity:") else 1


def next_step(alert: Alert, kind: TransitionKind, now: datetime, summary: str) -> Transition:
    """A step of an open alert that changes neither its severity nor its evidence."""
    return Transition(
        kind=kind,
        rule=alert.rule,
        series=alert.series,
        severity=alert.severity,
        at=now,
        summary=summary,
        evidence=alert.evidence,
        alert_id=alert.id,
        inhibited_by=None if alert.inhibited_by is None else _explained(alert),
    )


def _explained(alert: Alert) -> str:
    """The series that explained the alert when it opened; kept with its evidence."""
    return str(alert.evidence.baseline.get(_EXPLAINED) or alert.series)


def _told(evidence: Evidence, negative: int, explained_by: str | None) -> Evidence:
    notes: dict[str, object] = {_TOLD: negative}
    if explained_by is not None:
        notes[_EXPLAINED] = explained_by
    return replace(evidence, baseline={**evidence.baseline, **notes})


def _span(hours: float) -> str:
    if hours < 1.5:
        return f"{max(1, round(hours * 60))} minutes"
    return f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.0f} days"
