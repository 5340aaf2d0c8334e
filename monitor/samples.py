"""Use case: the sample news that we wrote ourselves, read from monitor/sample and dated back from `now`.

It is imported as the past (first_seen = published), marked as sample, and can be removed whole. All companies,
publishers and people in it are invented.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from monitor.domain import ArticleDraft, DateQuality, Entity, NewArticle
from monitor.entities.matcher import Matcher
from monitor.feeds.identity import identity_candidates
from monitor.feeds.stories import Item, StoryIndex
from monitor.mentions import rematch
from monitor.store.base import Store

FOLDER = Path(__file__).resolve().parent / "sample"
ACTOR = "sample news"
ADDED = "sample entities"  # setting: names that came with the sample and go with it


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplePublisher:
    name: str
    family: str
    language: str
    slug: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleItem:
    """One article of the sample: a story's first report or a copy of it at another publisher."""

    publisher: SamplePublisher
    title: str
    summary: str
    url: str
    published: datetime


@cache
def publishers() -> dict[str, SamplePublisher]:
    rows = json.loads((FOLDER / "publishers.json").read_text(encoding="utf-8"))
    return {
        row["name"]: SamplePublisher(
            name=row["name"], family=row["family"], language=row["language"], slug=row["feed_slug"]
        )
        for row in rows
    }


def _rows(name: str) -> list[dict[str, Any]]:
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def _with_copies(row: dict[str, Any], published: datetime) -> list[SampleItem]:
    known = publishers()
    home = known[row["publisher"]]
    items = [
        SampleItem(
            publisher=home,
            title=row["title"],
            summary=row["summary"],
            url=f"https://{home.slug}.example/{row['id']}",
            published=published,
        )
    ]
    for copy in row.get("copies", ()):
        place = known[copy["publisher"]]
        items.append(
            SampleItem(
                publisher=place,
                title=copy["title"],
                summary=copy["summary"],
                url=f"https://{place.slug}.example/{row['id']}",
                published=published + timedelta(minutes=copy["delay_minutes"]),
            )
        )
    return items


def past_items(now: datetime) -> list[SampleItem]:
    """Six quiet weeks before `now`, oldest first. Nothing of it lies in the future."""
    midnight = datetime.combine(now.date(), time(), tzinfo=now.tzinfo)
    items = [
        item
        for row in _rows("stories.jsonl")
        for item in _with_copies(
            row,
            midnight + timedelta(days=row["day"], hours=int(row["time"][:2]), minutes=int(row["time"][3:])),
        )
    ]
    return sorted((item for item in items if item.published <= now), key=lambda item: item.published)


def spike_items(start: datetime, pace: float = 1.0) -> list[SampleItem]:
    """The bad morning, oldest first: `minute` m of the file comes at start + m × pace minutes."""
    items = [
        item for row in _rows("spike.jsonl") for item in _with_copies(row, start + timedelta(minutes=row["minute"]))
    ]
    items = [
        SampleItem(
            publisher=item.publisher,
            title=item.title,
            summary=item.summary,
            url=item.url,
            published=start + (item.published - start) * pace,
        )
        for item in items
    ]
    return sorted(items, key=lambda item: item.published)


def watchlist() -> list[Entity]:
    """The sample's companies, without ids."""
    with (FOLDER / "watchlist.csv").open(encoding="utf-8", newline="") as file:
        return [
            Entity(
                id=0,
                name=row["name"],
                aliases=tuple(alias for alias in row["aliases"].split("|") if alias),
                ticker=row["ticker"] or None,
                lei=row["lei"] or None,
                weight=float(row["weight"]) if row["weight"] else None,
            )
            for row in csv.DictReader(file)
        ]


def pasted_example() -> str:
    """An article to try on the page that scores text."""
    return (FOLDER / "paste.txt").read_text(encoding="utf-8")


def add_sample_news(store: Store, now: datetime) -> int:
    """Import the sample past and watchlist, marked as sample; gives how many articles. Nothing when it is there.

    first_seen is the time of publication, as for an archive: it can be looked at and raises no alert today.
    """
    if store.status().samples:
        return 0
    known = {entity.name for entity in store.entities()}
    missing = [entity for entity in watchlist() if entity.name not in known]
    # Noted first, and with what an addition that was broken off has noted: all of it goes when the sample goes.
    noted = {*(store.setting(ADDED) or ()), *(entity.name for entity in missing)}
    store.set_setting(ADDED, sorted(noted), ACTOR, now)
    added = [store.save_entity(entity, now) for entity in missing]
    rematch(store, added)
    return store.add_articles(articles_of(past_items(now), Matcher(store.entities())), now).new


def articles_of(items: list[SampleItem], matcher: Matcher) -> list[NewArticle]:
    """The items, oldest first, as articles with identity, story and mentions: the identity that a poll of the same
    item gives, so that the sample feeds do not bring the past a second time."""
    drafts = [
        ArticleDraft(
            guid=item.url,
            url=item.url,
            title=item.title,
            summary=item.summary,
            published=item.published,
            date_quality=DateQuality.EXACT,
        )
        for item in items
    ]
    identities = [candidates[0] for candidates in identity_candidates(drafts, 0)]
    stories = StoryIndex().assign(
        [Item(key, item.title, item.published) for key, item in zip(identities, items, strict=True)]
    )
    return [
        NewArticle(
            identity=identity,
            story_id=story,
            feed_id=None,
            publisher=item.publisher.name,
            family=item.publisher.family,
            language=item.publisher.language,
            title=item.title,
            summary=item.summary,
            url=item.url,
            author="",
            published=item.published,
            first_seen=item.published,
            date_quality=DateQuality.EXACT,
            counts=True,
            sample=True,
            mentions=matcher.mentions(item.title, item.summary),
        )
        for item, identity, story in zip(items, identities, stories, strict=True)
    ]


def remove_sample_news(store: Store, now: datetime) -> int:
    """Remove what came with the sample: feeds, articles, alerts about them, and its part of the watchlist."""
    for name in store.setting(ADDED) or ():
        store.remove_entity(name, now)
    store.set_setting(ADDED, [], ACTOR, now)
    return store.remove_samples()
