"""Undoing one content encoding while counting what comes out, so that a bomb stops at the limit, not after it."""

from __future__ import annotations

import zlib

import brotli

from monitor.errors import FeedError

ACCEPT_ENCODING = "gzip, deflate, br"


def encoding_of(header: str) -> str:
    """The one content encoding of an answer, `identity` for none. Raises `FeedError` for a chain or an unknown one.

    A chain of encodings lets a few bytes cost a lot of work (urllib3 CVE-2026-21441), and no feed needs one.
    """
    named = [part.strip().lower() for part in header.split(",") if part.strip()]
    named = [part for part in named if part != "identity"]
    if not named:
        return "identity"
    if len(named) > 1:
        raise FeedError(f"the answer has {len(named)} chained content encodings; at most one is read", kind="refused")
    if named[0] not in ("gzip", "x-gzip", "deflate", "br"):
        raise FeedError(f"the answer is encoded as {named[0][:40]!r}, which was not asked for", kind="refused")
    return named[0].removeprefix("x-")


class BoundedDecoder:
    """Feed it raw bytes; it gives plain ones and raises `FeedError` (too_large) as soon as there are more than limit.

    No call makes more than limit + 1 bytes, whatever the ratio of the compression is.
    """

    def __init__(self, encoding: str, limit: int) -> None:
        self._encoding, self._limit, self._made = encoding, limit, 0
        self._zlib = zlib.decompressobj(31 if encoding == "gzip" else 15)
        self._brotli = brotli.Decompressor()
        self._started = False
        self._finished = encoding == "identity"

    def feed(self, data: bytes) -> bytes:
        try:
            plain = self._undo(data)
        except (zlib.error, brotli.error) as error:
            raise FeedError(f"the answer is not the {self._encoding} it says it is", kind="not_a_feed") from error
        self._made += len(plain)
        if self._made > self._limit:
            raise FeedError(f"the feed is larger than {self._limit / 2**20:.0f} MiB", kind="too_large")
        return plain

    def finish(self) -> None:
        """Raises `FeedError` when the encoded body was cut short."""
        if self._started and not self._finished:
            raise FeedError("the answer was cut short", kind="not_a_feed")

    def _undo(self, data: bytes) -> bytes:
        if not data:
            return b""
        room = self._limit + 1 - self._made
        first, self._started = not self._started, True
        if self._encoding == "identity":
            return data
        if self._encoding == "br":
            plain = bytes(self._brotli.process(data, output_buffer_limit=max(1, room)))
            while len(plain) < room and not self._brotli.can_accept_more_data():
                more = self._brotli.process(b"", output_buffer_limit=room - len(plain))
                if not more:
                    break
                plain += more
            self._finished = self._brotli.is_finished()
            return plain
        if self._encoding == "deflate" and first:
            return self._first_of_deflate(data, room)
        plain = self._zlib.decompress(data, room)
        while self._zlib.eof and self._zlib.unused_data.startswith(b"\x1f\x8b") and len(plain) < room:
            rest, self._zlib = self._zlib.unused_data, zlib.decompressobj(31)  # the next member of a gzip file
            plain += self._zlib.decompress(rest, room - len(plain))
        self._finished = self._zlib.eof
        return plain

    def _first_of_deflate(self, data: bytes, room: int) -> bytes:
        try:
            plain = self._zlib.decompress(data, room)
        except zlib.error:
            self._zlib = zlib.decompressobj(-15)  # servers that send a raw stream where zlib's is meant
            plain = self._zlib.decompress(data, room)
        self._finished = self._zlib.eof
        return plain
