"""Use case: what is due in the outbox goes out through its channels, and what became of it is written down.

At least once: a delivery is leased, sent, and recorded message by message, so a kill at any point loses nothing and
repeats at most the message in hand, under the same key. Each channel has a thread of its own: a slow or broken one
holds up nobody, and what a healthy one has sent is never sent again because another failed.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
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
from monitor.errors import DeliveryError
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

    def __str__(self) -> str:
        return f"{self.sent} sent, {self.retry} to be tried again, {self.dead} failed for good"


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


def deliver_due(
    store: DeliverStore,
    channels_factory: ChannelFactory,
    now: datetime,
    worker: str,
    *,
    rng: random.Random | None = None,
    pacer: Pacer | None = None,
    budget_s: float = BUDGET_S,
) -> DeliveryReport:
    """Send what is due. What the time does not suffice for stays leased and comes again when the lease ends.

    Raises `StoreError` when the store cannot be read or written; whatever a channel does is an outcome.
    """
    batches = _batches(_claim(store, worker, now))
    if not batches:
        return DeliveryReport()
    configs = {config.name: config for config in store.channels()}
    by_channel: dict[str, list[Batch]] = defaultdict(list)
    for batch in batches:
        by_channel[batch[0].channel].append(batch)
    ledger = _Ledger()
    deadline = time.monotonic() + budget_s
    steady = pacer or Pacer()

    def work(name: str) -> None:
        try:
            _send_all(configs.get(name), by_channel[name], channels_factory, steady, deadline, ledger)
        finally:
            ledger.finished()

    for name in by_channel:
        threading.Thread(target=work, args=(name,), name=f"headwind-send-{name}", daemon=True).start()
    return _record_all(store, ledger, len(by_channel), deadline + 60.0, now, rng or random.Random())


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


def _claim(store: Deliveries, worker: str, now: datetime) -> list[Delivery]:
    """All that is due, so that a group of thousands is one message and not one for every claim."""
    claimed: list[Delivery] = []
    while len(claimed) < MOST_AT_ONCE:
        more = store.claim_deliveries(worker, now, LEASE, CLAIM)
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


class _Ledger:
    """Between the sending threads and the one that records: a thread sends its next message only when the one before
    is written down, so that a kill repeats at most one message of each channel."""

    def __init__(self) -> None:
        self._told: queue.Queue[tuple[Batch, SendOutcome, threading.Event] | None] = queue.Queue()
        self._closed = threading.Event()

    def tell(self, batch: Batch, outcome: SendOutcome) -> bool:
        """Hand over an outcome and wait until it is recorded; False when nobody records any more."""
        recorded = threading.Event()
        self._told.put((batch, outcome, recorded))
        while not recorded.wait(0.2):
            if self._closed.is_set():
                return False
        return True

    def finished(self) -> None:
        self._told.put(None)

    def next(self, timeout: float) -> tuple[Batch, SendOutcome, threading.Event] | None:
        """The next outcome, None when a thread has finished; raises queue.Empty."""
        return self._told.get(timeout=max(0.0, timeout))

    def close(self) -> None:
        self._closed.set()


def _send_all(
    config: ChannelConfig | None,
    batches: Sequence[Batch],
    channels_factory: ChannelFactory,
    pacer: Pacer,
    deadline: float,
    ledger: _Ledger,
) -> None:
    channel: Channel | None = None
    for batch in batches:
        if time.monotonic() > deadline:
            return
        try:
            if config is not None and config.enabled and channel is None:
                channel = channels_factory(config)
            outcome = _send(config, channel, batch, pacer)
        except DeliveryError as error:
            outcome = SendOutcome(status="retry", detail=str(error))  # an option to correct; the alert is not lost
        if not ledger.tell(batch, outcome):
            return


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


def _record_all(
    store: Deliveries, ledger: _Ledger, senders: int, deadline: float, now: datetime, rng: random.Random
) -> DeliveryReport:
    """Write each outcome as it comes, on the caller's thread."""
    report = DeliveryReport()
    try:
        while senders:
            try:
                told = ledger.next(deadline - time.monotonic())
            except queue.Empty:
                late = f"{senders} channel{'s' if senders > 1 else ''} did not answer in time"
                return replace(report, problems=(*report.problems, late))
            if told is None:
                senders -= 1
                continue
            batch, outcome, recorded = told
            again = _next_try(batch, outcome, now, rng)
            store.record_deliveries([(delivery.id, outcome, again) for delivery in batch], now)
            recorded.set()
            report = _counted(report, batch, outcome, again)
    finally:
        ledger.close()
    return report


def _next_try(batch: Batch, outcome: SendOutcome, now: datetime, rng: random.Random) -> datetime | None:
    """When to try again: one moment for the whole batch, so that it stays one message; None means never."""
    attempt = max(delivery.attempts for delivery in batch) + 1
    if outcome.status != "retry" or attempt >= MAX_ATTEMPTS:
        return None
    wait = backoff_s(attempt, rng)
    if outcome.retry_after_s is not None:
        wait = max(wait, min(outcome.retry_after_s, RETRY_AFTER_CAP_S))
    return now + timedelta(seconds=wait)


def _counted(report: DeliveryReport, batch: Batch, outcome: SendOutcome, again: datetime | None) -> DeliveryReport:
    sent = outcome.status == "sent"
    problem = () if sent else (f"{batch[0].channel}: {outcome.detail}",)
    return DeliveryReport(
        sent=report.sent + sent,
        retry=report.retry + (again is not None),
        dead=report.dead + (not sent and again is None),
        deliveries=report.deliveries + len(batch),
        problems=(*report.problems, *problem),
    )
