"""Notifications: channels, deliveries, messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from monitor.domain.alerts import Severity


class DeliveryState(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"  # will be retried
    DEAD = "dead"  # failed for good; visible, can be sent again


class SendReason(StrEnum):
    FIRST = "first"
    WORSENED = "worsened"
    ESCALATED = "escalated"
    RESOLVED = "resolved"
    REPEAT_DUE = "repeat_due"
    DIGEST = "digest"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelConfig:
    """A configured channel. `options` may hold secrets: never log, show or raise them."""

    name: str
    kind: str  # email, webhook, slack, teams, dingtalk, feishu, wecom, apprise, console
    options: dict[str, Any] = field(default_factory=dict)
    enabled: bool = True
    min_severity: Severity = Severity.INFO


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """One notification to one channel, written in the transaction of the transition that caused it (outbox)."""

    key: str  # idempotency key: the same cause and channel give the same key
    channel: str
    reason: SendReason
    group_key: str  # deliveries of one group and channel may be sent as one message
    due: datetime
    alert_ids: tuple[int, ...] = ()
    payload: dict[str, Any] = field(default_factory=dict)  # all that rendering needs, frozen


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    id: int
    key: str
    channel: str
    reason: SendReason
    group_key: str
    state: DeliveryState
    due: datetime
    created: datetime
    attempts: int
    alert_ids: tuple[int, ...]
    payload: dict[str, Any]
    last_error: str | None = None
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a channel sends: plain text everywhere, already cut to the channel's limits by render."""

    key: str
    subject: str
    text: str
    severity: Severity
    url: str | None = None
    data: dict[str, Any] = field(default_factory=dict)  # the structured form, for webhooks


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOutcome:
    """sent, retry (with what the server asked for, seconds) or failed for good, with the reason in words."""

    status: str  # "sent", "retry", "failed"
    detail: str = ""
    retry_after_s: float | None = None
