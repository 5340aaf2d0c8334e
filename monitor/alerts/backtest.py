"""A rule on the past: the live judgement, hour by hour, with nothing from later than the hour in hand.

The level, shape and dispersion at each hour rest on earlier days only, and the threshold is calibrated anew every four
weeks on what came before. Two things differ from live: it looks once an hour instead of as news comes in, and a story
that arrived late stands where it was published.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitor.alerts import kinds
from monitor.alerts.calibration import calibrate, onset_table, prior_threshold
from monitor.alerts.evidence import alert_row, evidence_fields
from monitor.alerts.history import HOUR, OTHER, Floats, History, HistorySource, until
from monitor.alerts.lifecycle import Observation, evaluate
from monitor.alerts.quiet_past import QuietPast
from monitor.alerts.rules import in_scope, params_of, validate
from monitor.alerts.spike import SpikeJudge
from monitor.alerts.statistics import Scan, SpikeParams, scan
from monitor.domain import Alert, AlertState, Rule, RuleKind, Transition, TransitionKind
from monitor.errors import AlertError

WARM_UP: Final = timedelta(days=84)
RECALIBRATE_HOURS: Final = 28 * 24
Progress = Callable[[float], None]
Flags = NDArray[np.bool_]
_MOST_FACTS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestReport:
    """The alerts that a rule would have opened in [start, end), oldest first. thresholds: (from when, q)."""

    rule: str
    start: datetime
    end: datetime
    alerts: tuple[Alert, ...]
    thresholds: tuple[tuple[datetime, float], ...] = ()
    note: str = ""

    @property
    def weeks(self) -> float:
        return max((self.end - self.start).total_seconds() / (7 * 86400), 1e-9)

    @property
    def per_week(self) -> float:
        """Alerts a week that would have been sent: those explained by a narrower alert are not."""
        return sum(alert.inhibited_by is None for alert in self.alerts) / self.weeks

    def to_json(self) -> dict[str, Any]:
        """The stable shape of `rules backtest --json`."""
        return {
            "rule": self.rule,
            "from": self.start.isoformat(),
            "to": self.end.isoformat(),
            "per_week": round(self.per_week, 4),
            "alerts": [{**alert_row(alert), "evidence": evidence_fields(alert.evidence)} for alert in self.alerts],
            "note": self.note,
        }


def backtest(
    rule: Rule,
    source: HistorySource,
    start: datetime,
    end: datetime,
    progress: Progress = lambda share: None,
) -> BacktestReport:
    """What `rule` would have opened in [start, end). `progress` is told the share done, 0 to 1.

    Raises `AlertError` for an empty span, and where the source cannot give what the kind of rule needs.
    """
    rule = replace(validate(rule), enabled=True)
    if end <= start:
        raise AlertError("backtest: 'to' must lie after 'from'")
    history = source.history(start - WARM_UP, end)
    known = history.first_hour()
    if known is not None:
        start = min(max(start, known), end - HOUR)  # weeks before the store's first story are no quiet weeks
    progress(0.3)
    first = min(max(0, (start - history.start) // HOUR), history.hours - 1)
    steps: list[tuple[datetime, float]] = []
    if rule.kind is RuleKind.SPIKE:
        script, steps = _spikes(rule, history, source)
    elif rule.kind is RuleKind.THRESHOLD:
        script = _thresholds_crossed(rule, history)
    elif rule.kind is RuleKind.CRITICAL_STORY:
        script = _critical(rule, history, source, start, end)
    elif rule.kind is RuleKind.QUIET:
        past = QuietPast(rule, history, source.arrivals(history.start, end))
        script = _Script(past.busy, past.observe)
    else:
        script = _keywords(rule, history, source, start, end)
    progress(0.5)
    alerts = _replay(rule, history, script, first, lambda share: progress(0.5 + share / 2))
    return BacktestReport(
        rule=rule.name,
        start=start,
        end=end,
        alerts=tuple(alerts),
        thresholds=tuple(steps),
        note=_note(rule, known is not None),
    )


def _note(rule: Rule, known: bool) -> str:
    """What the report cannot tell."""
    if not known:
        return "the store holds no scored news of this span"
    if rule.kind is RuleKind.QUIET:
        return "failed polls and the worker's own silence have no stored past; this is when items came"
    return ""


# ── what each kind sees at an hour ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Script:
    """busy: [hours] where something may fire; the others are looked at only while an alert is open.

    observe: (hour index, open alerts, the moment the hour ends) → observations.
    """

    busy: Flags
    observe: Callable[[int, Sequence[Alert], datetime], list[Observation]]


def _spikes(rule: Rule, history: History, source: HistorySource) -> tuple[_Script, list[tuple[datetime, float]]]:
    params = params_of(rule)
    chosen = [name for name in history.series if in_scope(rule, name) and name != OTHER]
    whole = scan(history, SpikeParams.of(params), chosen)
    thresholds, steps = thresholds_of(whole, float(params["budget_per_week"]))
    judge = SpikeJudge(rule, whole, thresholds, source)

    def observe(hour: int, opened: Sequence[Alert], now: datetime) -> list[Observation]:
        return judge.at(hour, {alert.series: alert for alert in opened})

    return _Script(judge.busy_hours(), observe), steps


def _thresholds_crossed(rule: Rule, history: History) -> _Script:
    chosen = [row for row, name in enumerate(history.series) if in_scope(rule, name)]
    params = params_of(rule)
    window = int(params["window_hours"])
    busy = np.zeros(history.hours, dtype=bool)
    for row in chosen:
        stories, negative = _sums(history.stories[row], window), _sums(history.negative[row], window)
        if params["measure"] == "count":
            busy |= negative >= params["value"]
            continue
        enough = stories >= params["min_stories"]
        if params["measure"] == "share":
            busy |= enough & (negative >= params["value"] * stories)
        elif history.score is not None:
            busy |= enough & (_sums(history.score[row], window) <= params["value"] * stories)

    def observe(hour: int, opened: Sequence[Alert], now: datetime) -> list[Observation]:
        return kinds.threshold(rule, until(history, hour + 1), opened, "", now)

    return _Script(busy, observe)


def _critical(rule: Rule, history: History, source: HistorySource, start: datetime, end: datetime) -> _Script:
    window = timedelta(hours=int(params_of(rule)["window_hours"]))
    names = [name for name in history.series if name.startswith("entity:") and in_scope(rule, name)]
    facts = {name: source.negative_facts(name, start - window, end, _MOST_FACTS) for name in names}
    severe = {name: [fact for fact in found if kinds.is_severe(rule, fact)] for name, found in facts.items()}
    named = source.named_in_title(sorted({fact.story_id for found in severe.values() for fact in found}))
    busy = _hours_of([fact.first_seen for found in severe.values() for fact in found], history)

    def observe(hour: int, opened: Sequence[Alert], now: datetime) -> list[Observation]:
        entities = [
            kinds.EntityFacts.of(
                name,
                [fact for fact in found if fact.first_seen < now and now - window <= fact.published],
                named,
            )
            for name, found in severe.items()
        ]
        return kinds.critical_stories(rule, entities, opened, "", now)

    return _Script(busy, observe)


def _keywords(rule: Rule, history: History, source: HistorySource, start: datetime, end: datetime) -> _Script:
    window = timedelta(hours=int(params_of(rule)["window_hours"]))
    query = replace(kinds.keyword_query(rule, end), start=start - window, end=end, limit=_MOST_FACTS)
    found = source.search(query)
    busy = _hours_of([scored.article.first_seen for scored in found], history)

    def observe(hour: int, opened: Sequence[Alert], now: datetime) -> list[Observation]:
        seen = [s for s in found if s.article.first_seen < now and now - window <= s.article.published]
        return kinds.keyword(rule, seen, opened, now)

    return _Script(busy, observe)


def _hours_of(moments: Sequence[datetime], history: History) -> Flags:
    busy = np.zeros(history.hours, dtype=bool)
    for moment in moments:
        hour = (moment - history.start) // HOUR
        if 0 <= hour < history.hours:
            busy[hour] = True
    return busy


def _sums(values: Floats, window: int) -> Floats:
    total = np.cumsum(values)
    return np.asarray(total - np.concatenate([np.zeros(min(window, len(total))), total[:-window]]))


def thresholds_of(whole: Scan, budget: float) -> tuple[Floats, list[tuple[datetime, float]]]:
    """[hours] the threshold in force, each from the past before it."""
    hours = whole.q.shape[1]
    values = np.full(hours, prior_threshold(budget))
    steps = []
    table = onset_table(whole)
    for begin in range(0, hours, RECALIBRATE_HOURS):
        at = whole.history.hour_at(begin)
        made = calibrate(whole, budget, at, last=begin, table=table)
        values[begin : begin + RECALIBRATE_HOURS] = made.threshold
        steps.append((at, float(values[begin])))
    return values, steps


@dataclass
class _Replay:
    """Open and finished alerts of a replay, as the store would keep them."""

    opened: dict[tuple[str, str], Alert] = field(default_factory=dict)
    finished: list[Alert] = field(default_factory=list)
    resolved: dict[tuple[str, str], datetime] = field(default_factory=dict)
    number: int = 0

    def apply(self, transition: Transition) -> None:
        key = (transition.rule, transition.series)
        if transition.kind is TransitionKind.OPEN:
            self.number += 1
            explained = self.opened.get((transition.rule, transition.inhibited_by or ""))
            self.opened[key] = Alert(
                id=self.number,
                rule=transition.rule,
                series=transition.series,
                severity=transition.severity,
                state=AlertState.OPEN,
                opened_at=transition.at,
                updated_at=transition.at,
                resolved_at=None,
                summary=transition.summary,
                evidence=transition.evidence,
                inhibited_by=explained.id if explained is not None else None,
            )
            return
        alert = self.opened[key]
        if transition.kind is TransitionKind.RESOLVE:
            del self.opened[key]
            self.finished.append(replace(alert, state=AlertState.RESOLVED, resolved_at=transition.at))
            self.resolved[key] = transition.at
        elif transition.kind is TransitionKind.ESCALATE:
            self.opened[key] = replace(alert, state=AlertState.ESCALATED)
        else:
            self.opened[key] = replace(
                alert,
                severity=transition.severity,
                updated_at=transition.at,
                summary=transition.summary,
                evidence=transition.evidence,
                inhibited_by=alert.inhibited_by if transition.inhibited_by is not None else None,
            )


def _replay(rule: Rule, history: History, script: _Script, first: int, progress: Progress) -> list[Alert]:
    state = _Replay()
    hours = history.hours
    for hour in range(first, hours):
        if hour % 240 == 0:
            progress((hour - first) / max(hours - first, 1))
        if not script.busy[hour] and not state.opened:
            continue
        opened = list(state.opened.values())
        now = history.hour_at(hour + 1)
        for transition in evaluate([rule], script.observe(hour, opened, now), opened, state.resolved, now):
            state.apply(transition)
    progress(1.0)
    return sorted([*state.finished, *state.opened.values()], key=lambda alert: (alert.opened_at, alert.series))
