"""What people decide, what processes leave as a sign of life."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select

from monitor.domain import Verdict
from monitor.store.audit import AuditPart
from monitor.store.schema import (
    beats,
    settings,
    verdicts,
)
from monitor.store.values import (
    dump,
    load,
    us,
    when,
)


class DeskPart(AuditPart):
    def save_verdict(self, verdict: Verdict) -> None:
        """Append; an earlier verdict on the same subject stays and is followed by this one. Audited."""
        with self.write() as connection:
            connection.execute(
                verdicts.insert().values(
                    subject=verdict.subject,
                    actor=verdict.actor,
                    at=us(verdict.at),
                    is_right=verdict.right,
                    reason=verdict.reason,
                    sentiment=verdict.sentiment,
                    topics="|".join(verdict.topics),
                    note=verdict.note,
                )
            )
            detail = {"right": verdict.right, "reason": verdict.reason, "sentiment": verdict.sentiment}
            detail |= {"topics": list(verdict.topics), "note": verdict.note}
            self._audit(connection, verdict.actor, "verdict", verdict.subject, detail, verdict.at)

    def verdicts(self, subject_prefix: str = "") -> list[Verdict]:
        """Oldest first, so that the last one on a subject is what holds."""
        query = select(verdicts).order_by(verdicts.c.id)
        if subject_prefix:
            query = query.where(verdicts.c.subject.startswith(subject_prefix, autoescape=True))
        with self.read() as connection:
            return [
                Verdict(
                    subject=row.subject,
                    actor=row.actor,
                    at=when(row.at),
                    right=row.is_right,
                    reason=row.reason,
                    sentiment=row.sentiment,
                    topics=tuple(row.topics.split("|")) if row.topics else (),
                    note=row.note,
                )
                for row in connection.execute(query)
            ]

    def setting(self, name: str) -> Any | None:
        with self.read() as connection:
            return load(connection.execute(select(settings.c.value).where(settings.c.name == name)).scalar())

    def set_setting(self, name: str, value: Any, actor: str, now: datetime) -> None:
        """Audited with the old and the new value: no place for secrets (channels are)."""
        body = dump(value)
        with self.write() as connection:
            was = connection.execute(select(settings.c.value).where(settings.c.name == name)).scalar()
            if was == body:
                return
            connection.execute(
                self.insert(settings).on_conflict_do_update(index_elements=["name"], set_={"value": body}),
                {"name": name, "value": body},
            )
            self._audit(connection, actor, "setting", name, {"from": load(was), "to": load(body)}, now)

    def beat(self, name: str, now: datetime, detail: dict[str, Any]) -> None:
        """Leave a sign of life of a process or job (unaudited)."""
        values = {"at": us(now), "detail": dump(detail)}
        with self.write(shown=False) as connection:
            connection.execute(
                self.insert(beats).on_conflict_do_update(index_elements=["name"], set_=values),
                {"name": name, **values},
            )

    def beats(self) -> dict[str, tuple[datetime, dict[str, Any]]]:
        with self.read() as connection:
            return {row.name: (when(row.at), load(row.detail)) for row in connection.execute(select(beats))}
