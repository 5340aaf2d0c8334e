"""How values are kept: times and hours as whole numbers, positions, JSON, lists of names.

Times are whole microseconds since 1970 in UTC (`us`, `when`), hours are whole hours since 1970. `position` orders
articles by publication and is unique: seconds shifted left, then the low bits of the id. The full-text index of SQLite
uses it as its row number, so that "newest first" and a span of time need no sort.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
HOUR_US = 3_600_000_000
POSITION_BITS = 24


def us(moment: datetime) -> int:
    """Microseconds since 1970 of an aware time."""
    return (moment - EPOCH) // MICROSECOND


def us_or_none(moment: datetime | None) -> int | None:
    return None if moment is None else us(moment)


def when(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def when_or_none(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else when(microseconds)


def hour_of(microseconds: int) -> int:
    return microseconds // HOUR_US


def when_hour(hour: int) -> datetime:
    return EPOCH + timedelta(hours=hour)


def recount_name(day: int) -> str:
    """Name of the counter of a day (days since 1970) that grows when its hours are counted anew."""
    return f"recounted:{day:010d}"


def position_of(published_us: int, article_id: int) -> int:
    return ((published_us // 1_000_000) << POSITION_BITS) | (article_id & ((1 << POSITION_BITS) - 1))


def position_at(moment: datetime) -> int:
    """The lowest position that an article published at or after this whole second can have."""
    return (us(moment) // 1_000_000) << POSITION_BITS


def dump(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces; times as ISO text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be kept as JSON")


def load(value: str | None) -> Any:
    return None if value is None else json.loads(value)


SEPARATOR = "\x1f"


def join_names(names: Iterable[str]) -> str:
    """Names as one text that begins and ends each of them with a separator: cheap to read, and easy to look into."""
    body = SEPARATOR.join(names)
    return f"{SEPARATOR}{body}{SEPARATOR}" if body else ""


def split_names(text: str) -> tuple[str, ...]:
    return tuple(text[1:-1].split(SEPARATOR)) if text else ()
