"""Use case: what is due in the outbox goes out through its channels, and what became of it is written down.

At least once: a delivery is leased, sent, and recorded message by message, so a kill at any point loses nothing and
repeats at most the message in hand, under the same key. Each channel has a thread of its own, which sends its next
message only when the one before is written down. A slow or broken channel holds up nobody: its thread goes on by
itself (`Couriers`) while the next round sends what is due elsewhere, and what a healthy channel has sent is never sent
again because another failed.
"""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol

import structlog

from monitor.domain import (
    AlertState,
    ChannelConfig,
    Delivery,
    DeliveryState,
    SendOutcome,
    SendReason,
)
from monitor.errors import DeliveryError, StoreError
from monitor.notify.base import Channel
from monitor.notify.kinds import KINDS
from monitor.notify.plan import QuietHours, group_clock, plan_reminders
from monitor.notify.render import render, test_payload
from monitor.store.base import Alerts, Deliveries, Desk

log = structlog.get_logger("deliver")

LEASE: Final = timedelta(minutes=10)
BUDGET_S: Final = 240.0  # sending stops well within the lease, so that nobody else takes what is in hand
CLAIM: Final = 500
MOST_AT_ONCE: Final = 20_000
MAX_ATTEMPTS: Final = 20
BACKOFF_FIRST_S: Final = 30.0
BACKOFF_CAP_S: Final = 3600.0
RETRY_AFTER_CAP_S: Final = 6 * 3600.0
QUIET_HOURS_SETTING: Final = "quiet_hours"

ChannelFactory = Callable[[ChannelConfig], Channel]
Batch = tuple[Delivery, ...]


class DeliverStore(Alerts, Deliveries, Desk, Protocol):
    """The part of the store that this use case works with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """Messages by what became of them; `deliveries` counts the deliveries in them. problems: one line each."""

    sent: int = 0
    retry: int = 0
    dead: int = 0
    deliveries: int = 0
    problems: tuple[str, ...] = ()

    def __add__(self, other: DeliveryReport) -> DeliveryReport:
        return DeliveryReport(
            sent=self.sent + other.sent,
            retry=self.retry + other.retry,
            dead=self.dead + other.dead,
            deliveries=self.deliveries + other.deliveries,
            problems=self.problems + other.problems,
        )


@dataclass
class Pacer:
    """Least time between two messages of a channel, and the pauses that it asked for. Keep one for the life of the
    worker."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _last: dict[str, float] = field(default_factory=dict)
    _held: dict[str, float] = field(default_factory=dict)

    def hold(self, channel: str, seconds: float) -> None:
        """Nothing is sent to the channel for so long: it said so (Retry-After)."""
        self._held[channel] = self.clock() + seconds

    def held(self, channel: str) -> float:
        """Seconds of the pause that are left."""
        return max(0.0, self._held.get(channel, 0.0) - self.clock())

    def wait(self, channel: str, pace_s: float) -> None:
        last = self._last.get(channel)
        if last is not None and pace_s > 0:
            left = last + pace_s - self.clock()
            if left > 0:
                self.sleep(left)
        self._last[channel] = self.clock()


