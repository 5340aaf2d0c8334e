"""M6 in the pipeline: real scorer processes that an article kills, and answers that are no numbers."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from models.backend import Prediction
from monitor.scoring import LEASE, score_queue
from monitor.store import open_store
from tests.faults.test_x_process import NOW, wire
from tests.scripted_classifier import ScriptedClassifier
from tests.store.made import go_live, settle

FORK = multiprocessing.get_context("fork")


class Fragile(ScriptedClassifier):
    """Takes its process with it when one text is in the batch, as a fault in native code does."""

    def predict(self, texts: Sequence[str]) -> list[Prediction | None]:
        if any("poison" in text for text in texts):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().predict(texts)


class Numberless(ScriptedClassifier):
    """Answers NaN for one text."""

    def predict(self, texts: Sequence[str]) -> list[Prediction | None]:
        found = super().predict(texts)
        return [
            replace(one, p_negative=math.nan) if one is not None and "poison" in text else one
            for text, one in zip(texts, found, strict=True)
        ]


def scorer(url: str, minutes: int) -> None:
    """One scorer process, started `minutes` after the first."""
    score_queue(
        open_store(url, role="worker"), Fragile(), f"scorer-{minutes}", lambda: NOW + timedelta(minutes=minutes)
    )
    os._exit(0)


def test_M6_an_article_that_kills_three_scorers_is_quarantined_and_its_neighbours_are_scored(sqlite_url: str) -> None:
    store = open_store(sqlite_url, role="worker")
    go_live(store, ScriptedClassifier().version)
    titles = ["poison at the port" if n == 7 else f"Firm {n} nears default" for n in range(20)]
    store.add_articles([wire(n, NOW - timedelta(minutes=30 + n), title) for n, title in enumerate(titles)], NOW)
    ends = []
    for start in range(12):
        process = FORK.Process(target=scorer, args=(sqlite_url, start * (LEASE.seconds // 60 + 1)))
        process.start()
        process.join(60)
        ends.append(process.exitcode)
        if process.exitcode == 0 and store.status().unscored == 0:
            break
    assert ends.count(-signal.SIGKILL) >= 3 and ends[-1] == 0
    status = store.status()
    assert (status.unscored, status.quarantined) == (0, 1)
    [bad] = [one for one in store.recent_articles(NOW - timedelta(days=1)) if "poison" in one.title]
    got = store.article(bad.id)
    assert got is not None and got.state == "quarantined"
    settle(store)
    rows = store.rollups(["all"], NOW - timedelta(days=1), NOW + timedelta(days=1))
    assert (sum(row.stories for row in rows), sum(row.negative for row in rows)) == (19, 19)


def test_M6_a_number_that_is_none_never_enters_a_trend(sqlite_url: str) -> None:
    store = open_store(sqlite_url, role="worker")
    go_live(store, ScriptedClassifier().version)
    titles = ("poison nears default", "Acme nears default", "Acme profit grows")
    store.add_articles([wire(n, NOW - timedelta(minutes=30 + n), title) for n, title in enumerate(titles)], NOW)
    report = score_queue(store, Numberless(), "w", lambda: NOW)
    assert store.status().quarantined == 1 and report.scored + report.set_aside >= 2
    settle(store)
    [row] = [row for row in store.rollups(["all"], NOW - timedelta(days=1), NOW + timedelta(days=1)) if row.stories]
    assert (row.stories, row.negative) == (2, 1)
    assert math.isfinite(row.score_sum)
