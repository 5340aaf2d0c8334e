"""The replay of a corpus: what it skips changes nothing, and what it writes can be judged."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from bench.replay import DAY_SLOTS, Replay, prepare
from bench.replay_report import summarise, tally, write_judge
from bench.scored import KeptScores, key_of
from models.backend import join_title_and_summary
from monitor.domain import DateQuality
from monitor.feeds.archive import ArchiveRow
from tests.scripted_classifier import ScriptedClassifier

CORPUS = "headlines_reuters_2006_2013"  # its watchlist; the rows are invented
START = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 26
PAPERS = ("Aldgate Wire", "Borough Post")
CRISIS = (
    "faces lawsuit in Leeds over pensions",
    "shares plunge at noon",
    "fined by a watchdog for late filings",
    "chairman leaves after a loss in swaps",
    "plans layoffs at two hundred branches",
    "sued by farmers: lawsuit names six traders",
    "bonds plunge as dealers step back",
    "quarter ends in a loss of nine hundred million",
    "fined again, this time in Osaka",
    "union counts layoffs in Glasgow",
)


def invented() -> list[ArchiveRow]:
    """Weeks of news, by the minute and by the day, and on one afternoon a crisis at a watched bank."""
    rng = np.random.default_rng(3)
    rows = []
    moments = [START + timedelta(minutes=int(m)) for m in np.sort(rng.integers(DAYS * 1440, size=DAYS * 30))]
    for number, at in enumerate(moments):
        word = ("lawsuit", "plunge")[number % 2] if rng.random() < 0.2 else ("profit", "agenda")[number % 2]
        rows.append((at, f"Firm {number} and its {word}", PAPERS[number % 2], DateQuality.EXACT))
    crisis = START + timedelta(days=DAYS - 3, hours=13)
    rows += [
        (crisis + timedelta(minutes=11 * n), f"Barclays {what}", PAPERS[n % 2], DateQuality.EXACT)
        for n, what in enumerate(CRISIS)
    ]
    rows.append((START + timedelta(days=DAYS - 2), "UBS near default", "Daily", DateQuality.DAY))
    return [
        ArchiveRow(
            line=line,
            title=title,
            published=at,
            date_quality=quality,
            midnight=quality is DateQuality.DAY,
            summary="",
            url=None,
            source=source,
            language="en",
        )
        for line, (at, title, source, quality) in enumerate(sorted(rows))
    ]


def replayed(folder: Path, *, every_step: bool) -> Replay:
    rows = invented()
    texts = [join_title_and_summary(row.title, row.summary) for row in rows]
    said = ScriptedClassifier().predict(texts)
    scores = KeptScores("scripted-1", ("en",), {key_of(t): one for t, one in zip(texts, said, strict=True) if one})
    replay = prepare(folder, scores, CORPUS, rows, every_step)
    replay.walk(range(DAYS * DAY_SLOTS), (DAYS - 4) * DAY_SLOTS)
    return replay


@pytest.fixture(scope="module")
def skipping(tmp_path_factory: pytest.TempPathFactory) -> Replay:
    return replayed(tmp_path_factory.mktemp("skipping"), every_step=False)


def history(replay: Replay) -> list[tuple[object, ...]]:
    return [
        (alert.rule, alert.series, alert.inhibited_by is None, event.at, event.kind, event.note)
        for alert in sorted(replay.store.alerts(limit=10_000), key=lambda alert: alert.id)
        for event in replay.store.alert_events(alert.id)
    ]


def test_steps_that_are_skipped_would_have_changed_nothing(skipping: Replay, tmp_path: Path) -> None:
    every = replayed(tmp_path, every_step=True)
    assert every.skipped == 0 and skipping.skipped > 0
    assert history(skipping) == history(every)
    assert {event[4] for event in history(every)} >= {"open", "escalate", "resolve"}


def test_a_crisis_opens_alerts_and_a_day_without_hours_is_judged_when_it_is_over(skipping: Replay) -> None:
    alerts = {(alert.rule, alert.series): alert for alert in skipping.store.alerts(limit=1000)}
    spike = alerts["negative-spike", "entity:Barclays"]
    assert spike.opened_at.date() == (START + timedelta(days=DAYS - 3)).date()
    by_day = alerts["critical-story", "entity:UBS"]
    assert by_day.opened_at == START + timedelta(days=DAYS - 1, seconds=-1)


def test_the_draw_is_seeded_and_can_be_judged(skipping: Replay, tmp_path: Path) -> None:
    alerts = skipping.store.alerts(limit=1000)
    told = sum(alert.inhibited_by is None for alert in alerts)
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    assert write_judge(one, alerts, 2, seed=5) == write_judge(two, alerts, 2, seed=5) == 2
    assert one.read_text() == two.read_text()
    with one.open() as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["story_1"] and rows[0]["verdict"] == ""
    assert tally(one).startswith("all: {'not judged': 2}")
    summary = summarise(CORPUS, alerts, START, START + timedelta(days=DAYS))
    assert sum(summary["told"].values()) == told
    assert summary["weeks"] == {"2026": round(DAYS / 7, 2)}
