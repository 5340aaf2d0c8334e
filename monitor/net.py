"""The one way out of the house: httpx clients whose every connection is checked against an address policy.

The guard sits in httpcore's network backend. A name is resolved once, every address it resolves to is checked, and
the connection is made to a checked address, so a second answer of the name server changes nothing (DNS rebinding),
while TLS still verifies the name. Feeds use the asynchronous client, notification channels the plain one.

With an egress proxy it is the proxy that connects. Then the proxy itself is trusted, and a target is refused when it
is an address literal that the policy refuses or when this machine resolves it to one; a name that only the proxy can
resolve is the proxy's to judge.

What this does not do: it follows no redirects (the caller re-checks each hop) and reads no environment.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import certifi
import httpcore
import httpx

from monitor.errors import SettingsError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]
"""(host, port) → numeric addresses, in the order to try. Raises OSError when the name has none."""

USER_AGENT = "Headwind/0.1 (+news monitor; RSS)"
CONNECT_TIMEOUT_S = 10.0
TRIED_ADDRESSES = 4
_HOST_CONNECTIONS = 10  # to one origin; the fetcher asks for fewer
_IDLE_POOLS = 32

# `is_global` alone is not enough: it lets multicast, 6to4, NAT64 and the old site-local range through, all of which
# can end at a private machine (RFC 6890 registries; OWASP SSRF prevention cheat sheet).
_REFUSED: tuple[tuple[Network, str], ...] = tuple(
    (ipaddress.ip_network(network), what)
    for network, what in (
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64"),
        ("2002::/16", "6to4"),
        ("2001::/32", "Teredo"),
        ("fec0::/10", "site-local"),
        ("::/96", "IPv4-compatible"),
        ("192.88.99.0/24", "6to4 relay"),
        ("100.64.0.0/10", "carrier-grade NAT"),
    )
)


class AddressRefused(httpx.ConnectError):
    """The guard refused a target before any connection was made. The message names target and reason."""


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Which addresses may be connected to: every public one, and those in `allow` although private."""

    allow: tuple[Network, ...] = ()

    def reason(self, address: str | Address) -> str | None:
        """Why the address is refused, or None when it may be connected to."""
        ip = ipaddress.ip_address(address.split("%", 1)[0]) if isinstance(address, str) else address
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        if any(ip.version == network.version and ip in network for network in self.allow):
            return None
        if ip.is_loopback or ip.is_unspecified:
            return "loopback" if ip.is_loopback else "unspecified"
        for network, what in _REFUSED:
            if ip.version == network.version and ip in network:
                return what
        for what in ("link_local", "multicast", "private", "reserved"):
            if getattr(ip, f"is_{what}"):
                return what.replace("_", "-")
        return None if ip.is_global else "not public"

    def check(self, host: str, addresses: Iterable[str]) -> list[str]:
        """The addresses, when every one of them is allowed. Raises `AddressRefused` otherwise."""
        checked = list(addresses)
        for address in checked:
            reason = self.reason(address)
            if reason is not None:
                shown = host if host == address else f"{host} ({address})"
                raise AddressRefused(f"{shown} is a {reason} address; HEADWIND_ALLOW_NETWORKS can allow its network")
        return checked


def resolve(host: str, port: int) -> list[str]:
    """The system resolver. Reads 0x7f.1 and 2130706433 as the addresses they are, as every HTTP client would."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _literal(host: str) -> list[str] | None:
    """Addresses of a host given as numbers in any spelling, without asking a name server; None for a name."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None
    return [str(entry[4][0]) for entry in found]


