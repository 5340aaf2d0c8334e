"""The past through the live path: a dated corpus is polled, scored and watched with `now` passed in, slot by slot.

    export HEADWIND_CORPORA=FOLDER
    python -m bench.scored headlines_reuters_2006_2013 --out SCRATCH/reuters.npz          # once, half an hour of CPU
    python -m bench.replay headlines_reuters_2006_2013 --scored SCRATCH/reuters.npz --out SCRATCH/reuters
        [--from ISO] [--to ISO] [--watch-from ISO] [--keep-labelled] [--every-step] [--rule NAME] [--draw N] [--seed N]

Nothing is imported from an archive and no statistic is called: each slot of 15 minutes goes through `ingest.poll_due`
(a feed for each source), `scoring.score_queue` (with kept predictions, or `--scored words` for a trial with a word
list), and `watch`, on a store of its own under --out. `now` is the last second of the slot. A row that knows only its
day comes in the last slot of that day. Rules are those of day one; the quiet rule is off, since a corpus has holes. The
watchlist is that of bench/crises.py. Nobody acknowledges anything. Titles of the labelled headlines are left out unless
--keep-labelled is given: the model was trained on some of them.

Written to --out: alerts.jsonl (every alert with its frozen evidence and time line), summary.json and summary.md (alerts
a week by year and rule, crises caught, time taken), judge.csv (--draw alerts that were told, drawn with --seed from all
of --rule, with their leading stories, and empty columns `verdict` and `why` for a person: right, arguable, wrong).
After judging, `python -m bench.replay --tally SCRATCH/reuters/judge.csv` counts the verdicts.
"""

from __future__ import annotations

import argparse
import heapq
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

from tqdm import tqdm

from bench.crises import WATCHLISTS
from bench.replay_report import as_markdown, summarise, tally, write_judge
from bench.scored import (
    WORDS,
    KeptScores,
    corpora_or_exit,
    corpus_rows,
    labelled_titles,
    moment,
    read_scores,
    word_list_scores,
)
from models.backend import join_title_and_summary
from monitor.alerts.calibration import CALIBRATED
from monitor.alerts.evidence import evidence_json
from monitor.alerts.rules import default_rules, params_of
from monitor.domain import (
    ArticleDraft,
    DateQuality,
    Entity,
    Feed,
    Fetched,
    NewFeed,
    ParsedFeed,
    Rule,
    RuleKind,
    Transition,
    TransitionKind,
)
from monitor.feeds.archive import ArchiveRow
from monitor.feeds.stories import StoryIndex
from monitor.ingest import poll_due
from monitor.scoring import score_queue
from monitor.store import open_store
from monitor.store.base import Store
from monitor.watch import GRID, RECALIBRATE_AFTER, watch

SECOND: Final = timedelta(seconds=1)
DAY_SLOTS: Final = 96
HOUR_SLOTS: Final = 4
YOUNG: Final = timedelta(days=28)


class CorpusFeeds:
    """In place of fetcher and parser: each feed's answer of the slot in hand is what the corpus published in it."""

    def __init__(self) -> None:
        self.drafts: dict[str, list[ArticleDraft]] = {}

    def start(self, feeds: Iterable[Feed], now: datetime, put: Callable[[Feed, Fetched], None]) -> CorpusFeeds:
        for feed in feeds:
            put(feed, Fetched(url=feed.url, status=200))
        return self

    def submit(self, fetched: Fetched, done: Callable[[ParsedFeed], None]) -> None:
        done(ParsedFeed(title="", language="en", drafts=tuple(self.drafts.get(fetched.url, ()))))

    def taken(self, feed: Feed) -> None:
        """Nothing waits for its turn."""

    def cancel(self) -> None:
        """Nothing is under way."""


