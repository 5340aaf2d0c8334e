"""A small newsroom on a real SQLite store: articles and what a version said of them, in words.

room = Newsroom(store, NOW)
room.serves("v1")
room.article("Acme nears default", says="negative", sure=0.9, topics=("credit_distress",))
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from models.backend import Prediction
from models.labels import SENTIMENTS, TOPICS
from monitor.domain import DateQuality, NewArticle, Verdict
from monitor.store.base import Store


def prediction(
    sentiment: str = "neutral",
    topics: Sequence[str] = ("business_operations",),
    sure: float = 0.9,
    version: str = "v1",
    unsure: bool | None = None,
) -> Prediction:
    """`sure` is the probability of the sentiment; the others share the rest."""
    shares = [sure if name == sentiment else (1 - sure) / 2 for name in SENTIMENTS]
    return Prediction(
        p_negative=shares[0],
        p_neutral=shares[1],
        p_positive=shares[2],
        topics=tuple(topics),
        topic_scores=tuple(0.9 if name in topics else 0.02 for name in TOPICS),
        confidence=sure,
        unsure=sure < 0.55 if unsure is None else unsure,
        truncated=False,
        model_version=version,
    )


class Newsroom:
    def __init__(self, store: Store, now: datetime) -> None:
        self.store = store
        self.now = now
        self._count = 0

    def serves(self, version: str, languages: Sequence[str] = ("en",), at: datetime | None = None) -> None:
        self.store.set_live_model(version, languages, "test", "test", at or self.now - timedelta(days=1))

    def new(
        self,
        title: str,
        *,
        at: datetime | None = None,
        story: str | None = None,
        language: str = "en",
        summary: str = "",
    ) -> NewArticle:
        self._count += 1
        moment = at or self.now - timedelta(hours=2)
        identity = f"article-{self._count}"
        return NewArticle(
            identity=identity,
            story_id=story or identity,
            feed_id=None,
            publisher=f"Paper {self._count % 5}",
            family=f"House {self._count % 5}",
            language=language,
            title=title,
            summary=summary,
            url=None,
            author="",
            published=moment,
            first_seen=moment,
            date_quality=DateQuality.EXACT,
            counts=True,
        )

    def article(
        self,
        title: str,
        *,
        says: str = "neutral",
        sure: float = 0.9,
        topics: Sequence[str] = ("business_operations",),
        at: datetime | None = None,
        story: str | None = None,
        summary: str = "",
        version: str = "v1",
    ) -> int:
        """Store and score one article; gives its id."""
        new = self.new(title, at=at, story=story, summary=summary)
        self.store.add_articles([new], self.now)
        copies = self.store.story_articles(new.story_id)
        [number] = [copy.article.id for copy in copies if copy.article.identity == new.identity]
        self.score([(number, prediction(says, topics, sure, version))])
        return number

    def score(self, answers: Sequence[tuple[int, Prediction | None]]) -> None:
        version = next((answer.model_version for _, answer in answers if answer), "v1")
        self.store.save_predictions(version, answers, self.now)
        while self.store.refresh_rollups():
            pass

    def says(
        self,
        article_id: int,
        actor: str,
        *,
        right: bool = False,
        sentiment: str | None = None,
        topics: Sequence[str] = (),
        reason: str = "",
        at: datetime | None = None,
    ) -> None:
        """A verdict of an analyst."""
        self.store.save_verdict(
            Verdict(
                subject=f"article:{article_id}",
                actor=actor,
                at=at or self.now - timedelta(minutes=5),
                right=right,
                sentiment=sentiment,
                topics=tuple(topics),
                reason=reason,
            )
        )
