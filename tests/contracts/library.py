"""What the contract of the store is tried on: a small library of articles, a poll, a search."""

from __future__ import annotations

import pytest

from monitor.domain import (
    ArticleQuery,
    Entity,
    FeedState,
    Mention,
    PollRecord,
)
from monitor.store.sql import SqlStore
from tests.store.made import (
    HOUR,
    NOW,
    article,
    go_live,
    said,
    score,
    settle,
)


@pytest.fixture
def library(store: SqlStore) -> SqlStore:
    go_live(store)
    company = store.save_entity(Entity(id=0, name="Acme Quarries"), NOW)
    here = Mention(entity_id=company.id, where="title", confidence=0.9)
    store.add_articles(
        [
            article(1, "Acme Quarries nears default", summary="Bonds of the miner fell", mentions=(here,)),
            article(2, "Rates rise; Bonds steady", publisher="Inland Times"),
            article(3, "中国人民银行降息", language="zh"),
            article(4, "Acme: fined", story="article-1", publisher="Inland Times", mentions=(here, here)),
            article(60 * 24 * 3, "Bonds fell on Monday"),
        ],
        NOW,
    )
    score(
        store,
        ("default", said("negative", "credit_distress", "litigation", p=0.95)),
        ("Rates", said("neutral", "macro_policy", p=0.5, unsure=True)),
        ("fined", said("negative", "regulation_enforcement", p=0.7)),
        ("Monday", said("negative", "market_move", p=0.6)),
    )
    settle(store)
    return store


def poll(feed_id: int, **changes: object) -> PollRecord:
    values: dict[str, object] = {
        "feed_id": feed_id,
        "polled": NOW,
        "next_poll": NOW + HOUR,
        "interval_s": 900.0,
        "state": FeedState.OK,
        "ok": True,
    }
    return PollRecord(**{**values, **changes})  # type: ignore[arg-type]


def found(store: SqlStore, **question: object) -> list[int]:
    """Ids of the matches; the total must agree."""
    page, total = store.search_articles(ArticleQuery(**question))  # type: ignore[arg-type]
    assert total == len(page)
    return [one.article.id for one in page]
