"""Which addresses may be reached, and the network backends that see to it where a connection is made.

The guard sits in httpcore's network backend. A name is resolved once, every address it resolves to is checked, and
the connection is made to a checked address, so a second answer of the name server changes nothing (DNS rebinding),
while TLS still verifies the name.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx

from monitor.redaction import redact_url

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]
"""(host, port) → numeric addresses, in the order to try. Raises OSError when the name has none."""

TRIED_ADDRESSES = 4

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


def literal(host: str) -> list[str] | None:
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
        addresses = literal(host)
        if addresses is None:
            addresses = _resolved(lambda: self._resolver(host, port), host)
        if host != self._trusted:
            addresses = self._policy.check(host, addresses)
        deadline = None if timeout is None else time.monotonic() + timeout
        last: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses[:TRIED_ADDRESSES]:
            left = _time_left(deadline, host, last)
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
        addresses = literal(host)
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
            left = _time_left(deadline, host, last)
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


def _time_left(deadline: float | None, host: str, last: Exception) -> float | None:
    """Seconds to the deadline; None without one. Raises `ConnectTimeout` when it is over."""
    left = None if deadline is None else deadline - time.monotonic()
    if left is not None and left <= 0:
        raise httpcore.ConnectTimeout(f"no connection to {host} in time") from last
    return left


def _resolved(ask: Callable[[], Sequence[str]], host: str) -> list[str]:
    try:
        return list(ask())
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"the name {host} cannot be resolved") from error
