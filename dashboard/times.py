"""Spans of time on the pages, and how a time is written. Pure: the viewer's zone and `now` are passed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

PRESETS: Final = ("24h", "7d", "30d", "1y", "all", "custom")
_LENGTH: Final = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "1y": timedelta(days=365),
}
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """[start, end) in aware UTC; `step` is the width of a bucket in the charts of that span."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    @property
    def is_whole_days(self) -> bool:
        """Whether it begins and ends at midnight UTC."""
        return not any((at - _EPOCH) % DAY for at in (self.start, self.end))

    def around(self, block: timedelta) -> Span:
        """The shortest span that holds this one and begins and ends with a block, counted from 1970."""
        first, last = (self.start - _EPOCH) // block, -((_EPOCH - self.end) // block)
        return Span(start=_EPOCH + first * block, end=_EPOCH + last * block)

    @property
    def step(self) -> timedelta:
        if self.length <= timedelta(hours=72):
            return HOUR
        if self.length <= timedelta(days=14):
            return timedelta(hours=6)
        if self.length <= timedelta(days=400):
            return DAY
        return timedelta(days=7)


def readable_step(span: Span, stories: int, least: float = 4.0) -> timedelta:
    """The span's step, or a wider one where a bucket would hold fewer than `least` stories on average: a share of two
    stories says nothing. Never so wide that fewer than six buckets are left."""
    steps = [step for step in (HOUR, timedelta(hours=6), DAY, timedelta(days=7)) if step >= span.step]
    for step in steps:
        if stories / max(1.0, span.length / step) >= least or span.length / step < 12:
            return step
    return steps[-1]


def floor(at: datetime, step: timedelta) -> datetime:
    """Start of the bucket that holds `at`, counted from a Monday at midnight UTC."""
    monday = datetime(1970, 1, 5, tzinfo=UTC)
    return monday + ((at - monday) // step) * step


def span_of(
    preset: str,
    *,
    anchor: datetime,
    earliest: datetime | None,
    custom: tuple[date | None, date | None] = (None, None),
    zone: tzinfo = UTC,
) -> Span:
    """The span of a preset that ends at `anchor` (newest data), or the custom days in the viewer's zone, inclusive."""
    end = floor(anchor, HOUR) + HOUR
    if preset == "custom" and custom[0] is not None:
        first, last = custom[0], custom[1] or custom[0]
        if last < first:
            first, last = last, first
        return Span(
            start=datetime.combine(first, time(), zone).astimezone(UTC),
            end=datetime.combine(last + timedelta(days=1), time(), zone).astimezone(UTC),
        )
    if preset == "all" and earliest is not None:
        start = floor(earliest, DAY)
        return Span(start=start, end=max(end, start + DAY))
    length = _LENGTH.get(preset, _LENGTH["30d"])
    end_of_day = floor(anchor, DAY) + DAY
    if length > timedelta(days=14):
        return Span(start=end_of_day - length, end=end_of_day)
    return Span(start=end - length, end=end)


def zone_named(name: str | None) -> tzinfo:
    """The zone a browser reports; UTC when it reports none or one that is not known here."""
    if not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def moment(at: datetime | None, zone: tzinfo, *, seconds: bool = False) -> str:
    """`2026-11-23 21:40`, in the viewer's zone; a dash for no time."""
    if at is None:
        return "–"
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def compact(at: datetime, zone: tzinfo, now: datetime) -> str:
    """`11-23 21:40` within the current year, else `2020-11-23`: for narrow columns of lists."""
    local = at.astimezone(zone)
    return local.strftime("%m-%d %H:%M" if local.year == now.astimezone(zone).year else "%Y-%m-%d")


def short(at: datetime, zone: tzinfo) -> str:
    """`11-23 21:40` for narrow places, unbroken by a line end."""
    return at.astimezone(zone).strftime("%m-%d %H:%M").replace("-", "\u2011").replace(" ", "\u00a0")


def age_parts(at: datetime, now: datetime) -> tuple[str, int]:
    """How long ago, as (unit key, count) for the catalogue: now, minutes, hours or days."""
    seconds = max(0, int((now - at).total_seconds()))
    if seconds < 60:
        return "now", 0
    if seconds < 5400:
        return "minutes", round(seconds / 60)
    if seconds < 48 * 3600:
        return "hours", round(seconds / 3600)
    return "days", round(seconds / 86400)
