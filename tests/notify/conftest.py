"""Values and parts that the tests of notifications share."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest

from monitor.domain import (
    ChannelConfig,
    Delivery,
    DeliveryState,
    Evidence,
    NewDelivery,
    Rule,
    RuleKind,
    Severity,
    Transition,
    TransitionKind,
)
from monitor.guard import AddressPolicy
from monitor.notify.post import Outside

NOW = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
BASE = "https://headwind.example"
SPIKE = Rule(name="negative-spike", kind=RuleKind.SPIKE, scope=("all", "topic:*", "entity:*"))


def story(
    title: str = "Harbour Bank halts withdrawals", publisher: str = "Ledger Daily", number: int = 1
) -> dict[str, Any]:
    return {
        "story_id": f"s{number}",
        "title": title,
        "published": NOW.isoformat(),
        "publishers": [publisher],
        "families": [publisher],
        "articles": [{"title": title, "url": f"https://news.example/{number}", "publisher": publisher}],
    }


def evidence(top: tuple[dict[str, Any], ...] | None = None, **changes: Any) -> Evidence:
    plain = Evidence(
        window_start=NOW - timedelta(hours=6),
        window_end=NOW,
        window_hours=6.0,
        stories=20,
        negative=14,
        expected=2.1,
        p_value=8.1e-5,
        families=5,
        model_version="m1",
        rule={"name": "negative-spike", "kind": "spike"},
        top=top if top is not None else (story(), story("Regulator visits Harbour Bank", number=2)),
    )
    return replace(plain, **changes)


def transition(
    series: str = "entity:Harbour Bank",
    kind: TransitionKind = TransitionKind.OPEN,
    severity: Severity = Severity.WARNING,
    at: datetime = NOW,
    **changes: Any,
) -> Transition:
    plain = Transition(
        kind=kind,
        rule="negative-spike",
        series=series,
        severity=severity,
        at=at,
        summary="14 negative stories in 6 h, 2.1 expected",
        evidence=evidence(),
    )
    return replace(plain, **changes)


def delivery_of(planned: NewDelivery, number: int = 1, alert_id: int = 7, **changes: Any) -> Delivery:
    """A planned delivery as the store would hand it out."""
    plain = Delivery(
        id=number,
        key=planned.key,
        channel=planned.channel,
        reason=planned.reason,
        group_key=planned.group_key,
        state=DeliveryState.PENDING,
        due=planned.due,
        created=NOW,
        attempts=0,
        alert_ids=planned.alert_ids or (alert_id,),
        payload=planned.payload,
    )
    return replace(plain, **changes)


def channel(name: str = "hook", kind: str = "webhook", **options: Any) -> ChannelConfig:
    return ChannelConfig(name=name, kind=kind, options=options)


@pytest.fixture
def loopback() -> Outside:
    """Channels may reach 127.0.0.0/8, as an internal relay or gateway would be allowed."""
    return Outside(policy=AddressPolicy(allow=(ip_network("127.0.0.0/8"),)), total_s=5.0)


@pytest.fixture
def nothing_private() -> Outside:
    return Outside(total_s=5.0)
