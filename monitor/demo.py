"""`make demo`: the real product on a throw-away store, with our sample news and a negative spike on the way.

The past is imported; sample feeds are served on loopback and polled like any other; their later polls bring the bad
morning of an invented bank. Nothing is faked behind the feeds: the worker fetches, scores, counts and alerts.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from xml.etree import ElementTree

from monitor.app import open_app
from monitor.domain import ChannelConfig, NewFeed
from monitor.logs import set_up_logs
from monitor.samples import SampleItem, SamplePublisher, past_items, publishers, spike_items
from monitor.settings import PREFIX, load_settings
from monitor.supervisor import Supervisor, check_address

ITEMS_IN_FEED = 40
POLL_EVERY_S = 5
PACE = 0.01  # ninety minutes of the story pass in under a minute


def rss(publisher: SamplePublisher, items: list[SampleItem]) -> bytes:
    """An RSS 2.0 document of the items, newest first."""
    root = ElementTree.Element("rss", version="2.0")
    channel = ElementTree.SubElement(root, "channel")
    for tag, text in (
        ("title", publisher.name),
        ("link", f"https://{publisher.slug}.example/"),
        ("description", f"Sample news by {publisher.name}, an invented publisher"),
        ("language", publisher.language),
    ):
        ElementTree.SubElement(channel, tag).text = text
    for item in sorted(items, key=lambda one: one.published, reverse=True)[:ITEMS_IN_FEED]:
        entry = ElementTree.SubElement(channel, "item")
        for tag, text in (
            ("title", item.title),
            ("link", item.url),
            ("guid", item.url),
            ("description", item.summary),
            ("pubDate", format_datetime(item.published)),
        ):
            ElementTree.SubElement(entry, tag).text = text
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


class SampleFeedServer:
    """Serves one feed per sample publisher on loopback; an item appears when its time has come."""

    def __init__(self, past: list[SampleItem], coming: list[SampleItem]) -> None:
        self._items = [*past, *coming]
        served = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = served.document(self.path.strip("/").removesuffix(".xml"), datetime.now(UTC))
                if body is None:
                    self.send_error(404)
                    return
                etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
                unchanged = self.headers.get("If-None-Match") == etag
                self.send_response(304 if unchanged else 200)
                self.send_header("ETag", etag)
                self.send_header("Cache-Control", f"max-age={POLL_EVERY_S}")
                if not unchanged:
                    self.send_header("Content-Type", "application/rss+xml; charset=utf-8")
                self.send_header("Content-Length", "0" if unchanged else str(len(body)))
                self.end_headers()
                if not unchanged:
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """The worker's log already tells of each poll."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="sample feeds", daemon=True)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def document(self, slug: str, now: datetime) -> bytes | None:
        for publisher in publishers().values():
            if publisher.slug == slug:
                due = [i for i in self._items if i.publisher.slug == slug and i.published <= now]
                return rss(publisher, due)
        return None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def run_demo(keep: str | None, after_s: float) -> int:
    """Prepare the throw-away store, serve the sample feeds, and run worker and dashboard until stopped."""
    with tempfile.TemporaryDirectory(prefix="headwind-demo-", ignore_cleanup_errors=True) as temporary:
        home = Path(keep) if keep else Path(temporary)
        home.mkdir(parents=True, exist_ok=True)
        # The children read these; a database of the operator's own must not be touched by a demonstration.
        os.environ[f"{PREFIX}HOME"] = str(home)
        os.environ[f"{PREFIX}DATABASE_URL"] = ""
        os.environ[f"{PREFIX}CONFIG"] = ""
        os.environ[f"{PREFIX}ALLOW_NETWORKS"] = "127.0.0.0/8"
        os.environ[f"{PREFIX}POLL_MIN_S"] = str(POLL_EVERY_S)
        settings = load_settings()
        check_address(settings)
        set_up_logs(settings.log_level, home / "logs")
        app = open_app(settings)
        try:
            now = datetime.now(UTC)
            print("Headwind demo: reading and scoring six weeks of sample news ...", flush=True)
            app.prepare()
            count = app.add_sample_news(now)
            app.score("demo", lambda: datetime.now(UTC))
            print(f"  {count} articles of invented companies are in the store", flush=True)
            start = datetime.now(UTC) + timedelta(seconds=after_s)
            server = SampleFeedServer(past_items(now), spike_items(start, PACE))
            server.start()
            for publisher in publishers().values():
                app.store.add_feed(
                    NewFeed(
                        url=f"{server.base}/{publisher.slug}.xml",
                        title=publisher.name,
                        publisher=publisher.name,
                        family=publisher.family,
                        language=publisher.language,
                        sample=True,
                    ),
                    now,
                )
            app.store.save_channel(ChannelConfig(name="console", kind="console"), "demo", now)
            print(f"Headwind: {settings.links_base}   (Ctrl-C stops it and removes {home})", flush=True)
            print(f"  bad news about Calderwick Bank begins in {after_s:.0f} s; watch Now and Alerts", flush=True)
            try:
                Supervisor(app).run()
            finally:
                server.stop()
        finally:
            app.close()
    return 0