@dataclass
class Moments:
    """When time alone could change what `watch` says. Between these moments, in slots that bring no article, a step
    may be skipped, because

    * within an hour the windows of the spike end in the same hour cell. Without new articles their counts stay; what
      usually comes, M, grows with the part of the hour that has gone, so U = M (V + k) / (M + k) grows, so every
      expectation grows, so every p-value grows, and with them every adjusted one (a Benjamini-Hochberg value is
      monotone in each p). Nothing can begin to fire. Whole new hours, and the end of a day, are always looked at;
    * an alert of the spike that is open may fall calm at any step: while one is open, every step is looked at;
    * a critical story or a keyword fires on arrival, and ends when its last article leaves the window: while one is
      open, slots one window after an article are looked at;
    * escalations, ends of cooldowns, weekly calibrations and a publisher's coming of age are moments known before.
    """

    rules: dict[str, Rule]
    published: set[int]  # slots in which an article was published
    due: list[datetime] = field(default_factory=list)
    spiking: set[tuple[str, str]] = field(default_factory=set)
    telling: set[tuple[str, str]] = field(default_factory=set)

    def must_look(self, slot: int, now: datetime) -> bool:
        if self.spiking or slot % HOUR_SLOTS == 0 or slot % DAY_SLOTS == DAY_SLOTS - 1:
            return True
        if self.due and self.due[0] <= now:
            return True
        return any(slot - self._window_slots(rule) in self.published for rule, _ in self.telling)

    def _window_slots(self, rule: str) -> int:
        return int(params_of(self.rules[rule])["window_hours"]) * HOUR_SLOTS

    def looked(self, transitions: Sequence[Transition], now: datetime) -> None:
        while self.due and self.due[0] <= now:
            heapq.heappop(self.due)
        for one in transitions:
            rule, key = self.rules[one.rule], (one.rule, one.series)
            by_step = rule.kind in (RuleKind.SPIKE, RuleKind.THRESHOLD)
            if one.kind is TransitionKind.OPEN:
                (self.spiking if by_step else self.telling).add(key)
            if one.kind in (TransitionKind.OPEN, TransitionKind.WORSEN) and rule.escalate_after_s is not None:
                self.at(one.at + timedelta(seconds=rule.escalate_after_s))
            if one.kind is TransitionKind.RESOLVE:
                self.spiking.discard(key)
                self.telling.discard(key)
                self.at(one.at + timedelta(seconds=rule.cooldown_s))

    def at(self, when: datetime) -> None:
        heapq.heappush(self.due, when)


