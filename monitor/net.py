"""The one way out of the house: httpx clients whose every connection is checked against an address policy.

The check is made in the network backends of monitor/guard.py. Feeds use the asynchronous client, notification channels
the plain one.

With an egress proxy it is the proxy that connects. Then the proxy itself is trusted, and a target is refused when it
is an address literal that the policy refuses or when this machine resolves it to one; a name that only the proxy can
resolve is the proxy's to judge.

What this does not do: it follows no redirects (the caller re-checks each hop) and reads no environment.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import certifi
import httpcore
import httpx

from monitor.errors import SettingsError
from monitor.guard import AddressPolicy, AsyncGuardedBackend, GuardedBackend, Resolver, check_scheme, literal, resolve
from monitor.redaction import split_credentials

USER_AGENT = "Headwind/0.1 (+news monitor; RSS)"
CONNECT_TIMEOUT_S = 10.0
_HOST_CONNECTIONS = 10  # to one origin; the fetcher asks for fewer
_IDLE_POOLS = 32


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
    addresses = literal(url.host)
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
