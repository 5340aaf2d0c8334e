"""Which deliveries a transition causes, and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from monitor.domain import (
    Alert,
    AlertState,
    DeliveryState,
    SendReason,
    Severity,
    Silence,
    TransitionKind,
)
from monitor.errors import DeliveryError
from monitor.notify.plan import GROUP_WAIT, Notice, QuietHours, group_clock, plan_deliveries, plan_reminders
from tests.notify.conftest import BASE, NOW, SPIKE, channel, delivery_of, evidence, transition

HOOK = channel("hook")
MAIL = channel("mail", "email")


def _plan(what, channels=(HOOK, MAIL), rule=SPIKE, silences=(), now=NOW, **more):
    return plan_deliveries(what, None, channels, rule, silences, now, links_base=BASE, **more)


def _silence(matcher: str, rule: str | None = None) -> Silence:
    hour = timedelta(hours=1)
    return Silence(id=1, matcher=matcher, rule=rule, start=NOW - hour, end=NOW + hour, actor="ana")


def test_an_opened_alert_goes_to_every_channel_after_thirty_seconds():
    planned = _plan(transition())
    assert [one.channel for one in planned] == ["hook", "mail"]
    assert {one.due for one in planned} == {NOW + GROUP_WAIT}
    assert {one.reason for one in planned} == {SendReason.FIRST}
    assert len({one.key for one in planned}) == 2


def test_the_same_cause_gives_the_same_keys():
    assert [one.key for one in _plan(transition())] == [one.key for one in _plan(transition(), now=NOW + timedelta(1))]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (TransitionKind.WORSEN, SendReason.WORSENED),
        (TransitionKind.ESCALATE, SendReason.ESCALATED),
        (TransitionKind.RESOLVE, SendReason.RESOLVED),
    ],
)
def test_each_step_that_is_worth_a_word_has_its_own_key(kind, reason):
    first, later = _plan(transition())[0], _plan(transition(kind=kind))[0]
    assert later.reason is reason
    assert later.key != first.key


def test_more_evidence_alone_sends_nothing():
    assert _plan(transition(kind=TransitionKind.UPDATE)) == []


def test_an_alert_that_another_explains_sends_nothing():
    assert _plan(transition(inhibited_by="entity:Harbour Bank/topic:fraud_crime")) == []


def test_a_rule_that_names_channels_reaches_only_those():
    assert [one.channel for one in _plan(transition(), rule=replace(SPIKE, channels=("mail",)))] == ["mail"]


def test_a_rule_whose_channels_are_all_gone_reaches_every_one():
    every = [one.channel for one in _plan(transition())]
    assert [one.channel for one in _plan(transition(), rule=replace(SPIKE, channels=("pager",)))] == every


def test_a_channel_hears_only_of_its_severity_and_above():
    loud = replace(HOOK, min_severity=Severity.CRITICAL)
    assert _plan(transition(), channels=(loud,)) == []
    assert len(_plan(transition(severity=Severity.CRITICAL), channels=(loud,))) == 1


def test_a_channel_that_is_switched_off_gets_nothing():
    assert _plan(transition(), channels=(replace(HOOK, enabled=False),)) == []


@pytest.mark.parametrize(
    ("silence", "silent"),
    [
        (_silence("entity:Harbour*"), True),
        (_silence("entity:Harbour Bank", "negative-spike"), True),
        (_silence("entity:Harbour Bank", "another"), False),
        (_silence("topic:*"), False),
        (_silence("entity:[GH]arbour Bank"), False),
        (_silence("entity:Harbour?Bank"), False),
    ],
)
def test_a_silence_holds_back_what_it_matches(silence, silent):
    assert (_plan(transition(), silences=(silence,)) == []) is silent


def test_a_silence_takes_every_character_but_the_star_as_it_stands():
    odd = "entity:Harbour [UK] Bank?"
    held = _plan(transition(series=odd), silences=(_silence("entity:Harbour [UK]*?"),))
    assert held == [] != _plan(transition(series=odd), silences=(_silence("entity:Harbour U*"),))


def test_a_silence_that_is_over_holds_nothing_back():
    assert _plan(transition(), silences=(_silence("*"),), now=NOW + timedelta(hours=1)) != []


def test_a_snoozed_alert_says_nothing_until_it_wakes():
    asleep = NOW + timedelta(hours=2)
    worse = transition(kind=TransitionKind.WORSEN)
    assert _plan(worse, snoozed_until=asleep) == []
    assert _plan(worse, snoozed_until=asleep, now=asleep) != []


def test_a_rule_that_just_spoke_waits_five_minutes_but_a_critical_one_does_not():
    spoke = {("hook", "negative-spike"): NOW - timedelta(minutes=1)}
    assert _plan(transition(), (HOOK,), clock=spoke)[0].due == NOW + timedelta(minutes=4)
    urgent = transition(severity=Severity.CRITICAL)
    assert _plan(urgent, (HOOK,), clock=spoke)[0].due == NOW + GROUP_WAIT


def test_a_later_alert_joins_the_message_that_is_waiting():
    waiting = delivery_of(_plan(transition(), (HOOK,))[0])
    later = NOW + timedelta(seconds=10)
    joined = _plan(transition("topic:fraud_crime", at=later), (HOOK,), now=later, clock=group_clock([waiting]))
    assert joined[0].due == waiting.due
    sent = replace(waiting, state=DeliveryState.SENT, sent_at=waiting.due)
    assert group_clock([sent]) == {("hook", "negative-spike"): waiting.due}


def test_quiet_hours_hold_a_warning_until_morning_and_let_a_critical_one_through():
    night = QuietHours.from_setting({"start": "22:00", "end": "07:00", "timezone": "Europe/London"})
    late = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)  # 23:30 in London
    held = _plan(transition(at=late), (HOOK,), now=late, quiet_hours=night)
    assert held[0].due == datetime(2026, 7, 2, 6, 0, tzinfo=UTC)
    urgent = _plan(transition(at=late, severity=Severity.CRITICAL), (HOOK,), now=late, quiet_hours=night)
    assert urgent[0].due == late + GROUP_WAIT
    early = datetime(2026, 7, 2, 1, 0, tzinfo=UTC)
    assert _plan(transition(at=early), (HOOK,), now=early, quiet_hours=night)[0].due == held[0].due
    noon = datetime(2026, 7, 2, 12, 0, tzinfo=UTC)
    assert _plan(transition(at=noon), (HOOK,), now=noon, quiet_hours=night)[0].due == noon + GROUP_WAIT


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ({"start": "ten", "end": "07:00"}, "'start'"),
        ({"start": "22:00", "end": "07:00", "timezone": "Mars/Base"}, "'timezone'"),
        ({"start": "22:00", "end": "07:00", "below": "loud"}, "'below'"),
    ],
)
def test_quiet_hours_that_cannot_be_used_name_the_field(setting, named):
    with pytest.raises(DeliveryError, match=named):
        QuietHours.from_setting(setting)


def test_no_quiet_hours_are_none():
    assert QuietHours.from_setting(None) is None


def _alert(state: AlertState = AlertState.OPEN, **changes) -> Alert:
    plain = Alert(
        id=7,
        rule="negative-spike",
        series="entity:Harbour Bank",
        severity=Severity.WARNING,
        state=state,
        opened_at=NOW,
        updated_at=NOW,
        resolved_at=None,
        summary="14 negative stories",
        evidence=evidence(),
    )
    return replace(plain, **changes)


def _remind(alert: Alert, now: datetime, silences=()):
    return plan_reminders([alert], [HOOK], {"negative-spike": SPIKE}, silences, now, links_base=BASE)


def test_an_open_alert_repeats_every_four_hours_with_a_key_of_its_own():
    early = _remind(_alert(), NOW + timedelta(hours=4))
    again = _remind(_alert(), NOW + timedelta(hours=7, minutes=59))
    later = _remind(_alert(), NOW + timedelta(hours=8))
    assert early[0].reason is SendReason.REPEAT_DUE
    assert early[0].key == again[0].key != later[0].key


def test_before_the_first_repeat_a_reminder_is_the_first_word_itself():
    reminded = _remind(_alert(), NOW + timedelta(hours=1))
    assert reminded[0].key == _plan(transition(), (HOOK,))[0].key
    assert reminded[0].reason is SendReason.FIRST


@pytest.mark.parametrize(
    "alert",
    [
        _alert(AlertState.ACKNOWLEDGED),
        _alert(AlertState.RESOLVED),
        _alert(snoozed_until=NOW + timedelta(days=1)),
        _alert(inhibited_by=3),
    ],
)
def test_an_alert_in_hand_does_not_repeat(alert):
    assert _remind(alert, NOW + timedelta(hours=5)) == []


def test_a_silenced_alert_speaks_when_the_silence_is_over():
    assert _remind(_alert(), NOW + timedelta(minutes=30), (_silence("entity:*"),)) == []
    assert _remind(_alert(), NOW + timedelta(hours=1), (_silence("entity:*"),)) != []


def test_a_payload_comes_back_as_the_notice_it_was():
    payload = _plan(transition())[0].payload
    notice = Notice.from_payload(payload)
    assert notice.to_payload() == payload
    assert notice.top[0].title == "Harbour Bank halts withdrawals"
