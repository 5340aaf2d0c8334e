"""poll: one round over thousands of feeds, side by side with lemon24/reader.

    python -m bench.poll [--quick] [--sizes 1000 10000] [--rounds 5 1] [--port 18100] [--no-write]

Both sides read the same feeds of `bench.wire` on loopback: an address of its own for every four feeds, 50 ms before
each answer, 2 % that never answer, 8 % with a new item, the rest 304. A first round, not counted, fills each store.
Then the sides take turns, and in every round both are asked for the same answers. Each side is a process of its own;
its costs are those of the process with its children. The server runs on the same cores, as there are no others.

Headwind   `poll_due` as the worker calls it: guarded fetching, parsing in processes that can be killed, identity,
           stories, mentions, SQLite
reader     `update_feeds(scheduled=False, workers=16)` on its SQLite file; both sides give a silent server up after
           20 s (reader would wait 60 s by itself)
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

from bench.machine import cost_of, machine, pin
from bench.results import bar, write_section
from bench.wire import address, hangs

SIDES = ("Headwind", "reader")
TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """wall_s and cpu_s: seconds of one round. peak_mb: of the process and its children, until now. The rest counts
    feeds, and articles that were new."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    answered: int
    failed: int
    new: int


# ── one side, in a process of its own ────────────────────────────────────────────────────────────────────────────

Step = Callable[[], tuple[int, int, int]]
"""One round: (feeds that answered, feeds that failed, new articles)."""


def headwind(folder: Path, urls: Sequence[str]) -> Step:
    from monitor.domain import NewFeed
    from monitor.feeds.fetch import Fetcher
    from monitor.feeds.parser import ParserPool
    from monitor.feeds.stories import StoryIndex
    from monitor.ingest import poll_due
    from monitor.store import open_store

    store = open_store(f"sqlite:///{folder / 'headwind.db'}", role="worker")
    for number, url in enumerate(urls):
        store.add_feed(NewFeed(url=url, title=f"Wire {number}", language="en"), datetime.now(UTC))
    fetcher, parser, index = Fetcher(allow_networks=[ip_network("127.0.0.0/8")]), ParserPool(), StoryIndex()

    def step() -> tuple[int, int, int]:
        failed = new = 0
        for result in poll_due(store, fetcher, parser, index, datetime.now(UTC), store.feeds()):
            failed += result.error is not None
            new += result.new
        return len(urls) - failed, failed, new

    return step


def reader(folder: Path, urls: Sequence[str]) -> Step:
    from reader import make_reader

    logging.disable(logging.CRITICAL)  # it logs a traceback for each feed that does not answer
    made = make_reader(str(folder / "reader.db"), session_timeout=(3.05, TIMEOUT_S))
    for url in urls:
        made.add_feed(url)

    def step() -> tuple[int, int, int]:
        failed = new = 0
        for result in made.update_feeds_iter(scheduled=False, workers=16):
            value = result.value
            if isinstance(value, Exception):
                failed += 1
            elif value is not None:
                new += value.new
        return len(urls) - failed, failed, new

    return step


def run_side(side: str, feeds: int, port: int) -> int:
    """Rounds on demand: a line on standard input is a round, and a line of JSON on standard output its outcome."""
    with tempfile.TemporaryDirectory(prefix="bench-poll-") as scratch:
        step = {"Headwind": headwind, "reader": reader}[side](Path(scratch), [address(n, port) for n in range(feeds)])
        print("ready", flush=True)
        for _ in sys.stdin:
            before, began = cost_of(os.getpid()).cpu_s, time.perf_counter()
            answered, failed, new = step()
            wall, cost = time.perf_counter() - began, cost_of(os.getpid())
            outcome = Round(
                wall_s=wall, cpu_s=cost.cpu_s - before, peak_mb=cost.peak_mb, answered=answered, failed=failed, new=new
            )
            print(json.dumps(asdict(outcome)), flush=True)
        os._exit(0)  # the peer's threads may still wait for silent servers


# ── both sides ───────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", *arguments]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert started.stdout is not None
        if started.stdout.readline().strip() != "ready":
            raise SystemExit(f"bench: {' '.join(arguments)} did not start")
        yield started
    finally:
        started.kill()
        started.wait()


