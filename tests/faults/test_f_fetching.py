"""F1 to F14 of the faults that fetching survives, against real servers on loopback."""

from __future__ import annotations

import gzip
import logging
import queue
import resource
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from datetime import timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import brotli
import pytest

from monitor.domain import Feed, FeedState, Fetched, NewFeed
from monitor.errors import FeedError
from monitor.feeds.fetch import Fetcher, FetchLimits, _entitled, _origin
from monitor.feeds.parser import ParserPool
from monitor.feeds.stories import StoryIndex
from monitor.guard import AddressPolicy, AddressRefused
from monitor.ingest import poll_due
from monitor.store import open_store
from monitor.store.base import Store
from tests.feeds.loopback import LOOPBACK, NOW, Server, answer, feed, fetcher, rss, server

HOSTS = (
    "127.0.0.1", "[::1]", "0x7f.1", "2130706433", "127.1", "169.254.169.254", "100.64.0.1", "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]", "[fec0::1]", "224.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::]", "0", "10.0.0.1",
    "192.168.1.1", "[fd00::1]", "[64:ff9b:1::7f00:1]", "[::127.0.0.1]", "017700000001",
)  # fmt: skip


@pytest.fixture
def site() -> Iterator[Server]:
    with server() as running:
        yield running


@pytest.fixture(scope="module")
def parser() -> Iterator[ParserPool]:
    pool = ParserPool(workers=1, timeout_s=10.0)
    yield pool
    pool.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'headwind.db'}")
    yield opened
    opened.close()


def refusal(asked: Fetcher, url: str) -> FeedError:
    with pytest.raises(FeedError) as caught:
        asked.fetch(feed(url), NOW)
    return caught.value


@pytest.mark.parametrize("host", HOSTS)
def test_F1_a_private_address_in_any_spelling_is_refused_and_no_connection_is_made(host: str, site: Server) -> None:
    with fetcher(allow=False) as strict:
        error = refusal(strict, f"http://{host}:{site.port}/feed")
    assert error.kind == "refused"
    assert site.requests == []


def test_F1_a_name_that_resolves_to_a_private_address_among_public_ones_is_refused(site: Server) -> None:
    strict = Fetcher(resolver=lambda host, port: ["93.184.216.34", "127.0.0.1"])
    error = refusal(strict, f"http://news.example:{site.port}/feed")
    strict.close()
    assert error.kind == "refused"
    assert site.requests == []


def test_F1_public_addresses_are_not_refused() -> None:
    policy = AddressPolicy()
    assert [policy.reason(a) for a in ("93.184.216.34", "2606:2800:220:1::1", "8.8.8.8")] == [None, None, None]


def test_F2_a_redirect_from_an_allowed_to_a_refused_host_is_refused(site: Server) -> None:
    with server("127.0.0.2") as inner:
        url = site.serve("/feed", answer(b"", 302, Location=inner.url("/secret")))
        narrow = Fetcher(allow_networks=[type(LOOPBACK[0])("127.0.0.1/32")])
        error = refusal(narrow, url)
        narrow.close()
        assert error.kind == "refused"
        assert inner.requests == []


def test_F3_the_address_that_was_checked_is_the_address_that_is_connected_to(site: Server) -> None:
    answers = [["127.0.0.1"], ["169.254.169.254"], ["169.254.169.254"]]
    asked: list[str] = []

    def changing(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    site.serve("/feed", answer(rss("Rates rise"), Connection="close"))
    narrow = Fetcher(allow_networks=LOOPBACK, resolver=changing)
    first = narrow.fetch(feed(f"http://rebinding.example:{site.port}/feed"), NOW)
    error = refusal(narrow, f"http://rebinding.example:{site.port}/feed")
    narrow.close()
    assert first.status == 200
    assert error.kind == "refused"
    assert asked == ["rebinding.example"] * 2  # once per connection: nothing is resolved again behind the check
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    "url", ["file:///etc/hostname", "/etc/hostname", "data:text/xml,<rss/>", "ftp://a.example/f", ""]
)
def test_F5_what_is_not_http_is_refused_before_the_parser(url: str) -> None:
    with fetcher() as asked:
        assert refusal(asked, url).kind == "refused"


