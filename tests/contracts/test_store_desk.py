"""The contract of the seam `Store`, the same on SQLite and on a real PostgreSQL: alerts, deliveries, audit, status."""

from __future__ import annotations

import threading

import pytest

from monitor.domain import (
    AlertState,
    ArticleQuery,
    CellFilter,
    ChannelConfig,
    DeliveryState,
    FeedState,
    Rule,
    RuleKind,
    SendOutcome,
    Severity,
    Silence,
    TransitionKind,
    Verdict,
)
from monitor.errors import StoreError
from monitor.store.sql import SqlStore
from tests.contracts.library import poll
from tests.store.made import (
    DAY,
    HOUR,
    LEASE,
    NOW,
    article,
    delivery,
    evidence,
    feed,
    step,
)
from tests.stores import OpenStore

# ── rules, alerts, deliveries ────────────────────────────────────────────────────────────────────────────────────


def test_rules_are_kept_as_they_are(store: SqlStore) -> None:
    rule = Rule(
        name="negative-spike",
        kind=RuleKind.SPIKE,
        scope=("all", "topic:*"),
        params={"min_stories": 4, "windows": [6, 24], "nested": {"a": None}},
        severity=Severity.CRITICAL,
        channels=("desk",),
        escalate_after_s=600.0,
    )
    store.save_rule(rule, "ana", NOW)
    assert store.rules() == [rule]
    store.remove_rule("negative-spike", "ana", NOW)
    store.remove_rule("negative-spike", "ana", NOW)
    assert store.rules() == []
    assert [entry.action for entry in store.audit()] == ["rule.remove", "rule.save"]


def test_an_alert_lives_from_open_to_resolved_with_its_time_line(store: SqlStore) -> None:
    [key] = store.apply_transitions([step(TransitionKind.OPEN)], [(0, delivery())], NOW)
    opened = store.alert(key)
    assert opened is not None and opened.evidence == evidence("article-1") and opened.state is AlertState.OPEN
    [sent] = store.deliveries()
    assert (sent.alert_ids, sent.payload, sent.due) == ((key,), {"title": "Quarry closes", "n": 3}, NOW)
    worse = step(TransitionKind.WORSEN, alert_id=key, severity=Severity.CRITICAL, at=NOW + HOUR)
    up = step(TransitionKind.ESCALATE, alert_id=key, at=NOW + 2 * HOUR)
    done = step(TransitionKind.RESOLVE, alert_id=key, at=NOW + 3 * HOUR)
    assert store.apply_transitions([worse, up, done], [(0, delivery("k1")), (1, delivery("k2"))], NOW) == [key] * 3
    closed = store.alert(key)
    assert closed is not None
    assert (closed.state, closed.resolved_at, closed.opened_at) == (AlertState.RESOLVED, NOW + 3 * HOUR, NOW)
    assert [event.kind for event in store.alert_events(key)] == ["open", "worsen", "escalate", "resolve"]
    assert store.last_resolved() == {("negative-spike", "all"): NOW + 3 * HOUR}
    assert {one.key for one in store.deliveries()} == {"k1", "k2"}
    assert store.alerts([AlertState.OPEN]) == [] and store.alerts(since=NOW + HOUR) == []
    assert store.verify_audit() is None


def test_one_open_alert_for_each_rule_and_series(store: SqlStore) -> None:
    [key] = store.apply_transitions([step(TransitionKind.OPEN)], [], NOW)
    assert store.apply_transitions([step(TransitionKind.OPEN)], [], NOW) == [key]
    [other] = store.apply_transitions([step(TransitionKind.OPEN, "entity:Acme", inhibited_by="all")], [], NOW)
    inhibited = store.alert(other)
    assert inhibited is not None and inhibited.inhibited_by == key
    store.change_alert(key, kind="resolve", actor="ana", now=NOW, state=AlertState.RESOLVED)
    [new] = store.apply_transitions([step(TransitionKind.OPEN)], [], NOW)
    assert new != key
    with pytest.raises(StoreError, match="cannot be opened again"):
        store.change_alert(key, kind="reopen", actor="ana", now=NOW, state=AlertState.OPEN)


def test_a_step_about_an_alert_that_a_person_resolved_is_moot(store: SqlStore) -> None:
    [key] = store.apply_transitions([step(TransitionKind.OPEN)], [], NOW)
    store.change_alert(key, kind="resolve", actor="ana", now=NOW, state=AlertState.RESOLVED)
    late = step(TransitionKind.WORSEN, alert_id=key)
    assert store.apply_transitions([late], [(0, delivery("late"))], NOW) == [key]
    assert store.deliveries() == []
    kept = store.alert(key)
    assert kept is not None and kept.state is AlertState.RESOLVED


