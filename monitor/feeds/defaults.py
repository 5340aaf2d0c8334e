"""The list of public feeds that risk teams start from; the list itself is default_feeds.csv beside this file."""

from __future__ import annotations

import csv
from pathlib import Path

from monitor.domain import NewFeed

LIST = Path(__file__).with_name("default_feeds.csv")
UNVERIFIED = "unverified"
"""Note of a feed whose address nobody has reached yet; `feeds check` reaches it or says why not."""


def default_feeds() -> list[NewFeed]:
    """English feeds enabled; those in languages that no shipped model serves yet, disabled."""
    with LIST.open(encoding="utf-8", newline="") as file:
        return [
            NewFeed(
                url=row["url"],
                title=row["title"],
                publisher=row["publisher"],
                family=row["family"] or row["publisher"],
                language=row["language"],
                enabled=row["enabled"] == "yes",
                note=UNVERIFIED,
            )
            for row in csv.DictReader(file)
        ]
