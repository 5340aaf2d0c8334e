"""The server's own checks, before Streamlit sees a request: whose page asks, by which name, and how much it brings.

Streamlit compares a socket's Origin with names of its own choice (every address of this machine, asked for outside)
and an upload's token with its cookie; neither asks whether anybody is logged in. Here:

- by another name than ours (one that was made to point at this machine) nothing is answered, where no login protects;
- a page from elsewhere gets neither socket nor upload (fault D2);
- an upload needs a session that may enter, and room: what all sessions hold together is bounded (fault U2).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit import runtime

from dashboard.admission import is_admitted
from monitor.errors import MonitorError
from monitor.login import read_login
from monitor.settings import load_settings

MEGABYTE: Final = 2**20
UPLOAD: Final = "/_stcore/upload_file/"
SESSION_LIMIT: Final = 100 * MEGABYTE
"""What one session may hold in files that it has not removed."""

TOTAL_LIMIT: Final = 400 * MEGABYTE
"""What all sessions together may hold: Streamlit keeps uploads in memory until the session ends."""

_SAFE: Final = ("GET", "HEAD", "OPTIONS")

log = structlog.get_logger("door")


def middleware() -> list[Middleware]:
    """The checks for `streamlit.App`, by the deployment's settings."""
    try:
        settings = load_settings()
        login = read_login(settings)
    except MonitorError as error:
        # The page says what is wrong; until it is mended nobody is served anything that changes or reads.
        log.error("login or settings cannot be used; uploads are refused", error=str(error))
        return [Middleware(Door, origins=frozenset(), hosts=frozenset(), uploads=False)]
    ours = {_origin(address) for address in (settings.base_url, login.origin if login else "") if address}
    if login is not None or settings.allow_remote:
        return [Middleware(Door, origins=frozenset(ours), hosts=None)]
    hosts = {"localhost", settings.address.lower(), *(urlsplit(one).hostname or "" for one in ours)}
    return [Middleware(Door, origins=frozenset(ours), hosts=frozenset(hosts))]


class Door:
    """ASGI middleware. origins: other addresses of ours, as a proxy shows them. hosts: names we answer to beside
    loopback addresses; None for any, where a login or a proxy protects."""

    def __init__(
        self, app: ASGIApp, *, origins: frozenset[str], hosts: frozenset[str] | None, uploads: bool = True
    ) -> None:
        self.app = app
        self.origins = origins
        self.hosts = hosts
        self.uploads = uploads
        self.coming: dict[str, int] = {}  # session → bytes announced by uploads that are on their way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        reason = self._stranger(scope, headers)
        if reason:
            await _refuse(scope, receive, send, 403, reason)
            return
        if scope["type"] == "http" and scope["method"] == "PUT" and UPLOAD in scope["path"]:
            await self._upload(scope, receive, send, headers)
            return
        await self.app(scope, receive, send)

    def _stranger(self, scope: Scope, headers: Headers) -> str:
        """Why the request is none of ours; empty when it is."""
        host = headers.get("host", "")
        if self.hosts is not None and not _is_ours(host, self.hosts):
            return "this name is not served here; set HEADWIND_BASE_URL to the address that people use"
        if scope["type"] == "http" and scope["method"] in _SAFE:
            return ""
        origin = headers.get("origin")
        if origin is None:  # no browser, or a page of ours: browsers always name a foreign one
            return ""
        if urlsplit(origin).netloc.lower() == host.lower() or origin.lower() in self.origins:
            return ""
        return "the page that asks is from another address"

    async def _upload(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        session = scope["path"].rpartition(UPLOAD)[2].partition("/")[0]
        if not self.uploads or not is_admitted(session):
            await _refuse(scope, receive, send, 403, "log in first")
            return
        size = headers.get("content-length", "")
        if not size.isascii() or not size.isdigit():
            await _refuse(scope, receive, send, 411, "the upload must say how long it is")
            return
        held = dict(_held())
        for one, coming in self.coming.items():
            held[one] = held.get(one, 0) + coming
        if held.get(session, 0) + int(size) > SESSION_LIMIT or sum(held.values()) + int(size) > TOTAL_LIMIT:
            await _refuse(
                scope, receive, send, 507, "too many uploads are held at the moment; remove some, or try later"
            )
            return
        self.coming[session] = self.coming.get(session, 0) + int(size)
        try:
            await self.app(scope, receive, send)
        finally:
            self.coming[session] -= int(size)
            if not self.coming[session]:
                del self.coming[session]


def _held() -> Iterator[tuple[str, int]]:
    """(session, bytes of its uploads) of all sessions."""
    if not runtime.exists():
        return
    stored = runtime.get_instance().uploaded_file_mgr.file_storage  # type: ignore[attr-defined]
    for session, files in list(stored.items()):
        yield session, sum(len(file.data) for file in list(files.values()))


def _is_ours(host: str, names: frozenset[str]) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name in names:
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}".lower()


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, reason: str) -> None:
    log.warning("refused", path=scope["path"], status=status, reason=reason)
    if scope["type"] == "websocket":
        await receive()  # the opening; closed before it is accepted, the server answers 403
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
        return
    await PlainTextResponse(f"{reason}\n", status_code=status)(scope, receive, send)
