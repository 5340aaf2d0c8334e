"""ingest: from feed documents to stored, deduplicated, clustered articles, side by side with feedparser alone.

    python -m bench.ingest [--quick] [--documents 300] [--rounds 5] [--no-write]

Documents of 30 items from our own word lists, as a desk's feeds have them: a fifth of the items carry a headline again
that another publisher had, a tenth of the documents come twice. All are in memory; no network is in the figures.

Headwind     `poll_due` with the documents in place of the fetcher: parsing in processes that can be killed, plain text,
             identity, story, mentions, languages, full-text index, SQLite
feedparser   `feedparser.parse(bytes)` in one process, which keeps and compares nothing
the same, not sanitising     the same as Headwind calls it, without feedparser's own cleaning of HTML
"""

from __future__ import annotations

import argparse
import io
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape
from pathlib import Path

import feedparser

from bench.machine import cost_of, machine, pin
from bench.results import bar, write_section
from bench.sentences import OBJECTS, SUBJECTS, TAILS, VERBS, sentence
from monitor.domain import Entity, Feed, Fetched, NewFeed
from monitor.errors import FeedError
from monitor.feeds.parser import ParserPool
from monitor.feeds.stories import StoryIndex
from monitor.ingest import poll_due
from monitor.store import open_store

ITEMS = 30
AGAIN, TWICE = 0.2, 0.1
PEERS = ("feedparser", "feedparser, not sanitising")


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one round over all documents, and what became of their items."""

    wall_s: float
    cpu_s: float
    articles: int
    stories: int = 0


def documents(count: int, seed: int = 7) -> list[bytes]:
    """RSS documents, one for each feed; those of the last tenth are documents from before, at another address."""
    draw = random.Random(seed)
    now = datetime.now(UTC)
    headlines: list[str] = []
    made: list[bytes] = []
    for number in range(count - int(count * TWICE)):
        items = []
        for place in range(ITEMS):
            fresh = len(headlines) < 100 or draw.random() >= AGAIN
            title = _headline(draw) if fresh else draw.choice(headlines[-2_000:]) + draw.choice(("", " - report", "."))
            headlines.append(title)
            items.append(
                _item(draw, title, f"https://w{number}.example/{place}", now - timedelta(minutes=draw.random() * 2_000))
            )
        head = f"<title>Wire {number}</title><link>https://w{number}.example</link><description>News</description>"
        text = (
            f'<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel>{head}{"".join(items)}</channel></rss>'
        )
        made.append(text.encode())
    return made + [draw.choice(made) for _ in range(count - len(made))]


def _headline(draw: random.Random) -> str:
    firm = f"{draw.choice(_FIRST)}{draw.choice(_LAST)} {draw.choice(('Bank', 'Group', 'Holdings', 'Energy', 'Foods'))}"
    return f"{firm} {draw.choice(VERBS)} {draw.choice(OBJECTS)} {draw.choice(TAILS)}"


_FIRST = (
    "Calder",
    "Ash",
    "North",
    "Glen",
    "Fair",
    "Old",
    "Stone",
    "West",
    "Har",
    "Brook",
    "Elm",
    "Kings",
    "Mar",
    "Red",
)
_LAST = ("wick", "ford", "bury", "mere", "field", "gate", "ton", "bridge", "ham", "dale", "combe", "ley", "stead")


def _item(draw: random.Random, title: str, link: str, at: datetime) -> str:
    body = "".join(f"<p>{sentence(draw, 25)} <a href='{link}'>{draw.choice(SUBJECTS)}</a></p>" for _ in range(3))
    return (
        f"<item><title>{escape(title)}</title><link>{link}</link><guid isPermaLink='true'>{link}</guid>"
        f"<pubDate>{format_datetime(at)}</pubDate><category>markets</category><author>desk@w.example (Desk)</author>"
        f"<description>{escape(body)}</description></item>"
    )


class Documents:
    """In place of the fetcher: each feed's document is there at once."""

    def __init__(self, bodies: Sequence[bytes]) -> None:
        self._bodies = bodies

    def start(
        self, feeds: Iterable[Feed], now: datetime, put: Callable[[Feed, Fetched | FeedError], None]
    ) -> Documents:
        for feed, body in zip(feeds, self._bodies, strict=True):
            put(feed, Fetched(url=feed.url, status=200, body=body, content_type="application/rss+xml"))
        return self

    def taken(self, feed: Feed) -> None:
        """There is no limit to keep."""

    def cancel(self) -> None:
        """Nothing is on its way."""


