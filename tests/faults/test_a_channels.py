"""Faults A6 to A9: what a bad address, a bad reply or a bad headline may do to a message on its way out."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import replace
from email import message_from_bytes
from email.policy import default as mail_policy
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from monitor.domain import (
    ChannelConfig,
)
from monitor.guard import AddressPolicy
from monitor.notify.post import READ_LIMIT, Outside
from monitor.notify.redact import Redactor
from tests.faults.outbox import Desk, desk, send_one, store  # noqa: F401
from tests.notify.certificates import self_signed, server_context
from tests.notify.conftest import BASE, NOW, SPIKE, evidence, loopback, nothing_private, story, transition  # noqa: F401
from tests.notify.servers import Answer, Mailbox, hook_server, mail_relay, only_password
from tests.tools import free_port

# ruff: noqa: F811  (fixtures by import)


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


LONG = '<!channel> <@all> <@U123> @all [x](http://evil.example) **b** "quoted" \\ \u2028 <at id=all></at> '


def _words_of(kind: str, body: dict[str, Any]) -> str:
    """The text that a service shows, read from the form that it documents; anything else in its place fails."""
    if kind == "slack":
        assert body["mrkdwn"] is False
        return str(body["text"])
    if kind == "teams":
        assert body["type"] == "message"
        [attachment] = body["attachments"]
        assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
        card = attachment["content"]
        assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
        assert {block["type"] for block in card["body"]} == {"RichTextBlock"}, "a TextBlock would read markdown"
        assert {action["type"] for action in card["actions"]} == {"Action.OpenUrl"}
        return "\n".join(run["text"] for block in card["body"] for run in block["inlines"])
    if kind == "feishu":
        assert body["msg_type"] == "post"
        post = body["content"]["post"]["zh_cn"]
        assert {tag["tag"] for row in post["content"] for tag in row} == {"text", "a"}, "no tag that mentions anybody"
        return "\n".join(tag["text"] for row in post["content"] for tag in row)
    assert body["msgtype"] == "text"
    assert not body.get("at", {}).get("isAtAll")
    assert "mentioned_list" not in body["text"]
    return str(body["text"]["content"])


@pytest.mark.parametrize(
    ("kind", "most_bytes", "never"),
    [
        ("slack", 40_000, ("<",)),
        ("teams", 28_000, ()),
        ("dingtalk", 20_000, ()),
        ("feishu", 20_000, ()),
        ("wecom", 4_000, ("<@",)),
    ],
)
def test_A7_a_chat_service_gets_its_own_form_escaped_and_within_its_limit(
    desk: Desk, kind: str, most_bytes: int, never: tuple[str, ...]
):
    top = tuple(story(LONG + f"{n} " + "风险" * 3000) for n in range(3))
    with hook_server(Answer(body=b'{"errcode": 0, "code": 0, "ok": true}' if kind != "slack" else b"ok")) as hook:
        desk.channel("desk", kind, url=hook.url)
        desk.alert(*(f"entity:{LONG}{n}" for n in range(40)), evidence=evidence(top=top))
        assert desk.send().sent == 1
        got = hook.got[0]
    assert len(got.body) <= most_bytes
    text = _words_of(kind, json.loads(got.body))
    assert "风险" in text or "40" in text
    assert [mark for mark in never if mark in text] == []
    if kind == "wecom":
        assert len(text.encode()) <= 2048
    assert any(name.lower() == "idempotency-key" for name in got.headers)


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


def test_A8_starttls_with_a_login_and_a_private_certificate(loopback: Outside, certificate: tuple[Path, Path]):
    options = {
        "tls_context": server_context(certificate),
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
