"""The contract of the seam `Store`, the same on SQLite and on a real PostgreSQL: the queue, predictions, entities."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from monitor.domain import (
    Entity,
    Mention,
)
from monitor.errors import StoreError
from monitor.store.sql import SqlStore
from tests.store.made import (
    DAY,
    LEASE,
    NOW,
    article,
    go_live,
    said,
    score,
    settle,
)
from tests.stores import OpenStore

# ── scoring ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_queue_is_what_the_live_model_has_not_scored(store: SqlStore) -> None:
    store.add_articles([article(1), article(2), article(3, language="zh")], NOW)
    assert store.live_model() is None and store.unscored_count() == 3
    assert store.claim_unscored("w", 10, NOW, LEASE) == []
    go_live(store)
    assert store.live_model() == ("v1", ("en",))
    assert store.unscored_count() == 2 and store.status().unsupported == 1
    claimed = store.claim_unscored("w", 10, NOW, LEASE)
    assert [one.identity for one in claimed] == ["article-1", "article-2"]
    assert store.claim_unscored("other", 10, NOW, LEASE) == []
    store.save_predictions("v1", [(one.id, said()) for one in claimed], NOW)
    assert store.unscored_count() == 0
    go_live(store, "v2", ("en", "zh"))
    assert store.unscored_count() == 3 and score(store) == 3
    go_live(store, "v1", ("en",))
    assert store.unscored_count() == 0 and store.status().unsupported == 1
    assert [version for _, version, _, _ in store.model_history()] == ["v1", "v2", "v1"]


def test_going_back_to_a_model_brings_its_counts_up_to_date(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(1, story="s")], NOW)
    score(store, ("Quarry", said("negative")))
    settle(store)
    go_live(store, "v2")
    score(store, ("Quarry", said("positive", version="v2")))
    store.add_articles([article(2, story="s", publisher="Inland Times")], NOW)
    settle(store)
    assert [row.positive for row in store.rollups(["all"], NOW - DAY, NOW)] == [1]
    go_live(store)
    score(store, ("Quarry", said("negative")))
    settle(store)
    [row] = store.rollups(["all"], NOW - DAY, NOW)
    assert (row.negative, row.articles) == (1, 2)


def test_an_expired_lease_is_free_again_and_released_ones_cost_nothing(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(1)], NOW)
    for _ in range(5):
        assert len(store.claim_unscored("w", 10, NOW, LEASE)) == 1
        store.release("w")
    assert len(store.claim_unscored("w", 10, NOW, LEASE)) == 1
    assert store.claim_unscored("x", 10, NOW + LEASE - timedelta(seconds=1), LEASE) == []
    assert len(store.claim_unscored("x", 10, NOW + LEASE, LEASE)) == 1


def test_none_and_numbers_that_are_not_finite_quarantine_an_article(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(1), article(2)], NOW)
    broken = said(p=float("nan"))
    store.save_predictions("v1", [(1, None), (2, broken), (99, said())], NOW)
    status = store.status()
    assert (status.quarantined, status.unscored) == (2, 0)
    one = store.article(2)
    assert one is not None and (one.state, one.prediction) == ("quarantined", None)
    settle(store)
    assert store.rollups(["all"], NOW - DAY, NOW) == []


def test_a_prediction_comes_back_with_the_very_same_numbers(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(1)], NOW)
    exact = said("negative", "litigation", "fraud_crime", p=0.1 + 0.2)
    store.save_predictions("v1", [(1, exact)], NOW)
    store.save_predictions("v1", [(1, exact)], NOW)
    got = store.article(1)
    assert got is not None and got.prediction == exact


def test_two_workers_never_hold_the_same_article(store: SqlStore, store_url: str, open_at: OpenStore) -> None:
    go_live(store)
    store.add_articles([article(n) for n in range(300)], NOW)
    held: dict[str, list[int]] = {"a": [], "b": [], "c": []}

    def work(name: str, own: SqlStore) -> None:
        while claimed := own.claim_unscored(name, 7, NOW, LEASE):
            held[name] += [one.id for one in claimed]

    threads = [threading.Thread(target=work, args=(name, open_at(store_url))) for name in held]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    ids = [one for those in held.values() for one in those]
    assert len(ids) == len(set(ids)) == 300


# ── entities ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_entity_is_matched_back_and_a_removed_one_leaves_the_counts(store: SqlStore) -> None:
    go_live(store)
    store.add_articles([article(1), article(2)], NOW)
    score(store)
    settle(store)
    own = store.save_entity(Entity(id=0, name="Acme", aliases=("ACM", "Acme Corp"), ticker="ACM", weight=2.5), NOW)
    assert store.entities() == [own]
    pairs = [(1, Mention(entity_id=own.id, where=place, confidence=1.0)) for place in ("title", "lead")]
    assert store.replace_mentions(own.id, [*pairs, (77, pairs[0][1])]) == 2
    settle(store)
    assert [row.stories for row in store.rollups(["entity:Acme"], NOW - DAY, NOW)] == [1]
    again = store.save_entity(Entity(id=0, name="Acme", aliases=("Acme",)), NOW)
    assert again.id == own.id and len(store.entities()) == 1
    store.save_entity(Entity(id=own.id, name="Acme Quarries"), NOW)
    settle(store)
    assert store.rollups(["entity:Acme"], NOW - DAY, NOW) == []
    assert len(store.rollups(["entity:Acme Quarries"], NOW - DAY, NOW)) == 1
    store.remove_entity("Acme Quarries", NOW)
    settle(store)
    assert store.rollups(["entity:Acme Quarries"], NOW - DAY, NOW) == [] and store.entities() == []
    with pytest.raises(StoreError, match="no entity"):
        store.replace_mentions(own.id, [])
