"""Verdicts and the audit log, questions to the store and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """An analyst's correction or confirmation. subject: "article:<id>" or "alert:<id>"."""

    subject: str
    actor: str
    at: datetime
    right: bool
    reason: str = ""  # wrong_company, not_negative, not_material, …
    sentiment: str | None = None
    topics: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleQuery:
    """A question to the store for articles; None or empty means "any". Newest first."""

    text: str = ""  # words, "quoted phrases", -minus
    start: datetime | None = None
    end: datetime | None = None
    sentiments: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    publishers: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    min_confidence: float = 0.0
    unsure_only: bool = False
    story_id: str | None = None
    group_stories: bool = False  # one row a story: its first article
    limit: int = 50
    offset: int = 0
    count_to: int = (
        10_000  # counting matches stops here, and 0 counts none beyond the page: it costs, the page does not
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFilter:
    """Which cells (hour × publisher × language × main topic) are added up."""

    publishers: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusCounts:
    articles: int
    stories: int
    unscored: int  # only what the live model supports
    unsupported: int
    quarantined: int
    feeds: dict[str, int]  # total, ok, failing, silent, disabled
    alerts_open: int
    deliveries: dict[str, int]  # pending, sent, failed, dead
    model_version: str | None
    data_as_of: datetime | None  # newest first_seen, or newest successful poll if later
    samples: int = 0  # articles of the sample news
    store: dict[str, Any] = field(default_factory=dict)  # kind, version, write-ahead log, who checkpoints, paused