def test_F6_a_dripping_and_a_mute_server_are_cut_off_and_hold_nobody_up(site: Server) -> None:
    stop = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        while not stop.wait(0.1):
            handler.wfile.write(b"x")
            handler.wfile.flush()

    mute = socket.socket()
    mute.bind(("127.0.0.3", 0))
    mute.listen(8)
    good = site.serve("/good", answer(rss("Rates rise")))
    with server("127.0.0.2") as slow, fetcher(total_s=2.0) as asked:
        feeds = [
            feed(slow.serve("/drip", drip), 1),
            feed(f"http://127.0.0.3:{mute.getsockname()[1]}/", 2),
            feed(good, 3),
        ]
        began = time.monotonic()
        done = [(one.id, outcome, time.monotonic() - began) for one, outcome in asked.fetch_many(feeds, NOW)]
        stop.set()
    mute.close()
    assert done[0][0] == 3, "the healthy feed comes first"
    assert {one: outcome.kind for one, outcome, _ in done[1:] if isinstance(outcome, FeedError)} == {
        1: "timeout",
        2: "timeout",
    }
    assert FetchLimits().total_s == 20.0
    assert FetchLimits().connect_s == 10.0


def bomb(encoding: str, megabytes: int) -> bytes:
    """So many megabytes of zeros, packed. A deflate block that was flushed fully can be repeated as it is."""
    block = bytes(2**20)
    if encoding == "br":
        made = brotli.Compressor(quality=1)
        return b"".join([made.process(block) for _ in range(megabytes)]) + made.finish()
    packer = zlib.compressobj(9, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
    first = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + again * (megabytes - 1)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate"])
def test_F7_a_compression_bomb_stops_at_15_MiB(encoding: str, site: Server) -> None:
    packed = bomb(encoding, 1_000 if encoding == "br" else 10_000)
    url = site.serve("/feed", answer(packed, Content_Encoding=encoding))
    with fetcher() as asked:
        asked.fetch(feed(site.serve("/small", answer(rss("Rates rise")))), NOW)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        error = refusal(asked, url)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert error.kind == "too_large"
    assert "15 MiB" in str(error)
    assert grown <= 64


def test_F7_a_plain_body_without_end_stops_at_15_MiB(site: Server) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        for _ in range(200):
            handler.wfile.write(bytes(2**20))

    with fetcher() as asked:
        assert refusal(asked, site.serve("/feed", endless)).kind == "too_large"


def test_F7_only_so_many_large_bodies_wait_to_be_read_and_none_is_lost(site: Server) -> None:
    feeds = [feed(site.serve(f"/{number}", answer(b"<rss>" + b"x" * 5_000)), number) for number in range(6)]
    feeds.append(feed(site.serve("/blank", answer(b" " * 5_000)), 6))  # takes a place and gives it back by itself
    done: queue.SimpleQueue[Feed] = queue.SimpleQueue()
    with fetcher(large_bytes=1_000, large_at_once=2, per_host=8) as asked:
        started = asked.start(feeds, NOW, lambda one, outcome: isinstance(outcome, Fetched) and done.put(one))
        held = [done.get(timeout=10), done.get(timeout=10)]
        with pytest.raises(queue.Empty):
            done.get(timeout=0.3)
        order = [one.id for one in held]
        while held:
            started.taken(held.pop())
            if len(order) < 6:
                held.append(done.get(timeout=10))
                order.append(held[-1].id)
    assert sorted(order) == list(range(6))


def test_F8_chained_encodings_are_refused_undecoded(site: Server) -> None:
    body = rss("Rates rise")
    for _ in range(6):
        body = gzip.compress(body)
    url = site.serve("/feed", answer(body, Content_Encoding=", ".join(["gzip"] * 6)))
    with fetcher() as asked:
        error = refusal(asked, url)
    assert error.kind == "refused"
    assert "6 chained" in str(error)


def test_F8_the_body_of_a_redirect_is_never_read(site: Server) -> None:
    site.serve("/new", answer(rss("Rates rise")))
    url = site.serve("/feed", answer(bomb("gzip", 64), 301, Location="/new", Content_Encoding="gzip, gzip"))
    with fetcher() as asked:
        fetched = asked.fetch(feed(url), NOW)
    assert fetched.status == 200
    assert fetched.url == site.url("/new")
    assert fetched.moved_permanently


def test_F9_not_modified_and_new_etags_bring_no_duplicates(site: Server, store: Store, parser: ParserPool) -> None:
    body, version = rss("Rates rise", "Rates fall"), iter(range(10))

    def same_body_new_etag(handler: BaseHTTPRequestHandler) -> None:
        answer(body, ETag=f'"v{next(version)}"', Expires="0")(handler)

    url = site.serve("/feed", same_body_new_etag)
    store.add_feed(NewFeed(url=url), NOW)
    index = StoryIndex()
    with fetcher() as asked:
        first = list(poll_due(store, asked, parser, index, NOW))
        second = list(poll_due(store, asked, parser, index, NOW + timedelta(hours=2)))
        site.serve("/feed", answer(b"", 304))
        third = list(poll_due(store, asked, parser, index, NOW + timedelta(hours=4)))
    assert (first[0].new, second[0].new, second[0].seen) == (2, 0, 2)
    assert third[0].not_modified
    assert store.status().articles == 2
    assert [headers.get("if-none-match") for _, headers in site.requests] == [None, '"v0"', '"v1"']
    kept = store.feeds()[0]
    assert kept.etag == '"v1"'
    assert kept.state is FeedState.OK


@pytest.mark.parametrize(
    ("value", "waited_s"),
    [
        ("6000", 6000),
        (format_datetime(NOW + timedelta(seconds=7200), usegmt=True), 7200),
        (str(10 * 365 * 86400), 86400),
        ("soon, perhaps", 900),
        ("-5", 900),
    ],
)
def test_F10_retry_after_is_obeyed_when_longer_and_capped_at_a_day(
    value: str, waited_s: float, site: Server, store: Store, parser: ParserPool
) -> None:
    url = site.serve("/feed", answer(b"busy", 503, Retry_After=value))
    store.add_feed(NewFeed(url=url), NOW)
    with fetcher() as asked:
        list(poll_due(store, asked, parser, StoryIndex(), NOW))
    after = store.feeds()[0].next_poll
    assert after is not None
    assert waited_s <= (after - NOW).total_seconds() <= 1.1 * waited_s


def test_F11_gone_disables_and_says_so_while_other_failures_back_off_for_ever(
    site: Server, store: Store, parser: ParserPool
) -> None:
    gone = store.add_feed(NewFeed(url=site.serve("/gone", answer(b"", 410))), NOW)
    broken = store.add_feed(NewFeed(url=site.serve("/broken", answer(rss("Rates rise")))), NOW)
    index, now, waits = StoryIndex(), NOW, []
    with fetcher() as asked:
        list(poll_due(store, asked, parser, index, now))
        site.serve("/broken", answer(b"oops", 500))
        for _ in range(12):
            now += timedelta(days=1)
            list(poll_due(store, asked, parser, index, now))
            kept = store.feed(broken.id)
            assert kept is not None and kept.next_poll is not None
            waits.append((kept.next_poll - now).total_seconds())
        site.serve("/broken", answer(rss("Rates rise", "Rates fall")))
        now += timedelta(days=1)
        list(poll_due(store, asked, parser, index, now))
    ended = store.feed(gone.id)
    assert ended is not None and ended.state is FeedState.DISABLED and not ended.enabled
    assert "gone" in (ended.last_error or "")
    assert waits == sorted(waits) and waits[1] > 1.5 * waits[0], "each failure waits longer"
    assert max(waits) <= 13.2 * 3600, "but never for ever"
    recovered = store.feed(broken.id)
    assert recovered is not None and recovered.failures == 0 and recovered.state is FeedState.OK
    assert store.status().articles == 2, "what was there stayed, and what came after the fault is in"


def test_F6_feeds_that_failed_begin_first_on_half_of_the_places(site: Server) -> None:
    mute = socket.socket()
    mute.bind(("127.0.0.3", 0))
    mute.listen(16)
    silent = [feed(f"http://127.0.0.3:{mute.getsockname()[1]}/{n}", n, failures=2) for n in range(100, 106)]
    good = [feed(site.serve(f"/{number}", answer(rss("Rates rise"))), number) for number in range(20)]
    again = feed(site.serve("/again", answer(rss("Rates fall"))), 1000, failures=1)
    with fetcher(at_once=8, per_host=16, total_s=3.0) as asked:
        order = [one.id for one, _ in asked.fetch_many([*good, *silent, again], NOW)]
    mute.close()
    assert set(order[:20]) == set(range(20)), "the silent ones, four at a time, hold nobody up"
    assert order.index(1000) > 20, "it waits among those that failed"
    assert site.requests[0][0] != "/again"
    with fetcher(at_once=1) as asked:
        assert next(iter(asked.fetch_many([*good, again], NOW)))[0].id == 1000, "those that failed begin first"


def test_F12_a_hundred_feeds_of_one_host_take_turns_and_hold_up_no_other() -> None:
    def slow(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.02)
        answer(rss("Rates rise"))(handler)

    with server("127.0.0.1") as crowded, server("127.0.0.2") as other, fetcher(at_once=8) as asked:
        feeds = [feed(crowded.serve(f"/{number}", slow), number) for number in range(100)]
        feeds.append(feed(other.serve("/feed", answer(rss("Rates fall"))), 1000))
        order = [one.id for one, _ in asked.fetch_many(feeds, NOW)]
        assert crowded.most_at_once <= 2
    assert sorted(order) == [*range(100), 1000]
    assert order.index(1000) < 20


@pytest.mark.parametrize(
    "bad",
    [
        answer(b"<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>", Content_Type="text/html"),
        answer(b""),
        answer(b"   \n"),
        answer(rss("Rates fall")[:-30]),
        answer(rss("Rates fall"), Content_Length="5000", Connection="close"),
        answer(gzip.compress(rss("Rates fall"))[:-12], Content_Encoding="gzip"),
        answer(b"<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'><url/></urlset>"),
    ],
    ids=["challenge page", "empty", "blank", "cut document", "cut transfer", "cut gzip", "sitemap"],
)
def test_F13_what_is_no_whole_feed_is_an_error_and_the_old_validators_stay(
    bad: object, site: Server, store: Store, parser: ParserPool
) -> None:
    added = store.add_feed(NewFeed(url=site.serve("/feed", answer(rss("Rates rise"), ETag='"good"'))), NOW)
    index = StoryIndex()
    with fetcher(total_s=3.0) as asked:
        list(poll_due(store, asked, parser, index, NOW))

        def close_after(handler: BaseHTTPRequestHandler) -> None:
            bad(handler)  # type: ignore[operator]
            handler.close_connection = True

        site.serve("/feed", close_after)
        result = next(iter(poll_due(store, asked, parser, index, NOW + timedelta(hours=2))))
    kept = store.feed(added.id)
    assert result.error
    assert kept is not None and kept.etag == '"good"' and kept.state is FeedState.FAILING
    assert store.status().articles == 1


def test_F14_credentials_stay_with_their_host_and_out_of_errors_and_logs(
    site: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with server("127.0.0.2") as other, fetcher() as asked:
        other.serve("/feed", answer(b"", 500))
        site.serve("/feed", answer(b"", 302, Location=other.url("/feed")))
        error = refusal(asked, f"http://desk:hunter2@127.0.0.1:{site.port}/feed")
        assert "authorization" in site.requests[0][1]
        assert "authorization" not in other.requests[0][1]
        wrong = refusal(asked, "http://desk:hunter2@nosuch.invalid/feed?token=hunter2")
    assert "hunter2" not in str(error) + str(wrong) + caplog.text


@pytest.mark.parametrize(
    ("target", "entitled"),
    [
        ("http://bank.example/new", True),
        ("https://bank.example/feed", True),
        ("http://bank.example:8080/feed", False),
        ("https://bank.example:8443/feed", False),
        ("https://news.bank.example/feed", False),
    ],
)
def test_F14_credentials_follow_a_redirect_only_to_the_same_host_over_tls(target: str, entitled: bool) -> None:
    assert _entitled(_origin(target), _origin("http://bank.example/feed")) is entitled
    assert not _entitled(_origin("http://bank.example/feed"), _origin("https://bank.example/feed"))


def test_F14_a_client_for_channels_is_guarded_the_same_way(site: Server) -> None:
    from monitor.net import guarded_client

    with guarded_client(AddressPolicy()) as client, pytest.raises(AddressRefused):
        client.get(site.url("/hook"))
    assert site.requests == []
