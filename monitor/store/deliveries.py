"""The outbox and the channels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from monitor.domain import ChannelConfig, Delivery, DeliveryState, NewDelivery, SendOutcome, SendReason, Severity
from monitor.errors import StoreError
from monitor.store.audit import AuditPart
from monitor.store.database import chunks
from monitor.store.schema import (
    channels,
    deliveries,
)
from monitor.store.values import (
    dump,
    load,
    us,
    when,
    when_or_none,
)

_OPEN = (DeliveryState.PENDING.value, DeliveryState.FAILED.value)


class DeliveriesPart(AuditPart):
    def add_deliveries(self, deliveries: Sequence[NewDelivery], now: datetime) -> int:
        """Write those whose key is new; gives how many."""
        with self.write() as connection:
            return self._add_deliveries(connection, deliveries, now)

    def _add_deliveries(self, connection: Connection, new: Sequence[NewDelivery], now: datetime) -> int:
        rows = [
            {
                "key": delivery.key,
                "channel": delivery.channel,
                "reason": delivery.reason.value,
                "group_key": delivery.group_key,
                "state": DeliveryState.PENDING.value,
                "due": us(delivery.due),
                "created": us(now),
                "attempts": 0,
                "alert_ids": dump(list(delivery.alert_ids)),
                "payload": dump(delivery.payload),
                "lease_until": 0,
            }
            for delivery in new
        ]
        written = 0
        insert = self.insert(deliveries).on_conflict_do_nothing(index_elements=["key"])
        for chunk in chunks(rows):  # many rows a call: a market-wide event brings thousands at once
            known = select(deliveries.c.key).where(deliveries.c.key.in_([row["key"] for row in chunk]))
            there = set(connection.execute(known).scalars())
            fresh = list({row["key"]: row for row in chunk if row["key"] not in there}.values())
            if fresh:
                connection.execute(insert, fresh)
            written += len(fresh)
        return written

    def claim_deliveries(
        self, worker: str, now: datetime, lease: timedelta, limit: int = 500, *, without: Sequence[str] = ()
    ) -> list[Delivery]:
        """Lease what is due (pending or failed) on other channels than those, oldest first; an expired lease is free
        again."""
        d = deliveries.c
        query = (
            select(deliveries)
            .where(d.state.in_(_OPEN), d.due <= us(now), d.lease_until <= us(now), d.channel.not_in(without))
            .order_by(d.due, d.id)
            .limit(limit)
        )
        with self.write(shown=False) as connection:
            rows = connection.execute(query if self.is_sqlite else query.with_for_update(skip_locked=True)).all()
            for chunk in chunks([row.id for row in rows]):
                taken = deliveries.update().where(d.id.in_(chunk))
                connection.execute(taken.values(worker=worker, lease_until=us(now + lease)))
        return [_delivery(row) for row in rows]

    def record_deliveries(self, outcomes: Sequence[tuple[int, SendOutcome, datetime | None]], now: datetime) -> None:
        """(delivery id, outcome, when to try again); None with `retry` or `failed` means dead."""
        same: dict[tuple[SendOutcome, datetime | None], list[int]] = {}
        for delivery_id, outcome, again in outcomes:
            same.setdefault((outcome, again), []).append(delivery_id)
        with self.write() as connection:
            for (outcome, again), ids in same.items():
                values: dict[str, Any] = {"worker": None, "lease_until": 0, "attempts": deliveries.c.attempts + 1}
                if outcome.status == "sent":
                    values |= {"state": DeliveryState.SENT.value, "sent_at": us(now), "last_error": None}
                elif again is None:
                    values |= {"state": DeliveryState.DEAD.value, "last_error": outcome.detail}
                else:
                    values |= {"state": DeliveryState.FAILED.value, "last_error": outcome.detail, "due": us(again)}
                for chunk in chunks(ids):
                    connection.execute(deliveries.update().where(deliveries.c.id.in_(chunk)).values(**values))

    def deliveries(self, states: Sequence[DeliveryState] = (), limit: int = 200) -> list[Delivery]:
        """Newest first."""
        query = select(deliveries).order_by(deliveries.c.id.desc()).limit(limit)
        if states:
            query = query.where(deliveries.c.state.in_([state.value for state in states]))
        with self.read() as connection:
            return [_delivery(row) for row in connection.execute(query)]

    def resend(self, delivery_id: int, actor: str, now: datetime) -> None:
        with self.write() as connection:
            changed = connection.execute(
                deliveries.update()
                .where(deliveries.c.id == delivery_id)
                .values(state=DeliveryState.PENDING.value, due=us(now), attempts=0, worker=None, lease_until=0)
            )
            if changed.rowcount == 0:
                raise StoreError(f"store: there is no delivery {delivery_id}")
            self._audit(connection, actor, "delivery.resend", f"delivery:{delivery_id}", {}, now)

    def channels(self) -> list[ChannelConfig]:
        with self.read() as connection:
            rows = connection.execute(select(channels).order_by(channels.c.name)).all()
        return [_channel(row.name, load(row.body)) for row in rows]

    def save_channel(self, channel: ChannelConfig, actor: str, now: datetime) -> None:
        """Insert or replace. The audit names which options are set, never their values: they may be secrets."""
        shown = {"kind": channel.kind, "enabled": channel.enabled, "min_severity": channel.min_severity.value}
        body = dump({**shown, "options": channel.options})
        with self.write() as connection:
            connection.execute(
                self.insert(channels).on_conflict_do_update(index_elements=["name"], set_={"body": body}),
                {"name": channel.name, "body": body},
            )
            detail = {**shown, "options": sorted(channel.options)}
            self._audit(connection, actor, "channel.save", channel.name, detail, now)

    def remove_channel(self, name: str, actor: str, now: datetime) -> None:
        with self.write() as connection:
            if connection.execute(channels.delete().where(channels.c.name == name)).rowcount:
                self._audit(connection, actor, "channel.remove", name, {}, now)


def _channel(name: str, body: dict[str, Any]) -> ChannelConfig:
    return ChannelConfig(
        name=name,
        kind=body["kind"],
        options=body["options"],
        enabled=body["enabled"],
        min_severity=Severity(body["min_severity"]),
    )


def _delivery(row: Any) -> Delivery:
    return Delivery(
        id=row.id,
        key=row.key,
        channel=row.channel,
        reason=SendReason(row.reason),
        group_key=row.group_key,
        state=DeliveryState(row.state),
        due=when(row.due),
        created=when(row.created),
        attempts=row.attempts,
        alert_ids=tuple(load(row.alert_ids)),
        payload=load(row.payload),
        last_error=row.last_error,
        sent_at=when_or_none(row.sent_at),
    )
