"""Invented news for the tests of alerts: story facts in memory, and articles in a real SQLite store."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from monitor.alerts.backtest import WARM_UP
from monitor.alerts.calibration import prior_threshold
from monitor.alerts.lifecycle import Observation, evaluate
from monitor.alerts.rules import NEGATIVE_SPIKE, default_rules, in_scope, params_of
from monitor.alerts.sources import FactsSource
from monitor.alerts.spike import SpikeJudge
from monitor.alerts.statistics import SpikeParams, scan
from monitor.domain import DateQuality, Rule, StoryFact, Transition

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday at midnight: where the invented past begins."""

PUBLISHERS = ("Aldgate Wire", "Borough Post", "Cheapside Times", "Docklands Daily")
TOPICS = ("earnings_guidance", "market_move", "regulation_enforcement", "business_operations", "litigation")
_NUMBER = itertools.count(1)


def spike_rule(**params: object) -> Rule:
    """The default rule, with some parameters of its own."""
    from dataclasses import replace

    rule = next(rule for rule in default_rules() if rule.name == NEGATIVE_SPIKE)
    return replace(rule, params={**rule.params, **params})


def story(
    at: datetime,
    sentiment: str = "neutral",
    topics: Sequence[str] = ("earnings_guidance",),
    entities: Sequence[str] = (),
    publisher: str = PUBLISHERS[0],
    family: str = "",
    title: str = "",
    counts: bool = True,
    quality: DateQuality = DateQuality.EXACT,
    first_seen: datetime | None = None,
) -> StoryFact:
    """One story of one publisher."""
    number = next(_NUMBER)
    return StoryFact(
        story_id=f"s{number}",
        hour=at.replace(minute=0, second=0, microsecond=0),
        published=at,
        sentiment=sentiment,
        score={"negative": -0.8, "neutral": 0.0, "positive": 0.8}[sentiment],
        p_negative=0.9 if sentiment == "negative" else 0.05,
        confidence=0.9,
        main_topic=topics[0],
        topics=tuple(topics),
        entities=tuple(entities),
        publishers=(publisher,),
        families=(family or publisher,),
        languages=("en",),
        articles=1,
        counts=counts,
        date_quality=quality,
        title=title or f"Invented story {number}",
        first_seen=first_seen or at,
    )


def ordinary(
    days: int,
    per_day: float = 60.0,
    *,
    start: datetime = MONDAY,
    negative: float = 0.2,
    publishers: Sequence[str] = PUBLISHERS,
    topics: Sequence[str] = TOPICS,
    entities: Sequence[str] = (),
    seed: int = 1,
    busy_weekday: int | None = None,
    busy_times: float = 3.0,
    quality: DateQuality = DateQuality.EXACT,
) -> list[StoryFact]:
    """A Poisson stream of news: busier by day than by night, quiet at weekends, with a steady share of bad news."""
    rng = np.random.default_rng(seed)
    facts = []
    for hour in range(days * 24):
        at = start + timedelta(hours=hour)
        shape = 1.6 if 7 <= at.hour < 19 else 0.4
        if at.weekday() >= 5:
            shape *= 0.35
        if at.weekday() == busy_weekday:
            shape *= busy_times
        for _ in range(rng.poisson(per_day / 24 * shape)):
            moment = at + timedelta(minutes=int(rng.integers(60)))
            facts.append(
                story(
                    moment if quality is DateQuality.EXACT else at.replace(hour=0),
                    "negative" if rng.random() < negative else ("positive", "neutral")[int(rng.integers(2))],
                    topics=(topics[int(rng.integers(len(topics)))],),
                    entities=(entities[int(rng.integers(len(entities)))],) if entities and rng.random() < 0.4 else (),
                    publisher=publishers[int(rng.integers(len(publishers)))],
                    quality=quality,
                )
            )
    return facts


def burst(
    at: datetime,
    count: int,
    hours: float = 4.0,
    *,
    topics: Sequence[str] = ("litigation",),
    entities: Sequence[str] = (),
    publishers: Sequence[str] = PUBLISHERS,
    counts: bool = True,
    quality: DateQuality = DateQuality.EXACT,
) -> list[StoryFact]:
    """`count` negative stories spread evenly over the hours before `at`."""
    step = timedelta(hours=hours) / count
    return [
        story(
            at - step * (number + 1) if quality is DateQuality.EXACT else at,
            "negative",
            topics=topics,
            entities=entities,
            publisher=publishers[number % len(publishers)],
            counts=counts,
            quality=quality,
        )
        for number in range(count)
    ]


@dataclass
class Look:
    """What one look at a source says: observations by series, and the transitions of an empty desk."""

    judge: SpikeJudge
    observations: dict[str, Observation]
    transitions: list[Transition]
    opened: list[str] = field(default_factory=list)


def look(facts: Sequence[StoryFact], now: datetime, rule: Rule | None = None, threshold: float | None = None) -> Look:
    """Judge at `now` as `watch` does, with no alert open."""
    rule = rule or spike_rule()
    params = params_of(rule)
    source = FactsSource(facts)
    history = source.history(now - WARM_UP, now)
    chosen = [name for name in history.series if in_scope(rule, name) and name != "topic:other"]
    whole = scan(history, SpikeParams.of(params), chosen)
    level = prior_threshold(float(params["budget_per_week"])) if threshold is None else threshold
    judge = SpikeJudge(rule, whole, np.full(whole.q.shape[1], level), source, "scripted-1")
    observations = judge.at(whole.q.shape[1] - 1, {})
    transitions = evaluate([rule], observations, [], {}, now)
    return Look(
        judge=judge,
        observations={observation.series: observation for observation in observations},
        transitions=transitions,
        opened=[transition.series for transition in transitions if transition.inhibited_by is None],
    )


def poisson_tail(n: int, mu: float) -> float:
    """P(N >= n), summed by hand."""
    return 1.0 - sum(math.exp(-mu) * mu**k / math.factorial(k) for k in range(n))
