"""What a server asks of its readers: Retry-After, Cache-Control and Expires, read forgivingly and capped."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

CAP_S = 24 * 3600.0
"""No server can send a feed to sleep for longer than this."""


def http_date(value: str | None) -> datetime | None:
    """An HTTP date as aware UTC; None for anything else."""
    if not value:
        return None
    try:
        parsed = parsedate_to_datetime(value.strip())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def _seconds(value: str) -> float | None:
    text = value.strip().strip('"')
    return float(text[:12]) if text.isascii() and text.isdigit() else None


def _capped(seconds: float) -> float:
    return min(max(seconds, 0.0), CAP_S)


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds of Retry-After from 0 to 24 h; a date counts from `now`; garbage is None."""
    value = headers.get("retry-after")
    if not value:
        return None
    seconds = _seconds(value)
    if seconds is not None:
        return _capped(seconds)
    moment = http_date(value)
    return None if moment is None else _capped((moment - now).total_seconds())


def max_age_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """For how many seconds the answer stays fresh, from 0 to 24 h; None when the server does not say."""
    directives = {}
    for part in headers.get("cache-control", "").lower().split(","):
        name, _, value = part.strip().partition("=")
        directives[name] = value
    if "no-store" in directives or "no-cache" in directives:
        return 0.0
    if "max-age" in directives:
        seconds = _seconds(directives["max-age"])
        if seconds is not None:
            return _capped(seconds)
    if "expires" in headers:
        expires = http_date(headers["expires"])
        if expires is None:
            return 0.0  # RFC 9111: an invalid date, above all "0", means already stale
        return _capped((expires - (http_date(headers.get("date")) or now)).total_seconds())
    return None
