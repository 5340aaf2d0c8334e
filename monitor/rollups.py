"""How articles become a story's fact, and facts become counts. Pure: the store brings rows, and verification too.

Everything is recomputed from its sources, never incremented, so merging, re-scoring and new aliases are idempotent.
Times are microseconds since 1970, hours are hours since 1970, as in the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from models.labels import SENTIMENTS
from monitor.domain import OTHER, series_of

HOUR_US = 3_600_000_000
ANY = "\x1f"  # in place of a publisher, language or topic: all of them; the character that separates names is in none


class Member(NamedTuple):
    """One article of a story, with what the model said of it (topics is None when it has said nothing)."""

    id: int
    published: int
    first_seen: int
    date_quality: str
    publisher: str
    family: str
    language: str
    counts: bool
    p_negative: float
    p_neutral: float
    p_positive: float
    topics: tuple[str, ...] | None


class Fact(NamedTuple):
    """A story as it is counted: the columns of the table story_facts, in its order, and cheap to make by the million;
    `StoryFact` is the same as people and rules read it. `publishers` and `languages` begin with those of the first
    article."""

    hour: int
    first_article: int
    published: int
    first_seen: int
    date_quality: str
    sentiment: str
    p_negative: float
    score: float
    confidence: float
    main_topic: str
    topics: tuple[str, ...]
    entities: tuple[str, ...]
    publishers: tuple[str, ...]
    families: tuple[str, ...]
    languages: tuple[str, ...]
    articles: int
    counts: bool


class Sums(NamedTuple):
    articles: int
    stories: int
    negative: int
    neutral: int
    positive: int
    score_sum: float
    alert_stories: int
    alert_negative: int


def fact_of(members: Sequence[Member], entities: Iterable[str], languages: frozenset[str]) -> Fact | None:
    """The fact of a story from its articles, oldest first; None while none of them is scored.

    An article in a language that the model does not speak, and that it has not scored, is left out altogether.
    """
    own = [one for one in members if one.topics is not None or one.language in languages]
    scored = [one for one in own if one.topics is not None]
    if not scored:
        return None
    first, n = own[0], len(scored)
    means = [
        sum(one.p_negative for one in scored) / n,
        sum(one.p_neutral for one in scored) / n,
        sum(one.p_positive for one in scored) / n,
    ]
    top = max(range(3), key=means.__getitem__)
    main = (scored[0].topics or (OTHER,))[0]
    counting = [one for one in own if one.counts]
    return Fact(
        hour=first.published // HOUR_US,
        first_article=first.id,
        published=first.published,
        first_seen=min(one.first_seen for one in counting) if counting else first.first_seen,
        date_quality=first.date_quality,
        sentiment=SENTIMENTS[top],
        p_negative=means[0],
        score=means[2] - means[0],
        confidence=means[top],
        main_topic=main,
        topics=(main, *_shared_topics(scored, main)),
        entities=tuple(sorted(entities)),
        publishers=tuple(dict.fromkeys(one.publisher for one in own)),
        families=tuple(dict.fromkeys(one.family for one in own)),
        languages=tuple(dict.fromkeys(one.language for one in own)),
        articles=len(own),
        counts=bool(counting),
    )


def _shared_topics(scored: Sequence[Member], main: str) -> list[str]:
    """Topics beside the main one that at least half of the scored articles carry; `other` never goes with another."""
    carried: dict[str, int] = {}
    for one in scored:
        for topic in one.topics or ():
            carried[topic] = carried.get(topic, 0) + 1
    shared = [topic for topic, count in carried.items() if 2 * count >= len(scored) and topic not in (main, OTHER)]
    return sorted(shared, key=lambda topic: -carried[topic])


def cell_of(fact: Fact) -> tuple[str, str, str]:
    """The one cell (publisher, language, main topic) of a story: that of its first article."""
    return fact.publishers[0], fact.languages[0], fact.main_topic


def count(facts: Iterable[Fact]) -> tuple[dict[tuple[int, str], Sums], dict[tuple[int, str, str, str], Sums]]:
    """Rollups by (hour, series) and cells by (hour, publisher, language, main topic) of these stories; beside each cell
    the one over all publishers, named ANY.

    Facts must come in the same order each time (the store orders by hour and story), so that a recomputation adds the
    scores in the same order and gives the same bits.
    """
    by_series: dict[tuple[int, str], list[Any]] = {}
    by_cell: dict[tuple[int, str, str, str], list[Any]] = {}
    named: dict[tuple[tuple[str, ...], ...], tuple[str, ...]] = {}
    for fact in facts:
        key = (fact.topics, fact.entities, fact.publishers, fact.languages)
        names = named.get(key)
        if names is None:
            names = named[key] = tuple(dict.fromkeys(series_of(fact)))
        one = _one(fact)
        for name in names:
            _add(by_series, (fact.hour, name), one)
        publisher, language, topic = cell_of(fact)
        _add(by_cell, (fact.hour, publisher, language, topic), one)
        _add(by_cell, (fact.hour, ANY, language, topic), one)
    return (
        {where: Sums(*sums) for where, sums in by_series.items()},
        {where: Sums(*sums) for where, sums in by_cell.items()},
    )


def _one(fact: Fact) -> tuple[Any, ...]:
    """The sums of one story alone, in the order of `Sums`."""
    negative, positive = int(fact.sentiment == "negative"), int(fact.sentiment == "positive")
    counts = int(fact.counts)
    return fact.articles, 1, negative, 1 - negative - positive, positive, fact.score, counts, counts * negative


def _add(sums: dict[Any, list[Any]], key: Any, one: tuple[Any, ...]) -> None:
    there = sums.get(key)
    if there is None:
        sums[key] = list(one)
    else:
        for at, value in enumerate(one):
            there[at] += value
