"""A small store with some weeks of invented news and one fresh spike, for the tests of the pages.

Everything in it is made here, from a fixed seed: about 25 stories a day by six publishers in five families, scored by
the scripted classifier, and one alert with its evidence.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from monitor.domain import (
    ALL,
    AlertState,
    ArticleQuery,
    ChannelConfig,
    DateQuality,
    Entity,
    Evidence,
    Mention,
    NewArticle,
    NewFeed,
    Rule,
    RuleKind,
    Severity,
    Transition,
    TransitionKind,
    series_of_topic,
)
from monitor.store.base import Store
from tests.scripted_classifier import ScriptedClassifier

HOSTILE = "![](http://tracker.invalid/x.png) [x](javascript:alert(1)) $$e=mc^2$$ :red[x] <b>bold</b> <img src=x>"
"""A title that every reader of markup would do something with (fault D1)."""

COMPANIES = ("Norvik Bank", "Tessera Energy", "Calder Foods", "Halyard Shipping", "Quill Insurance")
PUBLISHERS = (
    ("Harbour Wire", "Harbour Group", "en"),
    ("Harbour Markets", "Harbour Group", "en"),
    ("Ledger Daily", "Ledger", "en"),
    ("City Courier", "Courier", "en"),
    ("North Post", "North", "en"),
    ("Exchange Notes", "Exchange", "en"),
)
CALM = (
    "{c} names a new head of its {p} unit",
    "{c} profit rises on steady demand in {p}",
    "{c} wins a contract to supply {p}",
    "{c} publishes its calendar for {p}",
    "Shares of {c} rally after news from {p}",
)
BAD = (
    "{c} faces a probe over sales in {p}",
    "{c} plans layoffs at its plant in {p}",
    "{c} hit by a lawsuit from partners in {p}",
    "{c} posts a loss as costs grow in {p}",
)
SPIKE = "{c} nears default as lenders in {p} withdraw credit lines"
PLACES = ("Aldmoor", "Bryn", "Corvale", "Dunmere", "Estwick", "Farrow", "Glenholt", "Hexby", "Iverton", "Jarrow Bay")


VERSIONS = ("scripted-1", "scripted-2")


def classifier(version: str = VERSIONS[0]) -> ScriptedClassifier:
    return ScriptedClassifier(version, unsure_words=("calendar",))


def seed(store: Store, now: datetime, days: int = 40, sample: bool = False) -> None:
    """Fill the store as the worker would: feeds, articles, predictions, rollups, an alert."""
    rng = random.Random(7)
    feeds = [
        store.add_feed(
            NewFeed(
                url=f"http://127.0.0.1:9/{publisher.lower().replace(' ', '-')}.xml",
                title=f"{publisher} business",
                publisher=publisher,
                family=family,
                language=language,
                sample=sample,
            ),
            now - timedelta(days=days),
        )
        for publisher, family, language in PUBLISHERS
    ]
    entities = [store.save_entity(Entity(id=0, name=name, aliases=(name.split()[0],)), now) for name in COMPANIES]
    articles: list[NewArticle] = []
    for day in range(days, 0, -1):
        for number in range(25):
            at = now - timedelta(days=day) + timedelta(minutes=rng.randrange(1440))
            company = rng.randrange(len(COMPANIES))
            pattern = rng.choice(BAD) if rng.random() < 0.24 else rng.choice(CALM)
            title = pattern.format(c=COMPANIES[company], p=rng.choice(PLACES)) + f", day {day} item {number}"
            articles += _reports(
                f"d{day}n{number}", title, at, rng.randint(1, 2), company, rng, feeds, entities, sample
            )
    for number in range(12):
        title = SPIKE.format(c=COMPANIES[0], p=PLACES[number % 10]) + f", report {number}"
        at = now - timedelta(hours=10) + timedelta(minutes=45 * number)
        articles += _reports(f"spike{number}", title, at, 3, 0, rng, feeds, entities, sample)
    articles += _reports("hostile", HOSTILE, now - timedelta(minutes=30), 1, 1, rng, feeds, entities, sample)
    articles.sort(key=lambda article: article.first_seen)
    store.add_articles(articles, now)
    model = classifier()
    store.set_live_model(model.version, model.languages, "test", "seed", now)
    while batch := store.claim_unscored("seed", 500, now, timedelta(minutes=5)):
        scored = model.predict([f"{article.title}\n{article.summary}" for article in batch])
        store.save_predictions(
            model.version, [(article.id, one) for article, one in zip(batch, scored, strict=True)], now
        )
    while store.refresh_rollups():
        pass
    store.save_channel(
        ChannelConfig(name="desk-hook", kind="webhook", options={"url": "http://127.0.0.1:9/hook", "secret": "s3cret"}),
        "test",
        now,
    )
    _alerts(store, now)


def _reports(
    mark: str,
    title: str,
    at: datetime,
    count: int,
    company: int,
    rng: random.Random,
    feeds: list,
    entities: list,
    sample: bool,
) -> list[NewArticle]:
    made = []
    for place, feed in enumerate(rng.sample(feeds, count)):
        seen = at + timedelta(minutes=7 * place)
        made.append(
            NewArticle(
                identity=f"{mark}/{place}",
                story_id=f"{mark}/0",
                feed_id=feed.id,
                publisher=feed.publisher,
                family=feed.family,
                language="en",
                title=title,
                summary=f"Invented report number {mark} for the tests of the pages. {title}.",
                url=f"https://news.invalid/{mark}/{place}" if mark != "hostile" else "javascript:alert(1)",
                author="",
                published=seen,
                first_seen=seen,
                date_quality=DateQuality.EXACT,
                counts=True,
                sample=sample,
                mentions=(Mention(entity_id=entities[company].id, where="title", confidence=0.9),),
            )
        )
    return made


def _alerts(store: Store, now: datetime) -> None:
    rule = Rule(
        name="negative-spike",
        kind=RuleKind.SPIKE,
        scope=("all", "topic:*", "entity:*"),
        params={"budget_per_week": 2.5},
    )
    store.save_rule(rule, "test", now)
    found, _ = store.search_articles(
        ArticleQuery(topics=("credit_distress",), start=now - timedelta(hours=24), end=now, group_stories=True)
    )
    top = tuple(
        {
            "story_id": row.article.story_id,
            "title": row.article.title,
            "published": row.article.published.isoformat(),
            "publishers": [row.article.publisher],
            "families": [row.article.family],
            "articles": [
                {"title": row.article.title, "url": row.article.url, "publisher": row.article.publisher},
            ],
        }
        for row in found
    )
    evidence = Evidence(
        window_start=now - timedelta(hours=24),
        window_end=now,
        window_hours=24.0,
        stories=14,
        negative=12,
        expected=1.9,
        p_value=2.3e-7,
        families=5,
        model_version=classifier().version,
        rule={"name": rule.name, "kind": "spike", "budget_per_week": 2.5},
        top=top,
        baseline={"span": [(now - timedelta(days=39)).isoformat(), now.isoformat()], "hours": 936, "level": 0.08},
    )
    moment = now - timedelta(hours=2)
    summary = "12 negative stories in 24 h, 1.9 expected"
    opened = [
        Transition(
            kind=TransitionKind.OPEN,
            rule=rule.name,
            series=series,
            severity=severity,
            at=moment,
            summary=summary,
            evidence=evidence,
        )
        for series, severity in (
            (series_of_topic("credit_distress"), Severity.CRITICAL),
            (f"entity:{COMPANIES[0]}", Severity.WARNING),
            (ALL, Severity.WARNING),
        )
    ]
    ids = store.apply_transitions(opened, [], moment)
    store.change_alert(
        ids[2], kind="resolve", actor="test", now=now - timedelta(hours=1), state=AlertState.RESOLVED, note="calm again"
    )
