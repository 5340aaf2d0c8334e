"""A real SQLite store with invented articles, scored by the scripted classifier."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from monitor.alerts.rules import default_rules
from monitor.alerts.sources import StoreSource
from monitor.domain import (
    Alert,
    ChannelConfig,
    DateQuality,
    Entity,
    Mention,
    NewArticle,
    Transition,
)
from monitor.scoring import refresh_counts, score_queue
from monitor.store import open_store
from monitor.store.base import Store
from monitor.watch import watch
from tests.alerts.news import PUBLISHERS
from tests.scripted_classifier import ScriptedClassifier

NOW = datetime(2026, 4, 21, 15, 7, tzinfo=UTC)  # a Tuesday afternoon
BAD = ("lawsuit", "loss", "fined", "layoffs", "plunge")
FINE = ("profit", "meeting", "rally", "agenda", "wins")


@dataclass
class Newsroom:
    """`publish` puts articles into the store, `look` scores what waits and evaluates the rules."""

    store: Store
    now: datetime = NOW
    classifier: ScriptedClassifier = field(default_factory=ScriptedClassifier)
    entities: dict[str, Entity] = field(default_factory=dict)
    first_number: int = 1

    def __post_init__(self) -> None:
        self._numbers = itertools.count(self.first_number)

    def article(
        self,
        at: datetime,
        title: str,
        publisher: str = PUBLISHERS[0],
        *,
        entity: str | None = None,
        first_seen: datetime | None = None,
        counts: bool = True,
        quality: DateQuality = DateQuality.EXACT,
        story: str | None = None,
        family: str = "",
        where: str = "title",
        feed_id: int | None = None,
    ) -> NewArticle:
        number = next(self._numbers)
        mentions: tuple[Mention, ...] = ()
        if entity is not None:
            who = self.entity(entity)
            mentions = (Mention(entity_id=who.id, where=where, confidence=1.0, alias=entity),)
        return NewArticle(
            identity=f"article-{number}",
            story_id=story or f"article-{number}",
            feed_id=feed_id,
            publisher=publisher,
            family=family or publisher,
            language="en",
            title=title,
            summary="",
            url=f"https://news.example/{number}",
            author="",
            published=at,
            first_seen=first_seen or at,
            date_quality=quality,
            counts=counts,
            mentions=mentions,
        )

    def entity(self, name: str) -> Entity:
        if name not in self.entities:
            self.entities[name] = self.store.save_entity(Entity(id=0, name=name, aliases=(name,)), self.now)
        return self.entities[name]

    def past(
        self,
        days: int = 45,
        per_day: float = 24.0,
        seed: int = 1,
        publishers: Sequence[str] = PUBLISHERS,
        quality: DateQuality = DateQuality.EXACT,
    ) -> list[NewArticle]:
        """Weeks of ordinary news before now, a fifth of it bad."""
        rng = np.random.default_rng(seed)
        begin = self.now.replace(hour=0, minute=0) - timedelta(days=days)
        articles = []
        for hour in range(int((self.now - begin) / timedelta(hours=1))):
            for _ in range(rng.poisson(per_day / 24)):
                words = BAD if rng.random() < 0.2 else FINE
                word = words[int(rng.integers(len(words)))]
                at = begin + timedelta(hours=hour, minutes=int(rng.integers(60)))
                if quality is DateQuality.DAY:
                    at = at.replace(hour=0, minute=0)
                who = publishers[int(rng.integers(len(publishers)))]
                articles.append(self.article(at, f"Firm {hour} and its {word}", who, quality=quality))
        return articles

    def burst(self, count: int = 12, word: str = "lawsuit", hours: float = 4.0, **how: object) -> list[NewArticle]:
        """Bad news of the last hours, by all publishers in turn."""
        step = timedelta(hours=hours) / count
        publishers = how.pop("publishers", PUBLISHERS)
        return [
            self.article(
                self.now - step * (n + 1),
                f"Matter {n} ends in {word}",
                publishers[n % len(publishers)],  # type: ignore[index, arg-type]
                **how,  # type: ignore[arg-type]
            )
            for n in range(count)
        ]

    def publish(self, articles: Sequence[NewArticle], *, score: bool = True) -> None:
        self.store.add_articles(articles, self.now)
        if score:
            self.score()

    def score(self) -> None:
        score_queue(self.store, self.classifier, "tests", lambda: self.now)

    def promote(self, version: str) -> None:
        self.classifier = ScriptedClassifier(version)
        self.store.set_live_model(version, ("en",), "tests", "promotion", self.now)

    def look(self, at: datetime | None = None) -> list[Transition]:
        self.now = at or self.now
        refresh_counts(self.store)
        return watch(self.store, self.now, "http://desk.example")

    def source(self) -> StoreSource:
        refresh_counts(self.store)
        return StoreSource(self.store)

    def spikes(self) -> list[Alert]:
        return [alert for alert in self.store.alerts() if alert.rule == "negative-spike"]


def open_newsroom(folder: Path, *, channel: bool = True) -> Newsroom:
    store = open_store(f"sqlite:///{folder / 'headwind.db'}")
    for rule in default_rules():
        store.save_rule(rule, "tests", NOW)
    store.set_live_model("scripted-1", ("en",), "tests", "start", NOW)
    if channel:
        store.save_channel(ChannelConfig(name="desk", kind="console"), "tests", NOW)
    return Newsroom(store)
