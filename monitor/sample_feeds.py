"""The sample news as real feeds: an HTTP server on loopback whose items appear when their time has come."""

from __future__ import annotations

import hashlib
import threading
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.etree import ElementTree

from monitor.samples import SampleItem, SamplePublisher, publishers

ITEMS_IN_FEED = 40
POLL_EVERY_S = 5


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
