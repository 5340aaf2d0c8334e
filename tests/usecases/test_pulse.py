"""The pulse says in words what stands still on purpose, so that silence is not taken for calm."""

from __future__ import annotations

from datetime import UTC, datetime

from monitor.pulse import JUDGED_MODEL, read_pulse, status_answer
from monitor.store.sql import SqlStore
from monitor.watch import watch
from tests.usecases.newsroom import Newsroom

NOW = datetime(2026, 3, 12, 10, 7, tzinfo=UTC)


def test_alerts_that_wait_for_a_new_version_are_named_until_it_has_caught_up(store: SqlStore) -> None:
    room = Newsroom(store, NOW)
    room.serves("v1")
    room.store.set_setting(JUDGED_MODEL, "v1", "system", NOW)
    store.add_articles([room.new(f"Quarry {n} reports") for n in range(30)], NOW)
    assert not any("paused" in note for note in read_pulse(store, NOW).notes), "a backlog alone is no pause"
    room.serves("v2", at=NOW)
    watch(store, NOW)
    pulse = read_pulse(store, NOW)
    (said,) = [note for note in pulse.notes if "alerts are paused" in note]
    assert "v1" in said and "v2" in said and "30 articles" in said and said in pulse.problems
    assert said in status_answer(store.status(), pulse)["notes"]
    while claimed := store.claim_unscored("w", 50, NOW, NOW - NOW.replace(minute=0)):
        store.save_predictions("v2", [(one.id, None) for one in claimed], NOW)
    watch(store, NOW)
    assert not any("paused" in note for note in read_pulse(store, NOW).notes)


def test_status_says_what_the_store_stands_on(store: SqlStore) -> None:
    about = status_answer(store.status(), read_pulse(store, NOW))["store"]
    assert about["kind"] in ("sqlite", "postgresql") and about["version"]
