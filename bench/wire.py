"""Thousands of feeds on loopback for `bench.poll`: each at an address of its own, some slow for ever.

    python -m bench.wire --port 18100 --feeds 1000

One asyncio process. Feed N lives at http://127.x.y.z:PORT/N.xml (`address`), four to a host, and answers after 50 ms.
What it answers depends on the phase, which `GET /phase/P` on 127.0.0.1 sets:
phase 0   every feed sends its document, with an ETag
phase P   2 % never answer; 8 % have a new item; the others answer 304 to whoever brings the right ETag
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import hashlib
import random
import resource
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from bench.sentences import sentence

DELAY_S = 0.05
HANGING, CHANGING = 0.02, 0.08
PER_HOST = 4
ITEMS = 10


def host_of(feed: int) -> str:
    number = feed // PER_HOST
    return f"127.{1 + number // 62_500}.{number // 250 % 250}.{1 + number % 250}"


def address(feed: int, port: int) -> str:
    return f"http://{host_of(feed)}:{port}/{feed}.xml"


@functools.cache
def _chance(feed: int, what: str) -> float:
    return int.from_bytes(hashlib.blake2b(f"{what}:{feed}".encode(), digest_size=4).digest()) / 2**32


def hangs(feed: int) -> bool:
    return _chance(feed, "hangs") < HANGING


def version(feed: int, phase: int) -> int:
    """How many items have been added to the feed by this phase: the same feeds never hang and change."""
    return sum(not hangs(feed) and _chance(feed, f"changes in {p}") < CHANGING for p in range(1, phase + 1))


def document(feed: int, phase: int) -> bytes:
    """An RSS document of ten items, newest first."""
    newest = version(feed, phase) + ITEMS
    now = datetime.now(UTC)
    parts = [
        _item(feed, number, now - timedelta(minutes=37 * (newest - number)))
        for number in range(newest, newest - ITEMS, -1)
    ]
    head = f'<?xml version="1.0"?><rss version="2.0"><channel><title>Wire {feed}</title><link>http://w.example</link>'
    return f"{head}<description>News</description>{''.join(parts)}</channel></rss>".encode()


def _item(feed: int, number: int, at: datetime) -> str:
    draw = random.Random(feed * 1_000 + number)
    link = f"https://w{feed}.example/{number}"
    return (
        f"<item><title>{sentence(draw, 9)}</title><link>{link}</link><guid>{link}</guid>"
        f"<pubDate>{format_datetime(at)}</pubDate>"
        f"<description>&lt;p&gt;{sentence(draw, 40)}&lt;/p&gt;</description></item>"
    )


class Wire:
    def __init__(self) -> None:
        self.phase = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head.decode("latin-1"), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def _answer(self, head: str, writer: asyncio.StreamWriter) -> None:
        path = head.split(" ", 2)[1]
        if path.startswith("/phase/"):
            self.phase = int(path.rsplit("/", 1)[1])
            await _send(writer, "200 OK", "", b"ok")
            return
        feed, phase = int(path[1:].removesuffix(".xml")), self.phase
        if phase and hangs(feed):
            await asyncio.sleep(300)
            raise ConnectionError("the client has gone long ago")
        await asyncio.sleep(DELAY_S)
        tag = f'"{feed}-{version(feed, phase)}"'
        if any(line.lower().startswith("if-none-match:") and tag in line for line in head.split("\r\n")):
            await _send(writer, "304 Not Modified", f"ETag: {tag}\r\n", b"")
        else:
            about = f"ETag: {tag}\r\nContent-Type: application/rss+xml\r\n"
            await _send(writer, "200 OK", about, document(feed, phase))


async def _send(writer: asyncio.StreamWriter, status: str, headers: str, body: bytes) -> None:
    writer.write(f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()


async def serve(port: int, feeds: int) -> None:
    wire = Wire()
    for host in sorted({host_of(feed) for feed in range(feeds)} | {"127.0.0.1"}):
        listener = socket.create_server((host, port), backlog=64)
        await asyncio.start_server(wire.serve, sock=listener)
    print("ready", flush=True)
    await asyncio.Event().wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--feeds", type=int, required=True)
    arguments = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(serve(arguments.port, arguments.feeds))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
