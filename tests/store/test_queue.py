"""Leases find the article that kills its scorer, and its neighbours are scored (M6, the store's part)."""

from __future__ import annotations

from datetime import datetime, timedelta

from monitor.store.sql import SqlStore
from tests.store.made import LEASE, NOW, article, go_live, said, settle


class Scorer:
    """Scores what it claims, and dies without a word when the poisoned article is in its batch."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.now: datetime = NOW
        self.deaths = 0

    def run(self, rounds: int) -> None:
        for _ in range(rounds):
            claimed = self.store.claim_unscored(f"scorer-{self.deaths}", 64, self.now, LEASE)
            if any("poison" in one.title for one in claimed):
                self.deaths += 1
                self.now += LEASE  # the supervisor starts the next one; the leases run out
                continue
            if not claimed:
                self.now += timedelta(minutes=1)
            self.store.save_predictions("v1", [(one.id, said()) for one in claimed], self.now)


def test_an_article_that_kills_its_scorer_three_times_is_quarantined_alone(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(n, "poison" if n == 40 else "") for n in range(150)], NOW)
    scorer = Scorer(store)
    scorer.run(120)
    status = store.status()
    assert (status.quarantined, status.unscored) == (1, 0)
    assert scorer.deaths == 3
    [bad] = [one for one in store.recent_articles(NOW - timedelta(days=1)) if one.title == "poison"]
    got = store.article(bad.id)
    assert got is not None and got.state == "quarantined"
    settle(store)
    counted = store.rollups(["all"], NOW - timedelta(days=1), NOW + timedelta(days=1))
    assert sum(row.stories for row in counted) == 149


def test_a_new_model_gives_a_quarantined_article_another_chance(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(1)], NOW)
    store.save_predictions("v1", [(1, None)], NOW)
    go_live(store, "v2")
    [again] = store.claim_unscored("w", 10, NOW, LEASE)
    store.save_predictions("v2", [(again.id, said(version="v2"))], NOW)
    got = store.article(1)
    assert got is not None and got.state == "scored"


def test_a_batch_that_ends_after_the_model_was_switched_is_kept_and_scored_anew(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(1)], NOW)
    [claimed] = store.claim_unscored("w", 10, NOW, LEASE)
    go_live(store, "v2")
    store.save_predictions("v1", [(claimed.id, said())], NOW)
    assert store.unscored_count() == 1
    go_live(store, "v1")
    assert store.unscored_count() == 0
    got = store.article(1)
    assert got is not None and got.prediction == said()
