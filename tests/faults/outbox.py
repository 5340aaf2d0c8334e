"""What the fault tests of notifications share: an outbox with real channels behind it."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from monitor.deliver import Pacer, deliver_due, recent_clock
from monitor.domain import (
    ChannelConfig,
    Message,
    SendOutcome,
    Severity,
)
from monitor.notify.factory import build_with
from monitor.notify.plan import GROUP_WAIT, plan_deliveries
from monitor.notify.post import Outside
from monitor.store import open_store
from monitor.store.base import Store
from tests.notify.conftest import BASE, NOW, SPIKE, evidence, loopback, nothing_private, story, transition  # noqa: F401

# ruff: noqa: F811  (fixtures by import)


@pytest.fixture
def store(tmp_path: Path):
    opened = open_store(f"sqlite:///{tmp_path / 'headwind.db'}")
    yield opened
    opened.close()


class Desk:
    """The outbox with real channels behind it: `alert()` writes one, `send()` delivers what is due."""

    def __init__(self, store: Store, outside: Outside) -> None:
        self.store, self.outside = store, outside
        self.pacer = Pacer(sleep=lambda seconds: None)
        self.rng = random.Random(1)

    def channel(self, name: str, kind: str = "webhook", **options: Any) -> ChannelConfig:
        config = ChannelConfig(name=name, kind=kind, options=options)
        self.store.save_channel(config, "ana", NOW)
        return config

    def alert(self, *series: str, at: datetime = NOW, **changes: Any) -> list[int]:
        steps = [transition(name, at=at, **changes) for name in series or ("entity:Harbour Bank",)]
        clock = recent_clock(self.store)
        planned = [
            (index, one)
            for index, step in enumerate(steps)
            for one in plan_deliveries(step, None, self.store.channels(), SPIKE, (), at, links_base=BASE, clock=clock)
        ]
        return self.store.apply_transitions(steps, planned, at)

    def send(self, now: datetime = NOW + GROUP_WAIT):
        return deliver_due(
            self.store, lambda config: build_with(config, self.outside), now, "w", rng=self.rng, pacer=self.pacer
        )

    def states(self) -> Counter[str]:
        return Counter(delivery.state.value for delivery in self.store.deliveries(limit=100_000))


@pytest.fixture
def desk(store: Store, loopback: Outside) -> Desk:
    return Desk(store, loopback)


def send_one(kind: str, outside: Outside, text: str = "words", **options: Any) -> SendOutcome:
    message = Message(key="k1", subject="subject", text=text, severity=Severity.WARNING, url=f"{BASE}/alerts?alert=1")
    return build_with(ChannelConfig(name="it", kind=kind, options=options), outside).send(message)
