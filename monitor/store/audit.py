"""The audit log: append-only, each entry bound to the one before by SHA-256 over canonical JSON."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, text

from monitor.domain import AuditEntry
from monitor.store.database import Database
from monitor.store.schema import (
    audit,
)
from monitor.store.values import (
    dump,
    load,
    us,
    when,
)

GENESIS = "0" * 64
_AUDIT_LOCK = 0x48574155
_PAGE = 5000


def entry_hash(seq: int, at: int, actor: str, action: str, subject: str, detail: str, previous: str) -> str:
    """SHA-256, in hex, over the canonical JSON of an entry and the hash of the one before."""
    return hashlib.sha256(dump([seq, at, actor, action, subject, detail, previous]).encode()).hexdigest()


class AuditPart(Database):
    def _audit(
        self, connection: Connection, actor: str, action: str, subject: str, detail: dict[str, Any], now: datetime
    ) -> None:
        """Append within the caller's transaction: the entry is there if and only if the act is."""
        if not self.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _AUDIT_LOCK})
        last = connection.execute(select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)).one_or_none()
        seq, previous = (1, GENESIS) if last is None else (last.seq + 1, last.hash)
        body = dump(detail)
        connection.execute(
            audit.insert().values(
                seq=seq,
                at=us(now),
                actor=actor,
                action=action,
                subject=subject,
                detail=body,
                previous_hash=previous,
                hash=entry_hash(seq, us(now), actor, action, subject, body, previous),
            )
        )

    def append_audit(self, actor: str, action: str, subject: str, detail: dict[str, Any], now: datetime) -> None:
        with self.write() as connection:
            self._audit(connection, actor, action, subject, detail, now)

    def audit(self, limit: int = 200) -> list[AuditEntry]:
        """The newest entries, newest first."""
        with self.read() as connection:
            rows = connection.execute(select(audit).order_by(audit.c.seq.desc()).limit(limit)).all()
        return [
            AuditEntry(
                seq=row.seq,
                at=when(row.at),
                actor=row.actor,
                action=row.action,
                subject=row.subject,
                detail=load(row.detail),
                previous_hash=row.previous_hash,
                hash=row.hash,
            )
            for row in rows
        ]

    def verify_audit(self, head: tuple[int, str] | None = None) -> str | None:
        """None when the chain holds, else a line that names the first broken entry. head: (entry, hash) as it was
        written down elsewhere, each digest carries one: a log that was cut off at its end, or rewritten as a whole,
        holds in itself and is found only by that."""
        expected, previous = 1, GENESIS
        while True:
            with self.read() as connection:
                query = select(audit).where(audit.c.seq >= expected).order_by(audit.c.seq).limit(_PAGE)
                rows = connection.execute(query).all()
            for row in rows:
                if row.seq != expected:
                    return f"audit entry {expected} is missing (the next one is {row.seq})"
                if row.previous_hash != previous:
                    return f"audit entry {row.seq} does not follow the entry before it"
                if row.hash != entry_hash(
                    row.seq, row.at, row.actor, row.action, row.subject, row.detail, row.previous_hash
                ):
                    return f"audit entry {row.seq} ({row.action} {row.subject}) was changed after it was written"
                if head is not None and row.seq == head[0] and row.hash != head[1]:
                    return f"audit entry {row.seq} is not the one whose hash was written down: the log was rewritten"
                expected, previous = row.seq + 1, row.hash
            if len(rows) < _PAGE:
                break
        if head is not None and head[0] >= expected:
            return f"the log ends with entry {expected - 1}, entry {head[0]} was written down: its end was cut off"
        return None
