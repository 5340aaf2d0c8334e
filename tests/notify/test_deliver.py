"""The use cases: what is due goes out, reminders, the test button and the daily digest, on a real store."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from monitor.deliver import (
    BUDGET_S,
    LEASE,
    Couriers,
    DeliveryReport,
    Pacer,
    backoff_s,
    deliver_due,
    plan_repeats,
    quiet_hours_of,
    send_test,
)
from monitor.digest import plan_digest
from monitor.domain import ChannelConfig, DeliveryState, Message, NewFeed, SendOutcome, Silence
from monitor.errors import DeliveryError
from monitor.notify.plan import GROUP_WAIT, plan_deliveries
from monitor.store import open_store
from monitor.store.base import Store
from tests.notify.conftest import BASE, NOW, SPIKE, channel, transition


class RecordingChannel:
    """Keeps what it was given and answers from a list; raises where the list holds an exception."""

    kind = "console"

    def __init__(self, name: str, *answers: SendOutcome | Exception) -> None:
        self.name = name
        self.answers = list(answers)
        self.messages: list[Message] = []

    def send(self, message: Message) -> SendOutcome:
        self.messages.append(message)
        answer = self.answers.pop(0) if self.answers else SendOutcome(status="sent")
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'headwind.db'}")
    opened.save_channel(channel("desk", "console"), "ana", NOW)
    yield opened
    opened.close()


def _alert(store: Store, *series: str) -> list[int]:
    steps = [transition(name) for name in series or ("entity:Harbour Bank",)]
    planned = [
        (index, one)
        for index, step in enumerate(steps)
        for one in plan_deliveries(step, None, store.channels(), SPIKE, (), NOW, links_base=BASE)
    ]
    return store.apply_transitions(steps, planned, NOW)


def _deliver(store: Store, sink: RecordingChannel, now=NOW + GROUP_WAIT):
    return deliver_due(store, lambda config: sink, now, "w", rng=random.Random(1), pacer=Pacer(sleep=lambda s: None))


def test_nothing_goes_out_before_it_is_due(store: Store):
    sink = RecordingChannel("desk")
    _alert(store)
    assert _deliver(store, sink, NOW + timedelta(seconds=29)).deliveries == 0
    assert _deliver(store, sink).sent == 1
    assert sink.messages[0].url == f"{BASE}/alerts?alert=1"


def test_alerts_of_one_moment_are_one_message(store: Store):
    sink = RecordingChannel("desk")
    _alert(store, "all", "topic:fraud_crime", "entity:Harbour Bank")
    report = _deliver(store, sink)
    assert (report.sent, report.deliveries) == (1, 3)
    assert sink.messages[0].subject.startswith("[WARNING] 3 alerts of negative-spike")


def test_a_bug_in_a_channel_is_visible_and_the_delivery_comes_again(store: Store):
    sink = RecordingChannel("desk", RuntimeError("secret in here"))
    _alert(store)
    assert _deliver(store, sink).problems == ("desk: internal error in the channel (RuntimeError)",)
    assert _deliver(store, sink, NOW + timedelta(minutes=2)).sent == 1


def test_an_option_that_cannot_be_used_keeps_the_delivery_for_when_it_is_corrected(store: Store):
    def factory(config: ChannelConfig) -> RecordingChannel:
        raise DeliveryError("channel 'desk': option 'url' is missing")

    _alert(store)
    assert deliver_due(store, factory, NOW + GROUP_WAIT, "w").retry == 1
    assert "'url' is missing" in str(store.deliveries((DeliveryState.FAILED,))[0].last_error)


def test_a_payload_that_cannot_be_read_is_a_dead_letter_and_stops_nothing(store: Store):
    planned = plan_deliveries(transition(), 1, store.channels(), SPIKE, (), NOW)
    store.add_deliveries([replace(planned[0], key="broken", payload={"what": 1}, group_key="other")], NOW)
    _alert(store)
    report = _deliver(store, RecordingChannel("desk"))
    assert (report.sent, report.dead) == (1, 1)


def test_what_the_time_does_not_suffice_for_comes_again_after_the_lease(store: Store):
    _alert(store)
    sink = RecordingChannel("desk")
    later = NOW + GROUP_WAIT
    assert deliver_due(store, lambda config: sink, later, "w", budget_s=-1.0).deliveries == 0
    assert _deliver(store, sink, later + timedelta(seconds=1)).deliveries == 0
    assert _deliver(store, sink, later + LEASE).sent == 1


def test_sending_ends_well_before_the_lease_does():
    assert LEASE.total_seconds() / 1.5 > BUDGET_S + 60


def test_the_wait_doubles_to_an_hour_and_is_never_the_same_for_all():
    rng = random.Random(7)
    waits = [backoff_s(attempt, rng) for attempt in range(1, 30)]
    assert all(15 <= wait <= 3600 for wait in waits)
    assert 15 <= waits[0] <= 30
    assert min(waits[10:]) >= 1800
    assert len(set(waits)) == len(waits)


def test_a_silenced_alert_is_announced_when_the_silence_is_over(store: Store):
    hour = timedelta(hours=1)
    silence = store.save_silence(
        Silence(id=0, matcher="entity:*", rule=None, start=NOW - hour, end=NOW + hour, actor="ana"), NOW - hour
    )
    steps = [transition()]
    assert plan_deliveries(steps[0], None, store.channels(), SPIKE, [silence], NOW) == []
    store.apply_transitions(steps, [], NOW)
    assert plan_repeats(store, NOW + timedelta(minutes=30)) == 0
    assert plan_repeats(store, NOW + hour) == 1
    assert plan_repeats(store, NOW + hour + timedelta(minutes=5)) == 0


def test_reminders_repeat_nothing_that_was_said(store: Store):
    _alert(store)
    assert plan_repeats(store, NOW + timedelta(minutes=1)) == 0


def test_quiet_hours_are_read_from_the_desk_setting(store: Store):
    assert quiet_hours_of(store) is None
    store.set_setting("quiet_hours", {"start": "22:00", "end": "07:00"}, "ana", NOW)
    found = quiet_hours_of(store)
    assert found is not None and found.start.hour == 22


def test_quiet_hours_that_cannot_be_used_hold_back_nothing(store: Store):
    store.set_setting("quiet_hours", {"start": "late", "end": "07:00"}, "ana", NOW)
    assert quiet_hours_of(store) is None


def test_the_test_button_sends_at_once_and_tells_how_it_went():
    sink = RecordingChannel("desk", SendOutcome(status="failed", detail="HTTP 404"))
    outcome = send_test(channel("desk", "console"), lambda config: sink, NOW, BASE)
    assert outcome.detail == "HTTP 404"
    assert sink.messages[0].subject == "Headwind test message"


def test_the_test_button_names_a_wrong_option():
    def factory(config: ChannelConfig) -> RecordingChannel:
        raise DeliveryError("channel 'desk': option 'url' is missing")

    assert send_test(channel("desk", "slack"), factory, NOW, BASE).status == "failed"


def test_the_digest_goes_out_once_a_day_with_the_head_of_the_audit_log(store: Store):
    _alert(store)
    feed = store.add_feed(NewFeed(url="https://news.example/rss", title="Ledger Daily"), NOW)
    assert plan_digest(store, NOW, links_base=BASE) == 1
    assert plan_digest(store, NOW + timedelta(hours=3), links_base=BASE) == 0
    assert plan_digest(store, NOW + timedelta(days=1), links_base=BASE) == 1
    sink = RecordingChannel("desk")
    head = store.audit(1)[0]
    _deliver(store, sink, NOW + timedelta(seconds=1))
    text = sink.messages[0].text
    assert feed.id
    assert sink.messages[0].subject == "Headwind digest, 2026-03-02: 1 open alert"
    assert f"Audit log: entry {head.seq}, head {head.hash}" in text
    assert "WARNING Harbour Bank (open)" in text
    assert "No scored news at all in this span" in text
    assert sink.messages[0].data["digest"]["audit"]["hash"] == head.hash


def test_a_channel_without_digest_gets_none(store: Store):
    store.save_channel(channel("desk", "console", digest=False), "ana", NOW)
    assert plan_digest(store, NOW) == 0


class HeldChannel(RecordingChannel):
    """Takes a message and does not answer until it is let go."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.taken, self.let_go = threading.Event(), threading.Event()

    def send(self, message: Message) -> SendOutcome:
        self.taken.set()
        assert self.let_go.wait(60)
        return super().send(message)


