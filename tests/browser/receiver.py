"""A feed and a webhook on loopback, for what the pages reach out to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FEED = b"""<?xml version="1.0"?><rss version="2.0"><channel><title>Harbour Gazette</title><language>en</language>
<item><guid>1</guid><title>Quill Insurance faces a lawsuit</title><link>https://gazette.example/1</link>
<pubDate>Mon, 02 Nov 2026 08:00:00 GMT</pubDate></item>
<item><guid>2</guid><title>Calder Foods profit rises</title><link>https://gazette.example/2</link>
<pubDate>Mon, 02 Nov 2026 09:00:00 GMT</pubDate></item></channel></rss>"""


@dataclass
class Receiver:
    """status: what a POST is answered with; below 300 it is kept."""

    url: str
    posts: list[bytes] = field(default_factory=list)
    status: int = 204


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/rss+xml")
            self.send_header("Content-Length", str(len(FEED)))
            self.end_headers()
            self.wfile.write(FEED)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if receiver.status < 300:
                receiver.posts.append(body)
            self.send_response(receiver.status)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
