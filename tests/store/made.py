"""A small vocabulary for store tests: articles, what a model says of them, and the whole line in one call."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from models.backend import Prediction
from models.labels import TOPICS
from monitor.domain import (
    DateQuality,
    Evidence,
    NewArticle,
    NewDelivery,
    NewFeed,
    SendReason,
    Severity,
    Transition,
    TransitionKind,
)
from monitor.store.base import Store

NOW = datetime(2026, 3, 12, 10, 7, tzinfo=UTC)
LEASE = timedelta(minutes=5)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def article(number: int, title: str = "", **changes: Any) -> NewArticle:
    """Article `number`, published that many minutes before NOW, a story of its own unless told otherwise."""
    identity = changes.pop("identity", f"article-{number}")
    published = changes.pop("published", NOW - timedelta(minutes=number))
    publisher = changes.pop("publisher", "Harbour Post")
    values: dict[str, Any] = {
        "identity": identity,
        "story_id": changes.pop("story", identity),
        "feed_id": None,
        "publisher": publisher,
        "family": changes.pop("family", publisher),
        "language": "en",
        "title": title or f"Quarry {number} reports",
        "summary": "",
        "url": f"https://news.example/{number}",
        "author": "",
        "published": published,
        "first_seen": published,
        "date_quality": DateQuality.EXACT,
        "counts": True,
    }
    return NewArticle(**{**values, **changes})


def said(
    sentiment: str = "negative", *topics: str, p: float = 0.8, version: str = "v1", unsure: bool = False
) -> Prediction:
    """What the model says: `p` for the sentiment, the rest shared by the other two."""
    rest = (1 - p) / 2
    by_name = {"negative": rest, "neutral": rest, "positive": rest, sentiment: p}
    chosen = topics or ("earnings_guidance",)
    return Prediction(
        p_negative=by_name["negative"],
        p_neutral=by_name["neutral"],
        p_positive=by_name["positive"],
        topics=chosen,
        topic_scores=tuple(0.9 if label in chosen else 0.01 for label in TOPICS),
        confidence=p,
        unsure=unsure,
        truncated=False,
        model_version=version,
    )


def go_live(store: Store, version: str = "v1", languages: tuple[str, ...] = ("en",)) -> None:
    store.set_live_model(version, languages, "test", "for the test", NOW)


def score(store: Store, *answers: tuple[str, Prediction]) -> int:
    """Score the whole queue: the first answer whose word is in the title, else neutral. Gives how many."""
    live = store.live_model()
    assert live is not None
    done = 0
    while claimed := store.claim_unscored("scorer", 500, NOW, LEASE):
        results = []
        for one in claimed:
            answer = next((given for word, given in answers if word in one.title), said("neutral", version=live[0]))
            results.append((one.id, answer))
        store.save_predictions(live[0], results, NOW)
        done += len(claimed)
    return done


def settle(store: Store) -> None:
    """Refresh until nothing is dirty, and check that the counts are what a recomputation gives."""
    while store.refresh_rollups():
        pass
    assert store.verify_rollups() == []


def feed(url: str = "https://feeds.example/a.xml", **changes: Any) -> NewFeed:
    return NewFeed(**{"url": url, "title": "Harbour", "publisher": "Harbour Post", **changes})


def evidence(*story_ids: str, negative: int = 5) -> Evidence:
    return Evidence(
        window_start=NOW - 6 * HOUR,
        window_end=NOW,
        window_hours=6.0,
        stories=9,
        negative=negative,
        expected=1.25,
        p_value=0.0004,
        families=3,
        model_version="v1",
        rule={"name": "negative-spike"},
        top=tuple({"story_id": key, "title": "Quarry closes"} for key in story_ids),
        baseline={"hours": 720, "sample": [0, 1, 2]},
    )


def step(kind: TransitionKind, series: str = "all", **changes: Any) -> Transition:
    values: dict[str, Any] = {
        "kind": kind,
        "rule": "negative-spike",
        "series": series,
        "severity": Severity.WARNING,
        "at": NOW,
        "summary": f"{series} is {kind.value}",
        "evidence": evidence("article-1"),
    }
    return Transition(**{**values, **changes})


def delivery(key: str = "k1", **changes: Any) -> NewDelivery:
    values: dict[str, Any] = {
        "key": key,
        "channel": "desk-mail",
        "reason": SendReason.FIRST,
        "group_key": "g",
        "due": NOW,
        "payload": {"title": "Quarry closes", "n": 3},
    }
    return NewDelivery(**{**values, **changes})
