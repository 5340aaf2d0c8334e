"""Channels in a bank's network: an egress proxy, a private certificate authority, an internal mail relay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from monitor.domain import Message, SendOutcome, Severity
from monitor.notify.factory import build_channel, build_with
from monitor.notify.post import Outside
from tests.notify.certificates import self_signed, server_context
from tests.notify.conftest import channel
from tests.notify.servers import Mailbox, hook_server, mail_relay, tunnel_proxy


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("tls"))


def _send(kind: str, outside: Outside, **options: str) -> SendOutcome:
    message = Message(key="k1", subject="subject", text="words", severity=Severity.WARNING)
    return build_with(channel("it", kind, **options), outside).send(message)


@pytest.mark.parametrize("kind", ["webhook", "apprise"])
def test_a_private_certificate_authority_is_trusted_when_it_is_named(
    kind: str, certificate: tuple[Path, Path], loopback: Outside
):
    with hook_server(tls=server_context(certificate)) as hook:
        url = hook.url.replace("https:", "jsons:") if kind == "apprise" else hook.url
        trusting = replace(loopback, ca_bundle=str(certificate[0]))
        assert _send(kind, trusting, url=url).status == "sent"
        assert _send(kind, loopback, url=url).status == "retry"
        assert len(hook.got) == 1


@pytest.mark.parametrize("kind", ["webhook", "apprise"])
def test_messages_go_through_the_egress_proxy(kind: str, certificate: tuple[Path, Path], loopback: Outside):
    with hook_server(tls=server_context(certificate)) as hook, tunnel_proxy() as proxy:
        url = hook.url.replace("https:", "jsons:") if kind == "apprise" else hook.url
        login = proxy.url.replace("//", "//desk:pr0xypass@")
        outcome = _send(kind, replace(loopback, ca_bundle=str(certificate[0]), proxy=login), url=url)
        assert outcome.status == "sent", outcome
        assert proxy.asked == [f"127.0.0.1:{hook.port}"]
        assert proxy.authorization
        assert len(hook.got) == 1


@pytest.mark.parametrize("kind", ["webhook", "apprise"])
def test_the_proxy_is_not_asked_for_an_address_that_is_refused(kind: str, nothing_private: Outside):
    with tunnel_proxy() as proxy:
        scheme = "jsons" if kind == "apprise" else "https"
        outcome = _send(kind, replace(nothing_private, proxy=proxy.url), url=f"{scheme}://10.0.0.1/x")
        assert outcome.status == "failed"
        assert proxy.asked == []


def test_an_internal_relay_needs_its_network_named(loopback: Outside, nothing_private: Outside):
    with mail_relay(Mailbox()) as box:
        options = {"host": "127.0.0.1", "port": str(box.port), "security": "none"}
        options |= {"sender": "h@bank.example", "to": "r@bank.example"}
        assert _send("email", nothing_private, **options).status == "failed"
        assert _send("email", loopback, **options).status == "sent"
        assert len(box.mails) == 1


def test_a_relay_that_speaks_tls_from_the_start(certificate: tuple[Path, Path], loopback: Outside):
    with mail_relay(Mailbox(), ssl_context=server_context(certificate)) as box:
        options = {"host": "127.0.0.1", "port": str(box.port), "security": "tls"}
        options |= {"sender": "h@bank.example", "to": "r@bank.example"}
        assert _send("email", replace(loopback, ca_bundle=str(certificate[0])), **options).status == "sent"


def test_by_default_nothing_private_is_reached():
    with hook_server() as hook:
        message = Message(key="k1", subject="subject", text="words", severity=Severity.INFO)
        assert build_channel(channel("it", "webhook", url=hook.url)).send(message).status == "failed"
        assert hook.got == []
