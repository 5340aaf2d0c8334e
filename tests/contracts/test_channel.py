"""The contract of the seam `Channel`: every adapter answers sent, retry or failed, and raises for nothing outside."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from monitor.domain import ChannelConfig, Message, Severity
from monitor.notify.base import Channel
from monitor.notify.console import ConsoleChannel
from monitor.notify.factory import build_with
from monitor.notify.kinds import KINDS
from monitor.notify.post import Outside
from tests.notify.conftest import loopback, nothing_private  # noqa: F401  (fixtures)
from tests.notify.servers import Answer, Mailbox, hook_server, mail_relay
from tests.tools import free_port

MESSAGE = Message(
    key="k1",
    subject="[WARNING] Harbour Bank: 14 negative stories",
    text="WARNING: Harbour Bank\n\n1. Harbour Bank halts <!channel> withdrawals",
    severity=Severity.WARNING,
    url="https://headwind.example/alerts?alert=7",
    data={"version": 1, "count": 1},
)
ACCEPTED = {
    "slack": b"ok",
    "teams": b"",
    "dingtalk": b'{"errcode":0,"errmsg":"ok"}',
    "feishu": b'{"code":0,"msg":"success"}',
    "wecom": b'{"errcode":0,"errmsg":"ok"}',
    "webhook": b"",
    "apprise": b"",
}
HTTP_KINDS = sorted(ACCEPTED)


def _url(kind: str, port: int) -> str:
    scheme = "json" if kind == "apprise" else "http"
    return f"{scheme}://127.0.0.1:{port}/hook/T0K3Nsecret99"


@dataclass
class Reached:
    channel: Channel
    got: list[Any]


@contextmanager
def _working(kind: str, outside: Outside) -> Iterator[Reached]:
    if kind == "console":
        stream = io.StringIO()
        yield Reached(ConsoleChannel(ChannelConfig(name="it", kind=kind), stream), [stream])
    elif kind == "email":
        with mail_relay(Mailbox()) as box:
            options = {
                "host": "127.0.0.1",
                "port": box.port,
                "security": "none",
                "sender": "h@b.example",
                "to": "r@b.example",
            }
            yield Reached(build_with(ChannelConfig(name="it", kind=kind, options=options), outside), box.mails)
    else:
        with hook_server(Answer(body=ACCEPTED[kind])) as hook:
            config = ChannelConfig(name="it", kind=kind, options={"url": _url(kind, hook.port)})
            yield Reached(build_with(config, outside), hook.got)


def _unreachable(kind: str, outside: Outside) -> Channel:
    port = free_port()
    options: dict[str, Any] = {"url": _url(kind, port)}
    if kind == "email":
        options = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "h@b.example", "to": "r@b.example"}
    return build_with(ChannelConfig(name="it", kind=kind, options=options), outside)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_channel_names_itself_and_sends(kind: str, loopback: Outside):  # noqa: F811
    with _working(kind, loopback) as reached:
        assert isinstance(reached.channel, Channel)
        assert (reached.channel.name, reached.channel.kind) == ("it", kind)
        outcome = reached.channel.send(MESSAGE)
        assert outcome.status == "sent", outcome
        assert len(reached.got) == 1


@pytest.mark.parametrize("kind", [*HTTP_KINDS, "email"])
def test_a_closed_port_asks_for_a_retry(kind: str, loopback: Outside):  # noqa: F811
    assert _unreachable(kind, loopback).send(MESSAGE).status == "retry"


@pytest.mark.parametrize("kind", [*HTTP_KINDS, "email"])
def test_a_refused_address_fails_for_good_and_says_how_to_allow_it(kind: str, nothing_private: Outside):  # noqa: F811
    outcome = _unreachable(kind, nothing_private).send(MESSAGE)
    assert outcome.status == "failed"
    assert "HEADWIND_ALLOW_NETWORKS" in outcome.detail


@pytest.mark.parametrize("kind", HTTP_KINDS)
@pytest.mark.parametrize(("status", "expected"), [(503, "retry"), (429, "retry"), (400, "failed"), (404, "failed")])
def test_the_status_decides_between_retry_and_failed(kind: str, status: int, expected: str, loopback: Outside):  # noqa: F811
    with hook_server(Answer(status=status, body=b"no")) as hook:
        config = ChannelConfig(name="it", kind=kind, options={"url": _url(kind, hook.port)})
        assert build_with(config, loopback).send(MESSAGE).status == expected


@pytest.mark.parametrize("kind", HTTP_KINDS)
def test_what_the_server_says_is_kept_without_the_secret(kind: str, loopback: Outside):  # noqa: F811
    said = {"errcode": 7, "code": 7, "errmsg": "bad /hook/T0K3Nsecret99", "msg": "bad T0K3Nsecret99"}
    echo = json.dumps({**said, "ok": False, "error": "T0K3Nsecret99"}).encode()
    with hook_server(Answer(status=400, body=echo)) as hook:
        config = ChannelConfig(name="it", kind=kind, options={"url": _url(kind, hook.port)})
        outcome = build_with(config, loopback).send(MESSAGE)
    assert outcome.detail
    assert "T0K3Nsecret99" not in outcome.detail


@pytest.mark.parametrize("kind", ["slack", "teams", "dingtalk", "feishu", "wecom", "webhook"])
def test_the_body_is_json_with_the_words_in_it(kind: str, loopback: Outside):  # noqa: F811
    with _working(kind, loopback) as reached:
        reached.channel.send(MESSAGE)
        got = reached.got[0]
    assert "halts" in json.dumps(json.loads(got.body))
    assert got.headers["idempotency-key"] == "k1"