def test_a_transition_and_its_deliveries_are_written_together_or_not_at_all(store: SqlStore) -> None:
    broken = step(TransitionKind.RESOLVE, "topic:litigation")  # names no alert
    with pytest.raises(StoreError, match="names no open alert"):
        store.apply_transitions([step(TransitionKind.OPEN), broken], [(0, delivery())], NOW)
    assert store.alerts() == [] and store.deliveries() == [] and store.audit() == []


def test_a_persons_steps_are_events_and_audited(store: SqlStore) -> None:
    [key] = store.apply_transitions([step(TransitionKind.OPEN)], [], NOW)
    store.change_alert(key, kind="acknowledge", actor="ana", now=NOW, state=AlertState.ACKNOWLEDGED, note="on it")
    store.change_alert(key, kind="assign", actor="ana", now=NOW, assignee="bo")
    store.change_alert(key, kind="snooze", actor="bo", now=NOW, snoozed_until=NOW + HOUR)
    after = store.change_alert(
        key, kind="verdict", actor="bo", now=NOW, verdict="right", deliveries=[delivery("note", alert_ids=(key,))]
    )
    assert (after.state, after.assignee, after.snoozed_until) == (AlertState.ACKNOWLEDGED, "bo", NOW + HOUR)
    assert after.verdict == "right" and store.deliveries()[0].alert_ids == (key,)
    line = [(event.kind, event.actor, event.note) for event in store.alert_events(key)][1:]
    assert line[0] == ("acknowledge", "ana", "on it") and len(line) == 4
    assert store.audit(limit=1)[0].action == "alert.verdict"
    with pytest.raises(StoreError, match="no alert 999"):
        store.change_alert(999, kind="comment", actor="ana", now=NOW)


def test_silences_hold_between_start_and_end(store: SqlStore) -> None:
    made = store.save_silence(
        Silence(id=0, matcher="topic:*", rule=None, start=NOW, end=NOW + DAY, actor="ana", note="holiday"), NOW
    )
    assert store.silences() == store.silences(NOW + HOUR) == [made]
    assert store.silences(NOW - HOUR) == store.silences(NOW + DAY) == []
    store.end_silence(made.id, "bo", NOW + HOUR)
    assert store.silences(NOW + 2 * HOUR) == []


def test_deliveries_are_leased_retried_and_die_in_the_open(store: SqlStore) -> None:
    assert store.add_deliveries([delivery("a"), delivery("b", due=NOW + HOUR), delivery("a")], NOW) == 1 + 1
    [first] = store.claim_deliveries("w", NOW, LEASE)
    assert first.key == "a" and store.claim_deliveries("x", NOW, LEASE) == []
    assert store.claim_deliveries("x", NOW + LEASE, LEASE, without=[first.channel]) == []
    assert len(store.claim_deliveries("x", NOW + LEASE, LEASE)) == 1
    again = NOW + 2 * HOUR
    store.record_deliveries([(first.id, SendOutcome(status="retry", detail="HTTP 500"), again)], NOW)
    [second] = store.claim_deliveries("w", NOW + HOUR, LEASE)
    assert second.key == "b"
    store.record_deliveries([(second.id, SendOutcome(status="sent"), None)], NOW + HOUR)
    [retried] = store.claim_deliveries("w", again, LEASE)
    assert (retried.attempts, retried.last_error, retried.state) == (1, "HTTP 500", DeliveryState.FAILED)
    store.record_deliveries([(retried.id, SendOutcome(status="failed", detail="HTTP 400"), None)], again)
    [dead] = store.deliveries([DeliveryState.DEAD])
    assert (dead.attempts, dead.last_error) == (2, "HTTP 400")
    assert store.status().deliveries == {"pending": 0, "sent": 1, "failed": 0, "dead": 1}
    store.resend(dead.id, "ana", again)
    assert [one.key for one in store.claim_deliveries("w", again, LEASE)] == ["a"]
    with pytest.raises(StoreError, match="no delivery"):
        store.resend(999, "ana", NOW)


def test_the_audit_never_holds_a_secret_of_a_channel(store: SqlStore) -> None:
    channel = ChannelConfig(name="desk", kind="webhook", options={"url": "https://x.example/?key=hunter2"})
    store.save_channel(channel, "ana", NOW)
    assert store.channels() == [channel]
    assert "hunter2" not in str(store.audit()) and "url" in str(store.audit())
    store.remove_channel("desk", "ana", NOW)
    assert store.channels() == []


