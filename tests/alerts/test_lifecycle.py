"""One open alert a rule and series: opened, updated, worsened, escalated, resolved. Pure, no store."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.alerts.lifecycle import Observation, Standing, evaluate
from monitor.domain import Alert, AlertState, Evidence, Rule, RuleKind, Severity, Transition, TransitionKind

NOW = datetime(2026, 5, 6, 10, tzinfo=UTC)
RULE = Rule(
    name="negative-spike",
    kind=RuleKind.SPIKE,
    scope=("all", "topic:*", "entity:*"),
    cooldown_s=3600.0,
    escalate_after_s=4 * 3600.0,
)
SERIES = "topic:litigation"


def evidence(negative: int = 9, families: int = 3, **baseline: Any) -> Evidence:
    return Evidence(
        window_start=NOW - timedelta(hours=6),
        window_end=NOW,
        window_hours=6.0,
        stories=2 * negative,
        negative=negative,
        expected=1.1,
        p_value=2e-4,
        families=families,
        model_version="v1",
        rule={"name": RULE.name, "scope": list(RULE.scope)},
        baseline=baseline,
    )


def seen(series: str = SERIES, standing: Standing = Standing.FIRE, negative: int = 9, **more: Any) -> Observation:
    proof = None if standing in (Standing.CALM, Standing.UNKNOWN) else evidence(negative)
    fields: dict[str, Any] = {
        "rule": RULE.name,
        "series": series,
        "standing": standing,
        "evidence": proof,
        "summary": f"{negative} negative stories",
        "resolve_after": timedelta(hours=6),
    }
    return Observation(**{**fields, **more})


def open_alert(series: str = SERIES, number: int = 1, **more: Any) -> Alert:
    fields: dict[str, Any] = {
        "id": number,
        "rule": RULE.name,
        "series": series,
        "severity": Severity.WARNING,
        "state": AlertState.OPEN,
        "opened_at": NOW - timedelta(hours=1),
        "updated_at": NOW - timedelta(hours=1),
        "resolved_at": None,
        "summary": "9 negative stories",
        "evidence": evidence(told_negative=9),
    }
    return Alert(**{**fields, **more})


def step(
    *observations: Observation, alerts: tuple[Alert, ...] = (), rule: Rule = RULE, **more: Any
) -> list[Transition]:
    return evaluate([rule], observations, alerts, more.get("resolved", {}), NOW)


def kinds(transitions: list[Transition]) -> list[TransitionKind]:
    return [transition.kind for transition in transitions]


def test_what_fires_opens_an_alert() -> None:
    [transition] = step(seen())
    assert (transition.kind, transition.series, transition.alert_id) == (TransitionKind.OPEN, SERIES, None)


def test_what_only_holds_opens_nothing() -> None:
    assert step(seen(standing=Standing.HOLD)) == []


def test_a_series_has_one_open_alert() -> None:
    assert step(seen(), alerts=(open_alert(),)) == []


def test_more_evidence_updates_the_alert() -> None:
    [transition] = step(seen(negative=11), alerts=(open_alert(),))
    assert (transition.kind, transition.alert_id, transition.evidence.negative) == (TransitionKind.UPDATE, 1, 11)


def test_twice_as_many_stories_worsen_it() -> None:
    assert kinds(step(seen(negative=18), alerts=(open_alert(),))) == [TransitionKind.WORSEN]


def test_doubling_is_counted_from_what_was_last_said() -> None:
    crept = open_alert(evidence=evidence(17, told_negative=9))
    assert kinds(step(seen(negative=18), alerts=(crept,))) == [TransitionKind.WORSEN]
    said = open_alert(evidence=evidence(17, told_negative=17))
    assert kinds(step(seen(negative=18), alerts=(said,))) == [TransitionKind.UPDATE]


def test_a_higher_severity_worsens_it_and_it_never_sinks() -> None:
    [worse] = step(seen(severity=Severity.CRITICAL), alerts=(open_alert(),))
    assert (worse.kind, worse.severity) == (TransitionKind.WORSEN, Severity.CRITICAL)
    [same] = step(seen(negative=10), alerts=(open_alert(severity=Severity.CRITICAL),))
    assert (same.kind, same.severity) == (TransitionKind.UPDATE, Severity.CRITICAL)


def test_it_resolves_only_after_it_was_calm_long_enough() -> None:
    short = seen(standing=Standing.CALM, calm_for=timedelta(hours=5))
    long = seen(standing=Standing.CALM, calm_for=timedelta(hours=6))
    assert step(short, alerts=(open_alert(),)) == []
    [transition] = step(long, alerts=(open_alert(),))
    assert transition.kind is TransitionKind.RESOLVE
    assert "9 negative stories" in transition.summary


def test_nothing_changes_while_nothing_can_be_said() -> None:
    assert step(seen(standing=Standing.UNKNOWN), alerts=(open_alert(),)) == []


def test_it_does_not_open_again_within_the_cooldown() -> None:
    resolved = {(RULE.name, SERIES): NOW - timedelta(minutes=59)}
    assert step(seen(), resolved=resolved) == []
    resolved = {(RULE.name, SERIES): NOW - timedelta(minutes=61)}
    assert kinds(step(seen(), resolved=resolved)) == [TransitionKind.OPEN]


def test_an_alert_that_nobody_takes_escalates_once() -> None:
    old = open_alert(opened_at=NOW - timedelta(hours=4))
    held = seen(standing=Standing.HOLD)
    assert kinds(step(held, alerts=(old,))) == [TransitionKind.ESCALATE]
    assert step(held, alerts=(replace(old, state=AlertState.ESCALATED),)) == []


def test_an_acknowledged_or_snoozed_alert_does_not_escalate() -> None:
    held = seen(standing=Standing.HOLD)
    old = open_alert(opened_at=NOW - timedelta(hours=9))
    assert step(held, alerts=(replace(old, state=AlertState.ACKNOWLEDGED),)) == []
    assert step(held, alerts=(replace(old, snoozed_until=NOW + timedelta(hours=1)),)) == []
    assert kinds(step(held, alerts=(replace(old, snoozed_until=NOW - timedelta(hours=1)),))) == [
        TransitionKind.ESCALATE
    ]


def test_a_company_explains_the_topic_that_its_stories_make() -> None:
    ids = frozenset(f"s{n}" for n in range(9))
    company = seen("entity:Acorn", story_ids=ids, allowance=2)
    topic = seen("topic:litigation", story_ids=ids | {"s99"}, allowance=2)
    first, second = step(topic, company)
    assert (first.series, first.inhibited_by) == ("entity:Acorn", None)
    assert (second.series, second.inhibited_by) == ("topic:litigation", "entity:Acorn")


def test_a_topic_with_news_of_its_own_is_not_explained_away() -> None:
    company = seen("entity:Acorn", story_ids=frozenset({"s1", "s2", "s3"}), allowance=2)
    topic = seen("topic:litigation", story_ids=frozenset(f"s{n}" for n in range(9)), allowance=2)
    assert all(transition.inhibited_by is None for transition in step(topic, company))


def test_a_topic_does_not_explain_all_news() -> None:
    ids = frozenset(f"s{n}" for n in range(9))
    transitions = step(seen("all", story_ids=ids, allowance=2), seen(story_ids=ids, allowance=2))
    assert all(transition.inhibited_by is None for transition in transitions)


def test_an_explained_alert_speaks_up_once_it_is_more_than_what_explained_it() -> None:
    explained = open_alert(inhibited_by=7, evidence=evidence(told_negative=9, explained_by="entity:Acorn"))
    ids = frozenset(f"s{n}" for n in range(20))
    [transition] = step(seen(negative=10, story_ids=ids, allowance=2), alerts=(explained,))
    assert (transition.kind, transition.inhibited_by) == (TransitionKind.WORSEN, None)


def test_an_explained_alert_resolves_without_a_word() -> None:
    explained = open_alert(inhibited_by=7, evidence=evidence(told_negative=9, explained_by="entity:Acorn"))
    calm = seen(standing=Standing.CALM, calm_for=timedelta(hours=9))
    [transition] = step(calm, alerts=(explained,))
    assert (transition.kind, transition.inhibited_by) == (TransitionKind.RESOLVE, "entity:Acorn")


def test_alerts_of_a_rule_that_is_off_or_narrowed_are_resolved() -> None:
    off = step(alerts=(open_alert(),), rule=replace(RULE, enabled=False))
    narrowed = step(alerts=(open_alert(),), rule=replace(RULE, scope=("all",)))
    assert kinds(off) == kinds(narrowed) == [TransitionKind.RESOLVE]


def test_what_the_supervisor_raised_is_not_for_rules_to_resolve() -> None:
    proof = replace(evidence(), rule={"name": "worker", "kind": "quiet"})
    assert step(alerts=(open_alert("pipeline", rule="worker", evidence=proof),)) == []


def test_ten_thousand_series_at_once_give_one_transition_each() -> None:
    many = [seen(f"entity:Company {n}") for n in range(10_000)]
    transitions = evaluate([RULE], many, [], {}, NOW)
    assert len({transition.series for transition in transitions}) == 10_000