@dataclass
class Replay:
    """One store, walked through time."""

    store: Store
    scores: KeptScores
    start: datetime  # midnight of the first day
    by_slot: dict[int, list[ArchiveRow]]
    moments: Moments
    every_step: bool = False
    looked: int = 0
    skipped: int = 0
    seconds: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.answers = CorpusFeeds()
        self.index = StoryIndex()
        self._calibrated: datetime | None = None
        sources = dict.fromkeys(row.source for rows in self.by_slot.values() for row in rows)
        self.urls = {source: f"https://corpus.example/{number}" for number, source in enumerate(sources)}
        for source, url in self.urls.items():
            self.store.add_feed(NewFeed(url=url, title=source, publisher=source), self.start)
        self._poll(self.start, sources)  # a feed's first poll never counts: it is empty here

    def now_of(self, slot: int) -> datetime:
        return self.start + (slot + 1) * GRID - SECOND

    def walk(self, slots: range, watch_from: int) -> None:
        """Take in the news of the slots; from `watch_from` on, look at it. What comes before is taken in by days."""
        held: list[ArchiveRow] = []
        for slot in tqdm(slots, unit=" slots", disable=not sys.stderr.isatty()):
            now = self.now_of(slot)
            rows = self.by_slot.get(slot, [])
            if slot < watch_from:
                held += rows
                if held and (slot % DAY_SLOTS == DAY_SLOTS - 1 or slot == watch_from - 1):
                    self._take_in(held, now)
                    held = []
                continue
            if rows:
                self._take_in(rows, now)
            if rows or self.every_step or self.moments.must_look(slot, now):
                self._look(now)
            else:
                self.skipped += 1

    def _take_in(self, rows: Sequence[ArchiveRow], now: datetime) -> None:
        begun = time.process_time()
        self.answers.drafts = defaultdict(list)
        for row in rows:
            self.answers.drafts[self.urls[row.source]].append(_draft(row))
        self._poll(now, dict.fromkeys(row.source for row in rows))
        polled = time.process_time()
        score_queue(self.store, self.scores, "replay", lambda: now)
        self.seconds["poll"] += polled - begun
        self.seconds["score and count"] += time.process_time() - polled

    def _poll(self, now: datetime, sources: Iterable[str]) -> None:
        by_url = {feed.url: feed for feed in self.store.feeds()}
        feeds = [by_url[self.urls[source]] for source in sources]
        answers = cast(Any, self.answers)
        for result in poll_due(self.store, answers, answers, self.index, now, feeds):
            if result.error:
                raise SystemExit(f"replay: {result.feed.title}: {result.error}")

    def _look(self, now: datetime) -> None:
        begun = time.process_time()
        transitions = watch(self.store, now)
        self.moments.looked(transitions, now)
        made = (self.store.setting(CALIBRATED) or {}).get("negative-spike", {}).get("calibration", {}).get("made_at")
        if made is not None and datetime.fromisoformat(made) != self._calibrated:
            self._calibrated = datetime.fromisoformat(made)
            self.moments.at(self._calibrated + RECALIBRATE_AFTER)
        self.seconds["watch"] += time.process_time() - begun
        self.looked += 1


def _draft(row: ArchiveRow) -> ArticleDraft:
    # A corpus repeats titles ("Wall Street slips"); in its feed each was an item of its own.
    return ArticleDraft(
        guid=f"{row.source}/{row.line}",
        url=row.url,
        title=row.title,
        summary=row.summary,
        published=row.published,
        date_quality=row.date_quality,
        language=row.language or "en",
    )


