"""Faults A1 to A9: what a bad network, a bad server, a bad headline or a kill may do to notifications."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import socket
import ssl
import threading
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from email import message_from_bytes
from email.policy import default as mail_policy
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from monitor.deliver import LEASE, Pacer, deliver_due, plan_repeats, recent_clock
from monitor.domain import (
    AlertState,
    ChannelConfig,
    DeliveryState,
    Message,
    SendOutcome,
    SendReason,
    Severity,
    TransitionKind,
)
from monitor.guard import AddressPolicy
from monitor.notify.base import Channel
from monitor.notify.factory import build_with
from monitor.notify.plan import GROUP_WAIT, plan_deliveries
from monitor.notify.post import READ_LIMIT, Outside
from monitor.notify.redact import Redactor
from monitor.store import open_store
from monitor.store.base import Store
from tests.notify.certificates import self_signed
from tests.notify.conftest import BASE, NOW, SPIKE, evidence, loopback, nothing_private, story, transition  # noqa: F401
from tests.notify.servers import Answer, Mailbox, hook_server, mail_relay, only_password
from tests.tools import free_port

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


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "127.1"])
def test_A6_a_webhook_to_loopback_is_blocked(host: str, nothing_private: Outside):
    with hook_server() as hook:
        outcome = send_one("webhook", nothing_private, url=f"http://{host}:{hook.port}/x")
        assert outcome.status == "failed"
        assert "refused" in outcome.detail
        assert hook.got == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_A6_a_redirect_to_a_refused_address_is_blocked(status: int):
    only_first = Outside(policy=AddressPolicy(allow=(ip_network("127.0.0.1/32"),)), total_s=5.0)
    with hook_server() as inner:
        elsewhere = f"http://127.0.0.2:{inner.port}/x"
        with hook_server(Answer(status=status, headers={"Location": elsewhere})) as outer:
            outcome = send_one("webhook", only_first, url=outer.url)
        assert outcome.status == "failed"
        assert inner.got == []


def test_A6_a_redirect_that_may_be_followed_repeats_the_post_without_credentials(loopback: Outside):
    with hook_server() as inner:
        target = f"http://127.0.0.2:{inner.port}/x"
        inner_url = f"http://127.0.0.1:{inner.port}/same"
        with hook_server(Answer(status=307, headers={"Location": inner_url})) as outer:
            options = {"url": outer.url, "authorization": "Bearer abc123"}
            assert send_one("webhook", loopback, **options).status == "sent"
            assert inner.got[0].headers["authorization"] == "Bearer abc123"
            outer.answers = [Answer(status=307, headers={"Location": target})]
            outcome = send_one("webhook", loopback, **options)
    assert outcome.status == "retry"  # nobody listens on 127.0.0.2; what matters is that the guard let it through
    assert "abc123" not in outcome.detail


def test_A6_of_a_reply_of_a_gigabyte_at_most_64_KB_are_read(loopback: Outside):
    with hook_server(Answer(endless=1 << 30)) as hook:
        assert send_one("webhook", loopback, url=hook.url).status == "sent"
        hook.stopping.wait(0.3)
        assert hook.written < 16 * 1024 * 1024, "the rest stayed in socket buffers or was never written"
    assert READ_LIMIT == 65536


def test_A6_apprise_is_guarded_as_well(nothing_private: Outside):
    with hook_server() as hook:
        outcome = send_one("apprise", nothing_private, url=f"json://127.0.0.1:{hook.port}/x")
        assert outcome.status == "failed"
        assert hook.got == []


def test_A7_slack_that_says_200_and_ok_false_has_failed(loopback: Outside):
    with hook_server(Answer(body=b'{"ok":false,"error":"channel_not_found"}')) as hook:
        outcome = send_one("slack", loopback, url=hook.url)
    assert (outcome.status, outcome.detail) == ("failed", "Slack says channel_not_found")


def test_A7_slack_that_says_200_and_no_service_has_failed(loopback: Outside):
    with hook_server(Answer(body=b"no_service")) as hook:
        assert send_one("slack", loopback, url=hook.url).status == "failed"


def test_A7_a_long_title_is_cut_and_a_mention_is_words(desk: Desk):
    top = (story("<!channel> <@U123> & <https://evil.example|click> " + "long " * 2000),)
    with hook_server() as hook:
        desk.channel("desk", "slack", url=hook.url)
        desk.alert(evidence=evidence(top=top))
        assert desk.send().sent == 1
        body = json.loads(hook.got[0].body)
    assert "<" not in body["text"]
    assert "&lt;!channel&gt;" in body["text"]
    assert body["mrkdwn"] is False
    assert len(body["text"]) < 1500


@pytest.mark.parametrize(
    ("kind", "reply", "status"),
    [
        ("dingtalk", {"errcode": 310000, "errmsg": "sign not match"}, "failed"),
        ("dingtalk", {"errcode": 130101, "errmsg": "send too fast"}, "retry"),
        ("feishu", {"code": 19021, "msg": "sign match fail"}, "failed"),
        ("feishu", {"code": 11232, "msg": "frequency limited"}, "retry"),
        ("wecom", {"errcode": 93000, "errmsg": "invalid webhook url"}, "failed"),
        ("wecom", {"errcode": 45009, "errmsg": "api freq out of limit"}, "retry"),
    ],
)
def test_A7_a_chat_service_that_says_200_and_means_no_is_believed(
    kind: str, reply: dict[str, Any], status: str, loopback: Outside
):
    with hook_server(Answer(body=json.dumps(reply).encode())) as hook:
        outcome = send_one(kind, loopback, url=hook.url)
    assert outcome.status == status
    assert str(next(iter(reply.values()))) in outcome.detail


def _mail_options(box: Mailbox, **more: Any) -> dict[str, Any]:
    plain = {"host": "127.0.0.1", "port": box.port, "security": "none"}
    return {**plain, "sender": "headwind@bank.example", "to": "risk@bank.example, ops@bank.example", **more}


def test_A8_a_line_break_in_a_headline_stays_one_subject_and_is_sent(desk: Desk):
    evil = "Acme\r\nBcc: everyone@bank.example\r\n\r\nhello"
    with mail_relay(Mailbox()) as box:
        desk.channel("mail", "email", **_mail_options(box))
        desk.alert(f"entity:{evil}", summary=evil, evidence=evidence(top=(story(evil),)))
        assert desk.send().sent == 1
        mail = message_from_bytes(box.mails[0], policy=mail_policy)
    assert mail["Bcc"] is None
    assert len(mail.get_all("Subject")) == 1
    assert "Bcc: everyone@bank.example" in mail["Subject"]
    assert box.recipients == [["risk@bank.example", "ops@bank.example"]]


def test_A8_a_mail_has_the_same_message_id_however_often_it_is_sent(desk: Desk):
    with mail_relay(Mailbox()) as box:
        desk.channel("mail", "email", **_mail_options(box))
        desk.alert()
        desk.send()
        desk.store.resend(desk.store.deliveries()[0].id, "ana", NOW)
        desk.send()
        ids = [message_from_bytes(mail)["Message-ID"] for mail in box.mails]
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_A8_a_temporary_refusal_is_tried_again_and_a_final_one_is_not(loopback: Outside):
    for reply, status in (("451 try later", "retry"), ("550 no such user", "failed")):
        with mail_relay(Mailbox(lambda what, reply=reply: reply if "@" in what else None)) as box:
            assert send_one("email", loopback, **_mail_options(box)).status == status
        with mail_relay(Mailbox(lambda what, reply=reply: reply if what == "DATA" else None)) as box:
            assert send_one("email", loopback, **_mail_options(box)).status == status


def test_A8_one_refused_recipient_does_not_keep_the_mail_from_the_other(loopback: Outside):
    with mail_relay(Mailbox(lambda what: "550 gone" if what.startswith("ops@") else None)) as box:
        outcome = send_one("email", loopback, **_mail_options(box))
        assert outcome.status == "sent"
        assert "ops@bank.example (550)" in outcome.detail
        assert len(box.mails) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for localhost, as a bank's private CA would issue."""
    return self_signed(tmp_path_factory.mktemp("tls"))


