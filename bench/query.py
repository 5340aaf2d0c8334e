"""query: six reads of the dashboard at 10 thousand, 1 million and 10 million articles, beside SQL over raw rows.

    python -m bench query                                   # all three sizes; 10 M needs about 25 GB for an hour
    python -m bench.query --sizes 10000,1000000 --keep      # smaller, and the stores stay in bench/.work/query

The peers hold one wide row an article (published, publisher, language, title, summary, what the model said): SQLite
with an index on the time, DuckDB as it comes, both files on the same disk. All three must give the same answer before
a read is timed. Each read is asked with an end that moves through the last sixty days, in turns: store, SQLite,
DuckDB, store, and so on. The store's times include opening a transaction and making the values that a page gets.
"""

from __future__ import annotations

import argparse
import gc
import random
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pandas as pd

from bench.fill import fill
from bench.made import COMPANIES, PUBLISHERS, Text, blocks, texts
from bench.results import bar, write_section
from models.labels import TOPICS
from monitor.domain import ArticleQuery, CellFilter
from monitor.rollups import HOUR_US
from monitor.store import open_store
from monitor.store.sql import SqlStore
from monitor.store.values import us

WORK = Path(__file__).parent / ".work" / "query"
SIZES: Final = (10_000, 1_000_000, 10_000_000)
END: Final = datetime(2026, 1, 1, tzinfo=UTC)
DAYS: Final = 1826.0
RUNS: Final = 40
BUDGET_S: Final = 20.0  # for the runs of one read on one side; a slow side gets fewer, and at least three
COUNTED: Final = 1_000  # how far the page News counts the matches
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

_NEWS = (
    "CREATE TABLE news (id BIGINT, story BIGINT, leads BOOLEAN, published BIGINT, publisher VARCHAR, language VARCHAR, "
    "title VARCHAR, summary VARCHAR, sentiment VARCHAR, score DOUBLE, topics VARCHAR, main_topic VARCHAR, "
    "company VARCHAR)"
)
_JOINED = (
    "INSERT INTO news SELECT f.id, f.story, f.leads, f.published, p.name, m.language, m.title, m.summary, m.sentiment, "
    "m.score, m.topics, m.main, m.company FROM fresh f JOIN made m ON m.n = f.n JOIN press p ON p.n = f.by"
)


@dataclass(frozen=True, slots=True)
class Read:
    """A question of the dashboard: how the store is asked, how raw rows are, and how each answer is compared.

    store: (store, end) → answer. sql: the same over `news`, with {…} filled from `span(end)`; answers are compared
    as sorted rows of plain values.
    """

    name: str
    what: str
    days: float
    store: Callable[[SqlStore, datetime], list[tuple[Any, ...]]]
    sql: str
    top: int | None = None  # compare only the last column: of equals any may come


def _rollups(series: Sequence[str], days: float, step: str) -> Callable[[SqlStore, datetime], list[tuple[Any, ...]]]:
    def ask(store: SqlStore, end: datetime) -> list[tuple[Any, ...]]:
        found = store.rollup_columns(series, end - timedelta(days=days), end, step=step)
        return list(zip(found.series, found.hour, found.stories, found.negative, found.score_sum, strict=True))

    return ask


def _totals(store: SqlStore, end: datetime) -> list[tuple[Any, ...]]:
    found = store.rollup_columns([f"entity:{name}" for name in COMPANIES], end - 30 * DAY, end, step="all")
    return list(zip(found.series, found.stories, found.negative, found.score_sum, strict=True))


def _filtered(store: SqlStore, end: datetime) -> list[tuple[Any, ...]]:
    where = CellFilter(publishers=(PUBLISHERS[3],))
    found = store.cell_columns(where, end - 365 * DAY, end, step="day")
    return list(zip(found.hour, found.stories, found.negative, found.score_sum, strict=True))


