"""Use case: look at the counts, judge every rule, write what changed together with the deliveries it causes.

    counts → observations (one module a kind of rule) → evaluate → transitions + outbox, in one transaction

Windows end on a fixed 15-minute grid, so that an evaluation can be repeated and gives the same answer; within a slot
it may be asked again, and sees what has come since. Nothing here sends anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
import structlog

from monitor.alerts import kinds
from monitor.alerts.backtest import WARM_UP
from monitor.alerts.calibration import CALIBRATED, Calibration, calibrate
from monitor.alerts.history import HOUR, History
from monitor.alerts.lifecycle import REOPENED_STAYS, Observation, Standing, evaluate
from monitor.alerts.past import Past
from monitor.alerts.quiet import quiet, week_shapes
from monitor.alerts.rules import in_scope, params_of, rule_to_dict
from monitor.alerts.sources import StoreSource
from monitor.alerts.spike import LATE_FRESH, LATE_HOURS, TOP_STORIES, SpikeJudge, story_of_fact
from monitor.alerts.statistics import Levels, SpikeParams, scan
from monitor.deliver import quiet_hours_of, recent_clock
from monitor.domain import (
    ALL,
    Alert,
    AlertState,
    Evidence,
    NewDelivery,
    Rule,
    RuleKind,
    StoryFact,
    Transition,
    TransitionKind,
    series_of,
)
from monitor.notify.plan import plan_deliveries
from monitor.pulse import FEW_WAITING, JUDGED_MODEL
from monitor.store.base import EVERY, Store

log = structlog.get_logger("watch")

SECOND: Final = timedelta(seconds=1)
GRID: Final = timedelta(minutes=15)
ACTIVE: Final = (AlertState.OPEN, AlertState.ACKNOWLEDGED, AlertState.ESCALATED)
_COUNTING: Final = (RuleKind.SPIKE, RuleKind.THRESHOLD)
REOPEN: Final = "reopen"
RECALIBRATE_AFTER: Final = timedelta(days=7)
CALIBRATION_PAST: Final = timedelta(days=364)
LOOK_BACK_HOURS: Final = 7 * 24  # hours of the scan that hysteresis may look at
STORIES_WITH_ARTICLES: Final = 8
ARTICLES_A_STORY: Final = 10

_SEEN: WeakKeyDictionary[Store, tuple[datetime, int]] = WeakKeyDictionary()
"""The slot and the data that each open store was last judged at: asked again about the same, nothing has changed."""
_PAST: WeakKeyDictionary[Store, Past] = WeakKeyDictionary()


def grid_end(now: datetime) -> datetime:
    """The end of the 15-minute slot that `now` lies in."""
    start = now.replace(minute=now.minute - now.minute % 15, second=0, microsecond=0)
    return start + GRID


def watch(store: Store, now: datetime, links_base: str = "") -> list[Transition]:
    """Evaluate every enabled rule as of `now` and write what changed, with its deliveries. Gives the transitions.

    Dirty hours are counted first. Asked again within a slot while the store is unchanged, it answers at once.
    Raises `StoreError`.
    """
    while store.refresh_rollups():
        pass
    seen = (grid_end(now), store.data_version())
    if _SEEN.get(store) == seen:
        return []
    transitions = _watch(store, now, links_base)
    _SEEN[store] = (seen[0], seen[1] if not transitions else -1)
    return transitions


def _watch(store: Store, now: datetime, links_base: str) -> list[Transition]:
    rules = [rule for rule in store.rules() if rule.enabled]
    open_alerts = store.alerts(ACTIVE, limit=10_000)
    observations = observe(store, rules, open_alerts, now)
    reopened = _reopened(store, rules, open_alerts, observations, now)
    transitions = evaluate(rules, observations, open_alerts, store.last_resolved(), now, reopened)
    if not transitions:
        return []
    transitions = [_with_articles(store, transition) for transition in transitions]
    deliveries = _deliveries(store, transitions, rules, open_alerts, now, links_base)
    store.apply_transitions(transitions, deliveries, now)
    return transitions


def _reopened(
    store: Store, rules: Sequence[Rule], alerts: Sequence[Alert], observations: Sequence[Observation], now: datetime
) -> dict[int, datetime]:
    """When people opened alerts again. Time lines are read only of alerts that are about to resolve or to escalate."""
    calm = {(one.rule, one.series) for one in observations if one.standing is Standing.CALM}
    waits = {rule.name: rule.escalate_after_s for rule in rules}
    found = {}
    for alert in alerts:
        wait = waits.get(alert.rule)
        escalates = alert.state is AlertState.OPEN and wait is not None and now - alert.opened_at >= wait * SECOND
        if escalates or ((alert.rule, alert.series) in calm and now - alert.updated_at < REOPENED_STAYS):
            times = [event.at for event in store.alert_events(alert.id) if event.kind == REOPEN]
            if times:
                found[alert.id] = times[-1]
    return found


def observe(store: Store, rules: Sequence[Rule], open_alerts: Sequence[Alert], now: datetime) -> list[Observation]:
    """How every series stands with every rule; what can be said without a scoring model is said without one."""
    live = store.live_model()
    found: list[Observation] = []
    counting = [rule for rule in rules if rule.kind in _COUNTING]
    source = StoreSource(store, [pattern for rule in counting for pattern in rule.scope])
    past = _PAST.setdefault(store, Past())
    history = None
    if live is not None and any(rule.kind in (*_COUNTING, RuleKind.QUIET) for rule in rules):
        history = past.read(store, live[0], WARM_UP, grid_end(now), crosses=source.crosses)
    if counting and live is not None and history is not None and _model_settled(store, live[0], now):
        found += _counted(store, counting, open_alerts, source, past, history, live[0], now)
    elif counting:
        found += [
            Observation(rule=alert.rule, series=alert.series, standing=Standing.UNKNOWN, note="not all is scored")
            for alert in open_alerts
            if any(rule.name == alert.rule for rule in counting)
        ]
    for rule in rules:
        if rule.kind is RuleKind.CRITICAL_STORY and live is not None:
            found += kinds.critical_stories(rule, _entity_facts(store, rule, now), open_alerts, live[0], now)
        elif rule.kind is RuleKind.KEYWORD:
            found += kinds.keyword(rule, store.search_articles(kinds.keyword_query(rule, now))[0], open_alerts, now)
        elif rule.kind is RuleKind.QUIET:
            shapes = week_shapes(history) if history is not None else None
            found += quiet(rule, store.feeds(), store.beats(), open_alerts, now, shapes)
    return found


def _counted(
    store: Store,
    rules: Sequence[Rule],
    open_alerts: Sequence[Alert],
    source: StoreSource,
    past: Past,
    history: History,
    version: str,
    now: datetime,
) -> list[Observation]:
    found: list[Observation] = []
    late = _came_late(store, now)
    for rule in rules:
        if rule.kind is RuleKind.THRESHOLD:
            found += kinds.threshold(rule, history, open_alerts, version, now)
            continue
        calibration = _calibration(store, rule, source, now)
        levels = past.levels(history, SpikeParams.of(params_of(rule)))
        judge = spike_judge(rule, history, source, calibration.threshold, version, levels)
        opened = {alert.series: alert for alert in open_alerts if alert.rule == rule.name}
        last = judge.scan.q.shape[1] - 1
        own = judge.at(last, opened)
        said = {observation.series for observation in own}
        found += own
        if late:
            lately = partial(store.alerts, since=now - timedelta(days=14), limit=5_000)
            found += [one for one in judge.late(last, now, lately) if one.series not in said]
    return found


def _came_late(store: Store, now: datetime) -> bool:
    """Whether a negative story has come in the last hours after the hour in which it was published was over: only then
    may an hour of the past fire now."""
    recent = store.story_facts(
        EVERY,
        now - timedelta(hours=LATE_HOURS + 24),
        now,
        negative_only=True,
        counting_only=True,
        seen_after=now - LATE_FRESH,
    )
    return any(fact.first_seen >= fact.hour + HOUR for fact in recent)


def spike_judge(
    rule: Rule, history: History, source: StoreSource, threshold: float, version: str, levels: Levels | None = None
) -> SpikeJudge:
    """The live judge of the last hours of a history."""
    chosen = [name for name in history.series if in_scope(rule, name) and name != "topic:other"]
    first = max(0, history.hours - LOOK_BACK_HOURS)
    last = scan(history, SpikeParams.of(params_of(rule)), chosen, first=first, levels=levels)
    return SpikeJudge(rule, last, np.full(last.q.shape[1], threshold), source, version)


def _calibration(store: Store, rule: Rule, source: StoreSource, now: datetime) -> Calibration:
    """The rule's threshold, made anew each week and whenever its parameters or the statistic's own (an update of
    Headwind) changed; kept in the store."""
    kept: dict[str, Any] = store.setting(CALIBRATED) or {}
    params = params_of(rule)
    wanted = {
        "scope": rule_to_dict(rule)["scope"],
        "params": {k: str(v) for k, v in params.items()},
        "statistic": str(SpikeParams.of(params)),
    }
    entry = kept.get(rule.name)
    if entry is not None and entry["for"] == wanted:
        calibration = Calibration.from_dict(entry["calibration"])
        if timedelta(0) <= now - calibration.made_at < RECALIBRATE_AFTER:
            return calibration
    end = now.replace(minute=0, second=0, microsecond=0)
    calibration = _calibrate(rule, source, end)
    names = {each.name for each in store.rules()}
    fresh = {name: value for name, value in kept.items() if name in names}
    fresh[rule.name] = {"for": wanted, "calibration": calibration.to_dict()}
    store.set_setting(CALIBRATED, fresh, "system", now)
    return calibration


def _calibrate(rule: Rule, source: StoreSource, end: datetime) -> Calibration:
    params = params_of(rule)
    history = source.history(end - CALIBRATION_PAST - WARM_UP, end)
    chosen = [name for name in history.series if in_scope(rule, name) and name != "topic:other"]
    return calibrate(scan(history, SpikeParams.of(params), chosen), float(params["budget_per_week"]), end)


def _model_settled(store: Store, version: str, now: datetime) -> bool:
    """Whether alerts may rest on the live model: a new version takes over once the baseline is scored by it."""
    judged = store.setting(JUDGED_MODEL)
    if judged == version:
        return True
    if judged is not None:
        since = now - WARM_UP
        waiting = store.unscored_count(since)
        scored = sum(day.articles for day in store.rollups([ALL], since, now + HOUR, step="day"))
        if waiting > max(FEW_WAITING, (waiting + scored) // 50):
            log.info("alerts wait for the new model", version=version, waiting=waiting, scored=scored)
            return False
    store.set_setting(JUDGED_MODEL, version, "system", now)
    return True


def _entity_facts(store: Store, rule: Rule, now: datetime) -> list[kinds.EntityFacts]:
    """Counting negative stories on the rule's topics in its window, by watched entity in its scope, most negative
    first. One question for all entities: a watchlist may be long."""
    start = now - timedelta(hours=int(params_of(rule)["window_hours"]))
    facts = store.story_facts(EVERY, start, now, negative_only=True, counting_only=True)
    severe = [fact for fact in facts if fact.entities and kinds.is_severe(rule, fact)]
    named = store.named_in_title([fact.story_id for fact in severe])
    by_series: dict[str, list[StoryFact]] = defaultdict(list)
    for fact in severe:
        for name in series_of(fact):
            if name.startswith("entity:") and in_scope(rule, name):
                by_series[name].append(fact)
    return [kinds.EntityFacts.of(name, those, named) for name, those in sorted(by_series.items())]


# ── evidence and outbox ──────────────────────────────────────────────────────────────────────────────────────────


def _with_articles(store: Store, transition: Transition) -> Transition:
    """Evidence with the articles of its strongest stories and their predictions, as they are now: frozen here."""
    if transition.kind not in (TransitionKind.OPEN, TransitionKind.UPDATE, TransitionKind.WORSEN):
        return transition
    evidence = with_articles(store, transition.series, transition.evidence, STORIES_WITH_ARTICLES)
    return replace(transition, evidence=evidence)


def with_articles(store: Store, series: str, evidence: Evidence, stories: int) -> Evidence:
    """The evidence with the articles of its first so many stories and their predictions, as they are now. A threshold
    is crossed by counts alone: its stories are the most negative of the window."""
    named = evidence.top
    if not named and evidence.rule.get("kind") == RuleKind.THRESHOLD:
        facts = store.story_facts(
            series,
            evidence.window_start,
            evidence.window_end,
            negative_only=True,
            counting_only=True,
            limit=TOP_STORIES,
        )
        named = tuple(story_of_fact(fact) for fact in facts)
    top = [
        {**story, "articles": _articles(store, str(story["story_id"]))}
        if position < stories and story.get("story_id") and not story.get("articles")
        else story
        for position, story in enumerate(named)
    ]
    return replace(evidence, top=tuple(top))


def _articles(store: Store, story_id: str) -> list[dict[str, Any]]:
    rows = []
    for scored in store.story_articles(story_id)[:ARTICLES_A_STORY]:
        article, said = scored.article, scored.prediction
        row: dict[str, Any] = {
            "id": article.id,
            "title": article.title,
            "url": article.url,
            "publisher": article.publisher,
            "family": article.family,
            "published": article.published.isoformat(),
            "first_seen": article.first_seen.isoformat(),
            "date_quality": article.date_quality.value,
            "prediction": None,
        }
        if said is not None:
            row["prediction"] = {
                "sentiment": said.sentiment,
                "p_negative": round(said.p_negative, 4),
                "p_neutral": round(said.p_neutral, 4),
                "p_positive": round(said.p_positive, 4),
                "topics": list(said.topics),
                "confidence": round(said.confidence, 4),
                "model_version": said.model_version,
            }
        rows.append(row)
    return rows


def _deliveries(
    store: Store,
    transitions: Sequence[Transition],
    rules: Sequence[Rule],
    open_alerts: Sequence[Alert],
    now: datetime,
    links_base: str,
) -> list[tuple[int, NewDelivery]]:
    channels = store.channels()
    if not channels:
        return []
    by_name = {rule.name: rule for rule in rules}
    by_id = {alert.id: alert for alert in open_alerts}
    silences, quiet_hours, clock = store.silences(now), quiet_hours_of(store), recent_clock(store)
    planned: list[tuple[int, NewDelivery]] = []
    for index, transition in enumerate(transitions):
        alert = by_id.get(transition.alert_id) if transition.alert_id is not None else None
        planned += [
            (index, delivery)
            for delivery in plan_deliveries(
                transition,
                transition.alert_id,
                channels,
                by_name.get(transition.rule),
                silences,
                now,
                links_base=links_base,
                quiet_hours=quiet_hours,
                opened_at=None if alert is None else alert.opened_at,
                snoozed_until=None if alert is None else alert.snoozed_until,
                clock=clock,
            )
        ]
    return planned
