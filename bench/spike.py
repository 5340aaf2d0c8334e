"""Does the spike statistic earn its keep? One stream, injected spikes, four ways to look, the same false alarms.

A real news stream is counted into 60 series. Spikes of 3, 5, 8 and 13 extra negative stories, spread over six hours,
are put on random series at random hours. Each method turns the counts into a number per series and hour; its one
threshold is set so that the untouched stream brings the same alarms a week for all of them. What counts: spikes found
within 24 hours, hours until then, CPU time an event (a story that comes in).

    python -m bench.spike [--sentiment auto|model|lexicon] [--corpus NAME] [--rounds N] [--no-write]
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from bench.results import write_section
from bench.stream import WATCHLIST, stories
from monitor.alerts.backtest import thresholds_of
from monitor.alerts.calibration import onsets
from monitor.alerts.history import Floats, History, history_from_facts
from monitor.alerts.statistics import SpikeParams, scan
from monitor.domain import StoryFact

GUIDE = Path(__file__).parent.parent / "docs" / "alerts.md"
CORPUS = "headlines_reuters_2006_2013"
SERIES = 60
SIZES = (3, 5, 8, 13)
SPREAD_HOURS = 6
FOUND_WITHIN = 24
PER_WEEK = 2.5
QUIET = 24
WARM_UP_HOURS = 100 * 24
EVERY_HOURS = 60
MIN_STORIES = 3

Method = Callable[[History], Floats]


def ours(history: History) -> Floats:
    """Our statistic: minus the logarithm of the adjusted p-value."""
    return np.asarray(-np.log10(scan(history, SpikeParams(windows=(6, 24)), history.series).q))


def rolling_z(history: History) -> Floats:
    """(count − rolling mean) / rolling standard deviation over 28 days, windows of 6 h and 24 h, in pandas."""
    counts = pd.DataFrame(history.negative.T)
    best = None
    for window in (6, 24):
        n = counts.rolling(window, min_periods=1).sum()
        past = n.shift(window)
        mean = past.rolling(28 * 24, min_periods=7 * 24).mean()
        sd = past.rolling(28 * 24, min_periods=7 * 24).std().clip(lower=0.5)
        z = ((n - mean) / sd).where(n >= MIN_STORIES).fillna(-1e9)
        best = z if best is None else np.maximum(best, z)
    assert best is not None
    return np.asarray(best.to_numpy().T)


def fixed_count(history: History) -> Floats:
    """Negative stories in 24 h, the same limit for every series."""
    return np.asarray(pd.DataFrame(history.negative.T).rolling(24, min_periods=1).sum().to_numpy().T)


def fixed_by_series(history: History) -> Floats:
    """Negative stories in 24 h over the series' own mean plus its square root: a limit set by hand for each series
    from its first 100 days, as a careful desk would."""
    n = pd.DataFrame(history.negative.T).rolling(24, min_periods=1).sum()
    first = n.iloc[:WARM_UP_HOURS].mean()
    return np.asarray(((n - first) / np.sqrt(first + 1)).where(n >= MIN_STORIES).fillna(-1e9).to_numpy().T)


def one_to_twelve(history: History) -> Floats:
    """Negative stories of the last hour over the hourly mean of the twelve before, at least three of them."""
    n = pd.DataFrame(history.negative.T)
    before = n.shift(1).rolling(12, min_periods=12).mean()
    ratio = (n / before.clip(lower=1 / 12)).where(n >= MIN_STORIES).fillna(-1e9)
    return np.asarray(ratio.to_numpy().T)


METHODS: dict[str, Method] = {
    "Headwind": ours,
    "rolling z-score": rolling_z,
    "fixed threshold": fixed_count,
    "fixed threshold by series": fixed_by_series,
    "1 h to 12 h ratio": one_to_twelve,
}


@dataclass(frozen=True, slots=True)
class Spike:
    row: int
    hour: int
    size: int
    places: tuple[tuple[int, int], ...]  # (row, hour) of every extra story, parents included


@dataclass(frozen=True, slots=True)
class Outcome:
    recall: dict[int, float]
    misses: float
    delay: float
    per_week: float
    micros: float


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.spike", description=__doc__.splitlines()[0])
    parser.add_argument("--sentiment", choices=("auto", "model", "lexicon"), default="auto")
    parser.add_argument("--corpus", default=CORPUS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=None, help="only the first N rows")
    parser.add_argument("--no-write", action="store_true")
    asked = parser.parse_args(arguments)
    corpora = os.environ.get("HEADWIND_CORPORA")
    if not corpora:
        print("spike: skipped, HEADWIND_CORPORA names no folder of corpora")
        return
    facts, scorer = stories(Path(corpora), asked.corpus, asked.sentiment, asked.limit)
    text = report(facts, scorer, asked.corpus, asked.rounds)
    print(text)
    if not asked.no_write:
        write_section("spike", text)
        write_section("spike", text.partition("\n")[2], GUIDE)


def report(facts: list[StoryFact], scorer: str, corpus: str, rounds: int) -> str:
    clean = watched(facts)
    weeks = (clean.hours - WARM_UP_HOURS) / 168
    outcomes = measure(clean, len(facts), rounds)
    peers = {name: outcome for name, outcome in outcomes.items() if name != "Headwind"}
    best = min(peers, key=lambda name: peers[name].misses)
    ratio = outcomes["Headwind"].misses / peers[best].misses
    lines = [
        f"## spike: injected spikes over {len(clean.series)} series",
        "",
        f"{len(facts):,} stories of `{corpus}`, {weeks:.0f} weeks judged, sentiment by {scorer}; every method at "
        f"{PER_WEEK} alarms a week on the untouched stream. {rounds} rounds of a spike every {EVERY_HOURS} hours, "
        f"spread over {SPREAD_HOURS} h; found means within {FOUND_WITHIN} h. {platform.machine()}, one thread.",
        "",
        "| method | "
        + " | ".join(f"+{size}" for size in SIZES)
        + " | missed | median delay | alarms a week | µs an event |",
        "|---|" + "---:|" * (len(SIZES) + 4),
    ]
    for name, one in outcomes.items():
        found = " | ".join(f"{one.recall[size]:.0%}" for size in SIZES)
        lines.append(
            f"| {name} | {found} | {one.misses:.1%} | {one.delay:.0f} h | {one.per_week:.2f} | {one.micros:.1f} |"
        )
    lines += ["", f"Misses against the best of the others ({best}): {ratio:.2f} of them.", "", *budget_lines(clean)]
    return "\n".join(lines)


def budget_lines(clean: History) -> list[str]:
    """Alerts a week of each year on the untouched stream, where every threshold is made from earlier weeks only, as
    live: does the budget hold in years that the calibration had not seen?"""
    whole = scan(clean, SpikeParams(windows=(6, 24)), clean.series)
    thresholds, _ = thresholds_of(whole, PER_WEEK)
    began = onsets(whole.q / thresholds, 1.0, QUIET)
    by_year: dict[int, list[int]] = {}
    for week in range(WARM_UP_HOURS // 168 + 1, clean.hours // 168):
        year = clean.hour_at(week * 168).year
        by_year.setdefault(year, []).append(int(began[week * 168 : (week + 1) * 168].sum()))
    rates = {year: float(np.mean(weeks)) for year, weeks in by_year.items() if len(weeks) >= 13}
    held = all(PER_WEEK / 2 <= rate <= PER_WEEK * 2 for rate in rates.values())
    over = sum(map(sum, by_year.values())) / sum(map(len, by_year.values()))
    return [
        f"Budget {PER_WEEK} a week, thresholds made anew every four weeks from what came before; alarms a week in the "
        "years that followed: "
        + ", ".join(f"{year} {rate:.1f}" for year, rate in rates.items())
        + f"; over all {over:.1f}. "
        + ("Every year lies" if held else "Not every year lies")
        + " within a factor of two of the budget.",
    ]


def watched(facts: list[StoryFact]) -> History:
    """The stream as 60 series: all news, its topics, and the companies with the most stories."""
    history = history_from_facts(facts, facts[0].published, facts[-1].published)
    names = list(history.series)
    topics = [name for name in names if name.startswith("topic:") and name != "topic:other"]
    companies = sorted(
        (name for name in names if name.startswith("entity:") and name.removeprefix("entity:") in WATCHLIST),
        key=lambda name: -history.stories[names.index(name)].sum(),
    )
    chosen = ["all", *sorted(topics), *companies][:SERIES]
    rows = [names.index(name) for name in chosen]
    return replace(
        history,
        series=tuple(chosen),
        stories=history.stories[rows],
        negative=history.negative[rows],
        score=None,
    )


def measure(clean: History, events: int, rounds: int) -> dict[str, Outcome]:
    thresholds, quiet, cost = {}, {}, {}
    for name, method in METHODS.items():
        begun = time.process_time()
        values = method(clean)
        cost[name] = (time.process_time() - begun) / events * 1e6
        thresholds[name], rate = same_alarms(values[:, WARM_UP_HOURS:])
        quiet[name] = (values >= thresholds[name], rate)
    found: dict[str, dict[int, list[float]]] = {name: {size: [] for size in SIZES} for name in METHODS}
    for turn in range(rounds):
        spikes = plan(clean, np.random.default_rng(20_260_801 + turn))
        spiked = inject(clean, spikes)
        hits = {name: method(spiked) >= thresholds[name] for name, method in METHODS.items()}
        for spike in spikes:
            span = slice(spike.hour, spike.hour + FOUND_WITHIN)
            # Where the untouched stream alarms already, no method could show that it saw the spike.
            if any(quiet[name][0][spike.row, spike.hour - QUIET : spike.hour + FOUND_WITHIN].any() for name in METHODS):
                continue
            for name in METHODS:
                at = np.flatnonzero(hits[name][spike.row, span])
                found[name][spike.size].append(float(at[0]) + 1 if len(at) else np.inf)
    outcomes = {}
    for name, sizes in found.items():
        every = np.array([delay for delays in sizes.values() for delay in delays])
        outcomes[name] = Outcome(
            recall={size: float(np.mean(np.isfinite(delays))) for size, delays in sizes.items()},
            misses=float(np.mean(~np.isfinite(every))),
            delay=float(np.median(every[np.isfinite(every)])),
            per_week=quiet[name][1],
            micros=cost[name],
        )
    return outcomes


def same_alarms(values: Floats) -> tuple[float, float]:
    """The lowest threshold that brings at most PER_WEEK alarms a week, and what it brings."""
    weeks = values.shape[1] / 168
    candidates = np.unique(values[values > -1e8])
    low, high = 0, len(candidates) - 1
    while low < high:
        middle = (low + high) // 2
        if onsets(-values, -candidates[middle], QUIET).sum() / weeks <= PER_WEEK:
            high = middle
        else:
            low = middle + 1
    threshold = float(candidates[low])
    return threshold, float(onsets(-values, -threshold, QUIET).sum() / weeks)


def plan(clean: History, rng: np.random.Generator) -> list[Spike]:
    names = list(clean.series)
    topics = [row for row, name in enumerate(names) if name.startswith("topic:")]
    spikes = []
    for number, hour in enumerate(range(WARM_UP_HOURS + QUIET, clean.hours - 2 * FOUND_WITHIN, EVERY_HOURS)):
        row, size = int(rng.integers(len(names))), SIZES[number % len(SIZES)]
        at = hour + int(rng.integers(12))
        parents = {0} if row else set()
        if names[row].startswith("entity:"):
            parents.add(int(rng.choice(topics)))
        hours = np.sort(rng.integers(SPREAD_HOURS, size=size))
        places = [(where, at + int(h)) for h in hours for where in (row, *sorted(parents))]
        spikes.append(Spike(row, at + int(hours[0]), size, tuple(places)))
    return spikes


def inject(clean: History, spikes: Sequence[Spike]) -> History:
    negative, every = clean.negative.copy(), clean.stories.copy()
    for spike in spikes:
        for row, hour in spike.places:
            negative[row, hour] += 1
            every[row, hour] += 1
    return replace(clean, negative=negative, stories=every)


if __name__ == "__main__":
    main()