def _search(store: SqlStore, end: datetime) -> list[tuple[Any, ...]]:
    query = ArticleQuery(
        text='"credit downgrade"', start=end - 365 * DAY, end=end, sentiments=("negative",), limit=50, count_to=COUNTED
    )
    return [(found.article.id,) for found in store.search_articles(query)[0]]


def _worst(store: SqlStore, end: datetime) -> list[tuple[Any, ...]]:
    facts = store.story_facts("topic:credit_distress", end - 30 * DAY, end, negative_only=True, limit=10)
    return [(fact.score,) for fact in facts]


_SUMS = "count(*), sum(CASE WHEN sentiment = 'negative' THEN 1 ELSE 0 END), sum(score)"
_INSIDE = "leads AND sentiment IS NOT NULL AND published >= {start} AND published < {end}"
_DAY = f"published / {HOUR_US * 24} * 24"

READS: Final = (
    Read(
        "now",
        "all news by the hour, 30 days",
        30,
        _rollups(["all"], 30, "hour"),
        f"SELECT 'all', published / {HOUR_US}, {_SUMS} FROM news WHERE {_INSIDE} AND main_topic <> 'other' "
        f"GROUP BY published / {HOUR_US}",
    ),
    Read(
        "topics",
        "twenty topics by the day, a year",
        365,
        _rollups([f"topic:{topic}" for topic in TOPICS], 365, "day"),
        f"SELECT 'topic:' || t.topic, {_DAY}, {_SUMS} FROM news JOIN topics t "
        f"ON '|' || news.topics || '|' LIKE '%|' || t.topic || '|%' WHERE {_INSIDE} GROUP BY t.topic, {_DAY}",
    ),
    Read(
        "filter",
        "one publisher by the day, a year",
        365,
        _filtered,
        f"SELECT {_DAY}, {_SUMS} FROM news WHERE {_INSIDE} AND publisher = '{PUBLISHERS[3]}' GROUP BY {_DAY}",
    ),
    Read(
        "watchlist",
        f"{len(COMPANIES)} companies, sums of 30 days",
        30,
        _totals,
        f"SELECT 'entity:' || company, {_SUMS} FROM news WHERE {_INSIDE} AND company IS NOT NULL GROUP BY company",
    ),
    Read(
        "search",
        "newest 50 negative articles with a phrase, a year",
        365,
        _search,
        "SELECT id FROM news WHERE published >= {start} AND published < {end} AND sentiment = 'negative' "
        "AND lower(title || ' ' || summary) LIKE '%credit downgrade%' ORDER BY published DESC LIMIT 50",
    ),
    Read(
        "worst",
        "ten most negative stories of a topic, 30 days",
        30,
        _worst,
        f"SELECT score FROM news WHERE {_INSIDE} AND sentiment = 'negative' "
        "AND '|' || topics || '|' LIKE '%|credit_distress|%' ORDER BY score LIMIT 10",
    ),
)


def make(size: int, folder: Path) -> int:
    """Fill a store and both peers with the same rows, unless they are there; gives how many articles."""
    done = folder / "done"
    if done.exists():
        return int(done.read_text())
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    store = open_store(f"sqlite:///{folder / 'headwind.db'}")
    try:
        total = fill(store, size, end=END, days=DAYS, progress=lambda done: print(f"\r{done:,}", end="", flush=True))
        check_a_sample(store)
    finally:
        store.close()
    _raw(size, folder)
    print(f"\r{total:,} articles in three stores", flush=True)
    done.write_text(str(total))
    return total