def _tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def test_A8_starttls_with_a_login_and_a_private_certificate(loopback: Outside, certificate: tuple[Path, Path]):
    options = {
        "tls_context": _tls(certificate),
        "require_starttls": True,
        "auth_required": True,
        "authenticator": only_password("s3cret-word"),
    }
    with mail_relay(Mailbox(), **options) as box:
        login = {"host": "localhost", "security": "starttls", "username": "headwind", "password": "s3cret-word"}
        trusting = replace(loopback, ca_bundle=str(certificate[0]))
        both = Outside(policy=_with_v6(loopback), ca_bundle=trusting.ca_bundle, total_s=5.0)
        assert send_one("email", both, **_mail_options(box, **login)).status == "sent"
        untrusting = Outside(policy=_with_v6(loopback), total_s=5.0)
        outcome = send_one("email", untrusting, **_mail_options(box, **login))
        assert outcome.status == "retry"
        assert "certificate" in outcome.detail
        wrong = send_one("email", both, **_mail_options(box, **{**login, "password": "wr0ng-word"}))
        assert wrong.status == "failed", wrong
        assert "wr0ng-word" not in wrong.detail


def _with_v6(outside: Outside):
    return AddressPolicy(allow=(*outside.policy.allow, ip_network("::1/128")))


@pytest.mark.parametrize("kind", ["webhook", "slack", "teams", "dingtalk", "feishu", "wecom", "apprise"])
def test_A9_an_address_that_fails_is_not_shown_with_its_secret(kind: str, desk: Desk):
    port = free_port()
    scheme = "json" if kind == "apprise" else "http"
    url = f"{scheme}://user:hunter2secret@127.0.0.1:{port}/services/T000/B000/XXXXsecretXXXX?key=k3yk3yk3y"
    desk.channel("hook", kind, url=url)
    desk.alert()
    report = desk.send()
    shown = " ".join(report.problems) + str(desk.store.deliveries()[0].last_error)
    assert shown.strip()
    for secret in ("hunter2secret", "XXXXsecretXXXX", "k3yk3yk3y", "T000"):
        assert secret not in shown