# ── desk ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_verdicts_settings_and_beats_are_kept(store: SqlStore) -> None:
    first = Verdict(subject="article:1", actor="ana", at=NOW, right=False, sentiment="neutral", topics=("litigation",))
    second = Verdict(subject="alert:1", actor="bo", at=NOW, right=True, reason="material", note="yes")
    for one in (first, second):
        store.save_verdict(one)
    assert store.verdicts() == [first, second] and store.verdicts("article:") == [first]
    assert store.setting("retention_days") is None
    store.set_setting("retention_days", {"days": 30}, "ana", NOW)
    store.set_setting("retention_days", {"days": 30}, "ana", NOW)
    assert store.setting("retention_days") == {"days": 30}
    assert [entry.action for entry in store.audit()].count("setting") == 1
    store.beat("worker", NOW, {"pid": 1})
    store.beat("worker", NOW + HOUR, {"pid": 2})
    assert store.beats() == {"worker": (NOW + HOUR, {"pid": 2})}


def test_the_audit_chain_holds_and_cannot_be_rewritten(store: SqlStore) -> None:
    for number in range(5):
        store.append_audit("ana", "note", f"subject {number}", {"n": number, "text": "ü中"}, NOW)
    entries = store.audit(limit=3)
    assert [entry.seq for entry in entries] == [5, 4, 3] and entries[0].previous_hash == entries[1].hash
    assert store.verify_audit() is None
    for statement in ("UPDATE audit SET actor = 'eve'", "DELETE FROM audit"):
        with pytest.raises(StoreError, match="append-only"), store.write() as connection:
            connection.exec_driver_sql(statement)
    with store.write() as connection:
        if store.is_sqlite:
            connection.exec_driver_sql("DROP TRIGGER audit_no_update")
        else:
            connection.exec_driver_sql("ALTER TABLE audit DISABLE TRIGGER audit_no_change")
        connection.exec_driver_sql("UPDATE audit SET actor = 'eve' WHERE seq = 3")
    told = store.verify_audit()
    assert told is not None and "audit entry 3 (note subject 2) was changed" in told


def test_a_head_that_was_written_down_finds_an_end_that_was_cut_off_and_a_log_made_anew(store: SqlStore) -> None:
    for number in range(4):
        store.append_audit("ana", "note", f"subject {number}", {}, NOW)
    [head, *_] = store.audit()
    written = (head.seq, head.hash)
    store.append_audit("ana", "note", "later", {}, NOW)
    assert store.verify_audit(written) is None
    with store.write() as connection:
        if store.is_sqlite:
            connection.exec_driver_sql("DROP TRIGGER audit_no_delete")
        else:
            connection.exec_driver_sql("ALTER TABLE audit DISABLE TRIGGER audit_no_change")
        connection.exec_driver_sql("DELETE FROM audit WHERE seq >= 3")
    assert store.verify_audit() is None, "what is left holds in itself"
    told = store.verify_audit(written)
    assert told is not None and "entry 4 was written down: its end was cut off" in told
    for number in range(3):
        store.append_audit("eve", "note", f"subject {number}", {}, NOW)
    told = store.verify_audit(written)
    assert told is not None and "the log was rewritten" in told


def test_audit_entries_of_many_writers_make_one_chain(store: SqlStore, store_url: str, open_at: OpenStore) -> None:
    def write(name: str, own: SqlStore) -> None:
        for number in range(15):
            own.append_audit(name, "note", str(number), {}, NOW)

    threads = [threading.Thread(target=write, args=(name, open_at(store_url))) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(store.audit()) == 45 and store.verify_audit() is None


def test_data_version_grows_with_what_a_page_could_show(store: SqlStore, store_url: str, open_at: OpenStore) -> None:
    seen = store.data_version()
    assert store.data_version() == seen
    open_at(store_url).add_articles([article(1)], NOW)
    assert store.data_version() > seen


def test_status_counts_everything_once(library: SqlStore) -> None:
    library.add_feed(feed(), NOW)
    off = library.add_feed(feed("https://off.example", enabled=False), NOW)
    library.record_poll(poll(1, polled=NOW + DAY), [])
    assert off.state is FeedState.DISABLED
    status = library.status()
    assert (status.articles, status.stories, status.unscored, status.unsupported) == (5, 4, 0, 1)
    assert status.feeds == {"total": 2, "ok": 1, "failing": 0, "silent": 0, "disabled": 1}
    assert (status.model_version, status.data_as_of, status.alerts_open) == ("v1", NOW + DAY, 0)


def test_an_empty_store_answers_everything(store: SqlStore) -> None:
    assert store.status().data_as_of is None and store.status().model_version is None
    assert store.refresh_rollups() == 0 and store.verify_rollups() == []
    assert store.rollups(["all"], NOW - DAY, NOW) == store.story_facts("all", NOW - DAY, NOW) == []
    assert store.search_articles(ArticleQuery(text="x")) == ([], 0)
    assert list(store.iter_story_facts(NOW - DAY, NOW)) == []
    assert store.article(1) is None and store.story_articles("x") == [] and store.remove_samples() == 0
    assert store.verify_audit() is None and store.cells(CellFilter(), NOW - DAY, NOW) == []