def check_a_sample(store: SqlStore, days: int = 20) -> None:
    """Recompute some days from articles and predictions; raises when a count differs."""
    live = store.live_model()
    assert live is not None
    draw = random.Random(5)
    for _ in range(days):
        first = (us(END) // HOUR_US // 24 - draw.randrange(1, int(DAYS))) * 24
        for found in store.verify_span(range(first, first + 24)):
            raise SystemExit(f"query: the filled store is wrong: {found}")


def _raw(size: int, folder: Path) -> None:
    lite = sqlite3.connect(folder / "raw.sqlite", isolation_level=None)
    duck = duckdb.connect(str(folder / "raw.duckdb"))
    made, press, topics = _small_tables(texts())
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-400000"):
        lite.execute(f"PRAGMA {pragma}")
    for name, frame in (("made", made), ("press", press), ("topics", topics)):
        frame.to_sql(name, lite, index=False)
        duck.execute(f"CREATE TABLE {name} AS SELECT * FROM frame")
    lite.execute("CREATE UNIQUE INDEX made_n ON made (n)")
    lite.execute("CREATE TEMP TABLE fresh (id, story, leads, published, n, by)")
    for peer in (lite, duck):
        peer.execute(_NEWS)
    for block in blocks(size, END - timedelta(days=DAYS), END):
        fresh = pd.DataFrame(
            {
                "id": block.article,
                "story": block.story[block.of],
                "leads": np.isin(block.article, block.first),
                "published": block.at,
                "n": block.text[block.of],
                "by": block.by,
            }
        )
        duck.execute(_JOINED)
        lite.execute("BEGIN")
        lite.execute("DELETE FROM fresh")
        rows = zip(*(fresh[name].tolist() for name in fresh), strict=True)
        lite.executemany("INSERT INTO fresh VALUES (?, ?, ?, ?, ?, ?)", rows)
        lite.execute(_JOINED)
        lite.execute("COMMIT")
    lite.execute("CREATE INDEX news_published ON news (published)")
    lite.close()
    duck.close()


def _small_tables(made: Sequence[Text]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    rows = []
    for n, one in enumerate(made):
        top = max(range(3), key=one.thousandths.__getitem__)
        served = one.language == "en"
        rows.append(
            {
                "n": n,
                "title": one.title,
                "summary": one.summary,
                "language": one.language,
                "sentiment": ("negative", "neutral", "positive")[top] if served else None,
                "score": (one.thousandths[2] - one.thousandths[0]) / 1024,
                "topics": "|".join(one.topics),
                "main": one.topics[0],
                "company": None if one.entity is None else COMPANIES[one.entity],
            }
        )
    press = pd.DataFrame({"n": range(len(PUBLISHERS)), "name": PUBLISHERS})
    return pd.DataFrame(rows), press, pd.DataFrame({"topic": TOPICS})


class Sides:
    """The three sides of one size; each answers a read at an end."""

    names = ("store", "sqlite", "duckdb")

    def __init__(self, folder: Path) -> None:
        self.store = open_store(f"sqlite:///{folder / 'headwind.db'}", role="reader", read_timeout_s=600)
        self.lite = sqlite3.connect(f"file:{folder / 'raw.sqlite'}?mode=ro", uri=True)
        self.duck = duckdb.connect(str(folder / "raw.duckdb"), read_only=True, config={"threads": 2})

    def ask(self, side: str, read: Read, end: datetime) -> list[tuple[Any, ...]]:
        if side == "store":
            return read.store(self.store, end)
        sql = read.sql.format(start=us(end - timedelta(days=read.days)), end=us(end))
        if side == "sqlite":
            return self.lite.execute(sql).fetchall()
        return self.duck.execute(sql.replace(" / ", " // ")).fetchall()

    def close(self) -> None:
        self.store.close()
        self.lite.close()
        self.duck.close()


def measure(folder: Path, runs: int) -> dict[str, dict[str, float]]:
    """read → side → p95 in milliseconds, and under "rows" how many rows the answer has. Raises when the sides differ in
    an answer."""
    sides = Sides(folder)
    gc.collect()
    gc.freeze()  # as the dashboard does at its start
    found: dict[str, dict[str, float]] = {}
    try:
        for read in READS:
            draw = random.Random(3)
            # An hour on the hour: what is asked of the raw rows is then what whole hours answer.
            ends = [END - draw.randrange(60 * 24) * HOUR for _ in range(runs)]
            answers = [sorted(sides.ask(side, read, END)) for side in sides.names]  # which warms all three as well
            if answers[0] != answers[1] or answers[0] != answers[2]:
                raise SystemExit(f"query: the answers to {read.name!r} differ")
            times: dict[str, list[float]] = {side: [] for side in sides.names}
            for end in ends:
                for side in sides.names:
                    if sum(times[side]) > BUDGET_S and len(times[side]) >= 3:
                        continue
                    begun = time.perf_counter()
                    sides.ask(side, read, end)
                    times[side].append(time.perf_counter() - begun)
            found[read.name] = {side: float(np.percentile(times[side], 95)) * 1000 for side in sides.names}
            found[read.name]["rows"] = len(answers[0])
            shown = ", ".join(f"{side} {found[read.name][side]:.1f} ms" for side in sides.names)
            print(f"  {read.name}: {shown}", flush=True)
    finally:
        sides.close()
    return found


def report(measured: dict[int, dict[str, dict[str, float]]], sizes: dict[int, float], runs: int, machine: str) -> str:
    """The section of RESULTS.md: p95 by size, growth from the smallest to the largest, the peers at the largest."""
    small, large = min(measured), max(measured)
    heads = " | ".join(f"{size:,}" for size in measured)
    lines = [
        "## query: six reads of the dashboard",
        "",
        f"p95 of {runs} runs (fewer where a peer is slow) in milliseconds, made news of five years, all files on one "
        f"disk, answers equal. {machine}. "
        + ", ".join(f"{size:,} articles: {gigabytes:.1f} GB" for size, gigabytes in sizes.items())
        + " (Headwind's file). Growth is of the time from the smallest to the largest, beside the rows of the answer.",
        "",
        f"| read | {heads} | growth | rows shown | SQLite raw {large:,} | DuckDB raw {large:,} | DuckDB / ours |",
        "|---|" + "---:|" * (len(measured) + 5),
    ]
    for read in READS:
        own = [measured[size][read.name]["store"] for size in measured]
        lite, duck = (measured[large][read.name][side] for side in ("sqlite", "duckdb"))
        growth = own[-1] / measured[small][read.name]["store"]
        shown = f"{measured[small][read.name]['rows']:,.0f} → {measured[large][read.name]['rows']:,.0f}"
        lines.append(
            f"| {read.name}: {read.what} | {' | '.join(f'{ms:.1f}' for ms in own)} | {growth:.1f} | {shown} | "
            f"{lite:.1f} | {duck:.1f} | {duck / own[-1]:.1f} |"
        )
    longest = max(measured[large][read.name][side] for read in READS for side in ("store", "duckdb"))
    lines += ["", f"At {large:,} articles, p95:", "", "| read | Headwind | DuckDB over raw rows |", "|---|---|---|"]
    for read in READS:
        own, duck = (measured[large][read.name][side] for side in ("store", "duckdb"))
        lines.append(f"| {read.name} | {bar(own, longest)} {own:.1f} | {bar(duck, longest)} {duck:.1f} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    from bench.machine import machine, pin

    parser = argparse.ArgumentParser(prog="python -m bench.query", description="Dashboard reads as the store grows.")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="articles, comma-separated")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--keep", action="store_true", help=f"keep the stores under {WORK.name}/ for the next run")
    parser.add_argument("--dry", action="store_true", help="print the section instead of writing it to RESULTS.md")
    arguments = parser.parse_args(argv)
    cores = pin(2)
    measured, sizes = {}, {}
    for size in sorted(int(each) for each in arguments.sizes.split(",")):
        folder = WORK / str(size)
        total = make(size, folder)
        sizes[total] = (folder / "headwind.db").stat().st_size / 1e9
        measured[total] = measure(folder, arguments.runs)
        if not arguments.keep:
            shutil.rmtree(folder)
    text = report(measured, sizes, arguments.runs, machine(cores))
    if arguments.dry:
        print(text)
    else:
        write_section("query", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