class Couriers:
    """The sending threads, at most one for each channel. Keep one for the life of the worker: a channel that is still
    being sent to is left alone by the next round, which then takes only what is due elsewhere."""

    def __init__(self) -> None:
        self._threads: dict[str, threading.Thread] = {}
        self._report = DeliveryReport()
        self._failure: StoreError | None = None
        self._changed = threading.Condition()
        self.closing = threading.Event()

    def busy(self) -> tuple[str, ...]:
        """Channels whose thread is at work."""
        with self._changed:
            return tuple(self._threads)

    def start(self, channel: str, work: Callable[[], None]) -> None:
        def run() -> None:
            failure: StoreError | None = None
            try:
                work()
            except StoreError as error:
                failure = error
            finally:
                with self._changed:
                    self._failure = failure or self._failure
                    del self._threads[channel]
                    self._changed.notify_all()

        thread = threading.Thread(target=run, name=f"headwind-send-{channel}", daemon=True)
        with self._changed:
            self._threads[channel] = thread
        thread.start()

    def note(self, report: DeliveryReport) -> None:
        with self._changed:
            self._report += report

    def wait(self, seconds: float) -> bool:
        """Until no thread is at work, at most so long; whether none is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._threads, max(0.0, seconds))

    def report(self) -> DeliveryReport:
        """What was recorded since it was last asked. Raises the `StoreError` that ended a thread."""
        with self._changed:
            said, self._report = self._report, DeliveryReport()
            failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return said

    def close(self, seconds: float) -> None:
        """No message is begun any more; the ones in hand get so long to end and to be recorded."""
        self.closing.set()
        self.wait(seconds)


def deliver_due(
    store: DeliverStore,
    channels_factory: ChannelFactory,
    now: datetime,
    worker: str,
    *,
    rng: random.Random | None = None,
    pacer: Pacer | None = None,
    budget_s: float = BUDGET_S,
    couriers: Couriers | None = None,
    patience_s: float | None = None,
) -> DeliveryReport:
    """Send what is due. What the time does not suffice for stays leased and comes again when the lease ends.

    patience_s: how long to wait for the channels; those that need longer go on in the threads of `couriers`, and what
    became of their messages stands in a later report. None waits for all, up to the budget and a minute.
    Raises `StoreError` when the store cannot be read or written; whatever a channel does is an outcome.
    """
    crew = couriers or Couriers()
    by_channel: dict[str, list[Batch]] = defaultdict(list)
    for batch in _batches(_claim(store, worker, now, crew.busy())):
        by_channel[batch[0].channel].append(batch)
    if by_channel:
        configs = {config.name: config for config in store.channels()}
        deadline = time.monotonic() + budget_s
        round_ = _Round(store, channels_factory, now, rng or random.Random(), pacer or Pacer(), deadline, crew)
        for name, batches in by_channel.items():
            crew.start(name, partial(round_.send_all, configs.get(name), batches))
    done = crew.wait(budget_s + 60.0 if patience_s is None else patience_s)
    report = crew.report()
    if not done and patience_s is None:
        waiting = len(crew.busy())
        late = f"{waiting} channel{'s' if waiting > 1 else ''} did not answer in time"
        return report + DeliveryReport(problems=(late,))
    return report


def plan_repeats(store: DeliverStore, now: datetime, *, links_base: str = "") -> int:
    """Put the reminders of open, unacknowledged alerts into the outbox; gives how many are new.

    An alert repeats every 4 hours; one whose first word a silence held back speaks when the silence is over.
    """
    alerts = store.alerts((AlertState.OPEN, AlertState.ESCALATED), limit=10_000)
    if not alerts:
        return 0
    planned = plan_reminders(
        alerts,
        store.channels(),
        {rule.name: rule for rule in store.rules()},
        store.silences(now),
        now,
        links_base=links_base,
        quiet_hours=quiet_hours_of(store),
        clock=recent_clock(store),
    )
    return store.add_deliveries(planned, now) if planned else 0


def quiet_hours_of(store: Desk) -> QuietHours | None:
    """The desk's quiet hours. The page checks them when they are set; should they be unusable all the same, alerts
    go out at once and the log says why: a setting must not hold back what nobody asked it to."""
    try:
        return QuietHours.from_setting(store.setting(QUIET_HOURS_SETTING))
    except DeliveryError as error:
        log.warning("quiet hours are not used", reason=str(error))
        return None


def recent_clock(store: Deliveries) -> dict[tuple[str, str], datetime]:
    """When each channel and group last spoke or will speak, for `plan_deliveries(..., clock=...)`."""
    return group_clock(store.deliveries((DeliveryState.PENDING, DeliveryState.SENT), limit=1000))


def send_test(config: ChannelConfig, channels_factory: ChannelFactory, now: datetime, links_base: str) -> SendOutcome:
    """The test button: one message now, past the outbox, and how it went. A wrong option is an outcome too."""
    delivery = Delivery(
        id=0,
        key=f"test-{config.name}-{int(now.timestamp())}",
        channel=config.name,
        reason=SendReason.TEST,
        group_key="test",
        state=DeliveryState.PENDING,
        due=now,
        created=now,
        attempts=0,
        alert_ids=(),
        payload=test_payload(links_base, now),
    )
    try:
        return channels_factory(config).send(render([delivery], config.kind))
    except DeliveryError as error:
        return SendOutcome(status="failed", detail=str(error))


def backoff_s(attempt: int, rng: random.Random) -> float:
    """Seconds until the next try after the `attempt`-th (from 1): 30 s doubling to an hour, times 0.5 to 1, so that
    channels that failed together do not come back together."""
    full = min(BACKOFF_FIRST_S * 2.0 ** min(attempt - 1, 20), BACKOFF_CAP_S)
    return full * rng.uniform(0.5, 1.0)


def _claim(store: Deliveries, worker: str, now: datetime, busy: Sequence[str]) -> list[Delivery]:
    """All that is due on channels that are not busy, so that a group of thousands is one message and not one for
    every claim."""
    claimed: list[Delivery] = []
    while len(claimed) < MOST_AT_ONCE:
        more = store.claim_deliveries(worker, now, LEASE, CLAIM, without=busy)
        claimed += more
        if len(more) < CLAIM:
            break
    return claimed


def _batches(deliveries: Sequence[Delivery]) -> list[Batch]:
    """Deliveries of one channel, group and due time are one message. The triple does not change between a send and
    its repetition after a crash, so the repetition has the same key. Digests and tests stand alone."""
    grouped: dict[tuple[str, ...], list[Delivery]] = defaultdict(list)
    for delivery in deliveries:
        alone = delivery.reason in (SendReason.DIGEST, SendReason.TEST)
        place = (delivery.channel, delivery.group_key, delivery.due.isoformat(), delivery.key if alone else "")
        grouped[place].append(delivery)
    return [tuple(sorted(batch, key=lambda one: one.id)) for batch in grouped.values()]


@dataclass(frozen=True)
class _Round:
    """What the sending threads of one round share."""

    store: Deliveries
    channels_factory: ChannelFactory
    now: datetime
    rng: random.Random
    pacer: Pacer
    deadline: float
    couriers: Couriers

    def send_all(self, config: ChannelConfig | None, batches: Sequence[Batch]) -> None:
        """One channel's messages, one after another, each recorded before the next."""
        channel: Channel | None = None
        for batch in batches:
            if time.monotonic() > self.deadline or self.couriers.closing.is_set():
                return
            try:
                if config is not None and config.enabled and channel is None:
                    channel = self.channels_factory(config)
                outcome = _send(config, channel, batch, self.pacer)
            except DeliveryError as error:
                outcome = SendOutcome(status="retry", detail=str(error))  # an option to correct; nothing is lost
            again = _next_try(batch, outcome, self.now, self.rng)
            self.store.record_deliveries([(delivery.id, outcome, again) for delivery in batch], self.now)
            self.couriers.note(_report_of(batch, outcome, again))


