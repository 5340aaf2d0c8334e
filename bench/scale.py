"""scale: articles re-scored with one and two workers on PostgreSQL, and what the store costs each as it grows.

    python -m bench scale                        # about three minutes on two cores
    python -m bench.scale --grown 10000,1000000  # the cost per article at other sizes

A throw-away PostgreSQL (its own folder, a unix socket, no fsync) holds made news. Workers are processes that do what
the product's scoring job does: claim, predict with the shipped model on one thread, save, recount. For the cost of the
store alone a model that answers at once takes its place: a version goes live that has said nothing yet, and the newest
articles of a store of each size are scored by it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from bench.fill import fill
from bench.machine import machine, pin
from bench.results import bar, write_section
from models import registry
from models.backend import Prediction
from models.labels import TOPICS
from monitor.scoring import refresh_counts, score_queue
from monitor.store import open_store
from tests.postgres import running_postgres

END: Final = datetime(2026, 1, 1, tzinfo=UTC)
EACH: Final = 2048  # articles that a worker scores
SETTLED: Final = 512  # before the clock starts: the model is loaded and warm
INSTANT: Final = 10_240  # articles scored at once, for the cost of the store
GROWN: Final = (10_000, 100_000)


class Instant:
    """A model that answers at once and always the same, so that what is left is the store."""

    version = "bench-instant"
    languages = ("en",)

    def predict(self, texts: Sequence[str]) -> list[Prediction | None]:
        scores = tuple(0.75 if topic == "earnings_guidance" else 0.03125 for topic in TOPICS)
        one = Prediction(
            p_negative=0.625,
            p_neutral=0.25,
            p_positive=0.125,
            topics=("earnings_guidance",),
            topic_scores=scores,
            confidence=0.625,
            unsure=False,
            truncated=False,
            model_version=self.version,
        )
        return [one] * len(texts)


def utc_now() -> datetime:
    return datetime.now(UTC)


def work(url: str, name: str, articles: int) -> None:
    """A worker: load the model, warm it up, say so, wait for a line, score, and say from when to when (monotonic)."""
    store = open_store(url, role="worker")
    classifier = registry.open_classifier(None, threads=1)
    score_queue(store, classifier, name, utc_now, limit=SETTLED)
    print("ready", flush=True)
    sys.stdin.readline()
    begun = time.monotonic()
    report = score_queue(store, classifier, name, utc_now, limit=articles)
    print(json.dumps({"scored": report.scored, "from": begun, "to": time.monotonic()}), flush=True)
    store.close()


def rate(url: str, workers: int, articles: int) -> float:
    """Articles a second of so many workers side by side, from the first one's start to the last one's end."""
    command = [sys.executable, "-m", "bench.scale", "--each", str(articles), "--work", url, "--name"]
    running = [
        subprocess.Popen([*command, f"bench-{n}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(workers)
    ]
    for each in running:
        assert each.stdout is not None
        if each.stdout.readline().strip() != "ready":
            raise SystemExit("scale: a worker did not start")
    for each in running:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    said = [json.loads(each.communicate()[0]) for each in running]
    span = max(one["to"] for one in said) - min(one["from"] for one in said)
    return float(sum(one["scored"] for one in said) / span)


def cost(url: str, size: int) -> float:
    """Microseconds of the store for each article that a new version scores, in a store of `size` articles."""
    store = open_store(url, role="worker")
    try:
        fill(store, size, end=END)
        store.set_live_model(Instant.version, Instant.languages, "bench", "measured", END)
        score_queue(store, Instant(), "bench", utc_now, limit=2 * SETTLED)
        begun = time.monotonic()
        # The whole of the smallest store at most: its articles without the Chinese ones and those just scored.
        report = score_queue(store, Instant(), "bench", utc_now, limit=min(INSTANT, size * 3 // 4))
        refresh_counts(store)
        return 1e6 * (time.monotonic() - begun) / report.scored
    finally:
        store.close()


def report(one: float, two: float, each: int, costs: dict[int, float], where: str) -> str:
    longest = max(costs.values())
    small, large = min(costs), max(costs)
    lines = [
        "## scale: re-scoring on PostgreSQL",
        "",
        f"{where}, shared with PostgreSQL itself. The shipped model, one thread a worker, {each:,} articles each.",
        "",
        "| workers | articles/s | efficiency |",
        "|---:|---:|---:|",
        f"| 1 | {one:.0f} | 1.00 |",
        f"| 2 | {two:.0f} | {two / (2 * one):.2f} |",
        "",
        "The store alone (claim, save, recount; a model that answers at once), growth "
        f"{costs[large] / costs[small]:.2f} from {small:,} to {large:,} articles:",
        "",
        "| articles in the store | µs an article | |",
        "|---:|---:|---|",
        *(f"| {size:,} | {micros:.0f} | {bar(micros, longest)} |" for size, micros in costs.items()),
    ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description="Re-scoring on PostgreSQL.")
    parser.add_argument("--grown", default=",".join(map(str, GROWN)), help="sizes of the store, comma-separated")
    parser.add_argument("--each", type=int, default=EACH, help="articles that a worker scores")
    parser.add_argument("--dry", action="store_true", help="print the section instead of writing it to RESULTS.md")
    parser.add_argument("--work", metavar="URL", help=argparse.SUPPRESS)
    parser.add_argument("--name", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.work:
        work(arguments.work, arguments.name, arguments.each)
        return 0
    where = machine(pin(2))
    with running_postgres() as server:
        url = server.database()
        store = open_store(url, role="worker")
        fill(store, 3 * (arguments.each + 2 * SETTLED), end=END, days=30, scored=False)
        store.close()
        one, two = rate(url, 1, arguments.each), rate(url, 2, arguments.each)
        print(f"  1 worker {one:.0f}/s, 2 workers {two:.0f}/s", flush=True)
        costs = {}
        for size in (int(each) for each in arguments.grown.split(",")):
            costs[size] = cost(server.database(), size)
            print(f"  {size:,} articles: {costs[size]:.0f} µs an article", flush=True)
    text = report(one, two, arguments.each, costs, where)
    if arguments.dry:
        print(text)
    else:
        write_section("scale", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