def test_A9_a_relay_that_repeats_the_password_is_redacted(loopback: Outside):
    echo = base64.b64encode(b"\0headwind\0pa55-w0rd").decode()
    with mail_relay(Mailbox(lambda what: f"550 pa55-w0rd {echo}")) as box:
        outcome = send_one("email", loopback, **_mail_options(box, username="", password="pa55-w0rd"))
    assert outcome.status == "failed"
    assert "pa55-w0rd" not in outcome.detail

    config = ChannelConfig(name="m", kind="email", options={"username": "headwind", "password": "pa55-w0rd"})
    assert echo not in Redactor(config)(f"AUTH PLAIN {echo}")


def test_A9_the_secret_of_apprise_is_on_no_command_line(loopback: Outside):
    with hook_server(Answer(stall=30.0)) as hook:
        url = f"json://127.0.0.1:{hook.port}/T0K3Nsecret99"
        sending = threading.Thread(target=send_one, args=("apprise", loopback), kwargs={"url": url})
        sending.start()
        for _ in range(600):
            if hook.got:
                break
            hook.stopping.wait(0.05)
        lines = [_command_line(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
        hook.stopping.set()
        sending.join(timeout=60)
    assert hook.got, "the child reached the server"
    assert any("apprise_child" in line for line in lines)
    assert not any("T0K3Nsecret99" in line for line in lines)


def _command_line(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""  # it has ended meanwhile