def _send(config: ChannelConfig | None, channel: Channel | None, batch: Batch, pacer: Pacer) -> SendOutcome:
    if config is None or channel is None:
        why = "there is no such channel any more" if config is None else "the channel is switched off"
        return SendOutcome(status="failed", detail=why)
    left = pacer.held(config.name)
    if left > 0:
        return SendOutcome(status="retry", detail="the channel asked for a pause", retry_after_s=left)
    try:
        message = render(batch, config.kind)
    except (KeyError, TypeError, ValueError) as error:
        return SendOutcome(status="failed", detail=f"the stored message cannot be read ({type(error).__name__})")
    pacer.wait(config.name, KINDS[config.kind].pace_s)
    try:
        outcome = channel.send(message)
    except Exception as error:  # a bug in one channel: visible on its deliveries, and no other channel suffers
        return SendOutcome(status="retry", detail=f"internal error in the channel ({type(error).__name__})")
    if outcome.status == "retry" and outcome.retry_after_s:
        pacer.hold(config.name, min(outcome.retry_after_s, RETRY_AFTER_CAP_S))
    return outcome


def _next_try(batch: Batch, outcome: SendOutcome, now: datetime, rng: random.Random) -> datetime | None:
    """When to try again: one moment for the whole batch, so that it stays one message; None means never."""
    attempt = max(delivery.attempts for delivery in batch) + 1
    if outcome.status != "retry" or attempt >= MAX_ATTEMPTS:
        return None
    wait = backoff_s(attempt, rng)
    if outcome.retry_after_s is not None:
        wait = max(wait, min(outcome.retry_after_s, RETRY_AFTER_CAP_S))
    return now + timedelta(seconds=wait)


def _report_of(batch: Batch, outcome: SendOutcome, again: datetime | None) -> DeliveryReport:
    sent = outcome.status == "sent"
    return DeliveryReport(
        sent=int(sent),
        retry=int(again is not None),
        dead=int(not sent and again is None),
        deliveries=len(batch),
        problems=() if sent else (f"{batch[0].channel}: {outcome.detail}",),
    )