def prepare(folder: Path, scores: KeptScores, corpus: str, rows: Sequence[ArchiveRow], every_step: bool) -> Replay:
    """An empty store with the watchlist, the rules of day one and the model that scored the corpus."""
    start = rows[0].published.replace(hour=0, minute=0, second=0, microsecond=0)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("replay.db*"):
        old.unlink()
    store = open_store(f"sqlite:///{folder / 'replay.db'}", role="worker")
    rules = [replace(rule, enabled=rule.enabled and rule.kind is not RuleKind.QUIET) for rule in default_rules()]
    for rule in rules:
        store.save_rule(rule, "replay", start)
    store.set_live_model(scores.version, scores.languages, "replay", "replay", start)
    for name, aliases in WATCHLISTS[corpus].items():
        store.save_entity(Entity(id=0, name=name, aliases=tuple(aliases.split("|"))), start)
    by_slot: dict[int, list[ArchiveRow]] = defaultdict(list)
    published: set[int] = set()
    came: dict[str, datetime] = {}
    for row in rows:
        slot = (row.published - start) // GRID
        published.add(slot)
        by_day = row.date_quality is DateQuality.DAY
        by_slot[slot // DAY_SLOTS * DAY_SLOTS + DAY_SLOTS - 1 if by_day else slot].append(row)
        came.setdefault(row.source, row.published.replace(minute=0, second=0, microsecond=0))
    moments = Moments({rule.name: rule for rule in rules}, published)
    for first in came.values():
        moments.at(first + YOUNG - SECOND)
    return Replay(store, scores, start, by_slot, moments, every_step)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.replay", description=__doc__.splitlines()[0])
    parser.add_argument("corpus", nargs="?", choices=sorted(WATCHLISTS))
    parser.add_argument("--scored", default=WORDS, help="file of bench.scored, or 'words' for a trial")
    parser.add_argument("--out", type=Path, metavar="FOLDER")
    parser.add_argument("--from", dest="start", type=moment, default=moment("1990-01-01"), metavar="ISO")
    parser.add_argument("--to", dest="end", type=moment, default=moment("2100-01-01"), metavar="ISO")
    parser.add_argument("--watch-from", type=moment, default=None, metavar="ISO")
    parser.add_argument("--keep-labelled", action="store_true", help="also texts of the labelled headlines")
    parser.add_argument("--every-step", action="store_true", help="skip nothing; the same alerts, more slowly")
    parser.add_argument("--rule", default=None, help="draw alerts of this rule only")
    parser.add_argument("--draw", type=int, default=100)
    parser.add_argument("--seed", type=int, default=20_260_801)
    parser.add_argument("--tally", type=Path, default=None, metavar="judge.csv")
    asked = parser.parse_args()
    if asked.tally is not None:
        print(tally(asked.tally))
        return 0
    if asked.corpus is None or asked.out is None:
        parser.error("a corpus and --out are needed")
    begun = time.monotonic()
    corpora = corpora_or_exit()
    rows = sorted(corpus_rows(corpora, asked.corpus, asked.start, asked.end), key=lambda row: (row.published, row.line))
    found = len(rows)
    if not asked.keep_labelled:
        labelled = labelled_titles(corpora)
        rows = [row for row in rows if " ".join(row.title.split()) not in labelled]
    if not rows:
        print("replay: the span holds no rows", file=sys.stderr)
        return 1
    scores = word_list_scores(corpora, rows) if asked.scored == WORDS else read_scores(Path(asked.scored))
    unknown = [row for row in rows if join_title_and_summary(row.title, row.summary) not in scores]
    if unknown:
        print(f"replay: {asked.scored} lacks {len(unknown):,} of {len(rows):,} texts, the first on line "
              f"{unknown[0].line}; score the same span", file=sys.stderr)  # fmt: skip
        return 1
    replay = prepare(asked.out, scores, asked.corpus, rows, asked.every_step)
    slots = range(0, max(replay.by_slot) + 1)
    watch_from = 0 if asked.watch_from is None else max(0, (asked.watch_from - replay.start) // GRID)
    replay.walk(slots, watch_from)
    start, end = replay.now_of(watch_from - 1) + SECOND, replay.now_of(slots[-1]) + SECOND
    alerts = sorted(replay.store.alerts(limit=10**9), key=lambda alert: (alert.opened_at, alert.id))
    with (asked.out / "alerts.jsonl").open("w", encoding="utf-8") as file:
        for alert in alerts:
            events = replay.store.alert_events(alert.id)
            file.write(json.dumps(evidence_json(alert, events), ensure_ascii=False) + "\n")
    summary = summarise(asked.corpus, alerts, start, end)
    wall = time.monotonic() - begun
    left_out = f"{found - len(rows):,} rows whose title is in the labelled headlines left out"
    summary["how"] = (
        f"{len(rows):,} rows, {left_out if not asked.keep_labelled else 'labelled ones among them'}; sentiment by "
        f"{scores.version}; {len(WATCHLISTS[asked.corpus])} entities watched. {replay.looked:,} steps looked at, "
        f"{replay.skipped:,} skipped; {wall / 60:.1f} minutes, CPU seconds "
        + ", ".join(f"{name} {seconds:.0f}" for name, seconds in replay.seconds.items())
        + "."
    )
    chosen = [alert for alert in alerts if asked.rule in (None, alert.rule)]
    summary["drawn"] = write_judge(asked.out / "judge.csv", chosen, asked.draw, asked.seed)
    (asked.out / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
    (asked.out / "summary.md").write_text(as_markdown(summary), encoding="utf-8")
    print(as_markdown(summary))
    problems = replay.store.verify_rollups() if asked.every_step else []
    broken = replay.store.verify_audit()
    replay.store.close()
    if problems or broken:
        print(f"replay: {broken or problems[0]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
