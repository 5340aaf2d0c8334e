"""Credentials in URLs: taken out of what is logged or shown, and split from the address that is asked."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

import httpx

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
