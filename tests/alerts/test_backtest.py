"""A rule on the past: causal, in the stable shape, and within the budget that the desk set."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitor.alerts.backtest import backtest
from monitor.alerts.calibration import Calibration, calibrate, onsets, prior_threshold
from monitor.alerts.history import history_from_facts
from monitor.alerts.sources import FactsSource
from monitor.alerts.statistics import SpikeParams, scan
from monitor.domain import Rule, RuleKind, StoryFact
from monitor.errors import AlertError
from tests.alerts.news import MONDAY, burst, ordinary, spike_rule
from tests.tools import require_corpora

END = MONDAY + timedelta(days=84)
SPIKE = MONDAY + timedelta(days=70, hours=15)


@pytest.fixture(scope="module")
def facts() -> list[StoryFact]:
    names = ("Acorn", "Birch", "Cedar")
    return ordinary(84, per_day=40, entities=names) + burst(SPIKE, 14, entities=("Acorn",))


def test_a_spike_of_the_past_is_found_where_it_was(facts: list[StoryFact]) -> None:
    report = backtest(spike_rule(), FactsSource(facts), MONDAY, END)
    near = timedelta(hours=5)
    [found] = [a for a in report.alerts if a.series == "entity:Acorn" and abs(a.opened_at - SPIKE) < near]
    assert found.opened_at <= SPIKE
    assert found.resolved_at is not None
    assert found.evidence.negative >= 14


def test_the_answer_has_the_stable_shape(facts: list[StoryFact]) -> None:
    answer = json.loads(json.dumps(backtest(spike_rule(), FactsSource(facts), MONDAY, END).to_json()))
    assert {"rule", "from", "to", "per_week", "alerts"} <= set(answer)
    keys = {"series", "severity", "opened_at", "resolved_at", "stories", "negative", "expected", "p_value"}
    assert all(keys | {"families", "top"} <= set(row) for row in answer["alerts"])
    told = [row for row in answer["alerts"] if not row["explained"]]
    assert answer["per_week"] == pytest.approx(len(told) / 12, rel=0.02)


def test_what_comes_later_changes_nothing_before(facts: list[StoryFact]) -> None:
    whole = backtest(spike_rule(), FactsSource(facts), MONDAY, END)
    part = backtest(spike_rule(), FactsSource([f for f in facts if f.published < SPIKE]), MONDAY, SPIKE)
    before = [(a.series, a.opened_at) for a in whole.alerts if a.opened_at <= SPIKE]
    assert before == [(a.series, a.opened_at) for a in part.alerts]


def test_progress_runs_from_little_to_all(facts: list[StoryFact]) -> None:
    told: list[float] = []
    backtest(spike_rule(), FactsSource(facts), MONDAY, END, told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_weeks_before_the_first_story_are_no_quiet_weeks(facts: list[StoryFact]) -> None:
    report = backtest(spike_rule(), FactsSource(facts), MONDAY - timedelta(days=200), END)
    assert report.start >= MONDAY


def test_a_disabled_rule_can_be_tried(facts: list[StoryFact]) -> None:
    rule = replace(spike_rule(), enabled=False)
    assert backtest(rule, FactsSource(facts), MONDAY, END).alerts


def test_a_threshold_rule_can_be_tried(facts: list[StoryFact]) -> None:
    rule = Rule(name="count", kind=RuleKind.THRESHOLD, scope=("entity:*",), params={"measure": "count", "value": 14})
    [alert] = backtest(rule, FactsSource(facts), MONDAY, END).alerts
    assert alert.series == "entity:Acorn"
    assert alert.opened_at.date() == SPIKE.date()


def test_a_critical_story_rule_can_be_tried(facts: list[StoryFact]) -> None:
    rule = Rule(name="one", kind=RuleKind.CRITICAL_STORY, scope=("entity:*",), params={"topics": ["litigation"]})
    report = backtest(rule, FactsSource(facts), SPIKE - timedelta(days=1), SPIKE + timedelta(days=1))
    assert "entity:Acorn" in {alert.series for alert in report.alerts}


def test_what_cannot_be_tried_says_so(facts: list[StoryFact]) -> None:
    source = FactsSource(facts)
    with pytest.raises(AlertError, match="'to'"):
        backtest(spike_rule(), source, END, MONDAY)
    with pytest.raises(AlertError, match="store"):
        words = Rule(name="k", kind=RuleKind.KEYWORD, scope=("all",), params={"query": "run"})
        backtest(words, source, MONDAY, END)


def test_an_empty_past_gives_an_empty_report_with_a_note() -> None:
    report = backtest(spike_rule(), FactsSource([]), MONDAY, END)
    assert report.alerts == ()
    assert "no scored news" in report.note


# ── the budget ───────────────────────────────────────────────────────────────────────────────────────────────────


def restless(days: int, seed: int) -> list[StoryFact]:
    """News with real little spikes of its own, so that a budget has something to choose from."""
    rng = np.random.default_rng(seed)
    facts = ordinary(days, per_day=40, seed=seed)
    for day in range(20, days):
        if rng.random() < 0.5:
            at = MONDAY + timedelta(days=day, hours=int(rng.integers(6, 20)))
            topic = ("litigation", "market_move", "regulation_enforcement")[int(rng.integers(3))]
            facts += burst(at, int(rng.integers(3, 12)), topics=(topic,))
    return facts


def test_a_budget_set_on_one_half_of_the_past_holds_in_the_other() -> None:
    days, weeks = 364, 26
    history = history_from_facts(restless(days, 5), MONDAY, MONDAY + timedelta(days=days))
    names = [name for name in history.series if name == "all" or name.startswith("topic:")]
    whole = scan(history, SpikeParams(), names)
    half = whole.q.shape[1] // 2
    made = calibrate(whole, 1.0, MONDAY, last=half)
    came = onsets(whole.q[:, half:], made.threshold, 24).sum() / weeks
    assert made.weeks >= 20
    assert 0.5 <= came <= 2.0


def test_a_smaller_budget_is_a_stricter_threshold() -> None:
    history = history_from_facts(restless(200, 6), MONDAY, MONDAY + timedelta(days=200))
    whole = scan(history, SpikeParams(), ["all", "topic:litigation", "topic:market_move"])
    strict, loose = (calibrate(whole, budget, MONDAY).threshold for budget in (0.2, 2.0))
    assert strict < loose


def test_without_enough_past_a_prior_serves() -> None:
    history = history_from_facts(ordinary(30), MONDAY, MONDAY + timedelta(days=30))
    made = calibrate(scan(history, SpikeParams()), 2.5, MONDAY)
    assert (made.weeks, made.threshold) == (0, prior_threshold(2.5))


def test_a_calibration_is_the_same_when_made_again_and_survives_json() -> None:
    history = history_from_facts(restless(120, 7), MONDAY, MONDAY + timedelta(days=120))
    whole = scan(history, SpikeParams())
    one, two = calibrate(whole, 1.0, MONDAY), calibrate(whole, 1.0, MONDAY)
    assert one == two == Calibration.from_dict(json.loads(json.dumps(one.to_dict())))


# ── real news ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.corpora
@pytest.mark.parametrize(
    ("corpus", "span", "crisis"),
    [
        ("headlines_reuters_2006_2013", ("2008-05", "2008-11-01"), ("2008-09-10", "2008-10-31")),
        ("headlines_cnbc_guardian_reuters_2017_2020", ("2019-10", "2020-04-01"), ("2020-02-20", "2020-03-31")),
    ],
)
def test_the_crises_are_found_on_real_news_even_with_a_word_list(
    corpus: str, span: tuple[str, str], crisis: tuple[str, str]
) -> None:
    from bench.stream import stories

    facts, _ = stories(require_corpora(), corpus, "lexicon", span=span)
    begin, end = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in crisis)
    report = backtest(spike_rule(), FactsSource(facts), begin, end)
    told = {alert.series for alert in report.alerts}
    assert "all" in told
    assert any(series.startswith("topic:") for series in told)
    assert report.per_week < 12