def ask(side: subprocess.Popen[str]) -> Round:
    assert side.stdin is not None and side.stdout is not None
    side.stdin.write("round\n")
    side.stdin.flush()
    line = side.stdout.readline()
    if not line:
        raise SystemExit("bench: a side ended in the middle of a round")
    return Round(**json.loads(line))


def measure(feeds: int, rounds: int, port: int, sides: Sequence[str]) -> dict[str, list[Round]]:
    """Rounds of each side over so many feeds, in turn; who goes first changes with each round."""
    found: dict[str, list[Round]] = {side: [] for side in sides}
    silent = sum(map(hangs, range(feeds)))
    with process("bench.wire", "--port", str(port), "--feeds", str(feeds)):
        running, managers = {}, []
        try:
            for side in sides:
                manager = process("bench.poll", "--side", side, "--sizes", str(feeds), "--port", str(port))
                running[side] = manager.__enter__()
                managers.append(manager)
            for phase in range(rounds + 1):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/phase/{phase}") as answer:
                    answer.read()
                for side in sides if phase % 2 else reversed(sides):
                    outcome = ask(running[side])
                    print(f"{feeds} feeds, round {phase}: {side} {outcome}", file=sys.stderr, flush=True)
                    if outcome.failed != (silent if phase else 0):
                        raise SystemExit(f"bench: {side}: {outcome.failed} feeds failed, {silent} were silent")
                    if phase:
                        found[side].append(outcome)
        finally:
            for manager in managers:
                manager.__exit__(None, None, None)
    for mine, theirs in zip(*found.values(), strict=True) if len(sides) > 1 else ():
        if mine.new != theirs.new:
            raise SystemExit(f"bench: not the same work: {mine.new} and {theirs.new} new articles")
    return found


def write_up(found: dict[int, dict[str, list[Round]]], cores: int) -> str:
    lines = [
        "## poll",
        "",
        f"One round over feeds on loopback, four to a host, 50 ms before each answer, 2 % silent (given up after "
        f"{TIMEOUT_S:g} s by both sides), 8 % with a new item, the rest 304. Same answers to both sides, in turn; "
        f"medians. The server shares the cores. {machine(cores)}.",
        "",
        "| feeds | side | rounds | seconds | feeds/s | CPU-seconds | peak memory | Headwind is faster by | |",
        "|---:|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for feeds, sides in found.items():
        ours = sides[SIDES[0]]
        longest = max(_median(rounds, "wall_s") for rounds in sides.values())
        for side, rounds in sides.items():
            wall = _median(rounds, "wall_s")
            ratios = [theirs.wall_s / mine.wall_s for mine, theirs in zip(ours, rounds, strict=True)]
            spread = f" ({min(ratios):.1f} to {max(ratios):.1f})" if len(ratios) > 1 else ""
            ratio = "" if side == SIDES[0] else f"{statistics.median(ratios):.1f}×{spread}"
            lines.append(
                f"| {feeds:,} | {side} | {len(rounds)} | {wall:.1f} | {feeds / wall:.0f} "
                f"| {_median(rounds, 'cpu_s'):.1f} | {max(one.peak_mb for one in rounds):.0f} MB | {ratio} "
                f"| {bar(wall, longest)} |"
            )
    return "\n".join(lines)


def _median(rounds: Sequence[Round], name: str) -> float:
    return statistics.median(float(getattr(one, name)) for one in rounds)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.poll", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="200 feeds, one round; writes nothing")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000], metavar="FEEDS")
    parser.add_argument("--rounds", type=int, nargs="+", default=[5, 1], help="of each size (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=18_100, help="of the feeds, at every address (default: %(default)s)"
    )
    parser.add_argument("--alone", action="store_true", help="without the peer; writes nothing")
    parser.add_argument("--no-write", action="store_true", help="print, but leave bench/RESULTS.md as it is")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.side:
        return run_side(arguments.side, arguments.sizes[0], arguments.port)
    if arguments.quick:
        arguments.sizes, arguments.rounds = [200], [1]
    if len(arguments.rounds) != len(arguments.sizes):
        parser.error("as many --rounds as --sizes, please")
    cores = pin(2)
    sides = SIDES[:1] if arguments.alone else SIDES
    found = {
        feeds: measure(feeds, rounds, arguments.port, sides)
        for feeds, rounds in zip(arguments.sizes, arguments.rounds, strict=True)
    }
    report = write_up(found, cores)
    print(report)
    if not (arguments.no_write or arguments.alone or arguments.quick):
        write_section("poll", report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