def headwind(bodies: Sequence[bytes]) -> Timing:
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as scratch:
        store = open_store(f"sqlite:///{Path(scratch) / 'headwind.db'}", role="worker")
        parser = ParserPool()
        try:
            for number in range(len(bodies)):
                store.add_feed(
                    NewFeed(url=f"https://w{number}.example/rss", publisher=f"Wire {number}"), datetime.now(UTC)
                )
            for name in ("Calderwick Bank", "Ashford Group", "Northgate Energy", "Fairfield Foods"):
                store.save_entity(Entity(id=0, name=name), datetime.now(UTC))
            warm = Fetched(url="https://w.example", status=200, body=bodies[0])
            parser.parse(warm)  # a worker's processes are up long before
            before, began = cost_of(os.getpid()).cpu_s, time.perf_counter()
            results = list(poll_due(store, Documents(bodies), parser, StoryIndex(), datetime.now(UTC)))  # type: ignore[arg-type]
            wall, cpu = time.perf_counter() - began, cost_of(os.getpid()).cpu_s - before
            failed = [result.error for result in results if result.error]
            if failed:
                raise SystemExit(f"bench: {len(failed)} documents failed: {failed[0]}")
            status = store.status()
            return Timing(wall, cpu, status.articles, status.stories)
        finally:
            parser.close()
            store.close()


def alone(bodies: Sequence[bytes], **options: bool) -> Timing:
    before, began, found = time.process_time(), time.perf_counter(), 0
    for body in bodies:
        found += len(feedparser.parse(io.BytesIO(body), **options).entries)
    return Timing(time.perf_counter() - began, time.process_time() - before, found)


def measure(bodies: Sequence[bytes], rounds: int) -> dict[str, list[Timing]]:
    """Every side over all documents, in turn; who goes first moves on with each round."""
    sides: dict[str, Callable[[], Timing]] = {
        "Headwind": lambda: headwind(bodies),
        PEERS[0]: lambda: alone(bodies),
        PEERS[1]: lambda: alone(bodies, sanitize_html=False, resolve_relative_uris=False),
    }
    found: dict[str, list[Timing]] = {name: [] for name in sides}
    names = list(sides)
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            found[name].append(sides[name]())
            print(f"round {number + 1}/{rounds}  {name}: {found[name][-1]}", file=sys.stderr, flush=True)
    return found


def write_up(found: dict[str, list[Timing]], bodies: Sequence[bytes], cores: int) -> str:
    ours, items = found["Headwind"], len(bodies) * ITEMS
    longest = max(statistics.median(one.wall_s for one in timings) for timings in found.values())
    lines = [
        "## ingest",
        "",
        f"{len(bodies):,} documents of {ITEMS} items ({sum(map(len, bodies)) / 2**20:.1f} MiB), {len(ours)} rounds in "
        f"turn, medians. Headwind keeps {ours[0].articles:,} articles in {ours[0].stories:,} stories, on both cores; "
        f"feedparser reads the same bytes on one and keeps nothing. {machine(cores)}.",
        "",
        "| side | seconds | items/s | CPU-seconds | Headwind's time is | Headwind's CPU is | |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for name, timings in found.items():
        wall = statistics.median(one.wall_s for one in timings)
        ratios = ["", ""]
        if name != "Headwind":
            pairs = list(zip(ours, timings, strict=True))
            ratios = [
                f"{statistics.median(mine.wall_s / theirs.wall_s for mine, theirs in pairs):.2f}×",
                f"{statistics.median(mine.cpu_s / theirs.cpu_s for mine, theirs in pairs):.2f}×",
            ]
        lines.append(
            f"| {name} | {wall:.1f} | {items / wall:.0f} | {statistics.median(one.cpu_s for one in timings):.1f} "
            f"| {ratios[0]} | {ratios[1]} | {bar(wall, longest)} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.ingest", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="20 documents, one round; writes nothing")
    parser.add_argument("--documents", type=int, default=300, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--no-write", action="store_true", help="print, but leave bench/RESULTS.md as it is")
    arguments = parser.parse_args(argv)
    if arguments.quick:
        arguments.documents, arguments.rounds, arguments.no_write = 20, 1, True
    cores = pin(2)
    bodies = documents(arguments.documents)
    report = write_up(measure(bodies, arguments.rounds), bodies, cores)
    print(report)
    if not arguments.no_write:
        write_section("ingest", report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
