"""The rules on news besides the spike: threshold, critical story, keyword. Each turns what it is given into
observations; none reads a store or a clock. Silence is in quiet.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from monitor.alerts.history import HOUR, History
from monitor.alerts.lifecycle import Observation, Standing
from monitor.alerts.rules import in_scope, params_of, rule_to_dict
from monitor.alerts.spike import TOP_STORIES, story_of_fact
from monitor.domain import (
    ALL,
    Alert,
    ArticleQuery,
    Evidence,
    Rule,
    ScoredArticle,
    StoryFact,
    series_of_entity,
    series_of_topic,
)

MOST_HITS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityFacts:
    """Negative counting stories of one watched entity in the rule's window, most negative first.

    in_title: ids of those whose title names the entity; the others name it in the lead, often in passing.
    """

    series: str
    facts: tuple[StoryFact, ...]
    in_title: frozenset[str] = frozenset()

    @classmethod
    def of(cls, series: str, facts: Sequence[StoryFact], named: Mapping[str, frozenset[str]]) -> EntityFacts:
        """named: story id → the entities that its titles name."""
        entity = series.removeprefix("entity:").partition("/topic:")[0]
        there = frozenset(fact.story_id for fact in facts if entity in named.get(fact.story_id, ()))
        return cls(series=series, facts=tuple(facts), in_title=there)


# ── threshold ────────────────────────────────────────────────────────────────────────────────────────────────────


def threshold(
    rule: Rule, history: History, open_alerts: Sequence[Alert], version: str, now: datetime
) -> list[Observation]:
    """Share, count or mean score of a series in a window against a fixed value."""
    params = params_of(rule)
    window = int(params["window_hours"])
    opened = {alert.series for alert in open_alerts if alert.rule == rule.name}
    found = []
    for row, series in enumerate(history.series):
        if not in_scope(rule, series):
            continue
        stories, negative, value = _measure(history, row, window, history.hours, params["measure"])
        if _crosses(params, stories, value):
            found.append(_crossed(rule, history, series, window, stories, negative, value, version))
        elif series in opened:
            calm = timedelta(0)
            for back in range(1, int(params["resolve_after_hours"]) + 1):
                earlier = _measure(history, row, window, history.hours - back, params["measure"])
                if _crosses(params, earlier[0], earlier[2]):
                    break
                calm = back * HOUR
            found.append(
                Observation(
                    rule=rule.name,
                    series=series,
                    standing=Standing.CALM,
                    calm_for=calm,
                    resolve_after=timedelta(hours=int(params["resolve_after_hours"])),
                )
            )
    return found


def _measure(history: History, row: int, window: int, end: int, measure: str) -> tuple[float, float, float]:
    part = slice(max(0, end - window), max(0, end))
    stories, negative = float(history.stories[row, part].sum()), float(history.negative[row, part].sum())
    if measure == "count":
        return stories, negative, negative
    if measure == "mean_score":
        score = 0.0 if history.score is None else float(history.score[row, part].sum())
        return stories, negative, score / max(stories, 1.0)
    return stories, negative, negative / max(stories, 1.0)


def _crosses(params: Mapping[str, Any], stories: float, value: float) -> bool:
    if params["measure"] == "count":
        return bool(value >= params["value"])
    if stories < params["min_stories"]:
        return False
    return bool(value <= params["value"] if params["measure"] == "mean_score" else value >= params["value"])


def _crossed(
    rule: Rule, history: History, series: str, window: int, stories: float, negative: float, value: float, version: str
) -> Observation:
    params = params_of(rule)
    start = history.hour_at(max(0, history.hours - window))
    words = {
        "share": f"{value:.0%} of {stories:.0f} stories are negative, the limit is {params['value']:.0%}",
        "count": f"{negative:.0f} negative stories, the limit is {params['value']:.0f}",
        "mean_score": f"mean score {value:+.2f} over {stories:.0f} stories, the limit is {params['value']:+.2f}",
    }[params["measure"]]
    evidence = Evidence(
        window_start=start,
        window_end=history.end,
        window_hours=float(window),
        stories=round(stories),
        negative=round(negative),
        expected=float(params["value"]),
        p_value=1.0,
        families=0,
        model_version=version,
        rule=rule_to_dict(rule),
        baseline={"measure": params["measure"], "value": value, "limit": params["value"]},
    )
    return Observation(
        rule=rule.name,
        series=series,
        standing=Standing.FIRE,
        severity=rule.severity,
        summary=f"{words}; {window} h since {start:%Y-%m-%d %H:%M} UTC",
        evidence=evidence,
        resolve_after=timedelta(hours=int(params["resolve_after_hours"])),
    )


# ── critical story ───────────────────────────────────────────────────────────────────────────────────────────────


def is_severe(rule: Rule, fact: StoryFact) -> bool:
    """Whether one story is enough for a critical-story rule, wherever it names the entity."""
    params = params_of(rule)
    return bool(fact.p_negative >= params["min_p_negative"] and set(fact.topics) & set(params["topics"]))


def critical_stories(
    rule: Rule, entities: Sequence[EntityFacts], open_alerts: Sequence[Alert], version: str, now: datetime
) -> list[Observation]:
    """One story is enough: a severe topic about a watched entity, negative at high probability. The rule says whether
    the title has to name the entity."""
    params = params_of(rule)
    anywhere = params["mention"] == "anywhere"
    window = timedelta(hours=int(params["window_hours"]))
    found, seen = [], set()
    for entity in entities:
        facts = [
            fact
            for fact in entity.facts
            if is_severe(rule, fact)
            and fact.published >= now - window
            and (anywhere or fact.story_id in entity.in_title)
        ]
        if len(facts) < int(params["min_stories"]):
            continue
        seen.add(entity.series)
        found.append(_of_facts(rule, entity.series, facts, version, now, window))
    return found + calm(rule, open_alerts, seen)


def _of_facts(
    rule: Rule, series: str, facts: Sequence[StoryFact], version: str, now: datetime, window: timedelta
) -> Observation:
    first = min(facts, key=lambda fact: fact.published)
    families = {family for fact in facts for family in fact.families}
    topics = sorted({topic for fact in facts for topic in fact.topics} & set(params_of(rule)["topics"]))
    stories = "1 story" if len(facts) == 1 else f"{len(facts)} stories"
    voices = "1 publisher family" if len(families) == 1 else f"{len(families)} publisher families"
    about = ", ".join(topic.replace("_", " ") for topic in topics)
    evidence = Evidence(
        window_start=now - window,
        window_end=now,
        window_hours=window / HOUR,
        stories=len(facts),
        negative=len(facts),
        expected=0.0,
        p_value=1.0,
        families=len(families),
        model_version=version,
        rule=rule_to_dict(rule),
        top=tuple(story_of_fact(fact) for fact in facts[:TOP_STORIES]),
        baseline={"strongest": max(fact.p_negative for fact in facts)},
    )
    return Observation(
        rule=rule.name,
        series=series,
        standing=Standing.FIRE,
        severity=rule.severity,
        summary=f"{stories} on {about}; {voices}; since {first.published:%Y-%m-%d %H:%M} UTC",
        evidence=evidence,
        story_ids=frozenset(fact.story_id for fact in facts),
    )


# ── keyword ──────────────────────────────────────────────────────────────────────────────────────────────────────


def keyword_query(rule: Rule, now: datetime) -> ArticleQuery:
    """What a keyword rule asks the store for."""
    params = params_of(rule)
    return ArticleQuery(
        text=str(params["query"]),
        start=now - timedelta(hours=int(params["window_hours"])),
        end=now + timedelta(minutes=1),
        sentiments=("negative",) if params["negative_only"] else (),
        group_stories=True,
        limit=MOST_HITS,
        count_to=0,
    )


def newest_query() -> ArticleQuery:
    return ArticleQuery(limit=1, count_to=0)


def keyword(
    rule: Rule, articles: Sequence[ScoredArticle], open_alerts: Sequence[Alert], now: datetime
) -> list[Observation]:
    """Stories that a search finds, by each series in scope that they belong to. Only what counts towards alerts
    counts. `all` takes every hit, also one that is not scored yet or whose only topic is `other`: it was asked for."""
    by_series: dict[str, list[ScoredArticle]] = {}
    for scored in articles:
        if not scored.article.counts:
            continue
        for name in _series_of_article(scored):
            if in_scope(rule, name):
                by_series.setdefault(name, []).append(scored)
    least = int(params_of(rule)["min_stories"])
    firing = {name: hits for name, hits in sorted(by_series.items()) if len(hits) >= least}
    return [_of_hits(rule, name, hits, now) for name, hits in firing.items()] + calm(rule, open_alerts, set(firing))


def _series_of_article(scored: ScoredArticle) -> list[str]:
    topics = () if scored.prediction is None else scored.prediction.topics
    names = [ALL, *(series_of_topic(topic) for topic in topics)]
    for entity in scored.entities:
        names += [series_of_entity(entity), *(series_of_entity(entity, topic) for topic in topics)]
    return [*names, f"publisher:{scored.article.publisher}", f"language:{scored.article.language}"]


def _of_hits(rule: Rule, series: str, hits: Sequence[ScoredArticle], now: datetime) -> Observation:
    params = params_of(rule)
    window = timedelta(hours=int(params["window_hours"]))
    families = {scored.article.family for scored in hits}
    versions = {scored.prediction.model_version for scored in hits if scored.prediction is not None}
    negative = sum(s.prediction is not None and s.prediction.sentiment == "negative" for s in hits)
    stories = "1 story" if len(hits) == 1 else f"{len(hits)} stories"
    evidence = Evidence(
        window_start=now - window,
        window_end=now,
        window_hours=window / HOUR,
        stories=len(hits),
        negative=len(hits) if params["negative_only"] else negative,
        expected=0.0,
        p_value=1.0,
        families=len(families),
        model_version=", ".join(sorted(versions)),
        rule=rule_to_dict(rule),
        top=tuple(_story_of_article(scored) for scored in hits[:TOP_STORIES]),
        baseline={"query": params["query"]},
    )
    first = min(scored.article.published for scored in hits)
    return Observation(
        rule=rule.name,
        series=series,
        standing=Standing.FIRE,
        severity=rule.severity,
        summary=f"{stories} for {params['query']!r} in {int(params['window_hours'])} h; "
        f"{len(families)} publisher famil{'y' if len(families) == 1 else 'ies'}; since {first:%Y-%m-%d %H:%M} UTC",
        evidence=evidence,
        story_ids=frozenset(scored.article.story_id for scored in hits),
    )


def _story_of_article(scored: ScoredArticle) -> dict[str, Any]:
    article, said = scored.article, scored.prediction
    return {
        "story_id": article.story_id,
        "title": article.title,
        "published": article.published.isoformat(),
        "first_seen": article.first_seen.isoformat(),
        "publishers": [article.publisher],
        "families": [article.family],
        "topics": [] if said is None else list(said.topics),
        "entities": list(scored.entities),
        "p_negative": None if said is None else round(said.p_negative, 4),
        "articles": [],
    }


def calm(rule: Rule, open_alerts: Sequence[Alert], firing: set[str]) -> list[Observation]:
    """Open alerts of the rule that no longer fire resolve at once: their windows and patience are memory enough."""
    return [
        Observation(rule=rule.name, series=alert.series, standing=Standing.CALM)
        for alert in open_alerts
        if alert.rule == rule.name and alert.series not in firing
    ]
