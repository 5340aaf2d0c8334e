"""Feeds, what a poll brings and what it leaves behind."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DateQuality(StrEnum):
    EXACT = "exact"  # the source gave a time
    DAY = "day"  # the source gave a calendar day only; judged in calendar-day windows
    NONE = "none"  # no usable date: published := first_seen; never counts towards an alert


class FeedState(StrEnum):
    NEW = "new"  # never polled
    OK = "ok"
    FAILING = "failing"  # the last poll failed; backing off, never given up
    SILENT = "silent"  # answers, but brings nothing against its own habit
    DISABLED = "disabled"  # by a person, or by HTTP 410


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFeed:
    """What a person, OPML or the default list says of a feed before it is stored."""

    url: str
    title: str = ""
    publisher: str = ""
    family: str = ""  # publishers of one group are one voice; defaults to the publisher
    language: str = "en"  # ISO 639-1
    enabled: bool = True
    sample: bool = False  # our own sample news; removed with one click
    note: str = ""  # for example "unverified" for an address nobody has reached yet


HABIT_DAYS = 14.0
"""How long a habit remembers."""


def learned_habit(known: float, brought: float, days: float) -> float:
    """A habit of so much a day, after so many days (more than 0) that brought so much: the past fades."""
    return known + (1.0 - math.exp(-days / HABIT_DAYS)) * (brought / days - known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    id: int
    url: str
    title: str
    publisher: str
    family: str
    language: str
    enabled: bool
    sample: bool
    note: str
    state: FeedState
    added: datetime
    etag: str | None = None
    last_modified: str | None = None
    interval_s: float = 900.0  # present cadence, between 5 and 60 minutes
    next_poll: datetime | None = None
    last_polled: datetime | None = None
    last_success: datetime | None = None
    last_item: datetime | None = None  # first_seen of the newest item
    failures: int = 0  # in a row
    last_error: str | None = None
    items_per_day: float | None = None  # its habit; None until it is known
    batches_per_day: float | None = None  # polls a day that brought something; None until that is known


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleDraft:
    """One item as the parser gives it: plain text, links only http(s), no identity yet."""

    guid: str | None
    url: str | None
    title: str
    summary: str
    author: str = ""
    published: datetime | None = None
    date_quality: DateQuality = DateQuality.NONE
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedFeed:
    title: str
    language: str | None
    drafts: tuple[ArticleDraft, ...]
    ttl_s: float | None = None  # the feed's own wish (<ttl>, sy:updatePeriod)
    dropped: int = 0  # items beyond the newest 1,000, or without title and link


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An answer of a feed server that is worth parsing, or `not_modified`."""

    url: str  # where it finally came from
    status: int
    body: bytes = b""
    content_type: str = ""
    etag: str | None = None
    last_modified: str | None = None
    max_age_s: float | None = None
    retry_after_s: float | None = None
    moved_permanently: bool = False

    @property
    def not_modified(self) -> bool:
        return self.status == 304


@dataclass(frozen=True, slots=True, kw_only=True)
class PollRecord:
    """What a poll leaves behind on its feed; written together with the articles it brought."""

    feed_id: int
    polled: datetime
    next_poll: datetime
    interval_s: float
    state: FeedState
    ok: bool
    etag: str | None = None  # validators are stored only after a body that parsed
    last_modified: str | None = None
    failures: int = 0
    error: str | None = None
    title: str | None = None
    items_per_day: float | None = None
    batches_per_day: float | None = None
    language: str | None = None  # of most of the first items, where that is clear
    new_url: str | None = None
    note: str | None = None  # a new note for the feed


@dataclass(frozen=True, slots=True, kw_only=True)
class PollResult:
    """One line of a round: counts, or the reason why there are none."""

    feed: Feed
    new: int = 0
    revised: int = 0
    seen: int = 0
    not_modified: bool = False
    error: str | None = None