def check_scheme(url: str) -> None:
    """Raises `AddressRefused` for anything but an http or https URL with a host."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
    except ValueError:
        fine = False
    if not fine:
        raise AddressRefused(f"{redact_url(url)[:200]!r} is not an http or https address")


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────────────────────

_USERINFO = re.compile(r"(?<=://)[^/?#\s'\"<>]*@")
_SECRET_PARAMETER = re.compile(
    r"((?:[?&;]|\b)(?:[\w.-]*(?:token|secret|password|passwd|apikey|api_key|signature|sign|auth|key|sig)[\w.-]*)=)"
    r"[^&;#\s'\"<>]+",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """The text with credentials in URLs (user:password@ and secret-looking parameters) replaced by ***."""
    return _SECRET_PARAMETER.sub(r"\1***", _USERINFO.sub("***@", text))


def redact_url(url: str) -> str:
    """A URL fit for a log or an error message."""
    return redact(url)


def split_credentials(url: str) -> tuple[str, tuple[str, str] | None]:
    """(URL without user and password, (user, password) or None)."""
    parts = urlsplit(url)
    if parts.username is None and parts.password is None:
        return url, None
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rsplit("@", 1)[1]))
    unquoted = httpx.URL(url)
    return bare, (unquoted.username, unquoted.password)


# ── network backends ─────────────────────────────────────────────────────────────────────────────────────────────


class GuardedBackend(httpcore.NetworkBackend):
    """Resolves, checks every address and connects to a checked one."""

    def __init__(self, policy: AddressPolicy, resolver: Resolver = resolve, trusted: str | None = None) -> None:
        self._policy, self._resolver, self._trusted = policy, resolver, trusted
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = _literal(host)
        if addresses is None:
            addresses = _resolved(lambda: self._resolver(host, port), host)
        if host != self._trusted:
            addresses = self._policy.check(host, addresses)
        deadline = None if timeout is None else time.monotonic() + timeout
        last: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses[:TRIED_ADDRESSES]:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise httpcore.ConnectTimeout(f"no connection to {host} in time") from last
            try:
                return self._inner.connect_tcp(address, port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last

    def connect_unix_socket(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        raise AddressRefused("unix sockets are not reached")

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class AsyncGuardedBackend(httpcore.AsyncNetworkBackend):
    """The same for asyncio; name look-ups run in threads of their own, so that a slow one holds nobody up."""

    def __init__(self, policy: AddressPolicy, resolver: Resolver = resolve, trusted: str | None = None) -> None:
        self._policy, self._resolver, self._trusted = policy, resolver, trusted
        self._inner = httpcore.AnyIOBackend()
        self._threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="headwind-dns")

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        deadline = None if timeout is None else time.monotonic() + timeout
        addresses = _literal(host)
        if addresses is None:
            loop = asyncio.get_running_loop()
            found = loop.run_in_executor(self._threads, _resolved, lambda: self._resolver(host, port), host)
            try:
                addresses = await asyncio.wait_for(found, timeout)
            except TimeoutError as error:
                raise httpcore.ConnectTimeout(f"the name {host} was not resolved in time") from error
        if host != self._trusted:
            addresses = self._policy.check(host, addresses)
        last: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses[:TRIED_ADDRESSES]:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise httpcore.ConnectTimeout(f"no connection to {host} in time") from last
            try:
                return await self._inner.connect_tcp(address, port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last

    async def connect_unix_socket(self, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        raise AddressRefused("unix sockets are not reached")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _resolved(ask: Callable[[], Sequence[str]], host: str) -> list[str]:
    try:
        return list(ask())
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"the name {host} cannot be resolved") from error


# ── transports and clients ───────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _as_httpx() -> Iterator[None]:
    """httpcore names its errors as httpx does; one place turns the first into the second."""
    try:
        yield
    except (
        httpcore.TimeoutException,
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.ProxyError,
        httpcore.UnsupportedProtocol,
    ) as error:
        raise getattr(httpx, type(error).__name__, httpx.NetworkError)(str(error)) from error


class _Stream(httpx.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx():
            yield from self._stream

    def close(self) -> None:
        self._stream.close()


class _AsyncStream(httpx.AsyncByteStream):
    def __init__(self, stream: Any, closed: Callable[[], Awaitable[None]]) -> None:
        self._stream, self._closed = stream, closed

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for part in self._stream:
                yield part

    async def aclose(self) -> None:
        closed, self._closed = self._closed, _nothing
        try:
            await self._stream.aclose()
        finally:
            await closed()


async def _nothing() -> None:
    return None


def _core_request(request: httpx.Request) -> httpcore.Request:
    url = request.url
    return httpcore.Request(
        method=request.method,
        url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


def _check_behind_proxy(policy: AddressPolicy, resolver: Resolver, url: httpx.URL) -> None:
    addresses = _literal(url.host)
    if addresses is None:
        try:
            addresses = list(resolver(url.host, url.port or 443))
        except (OSError, UnicodeError):
            return  # only the proxy knows this name
    policy.check(url.host, addresses)


class GuardedTransport(httpx.BaseTransport):
    def __init__(
        self, policy: AddressPolicy, context: ssl.SSLContext, proxy: httpcore.Proxy | None, resolver: Resolver
    ) -> None:
        self._policy, self._resolver, self._proxied = policy, resolver, proxy is not None
        trusted = proxy.url.host.decode() if proxy else None
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            proxy=proxy,
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=5.0,
            network_backend=GuardedBackend(policy, resolver, trusted),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        check_scheme(str(request.url))
        if self._proxied:
            _check_behind_proxy(self._policy, self._resolver, request.url)
        with _as_httpx():
            answer = self._pool.handle_request(_core_request(request))
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Stream(answer.stream), extensions=answer.extensions
        )

    def close(self) -> None:
        self._pool.close()


@dataclass(slots=True)
class _HostPool:
    pool: httpcore.AsyncConnectionPool
    busy: int = 0


class AsyncGuardedTransport(httpx.AsyncBaseTransport):
    """A small connection pool for each origin: one pool for thousands of hosts would go through all its connections
    for every request. The last `_IDLE_POOLS` keep their connections for a moment."""

    def __init__(
        self, policy: AddressPolicy, context: ssl.SSLContext, proxy: httpcore.Proxy | None, resolver: Resolver
    ) -> None:
        self._policy, self._resolver, self._proxy, self._context = policy, resolver, proxy, context
        self._backend = AsyncGuardedBackend(policy, resolver, proxy.url.host.decode() if proxy else None)
        self._pools: OrderedDict[tuple[bytes, bytes, int | None], _HostPool] = OrderedDict()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        check_scheme(str(request.url))
        if self._proxy is not None:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, _check_behind_proxy, self._policy, self._resolver, request.url)
        host = self._pool_of(request.url)
        host.busy += 1

        async def done() -> None:
            host.busy -= 1
            await self._let_go()

        try:
            with _as_httpx():
                answer = await host.pool.handle_async_request(_core_request(request))
        except BaseException:
            await done()
            raise
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_AsyncStream(answer.stream, done),
            extensions=answer.extensions,
        )

    def _pool_of(self, url: httpx.URL) -> _HostPool:
        origin = (url.raw_scheme, url.raw_host, url.port)
        if origin not in self._pools:
            self._pools[origin] = _HostPool(
                httpcore.AsyncConnectionPool(
                    ssl_context=self._context,
                    proxy=self._proxy,
                    max_connections=_HOST_CONNECTIONS,
                    keepalive_expiry=5.0,
                    network_backend=self._backend,
                )
            )
        self._pools.move_to_end(origin)
        return self._pools[origin]

    async def _let_go(self) -> None:
        """Close the pools that have been idle for longest; those at work stay, however many they are."""
        while len(self._pools) > _IDLE_POOLS:
            idle = next((origin for origin, host in self._pools.items() if not host.busy), None)
            if idle is None:
                return
            await self._pools.pop(idle).pool.aclose()

    async def aclose(self) -> None:
        while self._pools:
            await self._pools.popitem()[1].pool.aclose()
        self._backend.close()


def tls_context(ca_bundle: str = "") -> ssl.SSLContext:
    """Verifying context with the given certificates instead of the built-in ones. Raises `SettingsError`."""
    try:
        return ssl.create_default_context(cafile=ca_bundle or certifi.where())
    except OSError as error:
        raise SettingsError(f"setting 'ca_bundle': {ca_bundle} is not a readable file of certificates") from error


def proxy_of(url: str) -> httpcore.Proxy | None:
    """The egress proxy, with its credentials as proxy authorisation. Raises `SettingsError` for another scheme."""
    if not url:
        return None
    bare, credentials = split_credentials(url)
    if urlsplit(bare).scheme not in ("http", "https") or not urlsplit(bare).hostname:
        raise SettingsError("setting 'egress_proxy': must be an http or https URL")
    auth = (credentials[0].encode(), credentials[1].encode()) if credentials else None
    return httpcore.Proxy(bare, auth=auth)


def _no_cookies() -> CookieJar:
    """Feeds and channels get no memory: cookies of one must not be sent for another on the same host."""
    return CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))


def guarded_client(
    policy: AddressPolicy,
    *,
    proxy: str = "",
    ca_bundle: str = "",
    timeout: httpx.Timeout | float = 20.0,
    resolver: Resolver = resolve,
) -> httpx.Client:
    """A plain client for channels: guarded, without redirects, cookies of others or the environment.

    Raises `AddressRefused` (an httpx.ConnectError) from a request to a refused target, other httpx errors as usual.
    """
    return httpx.Client(
        transport=GuardedTransport(policy, tls_context(ca_bundle), proxy_of(proxy), resolver),
        timeout=timeout,
        follow_redirects=False,
        trust_env=False,
        cookies=_no_cookies(),
        headers={"User-Agent": USER_AGENT},
    )


def guarded_async_client(
    policy: AddressPolicy,
    *,
    proxy: str = "",
    ca_bundle: str = "",
    timeout: httpx.Timeout | float = 20.0,
    resolver: Resolver = resolve,
) -> httpx.AsyncClient:
    """The asynchronous client for feeds; the same promises as `guarded_client`."""
    return httpx.AsyncClient(
        transport=AsyncGuardedTransport(policy, tls_context(ca_bundle), proxy_of(proxy), resolver),
        timeout=timeout,
        follow_redirects=False,
        trust_env=False,
        cookies=_no_cookies(),
        headers={"User-Agent": USER_AGENT},
    )
