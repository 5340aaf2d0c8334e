"""Feeds in a bank's network (egress proxy, private certificate authority), and what the worker tells the outside."""

from __future__ import annotations

import socket
import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.app import App, open_app
from monitor.cli import main
from monitor.domain import NewFeed
from monitor.errors import FeedError, SettingsError
from monitor.feeds.fetch import Fetcher
from monitor.metrics import POLLS, serve
from monitor.scheduler import Worker
from tests.feeds.loopback import LOOPBACK, NOW, Server, answer, feed, rss
from tests.notify.certificates import self_signed
from tests.notify.servers import tunnel_proxy


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secure(certificate: tuple[Path, Path]) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    running = Server(tls=context)
    yield running
    running.close()


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    monkeypatch.setenv("HEADWIND_ALLOW_NETWORKS", "127.0.0.0/8")
    opened = open_app()
    yield opened
    opened.close()


def test_a_private_certificate_authority_is_trusted_only_when_it_is_named(
    secure: Server, certificate: tuple[Path, Path]
) -> None:
    one = feed(secure.serve("/feed", answer(rss("Rates rise"))))
    plain, trusting = Fetcher(allow_networks=LOOPBACK), Fetcher(allow_networks=LOOPBACK, ca_bundle=str(certificate[0]))
    try:
        with pytest.raises(FeedError, match="CERTIFICATE_VERIFY_FAILED"):
            plain.fetch(one, NOW)
        assert b"Rates rise" in trusting.fetch(one, NOW).body
    finally:
        plain.close()
        trusting.close()


def test_feeds_go_through_the_egress_proxy_with_its_login_and_are_still_guarded(
    secure: Server, certificate: tuple[Path, Path]
) -> None:
    with tunnel_proxy() as proxy:
        login = proxy.url.replace("//", "//desk:pr0xypass@")
        behind = Fetcher(allow_networks=LOOPBACK, proxy=login, ca_bundle=str(certificate[0]))
        try:
            one = feed(secure.serve("/feed", answer(rss("Rates rise"))))
            assert b"Rates rise" in behind.fetch(one, NOW).body
            assert proxy.asked == [f"127.0.0.1:{secure.port}"] and len(proxy.authorization) == 1
            with pytest.raises(FeedError, match="private address"):
                behind.fetch(feed("https://10.0.0.1/feed"), NOW)
            assert len(proxy.asked) == 1, "the proxy is not asked for what is refused"
        finally:
            behind.close()


def test_a_check_reaches_every_feed_and_marks_those_that_answer(
    site: Server, app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    good, page = site.serve("/good", answer(rss("Rates rise"))), site.serve("/page", answer(b"<html>hello</html>"))
    for url in (good, page, "http://10.0.0.1/feed"):
        app.store.add_feed(NewFeed(url=url, note="unverified"), NOW)
    assert main(["feeds", "check"]) == 0
    told = capsys.readouterr()
    assert f"{good}: ok, 1 items, News" in told.out
    assert f"{page}: FAILS: the server sent a web page" in told.out
    assert "10.0.0.1/feed: FAILS: 10.0.0.1 is a private address" in told.out
    assert "1 of 3 feeds answer" in told.err
    assert [one.note for one in app.store.feeds()] == ["", "unverified", "unverified"]
    assert main(["feeds", "check", page]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_poll_that_succeeds_verifies_the_address_too(site: Server, app: App) -> None:
    app.store.add_feed(NewFeed(url=site.serve("/feed", answer(rss("Rates rise"))), note="unverified"), NOW)
    [result] = app.poll(NOW)
    assert result.error is None
    assert [one.note for one in app.store.feeds()] == [""]


def test_the_heartbeat_is_sent_while_the_pipeline_works_and_not_while_it_stands(
    site: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWIND_ALLOW_NETWORKS", "127.0.0.0/8")
    monkeypatch.setenv("HEADWIND_HEARTBEAT_URL", site.serve("/alive", answer(b"ok")))
    opened = open_app()
    try:
        worker = Worker(opened, clock=lambda: NOW)
        worker._keep()
        assert [path for path, _ in site.requests] == ["/alive"]
        worker._job("poll", lambda: 1 / 0)()
        worker._keep()
        assert len(site.requests) == 1, "a job that fails is no sign of life"
        site.serve("/alive", answer(b"", 500))
        opened.heartbeat()
        assert len(site.requests) == 2, "a watcher that answers with an error ends nothing"
    finally:
        opened.close()


def test_metrics_are_on_loopback_only() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    POLLS.labels("ok").inc()
    server, thread = serve(port) or (None, None)
    assert server is not None and thread is not None
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as scraped:
            assert b'headwind_polls_total{outcome="ok"}' in scraped.read()
        assert server.server_address[0] == "127.0.0.1"
        with pytest.raises(SettingsError, match="metrics_port"):
            serve(port)
    finally:
        server.shutdown()
        server.server_close()
    assert serve(0) is None
