"""L1 and L3: many feeds with bad ones among them, and a long backlog. Long forms with `make soak`."""

from __future__ import annotations

import resource
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from itertools import pairwise
from typing import Any

import pytest

from monitor.domain import DateQuality, NewArticle, NewFeed
from monitor.feeds.fetch import Fetcher, FetchLimits
from monitor.feeds.parser import ParserPool
from monitor.feeds.stories import StoryIndex
from monitor.ingest import poll_due
from monitor.scoring import score_queue
from tests.scripted_classifier import ScriptedClassifier

NOW = datetime(2026, 3, 12, 10, 7, tzinfo=UTC)


class Wire(BaseHTTPRequestHandler):
    """/<n>.xml is a feed of one item; /bad/<n>.xml is no feed."""

    def do_GET(self) -> None:
        number = self.path.rsplit("/", 1)[1].removesuffix(".xml")
        item = f"<item><title>Firm {number} opens branch {number}</title><link>https://w.example/{number}</link></item>"
        text = "<html>busy" if "/bad/" in self.path else f"<rss><channel><title>{number}</title>{item}</channel></rss>"
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/rss+xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.timeout(600)
@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.soak)])
def test_L1_healthy_feeds_are_stored_while_others_hang_or_send_nonsense(store: Any, count: int) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Wire)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    silent = socket.create_server(("127.0.0.1", 0), backlog=256)  # accepts by the kernel, and never answers
    hanging, bad = count // 20, count // 100
    for number in range(count):
        if number < hanging:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/{number}.xml"
        elif number < hanging + bad:
            url = f"http://127.0.0.1:{port}/bad/{number}.xml"
        else:
            url = f"http://127.0.0.1:{port}/{number}.xml"
        store.add_feed(NewFeed(url=url, title=str(number), publisher=f"Wire {number}"), NOW)
    limits = FetchLimits(connect_s=3, total_s=6, per_host=16)  # all hosts are one here, and hanging ones take places
    fetcher = Fetcher(allow_networks=[ip_network("127.0.0.0/8")], limits=limits)
    parser = ParserPool()
    before = megabytes()
    try:
        results = list(poll_due(store, fetcher, parser, StoryIndex(), NOW))
    finally:
        fetcher.close()
        parser.close()
        server.shutdown()
        server.server_close()
        silent.close()
    failed = [result for result in results if result.error]
    assert len(results) == count
    assert len(failed) == hanging + bad
    assert store.status().articles == count - hanging - bad
    assert megabytes() - before < 500


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("count", [6_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_L3_a_backlog_is_scored_in_bounded_memory_and_at_a_steady_rate(store: Any, count: int) -> None:
    scorer = ScriptedClassifier()
    store.set_live_model(scorer.version, scorer.languages, "test", "first", NOW)
    for start in range(0, count, 2_000):
        store.add_articles([backlog(number, count) for number in range(start, min(count, start + 2_000))], NOW)
    before = megabytes()
    marks: list[tuple[int, float]] = []
    done = 0

    def note(scored: int) -> None:
        nonlocal done
        done += scored
        marks.append((done, time.monotonic()))

    report = score_queue(store, scorer, "w", lambda: NOW, progress=note)
    assert report.scored == count
    assert store.status().unscored == 0
    assert megabytes() - before < 300, "the backlog is not held in memory"
    assert max(b[0] - a[0] for a, b in pairwise(marks)) <= 512, "batch by batch"


def backlog(number: int, count: int) -> NewArticle:
    at = NOW - timedelta(days=60) * (1 - number / count)
    return NewArticle(
        identity=f"b{number:07}",
        story_id=f"b{number:07}",
        feed_id=None,
        publisher=f"Wire {number % 7}",
        family=f"Wire {number % 7}",
        language="en",
        title=f"Firm {number} reports a loss" if number % 3 else f"Firm {number} opens a branch",
        summary="",
        url=None,
        author="",
        published=at,
        first_seen=at,
        date_quality=DateQuality.EXACT,
        counts=True,
    )
