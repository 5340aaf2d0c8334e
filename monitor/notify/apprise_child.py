"""The child process of the Apprise channel: one JSON question on standard input, one JSON answer on standard output.

Because this process does nothing else, its socket class can be guarded as a whole: a connection or datagram to an
address that the policy refuses raises before anything leaves, whatever library asked for it, on every redirect.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import resource
import socket
import sys
from typing import Any
from urllib.parse import urlsplit

from monitor.guard import AddressPolicy, AddressRefused, resolve

MEMORY_LIMIT = 1024 * 1024 * 1024
CPU_LIMIT_S = 30
FILE_LIMIT = 1024 * 1024


class Refused(OSError):
    """An OSError, so that every library under Apprise treats it as a failed connection."""


def guard_sockets(policy: AddressPolicy, proxy_host: str) -> list[str]:
    """Check every address that this process connects or sends to; gives the list that refusals are written to."""
    refusals: list[str] = []
    trusted = set(resolve(proxy_host, 0)) if proxy_host else set()

    def check(sock: socket.socket, address: Any) -> None:
        if sock.family not in (socket.AF_INET, socket.AF_INET6):
            refusals.append("a socket that is not a network connection")
            raise Refused("refused")
        host, port = address[0], address[1]
        for found in resolve(host, port):
            if found in trusted:
                continue
            reason = policy.reason(found)
            if reason is not None:
                refusals.append(f"{host} is a {reason} address; HEADWIND_ALLOW_NETWORKS can allow its network")
                raise Refused(refusals[-1])

    plain_connect, plain_connect_ex = socket.socket.connect, socket.socket.connect_ex
    plain_sendto = socket.socket.sendto

    def connect(self: socket.socket, address: Any) -> None:
        check(self, address)
        plain_connect(self, address)

    def connect_ex(self: socket.socket, address: Any) -> int:
        check(self, address)
        return plain_connect_ex(self, address)

    def sendto(self: socket.socket, data: Any, *rest: Any) -> int:
        check(self, rest[-1])
        return plain_sendto(self, data, *rest)

    for name, guarded in (("connect", connect), ("connect_ex", connect_ex), ("sendto", sendto)):
        setattr(socket.socket, name, guarded)
    return refusals


def guard_proxied(policy: AddressPolicy, refusals: list[str]) -> None:
    """Behind a proxy it is the proxy that connects: check the target of each request, as monitor/net.py does."""
    import requests

    plain = requests.adapters.HTTPAdapter.send

    def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        host = urlsplit(request.url).hostname or ""
        try:
            found = resolve(host, 443)
        except OSError:
            found = []  # only the proxy knows this name
        try:
            policy.check(host, found)
        except AddressRefused as error:
            refusals.append(str(error))
            raise requests.exceptions.ConnectionError(str(error)) from error
        return plain(self, request, *args, **kwargs)

    requests.adapters.HTTPAdapter.send = send  # type: ignore[method-assign]


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def answer(question: dict[str, Any]) -> dict[str, str]:
    policy = AddressPolicy(allow=tuple(ipaddress.ip_network(network) for network in question["allow"]))
    refusals = guard_sockets(policy, urlsplit(question["proxy"]).hostname or "")
    import apprise

    if question["proxy"]:
        guard_proxied(policy, refusals)
    heard = _Heard()
    logging.getLogger("apprise").addHandler(heard)
    # In memory only: nothing about a channel is written to the disk of this machine.
    asset = apprise.AppriseAsset(storage_mode=apprise.PersistentStoreMode.MEMORY, app_id="Headwind")
    sender = apprise.Apprise(asset=asset)
    if not sender.add(question["url"]):
        return {"result": "unusable", "said": "Apprise does not understand the address"}
    sent = sender.notify(
        body=question["body"],
        title=question["title"],
        notify_type=question["type"],
        body_format=apprise.NotifyFormat.TEXT,
    )
    if sent:
        return {"result": "sent", "said": ""}
    if refusals:
        return {"result": "refused", "said": f"address refused: {refusals[-1]}"}
    return {"result": "failed", "said": " ".join(heard.lines[-2:])}


def main() -> int:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_LIMIT, FILE_LIMIT))
    question = json.loads(sys.stdin.buffer.read())
    real, sys.stdout = sys.stdout, sys.stderr  # a library that prints must not garble the answer
    reply = answer(question)
    real.write(json.dumps(reply))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
