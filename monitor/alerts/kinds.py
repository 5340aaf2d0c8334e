"""The rules besides the spike: threshold, critical story, keyword, quiet. Each turns what it is given into
observations; none reads a store or a clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from monitor.alerts.history import HOUR, History
from monitor.alerts.lifecycle import Observation, Standing
from monitor.alerts.rules import in_scope, params_of, rule_to_dict
from monitor.alerts.spike import TOP_STORIES, story_of_fact
from monitor.domain import Alert, ArticleQuery, Evidence, Feed, FeedState, Rule, ScoredArticle, StoryFact

PIPELINE: Final = "pipeline"
_BEAT: Final = "worker"
_HELD: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityFacts:
    """Negative counting stories of one watched entity in the rule's window, most negative first."""

    series: str
    facts: tuple[StoryFact, ...]


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
    """Whether one story is enough for a critical-story rule."""
    params = params_of(rule)
    return bool(fact.p_negative >= params["min_p_negative"] and set(fact.topics) & set(params["topics"]))


def critical_stories(
    rule: Rule, entities: Sequence[EntityFacts], open_alerts: Sequence[Alert], version: str, now: datetime
) -> list[Observation]:
    """One story is enough: a severe topic about a watched entity, negative at high probability."""
    params = params_of(rule)
    window = timedelta(hours=int(params["window_hours"]))
    found, seen = [], set()
    for entity in entities:
        facts = [fact for fact in entity.facts if is_severe(rule, fact) and fact.published >= now - window]
        if len(facts) < int(params["min_stories"]):
            continue
        seen.add(entity.series)
        found.append(_of_facts(rule, entity.series, facts, version, now, window))
    return found + _calm(rule, open_alerts, seen)


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
        limit=200,
    )


def newest_query() -> ArticleQuery:
    return ArticleQuery(limit=1)


def keyword(
    rule: Rule, articles: Sequence[ScoredArticle], open_alerts: Sequence[Alert], now: datetime
) -> list[Observation]:
    """Stories that a search finds. Only what counts towards alerts counts; the series is the rule's first."""
    params = params_of(rule)
    series = rule.scope[0]
    window = timedelta(hours=int(params["window_hours"]))
    hits = [scored for scored in articles if scored.article.counts]
    if len(hits) < int(params["min_stories"]):
        return _calm(rule, open_alerts, set())
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
    return [
        Observation(
            rule=rule.name,
            series=series,
            standing=Standing.FIRE,
            severity=rule.severity,
            summary=f"{stories} for {params['query']!r} in {int(params['window_hours'])} h; "
            f"{len(families)} publisher famil{'y' if len(families) == 1 else 'ies'}; since {first:%Y-%m-%d %H:%M} UTC",
            evidence=evidence,
            story_ids=frozenset(scored.article.story_id for scored in hits),
        ),
        *_calm(rule, open_alerts, {series}),
    ]


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


# ── quiet ────────────────────────────────────────────────────────────────────────────────────────────────────────


def quiet(
    rule: Rule,
    feeds: Sequence[Feed],
    beats: Mapping[str, tuple[datetime, Mapping[str, Any]]],
    open_alerts: Sequence[Alert],
    now: datetime,
) -> list[Observation]:
    """No news is an alert: a feed, a publisher, or the worker, silent against its own habit."""
    params = params_of(rule)
    found: list[Observation] = []
    watched = [feed for feed in feeds if feed.enabled and feed.state is not FeedState.DISABLED]
    for feed in watched:
        series = f"feed:{feed.title or feed.url}"
        if in_scope(rule, series) and (words := _silent_feed(feed, params, now)):
            found.append(_silence(rule, series, words, feed.last_item or feed.last_success or feed.added, now))
    for publisher in sorted({feed.publisher for feed in watched if feed.publisher}):
        own = [feed for feed in watched if feed.publisher == publisher]
        series = f"publisher:{publisher}"
        if len(own) > 1 and in_scope(rule, series) and all(_silent_feed(feed, params, now) for feed in own):
            since = max(feed.last_item or feed.last_success or feed.added for feed in own)
            words = f"all {len(own)} feeds of {publisher} are silent"
            found.append(_silence(rule, series, words, since, now))
    if in_scope(rule, PIPELINE) and _BEAT in beats:
        last = beats[_BEAT][0]
        if now - last > timedelta(minutes=float(params["pipeline_minutes"])):
            words = f"the worker has given no sign of life since {last:%Y-%m-%d %H:%M} UTC"
            found.append(_silence(rule, PIPELINE, words, last, now))
    return found + _calm(rule, open_alerts, {observation.series for observation in found})


def _silent_feed(feed: Feed, params: Mapping[str, Any], now: datetime) -> str:
    """In words what is wrong with a feed; empty when it keeps its habit or has none yet."""
    patience = timedelta(hours=float(params["min_hours"]))
    if feed.state is FeedState.FAILING:
        since = feed.last_success or feed.added
        if now - since > patience:
            return (
                f"has failed {feed.failures} times since {since:%Y-%m-%d %H:%M} UTC: {feed.last_error or 'no reason'}"
            )
        return ""
    if not feed.items_per_day or feed.last_item is None:
        return ""
    patience = max(patience, timedelta(days=float(params["factor"]) / feed.items_per_day))
    if now.weekday() in (5, 6, 0):  # a habit counted over whole weeks says little about a weekend
        patience += timedelta(days=2)
    if now - feed.last_item <= patience:
        return ""
    return f"nothing new since {feed.last_item:%Y-%m-%d %H:%M} UTC, usually {feed.items_per_day:.3g} items a day"


def _silence(rule: Rule, series: str, words: str, since: datetime, now: datetime) -> Observation:
    evidence = Evidence(
        window_start=min(since, now),
        window_end=now,
        window_hours=max(0.0, round((now - since) / HOUR, 2)),
        stories=0,
        negative=0,
        expected=0.0,
        p_value=1.0,
        families=0,
        model_version="",
        rule=rule_to_dict(rule),
        baseline={"since": since.isoformat()},
    )
    return Observation(
        rule=rule.name,
        series=series,
        standing=Standing.FIRE,
        severity=rule.severity,
        summary=words[0].upper() + words[1:],
        evidence=evidence,
    )


def _calm(rule: Rule, open_alerts: Sequence[Alert], firing: set[str]) -> list[Observation]:
    """Open alerts of the rule that no longer fire resolve at once: their windows and patience are memory enough."""
    return [
        Observation(rule=rule.name, series=alert.series, standing=Standing.CALM)
        for alert in open_alerts
        if alert.rule == rule.name and alert.series not in firing
    ]
