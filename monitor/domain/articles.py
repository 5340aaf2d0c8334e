"""Articles, mentions and the watched entities."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from models.backend import Prediction
from monitor.domain.feeds import DateQuality


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    entity_id: int
    where: str  # "title" or "lead"
    confidence: float  # 0 to 1
    alias: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewArticle:
    """An article ready to be stored. `identity` is stable across re-polls; `story_id` names the story it reports."""

    identity: str
    story_id: str  # identity of the story's first stored article
    feed_id: int | None
    publisher: str
    family: str
    language: str
    title: str
    summary: str
    url: str | None
    author: str
    published: datetime
    first_seen: datetime
    date_quality: DateQuality
    counts: bool  # may count towards an alert: dated, and not from a feed's first poll
    sample: bool = False
    mentions: tuple[Mention, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    id: int
    identity: str
    story_id: str
    feed_id: int | None
    publisher: str
    family: str
    language: str
    title: str
    summary: str
    url: str | None
    author: str
    published: datetime
    first_seen: datetime
    date_quality: DateQuality
    counts: bool
    sample: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCounts:
    new: int = 0
    revised: int = 0
    seen: int = 0  # already there, unchanged
    newest: int = 0  # highest id that was given to a new article, 0 where none came


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredArticle:
    """An article as people see it: with its prediction by the live model, its entities and the size of its story."""

    article: Article
    prediction: Prediction | None
    state: str  # "scored", "waiting", "unsupported", "quarantined"
    entities: tuple[str, ...] = ()
    story_articles: int = 1
    story_publishers: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    id: int
    name: str
    aliases: tuple[str, ...] = ()
    ticker: str | None = None
    lei: str | None = None
    weight: float | None = None
