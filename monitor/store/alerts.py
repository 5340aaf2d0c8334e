"""Rules, alerts with their time line, silences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from monitor.domain import (
    Alert,
    AlertEvent,
    AlertState,
    Evidence,
    NewDelivery,
    Rule,
    RuleKind,
    Severity,
    Silence,
    Transition,
    TransitionKind,
)
from monitor.errors import StoreError
from monitor.store.deliveries import DeliveriesPart
from monitor.store.schema import (
    alert_events,
    alerts,
    rules,
    silences,
)
from monitor.store.values import (
    dump,
    load,
    us,
    when,
    when_or_none,
)

RESOLVED = AlertState.RESOLVED.value


class AlertsPart(DeliveriesPart):
    # ── rules ────────────────────────────────────────────────────────────────────────────────────────────────────

    def rules(self) -> list[Rule]:
        with self.read() as connection:
            rows = connection.execute(select(rules).order_by(rules.c.name)).all()
        return [_rule(row.name, load(row.body)) for row in rows]

    def save_rule(self, rule: Rule, actor: str, now: datetime) -> None:
        body = dump({key: value for key, value in asdict(rule).items() if key != "name"})
        with self.write() as connection:
            connection.execute(
                self.insert(rules).on_conflict_do_update(index_elements=["name"], set_={"body": body}),
                {"name": rule.name, "body": body},
            )
            self._audit(connection, actor, "rule.save", rule.name, load(body), now)

    def remove_rule(self, name: str, actor: str, now: datetime) -> None:
        with self.write() as connection:
            if connection.execute(rules.delete().where(rules.c.name == name)).rowcount:
                self._audit(connection, actor, "rule.remove", name, {}, now)

    # ── alerts ───────────────────────────────────────────────────────────────────────────────────────────────────

    def alerts(
        self, states: Sequence[AlertState] = (), *, since: datetime | None = None, limit: int = 500
    ) -> list[Alert]:
        """Newest first. since: opened at or after."""
        query = select(alerts).order_by(alerts.c.opened_at.desc(), alerts.c.id.desc()).limit(limit)
        if states:
            query = query.where(alerts.c.state.in_([state.value for state in states]))
        if since is not None:
            query = query.where(alerts.c.opened_at >= us(since))
        with self.read() as connection:
            return [_alert(row) for row in connection.execute(query)]

    def alert(self, alert_id: int) -> Alert | None:
        with self.read() as connection:
            row = connection.execute(select(alerts).where(alerts.c.id == alert_id)).one_or_none()
        return None if row is None else _alert(row)

    def alert_events(self, alert_id: int) -> list[AlertEvent]:
        """The time line, oldest first."""
        query = select(alert_events).where(alert_events.c.alert_id == alert_id).order_by(alert_events.c.id)
        with self.read() as connection:
            return [
                AlertEvent(alert_id=row.alert_id, at=when(row.at), kind=row.kind, actor=row.actor, note=row.note)
                for row in connection.execute(query)
            ]

    def apply_transitions(
        self, transitions: Sequence[Transition], deliveries: Sequence[tuple[int, NewDelivery]], now: datetime
    ) -> list[int]:
        """Write transitions and the deliveries they cause in one transaction (outbox). Opening what is already open
        updates it. A step about an alert that a person resolved meanwhile is moot: nothing of it is written."""
        with self.write() as connection:
            ids: list[int] = []
            moot: set[int] = set()
            for index, step in enumerate(transitions):
                alert_id, written = self._apply(connection, step)
                ids.append(alert_id)
                if not written:
                    moot.add(index)
            for index, step in enumerate(transitions):
                if step.inhibited_by is not None and index not in moot:
                    self._inhibit(connection, ids[index], step.inhibited_by)
            for index, step in enumerate(transitions):
                if index not in moot:
                    detail = {"rule": step.rule, "series": step.series, "severity": step.severity.value}
                    detail |= {"summary": step.summary}
                    self._audit(connection, "system", f"alert.{step.kind.value}", f"alert:{ids[index]}", detail, now)
            outbox = [
                replace(delivery, alert_ids=tuple(dict.fromkeys((*delivery.alert_ids, ids[index]))))
                for index, delivery in deliveries
                if index not in moot
            ]
            self._add_deliveries(connection, outbox, now)
        return ids

    def _apply(self, connection: Connection, step: Transition) -> tuple[int, bool]:
        there = self._open_alert(connection, step)
        values: dict[str, Any] = {
            "severity": step.severity.value,
            "updated_at": us(step.at),
            "summary": step.summary,
            "evidence": dump(asdict(step.evidence)),
        }
        if there is None and step.kind is not TransitionKind.OPEN:
            if step.alert_id is None:
                raise StoreError(f"store: {step.kind.value} of {step.rule} on {step.series} names no open alert")
            return step.alert_id, False
        if there is None:
            row = {**values, "rule": step.rule, "series": step.series, "state": AlertState.OPEN.value}
            made = connection.execute(alerts.insert().values(**row, opened_at=us(step.at)).returning(alerts.c.id))
            alert_id = int(made.scalar_one())
        else:
            alert_id = int(there.id)
            if step.kind in (TransitionKind.RESOLVE, TransitionKind.ESCALATE):
                del values["summary"]  # the alert goes on saying what happened; the step's words are in its time line
            if step.kind is TransitionKind.RESOLVE:
                values |= {"state": RESOLVED, "resolved_at": us(step.at)}
            elif step.kind is TransitionKind.ESCALATE:
                values |= {"state": AlertState.ESCALATED.value}
            elif step.kind is TransitionKind.WORSEN and step.inhibited_by is None:
                values |= {"inhibited_by": None}  # what explained it no longer does
            connection.execute(alerts.update().where(alerts.c.id == alert_id).values(**values))
        self._event(connection, alert_id, us(step.at), step.kind.value, "system", step.summary)
        return alert_id, True

    def _open_alert(self, connection: Connection, step: Transition) -> Any:
        query = select(alerts).where(alerts.c.state != RESOLVED)
        if step.alert_id is not None:
            query = query.where(alerts.c.id == step.alert_id)
        else:
            query = query.where(alerts.c.rule == step.rule, alerts.c.series == step.series)
        return connection.execute(query if self.is_sqlite else query.with_for_update()).one_or_none()

    def _inhibit(self, connection: Connection, alert_id: int, series: str) -> None:
        """Name the open alert on that series that explains this one."""
        explaining = connection.execute(
            select(func.max(alerts.c.id)).where(
                alerts.c.series == series, alerts.c.state != RESOLVED, alerts.c.id != alert_id
            )
        ).scalar()
        if explaining is not None:
            connection.execute(alerts.update().where(alerts.c.id == alert_id).values(inhibited_by=explaining))

    def _event(self, connection: Connection, alert_id: int, at: int, kind: str, actor: str, note: str) -> None:
        connection.execute(alert_events.insert().values(alert_id=alert_id, at=at, kind=kind, actor=actor, note=note))

    def change_alert(
        self,
        alert_id: int,
        *,
        kind: str,
        actor: str,
        now: datetime,
        note: str = "",
        state: AlertState | None = None,
        assignee: str | None = None,
        snoozed_until: datetime | None = None,
        verdict: str | None = None,
        deliveries: Sequence[NewDelivery] = (),
    ) -> Alert:
        """A person's step (acknowledge, assign, comment, snooze, resolve, reopen, verdict): an event and audit.
        Raises `StoreError` when there is no such alert, or when reopening finds another open one."""
        with self.write() as connection:
            row = connection.execute(select(alerts).where(alerts.c.id == alert_id)).one_or_none()
            if row is None:
                raise StoreError(f"store: there is no alert {alert_id}")
            values: dict[str, Any] = {"updated_at": us(now)}
            if state is not None:
                values |= {"state": state.value, "resolved_at": us(now) if state.value == RESOLVED else None}
                if row.state == RESOLVED and state.value != RESOLVED:
                    self._refuse_second_open(connection, row)
                if row.state == RESOLVED and state.value == RESOLVED:
                    values["resolved_at"] = row.resolved_at
            if assignee is not None:
                values["assignee"] = assignee or None
            if snoozed_until is not None:
                values["snoozed_until"] = us(snoozed_until)
            if verdict is not None:
                values["verdict"] = verdict or None
            connection.execute(alerts.update().where(alerts.c.id == alert_id).values(**values))
            self._event(connection, alert_id, us(now), kind, actor, note)
            detail = {"note": note, "state": None if state is None else state.value, "assignee": assignee}
            detail |= {"snoozed_until": None if snoozed_until is None else snoozed_until.isoformat()}
            detail |= {"verdict": verdict}
            shown = {key: value for key, value in detail.items() if value}
            self._audit(connection, actor, f"alert.{kind}", f"alert:{alert_id}", shown, now)
            self._add_deliveries(connection, deliveries, now)
            changed = connection.execute(select(alerts).where(alerts.c.id == alert_id)).one()
        return _alert(changed)

    def _refuse_second_open(self, connection: Connection, row: Any) -> None:
        other = connection.execute(
            select(alerts.c.id).where(
                alerts.c.rule == row.rule, alerts.c.series == row.series, alerts.c.state != RESOLVED
            )
        ).scalar()
        if other is not None:
            raise StoreError(f"store: alert {row.id} cannot be opened again, alert {other} is open on {row.series}")

    def last_resolved(self) -> dict[tuple[str, str], datetime]:
        """(rule, series) → when its last alert was resolved; for the cooldown."""
        a = alerts.c
        query = (
            select(a.rule, a.series, func.max(a.resolved_at))
            .where(a.resolved_at.is_not(None))
            .group_by(a.rule, a.series)
        )
        with self.read() as connection:
            return {(rule, series): when(at) for rule, series, at in connection.execute(query)}

    # ── silences ─────────────────────────────────────────────────────────────────────────────────────────────────

    def silences(self, at: datetime | None = None) -> list[Silence]:
        """All, or those that hold at a time; newest first."""
        query = select(silences).order_by(silences.c.id.desc())
        if at is not None:
            query = query.where(silences.c.start <= us(at), silences.c.end > us(at))
        with self.read() as connection:
            return [_silence(row) for row in connection.execute(query)]

    def save_silence(self, silence: Silence, now: datetime) -> Silence:
        """Insert (id 0) or replace; audited in the name of its actor."""
        values = {
            "matcher": silence.matcher,
            "rule": silence.rule,
            "start": us(silence.start),
            "end": us(silence.end),
            "actor": silence.actor,
            "note": silence.note,
        }
        with self.write() as connection:
            if silence.id:
                connection.execute(silences.update().where(silences.c.id == silence.id).values(**values))
                silence_id = silence.id
            else:
                made = connection.execute(silences.insert().values(**values).returning(silences.c.id))
                silence_id = int(made.scalar_one())
            detail = {key: value for key, value in asdict(silence).items() if key not in ("id", "actor")}
            self._audit(connection, silence.actor, "silence.save", f"silence:{silence_id}", detail, now)
        return replace(silence, id=silence_id)

    def end_silence(self, silence_id: int, actor: str, now: datetime) -> None:
        with self.write() as connection:
            ended = silences.update().where(silences.c.id == silence_id, silences.c.end > us(now))
            if connection.execute(ended.values(end=us(now))).rowcount:
                self._audit(connection, actor, "silence.end", f"silence:{silence_id}", {}, now)


def _rule(name: str, body: dict[str, Any]) -> Rule:
    return Rule(
        **{
            **body,
            "name": name,
            "kind": RuleKind(body["kind"]),
            "scope": tuple(body["scope"]),
            "severity": Severity(body["severity"]),
            "channels": tuple(body["channels"]),
        }
    )


def _evidence(body: dict[str, Any]) -> Evidence:
    return Evidence(
        **{
            **body,
            "window_start": datetime.fromisoformat(body["window_start"]),
            "window_end": datetime.fromisoformat(body["window_end"]),
            "top": tuple(body["top"]),
        }
    )


def _alert(row: Any) -> Alert:
    return Alert(
        id=row.id,
        rule=row.rule,
        series=row.series,
        severity=Severity(row.severity),
        state=AlertState(row.state),
        opened_at=when(row.opened_at),
        updated_at=when(row.updated_at),
        resolved_at=when_or_none(row.resolved_at),
        summary=row.summary,
        evidence=_evidence(load(row.evidence)),
        assignee=row.assignee,
        snoozed_until=when_or_none(row.snoozed_until),
        inhibited_by=row.inhibited_by,
        verdict=row.verdict,
    )


def _silence(row: Any) -> Silence:
    return Silence(
        id=row.id,
        matcher=row.matcher,
        rule=row.rule,
        start=when(row.start),
        end=when(row.end),
        actor=row.actor,
        note=row.note,
    )
