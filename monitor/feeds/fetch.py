"""Fetching feeds: many at a time, each within its limits, none able to hold up or to see the others.

`Fetcher` owns one asyncio loop in a thread of its own; the rest of the pipeline stays plain Python. A fetch ends in a
`Fetched` or a `FeedError`, never in anything else, and every message is fit for a log: credentials are redacted.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urljoin, urlsplit

import httpx

from monitor.domain import Feed, Fetched
from monitor.errors import FeedError
from monitor.feeds.caching import max_age_s, retry_after_s
from monitor.feeds.encoding import ACCEPT_ENCODING, BoundedDecoder, encoding_of
from monitor.guard import AddressPolicy, AddressRefused, Network, Resolver, check_scheme, resolve
from monitor.net import guarded_async_client
from monitor.redaction import redact, split_credentials

Outcome = Fetched | FeedError
_ACCEPT = "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5"
_REDIRECTS = {301, 302, 303, 307, 308}
_PERMANENT = {301, 308}


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """Seconds, bytes after decompression, and counts."""

    connect_s: float = 10.0
    total_s: float = 20.0
    body_bytes: int = 15 * 2**20
    redirects: int = 5
    per_host: int = 2
    at_once: int = 256
    large_bytes: int = 2**20
    large_at_once: int = 16


class _Room:
    """Places of one round, used from the loop's thread only."""

    def __init__(self, limits: FetchLimits) -> None:
        self.slots = asyncio.Semaphore(limits.at_once)
        self.doubtful = asyncio.Semaphore(max(1, limits.at_once // 2))
        self._large = asyncio.Semaphore(limits.large_at_once)
        self._large_bytes = limits.large_bytes
        self._holders: set[int] = set()  # feeds with a place among the large ones

    async def grown(self, feed: Feed, length: int) -> None:
        """A body has so many bytes now: wait for a place among the large ones when it has become one."""
        if length > self._large_bytes and feed.id not in self._holders:
            await self._large.acquire()
            self._holders.add(feed.id)

    def came_to_nothing(self, feed: Feed) -> None:
        if feed.id in self._holders:
            self._holders.remove(feed.id)
            self._large.release()

    def leave(self, feed: Feed) -> None:
        self.came_to_nothing(feed)
        self.slots.release()


class FetchRound:
    """Feeds on their way. Each outcome goes to `put` from the loop's thread; `taken` makes room for one more.

    At most `at_once` feeds are in flight or waiting to be taken, and at most `large_at_once` of them have a body above
    `large_bytes`: bodies never pile up before a slow reader, and 256 servers that each send 15 MiB cannot either.
    Feeds that failed the last time begin first, on at most half of the places: silent servers then use up their time
    beside the others' answers, not after them.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, room: _Room, tasks: list[asyncio.Task[None]]) -> None:
        self._loop, self._room, self._tasks = loop, room, tasks

    def taken(self, feed: Feed) -> None:
        self._loop.call_soon_threadsafe(self._room.leave, feed)

    def cancel(self) -> None:
        for task in self._tasks:
            self._loop.call_soon_threadsafe(task.cancel)


class Fetcher:
    def __init__(
        self,
        *,
        allow_networks: Iterable[Network] = (),
        proxy: str = "",
        ca_bundle: str = "",
        limits: FetchLimits | None = None,
        resolver: Resolver = resolve,
    ) -> None:
        """Raises `SettingsError` when the proxy or the CA bundle cannot be used."""
        self.limits = limits or FetchLimits()
        self._client = guarded_async_client(
            AddressPolicy(tuple(allow_networks)),
            proxy=proxy,
            ca_bundle=ca_bundle,
            resolver=resolver,
            timeout=httpx.Timeout(self.limits.total_s, connect=self.limits.connect_s),
        )
        self._hosts: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(self.limits.per_host))
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    # ── what others call ─────────────────────────────────────────────────────────────────────────────────────────

    def fetch(self, feed: Feed, now: datetime) -> Fetched:
        """One feed now. Raises `FeedError`."""
        for _, outcome in self.fetch_many([feed], now):
            if isinstance(outcome, FeedError):
                raise outcome
            return outcome
        raise FeedError("nothing was fetched")

    def fetch_many(self, feeds: Iterable[Feed], now: datetime) -> Iterator[tuple[Feed, Outcome]]:
        """Each feed with what became of it, in the order in which they finish."""
        waiting = list(feeds)
        done: queue.SimpleQueue[tuple[Feed, Outcome]] = queue.SimpleQueue()
        started = self.start(waiting, now, lambda feed, outcome: done.put((feed, outcome)))
        try:
            for _ in waiting:
                feed, outcome = done.get()
                started.taken(feed)
                yield feed, outcome
        finally:
            started.cancel()

    def start(self, feeds: Iterable[Feed], now: datetime, put: Callable[[Feed, Outcome], None]) -> FetchRound:
        """Begin a round and return at once. `put` is called once per feed; the reader then calls `taken`."""
        loop = self._running_loop()
        room = _Room(self.limits)

        async def begin() -> list[asyncio.Task[None]]:
            order = sorted(feeds, key=lambda feed: feed.failures == 0)
            return [asyncio.create_task(self._one(feed, now, room, put)) for feed in order]

        return FetchRound(loop, room, asyncio.run_coroutine_threadsafe(begin(), loop).result())

    def close(self) -> None:
        with self._starting:
            loop, self._loop = self._loop, None
        if loop is None:
            return
        asyncio.run_coroutine_threadsafe(self._client.aclose(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        if self._thread is not None:
            self._thread.join(timeout=10)

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="headwind-fetch", daemon=True)
                self._thread.start()
            return self._loop

    async def _one(self, feed: Feed, now: datetime, room: _Room, put: Callable[[Feed, Outcome], None]) -> None:
        try:
            outcome: Outcome = await self._follow(feed, now, room)
        except FeedError as error:
            outcome = error
        except Exception as error:  # a fault of ours in one feed must not leave the round waiting for it
            outcome = FeedError(redact(f"{type(error).__name__}: {error}"), kind="network")
        if isinstance(outcome, FeedError):
            room.came_to_nothing(feed)
        await room.slots.acquire()  # kept until the reader has taken the outcome
        put(feed, outcome)

    @asynccontextmanager
    async def _slot(self, host: str, feed: Feed, room: _Room) -> AsyncIterator[None]:
        # The host's turn first, then a place in the round: a crowded host never holds places that others could use,
        # and as every hop takes them in this order, no two feeds can wait for each other.
        async with self._hosts[host], room.doubtful if feed.failures else nullcontext(), room.slots:
            yield

    async def _follow(self, feed: Feed, now: datetime, room: _Room) -> Fetched:
        url, left, permanent = feed.url, self.limits.total_s, True
        origin = _origin(url)
        _, credentials = _split(url)
        loop = asyncio.get_running_loop()
        for _ in range(self.limits.redirects + 1):
            bare, _ = _split(url)
            async with self._slot(urlsplit(bare).hostname or "", feed, room):
                began = loop.time()
                try:
                    async with asyncio.timeout(left):
                        # Credentials go to the origin they were given for, and never to where it redirects.
                        auth = credentials if _entitled(_origin(bare), origin) else None
                        answer = await self._ask(bare, auth, feed, now, room)
                except TimeoutError as error:
                    raise _timeout(self.limits.total_s) from error
                except httpx.HTTPError as error:
                    raise _as_feed_error(error, self.limits) from error
                left -= loop.time() - began
            if isinstance(answer, Fetched):
                moved = permanent and url != feed.url and credentials is None
                downgrade = feed.url.startswith("https:") and bare.startswith("http:")
                return replace(answer, url=bare, moved_permanently=moved and not downgrade)
            status, location = answer
            permanent = permanent and status in _PERMANENT
            url = _next_hop(bare, location)
        raise FeedError(f"more than {self.limits.redirects} redirects", kind="http")

    async def _ask(
        self, url: str, credentials: tuple[str, str] | None, feed: Feed, now: datetime, room: _Room
    ) -> Fetched | tuple[int, str]:
        """The answer, or (status, location) of a redirect, whose body is never read."""
        headers = {"Accept": _ACCEPT, "Accept-Encoding": ACCEPT_ENCODING}
        if feed.etag:
            headers["If-None-Match"] = feed.etag
        if feed.last_modified:
            headers["If-Modified-Since"] = feed.last_modified
        auth = httpx.BasicAuth(*credentials) if credentials else None
        async with self._client.stream("GET", url, headers=headers, auth=auth) as response:
            status, answered = response.status_code, response.headers
            if status in _REDIRECTS and "location" in answered:
                return status, answered["location"]
            retry_after = retry_after_s(answered, now)
            facts = {
                "etag": answered.get("etag"),
                "last_modified": answered.get("last-modified"),
                "max_age_s": max_age_s(answered, now),
                "retry_after_s": retry_after,
            }
            if status == 304 and (feed.etag or feed.last_modified):
                return Fetched(url=url, status=304, **facts)
            if status == 410:
                raise FeedError("the server says that the feed is gone for good (410)", kind="gone", status=410)
            if not 200 <= status < 300:
                raise FeedError(f"the server answered {status}", kind="http", status=status, retry_after_s=retry_after)
            body = await self._read(response, feed, room)
            if not body.strip():
                raise FeedError("the answer is empty", kind="not_a_feed", status=status)
            return Fetched(url=url, status=status, body=body, content_type=answered.get("content-type", ""), **facts)

    async def _read(self, response: httpx.Response, feed: Feed, room: _Room) -> bytes:
        decoder = BoundedDecoder(encoding_of(response.headers.get("content-encoding", "")), self.limits.body_bytes)
        body = bytearray()
        try:
            async for raw in response.aiter_raw():
                body += decoder.feed(raw)
                await room.grown(feed, len(body))
        except httpx.RemoteProtocolError as error:
            raise FeedError("the answer was cut short", kind="not_a_feed") from error
        decoder.finish()
        return bytes(body)


def _split(url: str) -> tuple[str, tuple[str, str] | None]:
    try:
        check_scheme(url)
        return split_credentials(url)
    except AddressRefused as error:
        raise FeedError(str(error), kind="refused") from error
    except (ValueError, httpx.InvalidURL) as error:
        raise FeedError(f"{redact(url)[:200]!r} is not a usable address", kind="refused") from error


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme.lower(), (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise FeedError(f"{redact(url)[:200]!r} is not a usable address", kind="refused") from error


def _entitled(target: tuple[str, str, int | None], given_for: tuple[str, str, int | None]) -> bool:
    """Whether credentials may go to a hop: to the origin they were given for, or to the same host over TLS."""
    host = given_for[1]
    upgrade = (
        given_for[0] == "http"
        and given_for[2] in (None, 80)
        and target in (("https", host, None), ("https", host, 443))
    )
    return target == given_for or upgrade


def _next_hop(url: str, location: str) -> str:
    try:
        target = urljoin(url, location.strip())
    except ValueError as error:
        raise FeedError("the server redirects to something that is not an address", kind="refused") from error
    return _split(target)[0]  # credentials that a redirect brings along are nobody's


def _timeout(seconds: float) -> FeedError:
    return FeedError(f"no complete answer within {seconds:g} s", kind="timeout")


def _as_feed_error(error: Exception, limits: FetchLimits) -> FeedError:
    """The one place where httpx's errors become ours."""
    if isinstance(error, AddressRefused):
        return FeedError(str(error), kind="refused")
    if isinstance(error, httpx.ConnectTimeout):
        return FeedError(redact(f"no connection within {limits.connect_s:g} s"), kind="timeout")
    if isinstance(error, httpx.TimeoutException):
        return _timeout(limits.total_s)
    if isinstance(error, httpx.ProxyError):
        return FeedError("the egress proxy refused the request", kind="network")
    if isinstance(error, httpx.ConnectError):
        return FeedError(redact(f"cannot connect: {error}"), kind="network")
    if isinstance(error, httpx.RemoteProtocolError):
        return FeedError("the server broke off or did not speak HTTP", kind="network")
    return FeedError(redact(f"{type(error).__name__}: {error}"), kind="network")
