"""One guarded HTTP POST of a channel, and what its answer means. Shared by webhook, Slack and the chat channels."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urljoin

import httpx

from monitor.domain import SendOutcome
from monitor.guard import AddressPolicy, AddressRefused
from monitor.net import guarded_client

READ_LIMIT: Final = 64 * 1024
MAX_REDIRECTS: Final = 3
TOTAL_S: Final = 20.0
RETRY_AFTER_CAP_S: Final = 6 * 3600.0
_RETRIED_4XX: Final = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """How channels reach the world: address policy, egress proxy, certificates. `clock` gives aware UTC and is used
    for signatures and Retry-After dates only."""

    policy: AddressPolicy = field(default_factory=AddressPolicy)
    proxy: str = ""
    ca_bundle: str = ""
    total_s: float = TOTAL_S
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: httpx.Headers
    body: bytes  # at most the first 64 KB

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; {} when it is something else."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


Redact = Callable[[object], str]
Reader = Callable[[Reply], SendOutcome | None]
"""A channel's own reading of a reply: an outcome, or None for "judge by the status"."""


def post_json(
    outside: Outside,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    redact: Redact,
    read: Reader = lambda reply: None,
) -> SendOutcome:
    """POST and judge. Never raises for what the other side does: refused addresses and 4xx (except 408, 425, 429)
    are failed for good; time-outs, broken connections and 5xx ask for a retry, with the Retry-After if there is one.

    Redirects 307 and 308 repeat the POST, at most three times, each hop checked by the guard; 301, 302 and 303 would
    turn it into a GET, so they are failures that name themselves. Credentials do not follow to another host.
    """
    try:
        reply = _post(outside, url, body, dict(headers))
    except AddressRefused as error:
        return SendOutcome(status="failed", detail=redact(f"address refused: {error}"))
    except httpx.TimeoutException:
        return SendOutcome(status="retry", detail="no answer in time")
    except httpx.TooManyRedirects as error:
        return SendOutcome(status="failed", detail=redact(error))
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
        return SendOutcome(status="failed", detail=redact(f"address cannot be used: {error}"))
    except httpx.HTTPError as error:
        return SendOutcome(status="retry", detail=redact(f"{type(error).__name__}: {error}"))
    outcome = read(reply) or by_status(reply)
    wait = retry_after(reply.headers, outside.clock())
    if outcome.status == "retry" and outcome.retry_after_s is None and wait is not None:
        outcome = SendOutcome(status="retry", detail=outcome.detail, retry_after_s=wait)
    return SendOutcome(status=outcome.status, detail=redact(outcome.detail), retry_after_s=outcome.retry_after_s)


def by_status(reply: Reply) -> SendOutcome:
    """What the HTTP status alone says."""
    if 200 <= reply.status < 300:
        return SendOutcome(status="sent", detail=f"HTTP {reply.status}")
    said = f": {reply.text[:200]}" if reply.body else ""
    if 300 <= reply.status < 400:
        return SendOutcome(status="failed", detail=f"HTTP {reply.status}: redirected where a POST cannot follow")
    if reply.status >= 500 or reply.status in _RETRIED_4XX:
        return SendOutcome(status="retry", detail=f"HTTP {reply.status}{said}")
    return SendOutcome(status="failed", detail=f"HTTP {reply.status}{said}")


def retry_after(headers: httpx.Headers, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for, at most six hours; None without one or when it is no value."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isascii() and value.isdigit():
        return min(float(value[:12]), RETRY_AFTER_CAP_S)
    with suppress(TypeError, ValueError, OverflowError):
        asked = parsedate_to_datetime(value)
        asked = asked if asked.tzinfo else asked.replace(tzinfo=UTC)
        return min(max((asked - now).total_seconds(), 0.0), RETRY_AFTER_CAP_S)
    return None


def _post(outside: Outside, url: str, body: bytes, headers: dict[str, str]) -> Reply:
    deadline = time.monotonic() + outside.total_s
    timeout = httpx.Timeout(outside.total_s, connect=min(10.0, outside.total_s))
    # No compressed replies: 64 KB read off the wire then are 64 KB in memory.
    headers = {"Accept-Encoding": "identity", **headers}
    with (
        guarded_client(outside.policy, proxy=outside.proxy, ca_bundle=outside.ca_bundle, timeout=timeout) as client,
        _watched(outside.total_s) as trace,
    ):
        for _ in range(MAX_REDIRECTS + 1):
            extensions = {"trace": trace}
            with client.stream("POST", url, content=body, headers=headers, extensions=extensions) as answer:
                if answer.status_code not in (307, 308) or "location" not in answer.headers:
                    return Reply(answer.status_code, answer.headers, _read(answer, deadline))
                target = urljoin(url, answer.headers["location"])
            if httpx.URL(target).host != httpx.URL(url).host:
                headers.pop("Authorization", None)
            if httpx.URL(url).scheme == "https" and httpx.URL(target).scheme == "http":
                raise AddressRefused("redirected from https to http")
            url = target
    raise httpx.TooManyRedirects(f"more than {MAX_REDIRECTS} redirects")


@contextmanager
def _watched(total_s: float) -> Iterator[Callable[[str, dict[str, Any]], None]]:
    """httpx times each read, not the whole: a server that drips its headers could hold the sender for hours. When
    the time is over, the sockets that httpcore's trace named are shut down, which ends whatever waits on them."""
    sockets: list[socket.socket] = []
    lock = threading.Lock()
    over = threading.Event()

    def shut() -> None:
        with lock:
            over.set()
            for sock in sockets:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def trace(event: str, info: dict[str, Any]) -> None:
        if not event.endswith(("connect_tcp.complete", "start_tls.complete")):
            return
        found = info["return_value"].get_extra_info("socket")
        with lock:
            sockets.append(found)
        if over.is_set():
            shut()

    timer = threading.Timer(total_s, shut)
    timer.daemon = True
    timer.start()
    try:
        yield trace
    except httpx.TransportError as error:
        if over.is_set():
            raise httpx.ReadTimeout("the whole exchange took too long") from error
        raise
    finally:
        timer.cancel()


def _read(answer: httpx.Response, deadline: float) -> bytes:
    """The first 64 KB. A reply that drips beyond the deadline is cut: the status line already said how it went."""
    kept = bytearray()
    try:
        for part in answer.iter_raw(8192):
            kept += part
            if len(kept) >= READ_LIMIT or time.monotonic() > deadline:
                break
    except httpx.HTTPError:
        # The status line arrived, so the message was taken or refused; only the words about it are lost.
        return bytes(kept[:READ_LIMIT])
    return bytes(kept[:READ_LIMIT])
