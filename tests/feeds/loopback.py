"""A real web server on loopback whose answers a test writes, and feed documents to answer with."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from xml.sax.saxutils import escape

from monitor.domain import Feed, FeedState
from monitor.feeds.fetch import Fetcher, FetchLimits

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
LOOPBACK = (ip_network("127.0.0.0/8"),)
Answer = Callable[[BaseHTTPRequestHandler], None]


def rss(*items: tuple[str, str] | str, language: str = "en") -> bytes:
    """An RSS document; an item is a title, or a title and a link."""
    parts = []
    for number, item in enumerate(items):
        title, link = item if isinstance(item, tuple) else (item, f"https://news.example/{abs(hash(item))}")
        date = format_datetime(NOW - timedelta(hours=1, minutes=number))
        parts.append(f"<item><title>{escape(title)}</title><link>{escape(link)}</link><pubDate>{date}</pubDate></item>")
    head = f'<?xml version="1.0"?><rss version="2.0"><channel><title>News</title><language>{language}</language>'
    return f"{head}{''.join(parts)}</channel></rss>".encode()


def answer(body: bytes, status: int = 200, **headers: str) -> Answer:
    """Always the same answer; header names are written with underscores."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return send


class Server:
    """Answers by path; remembers each request as (path, headers)."""

    def __init__(self, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.paths: dict[str, Answer] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with outer._lock:
                    outer.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                    outer.at_once += 1
                    outer.most_at_once = max(outer.most_at_once, outer.at_once)
                try:
                    outer.paths.get(self.path, answer(b"nothing here", 404))(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
                finally:
                    with outer._lock:
                        outer.at_once -= 1

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self._server.daemon_threads = True
        self._scheme = "https" if tls else "http"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.address, self.port = address, self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def url(self, path: str = "/feed") -> str:
        return f"{self._scheme}://{self.address}:{self.port}{path}"

    def serve(self, path: str, how: Answer) -> str:
        self.paths[path] = how
        return self.url(path)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def server(address: str = "127.0.0.1") -> Iterator[Server]:
    running = Server(address)
    try:
        yield running
    finally:
        running.close()


@contextmanager
def fetcher(allow: bool = True, **limits: float) -> Iterator[Fetcher]:
    made = Fetcher(allow_networks=LOOPBACK if allow else (), limits=FetchLimits(**limits))  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.close()


def feed(url: str, number: int = 1, **more: object) -> Feed:
    values: dict[str, object] = {
        "id": number, "url": url, "title": "News", "publisher": "News", "family": "News", "language": "en",
        "enabled": True, "sample": False, "note": "", "state": FeedState.OK, "added": NOW,
    }  # fmt: skip
    return Feed(**(values | more))  # type: ignore[arg-type]
