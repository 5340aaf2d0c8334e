"""What people do with alerts: each step leaves an event, is audited, and is refused where it must be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from monitor import desk
from monitor.deliver import plan_repeats
from monitor.domain import Alert, AlertState, DeliveryState, SendReason, Severity
from monitor.errors import AlertError, NotAllowedError
from tests.alerts.newsroom import NOW, Newsroom

LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def alert(settled: Newsroom) -> Alert:
    settled.publish(settled.burst())
    settled.look()
    return next(alert for alert in settled.spikes() if alert.series == "topic:litigation")


def events(newsroom: Newsroom, alert: Alert) -> list[str]:
    return [event.kind for event in newsroom.store.alert_events(alert.id)]


def test_acknowledging_twice_is_one_event(settled: Newsroom, alert: Alert) -> None:
    desk.acknowledge(settled.store, alert.id, "ana", LATER, note="mine")
    again = desk.acknowledge(settled.store, alert.id, "ben", LATER)
    assert again.state is AlertState.ACKNOWLEDGED
    assert events(settled, alert) == ["open", "acknowledge"]


def test_an_acknowledged_alert_is_still_updated_and_resolved(settled: Newsroom, alert: Alert) -> None:
    desk.acknowledge(settled.store, alert.id, "ana", LATER)
    settled.now = LATER
    settled.publish(settled.burst(4, word="lawsuit", hours=0.05))
    settled.look(LATER)
    assert "update" in events(settled, alert)
    settled.look(NOW + timedelta(days=2))
    assert events(settled, alert)[-1] == "resolve"


def test_an_alert_that_nobody_takes_escalates_and_says_so(settled: Newsroom, alert: Alert) -> None:
    settled.look(NOW + timedelta(hours=4, minutes=1))
    assert settled.store.alert(alert.id).state is AlertState.ESCALATED  # type: ignore[union-attr]
    assert SendReason.ESCALATED in {delivery.reason for delivery in settled.store.deliveries()}


def test_an_alert_goes_on_saying_what_happened(settled: Newsroom, alert: Alert) -> None:
    settled.look(NOW + timedelta(hours=4, minutes=1))
    settled.look(NOW + timedelta(days=2))
    after = settled.store.alert(alert.id)
    assert after is not None and after.state is AlertState.RESOLVED
    assert "negative stories in" in after.summary.partition(" where ")[0] and "Nobody" not in after.summary
    told = [event.note for event in settled.store.alert_events(alert.id)]
    assert any(note.startswith("Nobody has taken this for 4 hours. ") for note in told)
    assert told[-1] == f"Calm again after 2 days. It was: {after.summary}"


def test_assigning_and_commenting_are_kept(settled: Newsroom, alert: Alert) -> None:
    assert desk.assign(settled.store, alert.id, "ben", "ana", LATER).assignee == "ben"
    assert desk.assign(settled.store, alert.id, "", "ana", LATER).assignee is None
    desk.comment(settled.store, alert.id, "Called the desk", "ana", LATER)
    assert events(settled, alert) == ["open", "assign", "assign", "comment"]


def test_a_snoozed_alert_collects_evidence_in_silence(settled: Newsroom, alert: Alert) -> None:
    desk.snooze(settled.store, alert.id, NOW + timedelta(hours=8), "ana", LATER)
    count = len(settled.store.deliveries())
    settled.look(NOW + timedelta(hours=5))
    assert [d for d in settled.store.deliveries() if alert.id in d.alert_ids][count:] == []


def test_an_alert_comes_back_when_its_snooze_is_over(settled: Newsroom, alert: Alert) -> None:
    awake = NOW + timedelta(hours=8)
    desk.snooze(settled.store, alert.id, awake, "ana", LATER)

    def told() -> list[SendReason]:
        return [d.reason for d in settled.store.deliveries() if alert.id in d.alert_ids]

    plan_repeats(settled.store, awake - timedelta(minutes=1))
    assert told() == [SendReason.FIRST]
    plan_repeats(settled.store, awake)
    assert sorted(told()) == [SendReason.FIRST, SendReason.REPEAT_DUE]


def test_what_is_resolved_by_hand_at_night_is_told_in_the_morning(settled: Newsroom) -> None:
    settled.publish(settled.burst(6))
    settled.look()
    [alert] = [alert for alert in settled.spikes() if alert.severity is Severity.WARNING]
    settled.store.set_setting("quiet_hours", {"start": "15:00", "end": "20:00", "below": "critical"}, "tests", NOW)
    desk.resolve(settled.store, alert.id, "ana", LATER)
    [told] = [d for d in settled.store.deliveries() if d.reason is SendReason.RESOLVED]
    assert told.due == NOW.replace(hour=20, minute=0)


def test_resolving_by_hand_tells_the_channels_and_starts_the_cooldown(settled: Newsroom, alert: Alert) -> None:
    desk.resolve(settled.store, alert.id, "ana", LATER, note="known")
    told = [d for d in settled.store.deliveries((DeliveryState.PENDING,)) if d.reason is SendReason.RESOLVED]
    assert [d.alert_ids for d in told] == [(alert.id,)]
    steps = settled.look(NOW + timedelta(minutes=30))
    assert "topic:litigation" not in [step.series for step in steps]


def test_what_a_person_opened_again_stays_open_for_a_day_and_waits_anew(settled: Newsroom, alert: Alert) -> None:
    settled.look(NOW + timedelta(days=2))  # calm, resolved
    again = NOW + timedelta(days=2, hours=1)
    desk.reopen(settled.store, alert.id, "ana", again)
    settled.look(again + timedelta(minutes=20))
    assert settled.store.alert(alert.id).state is AlertState.OPEN  # type: ignore[union-attr]
    settled.look(again + timedelta(hours=4, minutes=1))
    assert settled.store.alert(alert.id).state is AlertState.ESCALATED  # type: ignore[union-attr]
    settled.look(again + timedelta(hours=23))
    assert settled.store.alert(alert.id).state is AlertState.ESCALATED  # type: ignore[union-attr]
    settled.look(again + timedelta(hours=25))
    assert settled.store.alert(alert.id).state is AlertState.RESOLVED  # type: ignore[union-attr]


def test_a_resolved_alert_can_be_reopened_but_not_beside_another(settled: Newsroom, alert: Alert) -> None:
    desk.resolve(settled.store, alert.id, "ana", LATER)
    assert desk.reopen(settled.store, alert.id, "ana", LATER).state is AlertState.OPEN
    with pytest.raises(AlertError, match="not resolved"):
        desk.reopen(settled.store, alert.id, "ana", LATER)


def test_a_false_alarm_is_a_verdict_and_resolves(settled: Newsroom, alert: Alert) -> None:
    marked = desk.mark_false_alarm(settled.store, alert.id, "ana", LATER, reason="not_material")
    assert (marked.verdict, marked.state) == ("false_alarm", AlertState.RESOLVED)
    [verdict] = settled.store.verdicts("alert:")
    assert (verdict.right, verdict.reason) == (False, "not_material")
    assert desk.precision(settled.store) == (0, 1)
    desk.judge(settled.store, alert.id, True, "ben", LATER)
    assert desk.precision(settled.store) == (1, 1)


def test_the_budget_stands_beside_what_came(settled: Newsroom, alert: Alert) -> None:
    desk.judge(settled.store, alert.id, True, "ana", LATER)
    line, *others = sorted(desk.rule_records(settled.store, LATER), key=lambda line: line.rule != "negative-spike")
    assert [other.budget for other in others] == [None, None, None]
    told = [a for a in settled.spikes() if a.inhibited_by is None]
    assert (line.rule, line.budget, line.alerts, line.right, line.judged) == ("negative-spike", 2.5, len(told), 1, 1)
    assert line.came == len(told) / 8
    assert line.calibration is not None


def test_every_step_is_in_the_audit_log_and_the_chain_holds(settled: Newsroom, alert: Alert) -> None:
    desk.acknowledge(settled.store, alert.id, "ana", LATER)
    desk.resolve(settled.store, alert.id, "ana", LATER)
    actions = [entry.action for entry in settled.store.audit(20) if entry.actor == "ana"]
    assert actions == ["alert.resolve", "alert.acknowledge"]
    assert settled.store.verify_audit() is None


def test_a_silence_keeps_the_first_word_back(settled: Newsroom) -> None:
    end = NOW + timedelta(hours=2)
    desk.silence(settled.store, "*", NOW - timedelta(minutes=1), end, "ana", NOW, note="maintenance")
    settled.publish(settled.burst())
    settled.look()
    assert settled.spikes()
    assert settled.store.deliveries() == []


def test_a_silence_is_checked_field_by_field(settled: Newsroom) -> None:
    hour = timedelta(hours=1)
    for matcher, start, end, rule, named in (
        ("weather", NOW, NOW + hour, None, "matcher"),
        ("all", NOW, NOW - hour, None, "end"),
        ("all", NOW, NOW + timedelta(days=200), None, "end"),
        ("all", NOW, NOW + hour, "no-such-rule", "rule"),
    ):
        with pytest.raises(AlertError, match=f"'{named}'"):
            desk.silence(settled.store, matcher, start, end, "ana", NOW, rule=rule)


def test_ending_a_silence_needs_one(settled: Newsroom) -> None:
    made = desk.silence(settled.store, "all", NOW, NOW + timedelta(hours=1), "ana", NOW)
    desk.end_silence(settled.store, made.id, "ana", LATER)
    assert settled.store.silences(LATER) == []
    with pytest.raises(AlertError, match="no silence 99"):
        desk.end_silence(settled.store, 99, "ana", LATER)


STEPS: list[Callable[[Newsroom, int, str], object]] = [
    lambda room, alert, role: desk.acknowledge(room.store, alert, "vic", LATER, role=role),
    lambda room, alert, role: desk.assign(room.store, alert, "vic", "vic", LATER, role=role),
    lambda room, alert, role: desk.comment(room.store, alert, "hm", "vic", LATER, role=role),
    lambda room, alert, role: desk.snooze(room.store, alert, NOW + timedelta(days=1), "vic", LATER, role=role),
    lambda room, alert, role: desk.resolve(room.store, alert, "vic", LATER, role=role),
    lambda room, alert, role: desk.reopen(room.store, alert, "vic", LATER, role=role),
    lambda room, alert, role: desk.judge(room.store, alert, True, "vic", LATER, role=role),
    lambda room, alert, role: desk.silence(room.store, "all", NOW, NOW + timedelta(days=1), "vic", NOW, role=role),
    lambda room, alert, role: desk.end_silence(room.store, 1, "vic", NOW, role=role),
]


def test_a_viewer_may_only_look(settled: Newsroom) -> None:
    for step in STEPS:
        with pytest.raises(NotAllowedError, match="must be analyst"):
            step(settled, 1, "viewer")
        refused = settled.store.audit(1)[0]
        assert (refused.actor, refused.action, refused.detail["needed"]) == ("vic", "refused", "analyst")
        with pytest.raises(NotAllowedError, match="not known"):
            step(settled, 1, "wizard")


def test_steps_on_what_is_not_there_are_refused(settled: Newsroom, alert: Alert) -> None:
    with pytest.raises(AlertError, match="no alert 4711"):
        desk.acknowledge(settled.store, 4711, "ana", LATER)
    with pytest.raises(AlertError, match="'until'"):
        desk.snooze(settled.store, alert.id, NOW - timedelta(hours=1), "ana", LATER)
    with pytest.raises(AlertError, match="'text'"):
        desk.comment(settled.store, alert.id, "  ", "ana", LATER)
    with pytest.raises(AlertError, match="'reason'"):
        desk.judge(settled.store, alert.id, False, "ana", LATER, reason="bored")
    desk.resolve(settled.store, alert.id, "ana", LATER)
    with pytest.raises(AlertError, match="reopen it first"):
        desk.acknowledge(settled.store, alert.id, "ana", LATER)
