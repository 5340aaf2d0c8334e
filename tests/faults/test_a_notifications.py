"""Faults A1 to A5: what a bad server, a kill or ten thousand alerts at once may do to notifications."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import threading
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from monitor.deliver import LEASE, Pacer, deliver_due, plan_repeats
from monitor.domain import (
    AlertState,
    ChannelConfig,
    DeliveryState,
    Message,
    SendOutcome,
    SendReason,
    TransitionKind,
)
from monitor.notify.base import Channel
from monitor.notify.factory import build_with
from monitor.notify.plan import GROUP_WAIT, plan_deliveries
from monitor.notify.post import Outside
from monitor.store import open_store
from monitor.store.base import Store
from tests.faults.outbox import Desk, desk, send_one, store  # noqa: F401
from tests.notify.conftest import BASE, NOW, SPIKE, evidence, loopback, nothing_private, story, transition  # noqa: F401
from tests.notify.servers import Answer, hook_server

# ruff: noqa: F811  (fixtures by import)


def test_A1_a_failing_channel_delivers_later_and_a_healthy_one_is_not_sent_again(desk: Desk):
    with hook_server(Answer(status=500), Answer()) as broken, hook_server() as healthy:
        desk.channel("broken", url=broken.url)
        desk.channel("healthy", url=healthy.url)
        desk.alert()
        first = desk.send()
        assert (first.sent, first.retry, first.dead) == (1, 1, 0)
        assert desk.send(NOW + timedelta(minutes=2)).sent == 1
        assert desk.send(NOW + timedelta(hours=1)) == type(first)()
        assert (len(broken.got), len(healthy.got)) == (2, 1)
        assert {got.headers["idempotency-key"] for got in broken.got} == {broken.got[0].headers["idempotency-key"]}
        assert desk.states() == {"sent": 2}


def test_A1_a_server_that_never_answers_is_tried_again_and_holds_up_nobody(store: Store, loopback: Outside):
    desk = Desk(store, replace(loopback, total_s=0.5))
    with hook_server(Answer(stall=60.0)) as hanging, hook_server() as healthy:
        desk.channel("hanging", url=hanging.url)
        desk.channel("healthy", url=healthy.url)
        desk.alert()
        report = desk.send()
        assert (report.sent, report.retry) == (1, 1)
        assert "no answer in time" in report.problems[0]


def test_A1_a_server_that_drips_its_headers_is_cut_off(loopback: Outside):
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def drip() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not over.wait(0.1):
                try:
                    peer.sendall(b"x")
                except OSError:
                    return

    threading.Thread(target=drip, daemon=True).start()
    quick = replace(loopback, total_s=1.0)
    outcome = send_one("webhook", quick, url=f"http://127.0.0.1:{listener.getsockname()[1]}/")
    over.set()
    listener.close()
    assert outcome.status == "retry"


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        ("900", 900, 900),
        ((NOW + timedelta(minutes=20)).strftime("%a, %d %b %Y %H:%M:%S GMT"), 1200, 1200),
        ("999999999999", 6 * 3600, 6 * 3600),
        ("soon", 0, 60),
    ],
)
def test_A2_retry_after_is_honoured_and_capped(desk: Desk, asked: str, least: float, most: float):
    desk.outside = replace(desk.outside, clock=lambda: NOW)
    with hook_server(Answer(status=429, headers={"Retry-After": asked})) as hook:
        desk.channel("hook", url=hook.url)
        desk.alert()
        desk.send(NOW + GROUP_WAIT)
        waiting = desk.store.deliveries((DeliveryState.FAILED,))[0]
        assert least <= (waiting.due - NOW - GROUP_WAIT).total_seconds() <= most


def test_A2_while_a_channel_asks_for_a_pause_nothing_else_is_sent_to_it(desk: Desk):
    with hook_server(Answer(status=429, headers={"Retry-After": "900"}), Answer()) as hook:
        desk.channel("hook", url=hook.url)
        desk.alert("entity:One")
        desk.alert("entity:Two", at=NOW + timedelta(minutes=10))
        assert desk.send(NOW + timedelta(minutes=11)).retry == 2
        assert len(hook.got) == 1
        desk.pacer = Pacer()  # the pause is over
        assert desk.send(NOW + timedelta(hours=2)).sent == 2


def test_A2_slack_gets_at_most_one_message_a_second(desk: Desk):
    waits: list[float] = []
    time = [100.0]

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        time[0] += seconds

    desk.pacer = Pacer(clock=lambda: time[0], sleep=sleep)
    with hook_server() as hook:
        desk.channel("desk", "slack", url=hook.url)
        for minute in (0, 20, 40):
            desk.alert(f"entity:Company {minute}", at=NOW + timedelta(minutes=minute))
        desk.send(NOW + timedelta(hours=1))
        assert len(hook.got) == 3
    assert waits == pytest.approx([1.0, 1.0])


def test_A3_a_refusal_is_a_visible_dead_letter_that_can_be_sent_again(desk: Desk):
    with hook_server(Answer(status=400, body=b"no such hook"), Answer()) as hook:
        desk.channel("hook", url=hook.url)
        desk.alert()
        assert desk.send().dead == 1
        desk.send(NOW + timedelta(days=1))
        assert len(hook.got) == 1
        dead = desk.store.deliveries((DeliveryState.DEAD,))[0]
        assert "HTTP 400: no such hook" in str(dead.last_error)
        desk.store.resend(dead.id, "ana", NOW + timedelta(days=1))
        assert desk.send(NOW + timedelta(days=1)).sent == 1
        assert hook.got[0].headers["idempotency-key"] == hook.got[1].headers["idempotency-key"]


def test_A3_a_channel_that_never_recovers_is_dead_after_twenty_tries(desk: Desk):
    with hook_server(Answer(status=503)) as hook:
        desk.channel("hook", url=hook.url)
        desk.alert()
        for hour in range(25):
            desk.send(NOW + timedelta(hours=2 * hour + 1))
        assert len(hook.got) == 20
        assert desk.states() == {"dead": 1}


def test_A3_a_removed_channel_leaves_a_dead_letter_that_says_so(desk: Desk):
    desk.channel("gone", url="http://127.0.0.1:9/")
    desk.alert()
    desk.store.remove_channel("gone", "ana", NOW)
    assert desk.send().dead == 1
    assert "no such channel" in str(desk.store.deliveries((DeliveryState.DEAD,))[0].last_error)


class _KilledAfterSend:
    """A real channel whose process is killed -9 right after the server took the newest message, before that is
    recorded; older ones, left by the kills before, pass."""

    def __init__(self, real: Channel, newest: str) -> None:
        self.real, self.name, self.kind, self.newest = real, real.name, real.kind, newest

    def send(self, message: Message) -> SendOutcome:
        outcome = self.real.send(message)
        if self.newest in message.text:
            os.kill(os.getpid(), signal.SIGKILL)
        return outcome


def _deliver_until_killed(url: str, outside: Outside, now: datetime, newest: str) -> None:
    store = open_store(url)
    deliver_due(store, lambda config: _KilledAfterSend(build_with(config, outside), newest), now, "child")


def _kill_between_send_and_record(tmp_path: Path, outside: Outside, kills: int) -> None:
    url = f"sqlite:///{tmp_path / 'kills.db'}"
    parent = open_store(url)
    now = NOW
    with hook_server() as hook:
        config = ChannelConfig(name="hook", kind="webhook", options={"url": hook.url})
        parent.save_channel(config, "ana", NOW)
        expected = 0
        for kill in range(kills):
            steps = [transition(f"entity:Company {kill}-{part}", at=now) for part in range(3)]
            planned = [
                (index, one)
                for index, step in enumerate(steps)
                for one in plan_deliveries(step, None, [config], SPIKE, (), now, links_base=BASE)
            ]
            parent.apply_transitions(steps, planned, now)
            expected += len(steps)
            mine = f"Company {kill}-"
            child = os.fork()
            if child == 0:
                try:
                    _deliver_until_killed(url, outside, now + GROUP_WAIT, mine)
                finally:
                    os._exit(7)
            _, status = os.waitpid(child, 0)
            assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
            now += LEASE + timedelta(minutes=10)
        deliver_due(parent, lambda config: build_with(config, outside), now, "last", rng=random.Random(1))
        states = Counter(one.state for one in parent.deliveries(limit=100_000))
        assert states == {DeliveryState.SENT: expected}, "none lost"
        bodies = [json.loads(got.body) for got in hook.got]
        assert len(bodies) == 2 * kills, "each message once before its kill and once after"
        by_series: dict[str, set[str]] = {}
        for body in bodies:
            for alert in body["alerts"]:
                by_series.setdefault(alert["series"], set()).add(body["key"])
        assert len(by_series) == expected, "every alert arrived"
        assert all(len(keys) == 1 for keys in by_series.values()), "duplicates share one key"
    parent.close()


def test_A4_killed_between_send_and_record_nothing_is_lost_and_duplicates_share_a_key(
    tmp_path: Path, loopback: Outside
):
    _kill_between_send_and_record(tmp_path, loopback, 20)


@pytest.mark.soak
def test_A4_two_hundred_kills(tmp_path: Path, loopback: Outside):
    _kill_between_send_and_record(tmp_path, loopback, 200)


def test_A5_ten_thousand_spikes_are_one_message_with_the_count(desk: Desk):
    with hook_server() as hook:
        config = desk.channel("hook", url=hook.url)
        crowd = [transition(f"entity:Company {number}") for number in range(10_000)]
        planned = [
            replace(one, alert_ids=(number,))
            for number, step in enumerate(crowd, 1)
            for one in plan_deliveries(step, None, [config], SPIKE, (), NOW, links_base=BASE)
        ]
        assert desk.store.add_deliveries(planned, NOW) == 10_000
        report = desk.send()
        assert (report.sent, report.deliveries) == (1, 10_000)
        body = json.loads(hook.got[0].body)
        assert (body["count"], body["omitted"]) == (10_000, 9_800)
        assert body["subject"].startswith("[WARNING] 10,000 alerts of negative-spike")
        assert len(body["text"]) < 5_000


def test_A5_what_stays_open_repeats_after_four_hours_once(desk: Desk):
    with hook_server() as hook:
        desk.channel("hook", url=hook.url)
        desk.alert(*(f"entity:Company {number}" for number in range(40)))
        assert desk.send().sent == 1
        assert plan_repeats(desk.store, NOW + timedelta(hours=3, minutes=59), links_base=BASE) == 0
        due = NOW + timedelta(hours=4)
        assert plan_repeats(desk.store, due, links_base=BASE) == 40
        assert plan_repeats(desk.store, due + timedelta(minutes=1), links_base=BASE) == 0
        assert desk.send(due + GROUP_WAIT).sent == 1
        again = json.loads(hook.got[1].body)
    assert again["count"] == 40
    assert {alert["reason"] for alert in again["alerts"]} == {"repeat_due"}


def test_A5_a_flapping_alert_is_one_message_with_its_last_state(desk: Desk):
    with hook_server() as hook:
        desk.channel("hook", url=hook.url)
        desk.alert()
        for second in (5, 10, 15, 20):
            kind = TransitionKind.RESOLVE if second % 10 else TransitionKind.OPEN
            open_now = desk.store.alerts((AlertState.OPEN,))
            changes = {"alert_id": open_now[0].id} if kind is TransitionKind.RESOLVE else {}
            desk.alert(at=NOW + timedelta(seconds=second), kind=kind, **changes)
        assert desk.send(NOW + timedelta(minutes=1)).sent == 1
        body = json.loads(hook.got[0].body)
        assert body["count"] == 1
        assert body["alerts"][0]["reason"] == SendReason.FIRST


def test_A5_an_acknowledged_alert_does_not_repeat(desk: Desk):
    with hook_server() as hook:
        desk.channel("hook", url=hook.url)
        alert_id = desk.alert()[0]
        desk.store.change_alert(alert_id, kind="acknowledge", actor="ana", now=NOW, state=AlertState.ACKNOWLEDGED)
        assert plan_repeats(desk.store, NOW + timedelta(hours=5), links_base=BASE) == 0
