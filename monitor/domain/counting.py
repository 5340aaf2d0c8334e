"""What is counted: stories as facts, series and their rollups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from monitor.domain.feeds import DateQuality


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryFact:
    """A story under one model version, as rollups and alerts count it: once, in the hour of its first article.

    sentiment: argmax of the mean probabilities over its scored articles. topics: those that at least half of its
    scored articles carry; main topic is its first article's. families: distinct publisher families of all articles.
    """

    story_id: str
    hour: datetime  # start of the hour of its first article
    published: datetime
    sentiment: str
    score: float  # mean of positive minus negative probability
    p_negative: float
    confidence: float
    main_topic: str
    topics: tuple[str, ...]
    entities: tuple[str, ...]
    publishers: tuple[str, ...]
    families: tuple[str, ...]
    languages: tuple[str, ...]
    articles: int
    counts: bool  # at least one of its articles counts towards alerts
    date_quality: DateQuality
    title: str
    first_seen: datetime  # of its first counting article, else of its first article


def series_of_topic(topic: str) -> str:
    return f"topic:{topic}"


def series_of_entity(entity: str, topic: str | None = None) -> str:
    return f"entity:{entity}" if topic is None else f"entity:{entity}/topic:{topic}"


ALL = "all"
OTHER = "other"  # the topic of what is no news about the market at large


class Counted(Protocol):
    """What says where a story counts: `StoryFact`, and the row that the store makes it from."""

    @property
    def main_topic(self) -> str: ...
    @property
    def topics(self) -> tuple[str, ...]: ...
    @property
    def entities(self) -> tuple[str, ...]: ...
    @property
    def publishers(self) -> tuple[str, ...]: ...
    @property
    def languages(self) -> tuple[str, ...]: ...


def series_of(story: Counted) -> Iterator[str]:
    """Every series that counts this story. `all` leaves out stories whose main topic is `other`."""
    if story.main_topic != OTHER:
        yield ALL
    for topic in story.topics:
        yield series_of_topic(topic)
    for entity in story.entities:
        yield series_of_entity(entity)
        for topic in story.topics:
            yield series_of_entity(entity, topic)
    for publisher in story.publishers:
        yield f"publisher:{publisher}"
    for language in story.languages:
        yield f"language:{language}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollup:
    """Counts of one series in one bucket (an hour; a day when asked for days) under one model version.

    articles: all articles of the stories counted here. stories = negative + neutral + positive.
    alert_stories, alert_negative: the part that counts towards alerts. score_sum: sum of the stories' scores.
    """

    series: str
    hour: datetime
    articles: int
    stories: int
    negative: int
    neutral: int
    positive: int
    score_sum: float
    alert_stories: int
    alert_negative: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RollupColumns:
    """Rows of `Rollup` as columns of one length, which is what a page draws: a value for each row is a plain number
    instead of an object. hour: whole hours since 1970."""

    series: Sequence[str]
    hour: Sequence[int]
    articles: Sequence[int]
    stories: Sequence[int]
    negative: Sequence[int]
    neutral: Sequence[int]
    positive: Sequence[int]
    score_sum: Sequence[float]
    alert_stories: Sequence[int]
    alert_negative: Sequence[int]

    def __len__(self) -> int:
        return len(self.series)
