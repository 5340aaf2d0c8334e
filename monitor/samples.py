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

from monitor.domain import Entity

FOLDER = Path(__file__).resolve().parent / "sample"


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
