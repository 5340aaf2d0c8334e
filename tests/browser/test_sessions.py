"""L2: twenty tabs on the pages while news comes in. Over Streamlit's own socket, so that no browser is in the way."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench.session import Session
from monitor.domain import DateQuality, NewArticle
from monitor.scoring import score_queue
from monitor.store import open_store
from tests.browser.conftest import serving
from tests.dashboard.seeding import classifier
from tests.tools import free_port

PAGES = ("", "news", "topics", "watchlist", "alerts")
SESSIONS = 20
ROUNDS = 2


def fresh(number: int, now: datetime) -> NewArticle:
    at = now - timedelta(minutes=number % 50)
    return NewArticle(
        identity=f"l2-{number}",
        story_id=f"l2-{number}",
        feed_id=None,
        publisher="Wire",
        family="Wire",
        language="en",
        title=f"Firm {number} reports a loss",
        summary="",
        url=None,
        author="",
        published=at,
        first_seen=at,
        date_quality=DateQuality.EXACT,
        counts=True,
    )


@pytest.mark.timeout(600)
def test_L2_twenty_sessions_are_answered_and_ingestion_goes_on(tmp_path: Path) -> None:
    with serving(tmp_path, free_port()) as served:
        worker = open_store(f"sqlite:///{tmp_path / 'headwind.db'}", role="worker")
        before = worker.status().articles
        over, came, problems = threading.Event(), [0], list[str]()

        def ingest() -> None:
            while not over.is_set():
                now = datetime.now(UTC)
                worker.add_articles([fresh(came[0] + n, now) for n in range(20)], now)
                score_queue(worker, classifier(), "w", lambda: datetime.now(UTC))
                came[0] += 20

        def look(number: int) -> None:
            session = Session(served.url)
            for turn in range(ROUNDS):
                answer = session.open(PAGES[(number + turn) % len(PAGES)], "range=30d")
                answers.append(answer.messages)
                problems.extend(answer.errors)
            session.close()

        answers: list[int] = []
        ingestion = threading.Thread(target=ingest)
        ingestion.start()
        tabs = [threading.Thread(target=look, args=(number,)) for number in range(SESSIONS)]
        for tab in tabs:
            tab.start()
        for tab in tabs:
            tab.join()
        at_the_end = came[0]
        over.set()
        ingestion.join()
        assert problems == []
        assert len(answers) == SESSIONS * ROUNDS
        assert min(answers) > 10, "whole pages, not an empty frame"
        assert at_the_end > 0, "news came in while the pages were looked at"
        assert worker.status().articles == before + came[0]
        assert worker.status().unscored == 0
        worker.close()