def test_a_channel_that_does_not_answer_holds_up_no_round_of_the_others(store: Store):
    store.save_channel(channel("slow", "console"), "ana", NOW)
    slow, desk, couriers = HeldChannel("slow"), RecordingChannel("desk"), Couriers()

    def deliver(now: datetime) -> DeliveryReport:
        sinks = {"slow": slow, "desk": desk}
        return deliver_due(store, lambda config: sinks[config.name], now, "w", couriers=couriers, patience_s=0.3)

    _alert(store, "entity:Harbour Bank")
    first = deliver(NOW + GROUP_WAIT)
    assert slow.taken.wait(60)
    later = first + deliver(NOW + GROUP_WAIT + timedelta(seconds=1))  # the other one may have been a little late
    assert (later.sent, len(desk.messages)) == (1, 1)
    _alert(store, "entity:Acorn")
    more = deliver(NOW + 2 * GROUP_WAIT)
    more += deliver(NOW + 2 * GROUP_WAIT)
    assert (more.sent, len(desk.messages)) == (1, 2), "the healthy channel hears of the second alert at once"
    assert couriers.busy() == ("slow",)
    slow.let_go.set()
    assert couriers.wait(60)
    assert couriers.report().sent == 1, "what the slow one took is in a later report"
    assert deliver(NOW + 2 * GROUP_WAIT).sent + couriers.report().sent == 1, "and its second message follows"
    assert [len(slow.messages), len(desk.messages)] == [2, 2]


def test_at_the_end_the_message_in_hand_is_recorded_and_none_is_begun(store: Store):
    slow, couriers = HeldChannel("desk"), Couriers()
    _alert(store, "entity:Harbour Bank")
    deliver_due(store, lambda config: slow, NOW + GROUP_WAIT, "w", couriers=couriers, patience_s=0.0)
    assert slow.taken.wait(60)
    threading.Timer(0.2, slow.let_go.set).start()
    couriers.close(60)
    assert [one.state for one in store.deliveries()] == [DeliveryState.SENT]
