"""When an item was published, and how well that is known."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from monitor.domain import DateQuality

_CLOCK = re.compile(r"\d{1,2}:\d{2}")
_OFFSET = re.compile(r"[+-](\d{2}):?(\d{2})\s*(?:\([^)]*\))?\s*$")
_EARLIEST = datetime(1971, 1, 1, tzinfo=UTC)  # the epoch, with any time zone, is a program's way to say "unknown"
_SKEW = timedelta(minutes=15)
_AHEAD = timedelta(hours=14)  # a calendar day begins up to 14 h before it begins in UTC


def quality_of(raw: str) -> DateQuality:
    """What a date's own spelling promises: a time, a day, or nothing that can be trusted."""
    offset = _OFFSET.search(raw) if _CLOCK.search(raw) else None
    if offset and (int(offset[1]) > 14 or int(offset[2]) > 59):
        return DateQuality.NONE
    return DateQuality.EXACT if _CLOCK.search(raw) else DateQuality.DAY


def settle_date(published: datetime | None, quality: DateQuality, first_seen: datetime) -> tuple[datetime, DateQuality]:
    """(published, quality) as they are stored: a date that is missing, impossible or in the future is first_seen.

    A few minutes ahead are clocks that differ and become first_seen with the quality kept; a calendar day that has
    begun somewhere on earth is today's.
    """
    if published is None or quality is DateQuality.NONE or published < _EARLIEST:
        return first_seen, DateQuality.NONE
    if published <= first_seen:
        return published, quality
    if published <= first_seen + (_AHEAD if quality is DateQuality.DAY else _SKEW):
        return first_seen, quality
    return first_seen, DateQuality.NONE
