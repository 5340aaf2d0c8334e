"""X1 to X4: kills at each step of the pipeline, two workers, a suspension, and clocks that jump."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import monitor.scheduler
from monitor.app import open_app
from monitor.deliver import deliver_due
from monitor.domain import ChannelConfig, DateQuality, FeedState, Message, NewArticle, NewFeed, PollRecord, SendOutcome
from monitor.pulse import WORKER_BEAT
from monitor.scheduler import Worker
from monitor.scoring import score_queue
from monitor.settings import load_settings
from monitor.store import open_store
from monitor.watch import watch
from tests.scripted_classifier import ScriptedClassifier

NOW = datetime(2026, 3, 12, 10, 7, tzinfo=UTC)
FORK = multiprocessing.get_context("fork")
SPAWN = multiprocessing.get_context("spawn")  # whole workers: they start processes of their own, which forks must not
STEPS = ("store", "score", "watch", "deliver")


class Recorder:
    """A channel that leaves each key in a file, as a receiver would."""

    kind = "console"

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self._path = path

    def send(self, message: Message) -> SendOutcome:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(message.key + "\n")
        return SendOutcome(status="sent")


def wire(number: int, at: datetime, title: str) -> NewArticle:
    return NewArticle(
        identity=f"a{number:05}",
        story_id=f"a{number:05}",
        feed_id=None,
        publisher=f"Wire {number % 5}",
        family=f"Wire {number % 5}",
        language="en",
        title=title,
        summary="",
        url=f"https://wire.example/{number}",
        author="",
        published=at,
        first_seen=at,
        date_quality=DateQuality.EXACT,
        counts=True,
    )


def past() -> list[NewArticle]:
    """Five quiet weeks: two stories an hour in the day, one in six of them negative."""
    start = NOW - timedelta(days=35)
    hours = [start + timedelta(hours=h) for h in range(35 * 24 - 12)]
    quiet = [hour for hour in hours if 7 <= hour.hour <= 18 for _ in range(2)]
    return [
        wire(n, at + timedelta(minutes=n % 50), f"Firm {n} nears default" if n % 6 == 0 else f"Firm {n} opens a branch")
        for n, at in enumerate(quiet)
    ]


def burst(round_: int) -> list[NewArticle]:
    at = NOW - timedelta(minutes=90) + timedelta(seconds=round_)
    return [
        wire(50_000 + 10 * round_ + n, at, f"Lender {round_}-{n} nears default after a bank run") for n in range(10)
    ]


def pipeline(url: str, sent: Path, round_: int, now: datetime) -> dict[str, Callable[[], object]]:
    """The steps of the line over one store, in order; each can be run again."""
    store = open_store(url, role="worker")
    scorer = ScriptedClassifier()
    return {
        "store": lambda: store.add_articles(burst(round_), now),
        "score": lambda: score_queue(store, scorer, f"w{os.getpid()}", lambda: now),
        "watch": lambda: watch(store, now, "http://127.0.0.1:8501"),
        "deliver": lambda: deliver_due(
            store, lambda config: Recorder(config.name, sent), now + timedelta(minutes=1), f"w{os.getpid()}"
        ),
    }


def child(url: str, sent: Path, round_: int, step: str, now: datetime, ready: Any) -> None:
    steps = pipeline(url, sent, round_, now)
    for name in STEPS:
        if name == step:
            ready.send("in")
        steps[name]()
    os._exit(0)


def kill_within(url: str, sent: Path, round_: int, step: str, now: datetime, delay: float) -> None:
    here, there = FORK.Pipe()
    process = FORK.Process(target=child, args=(url, sent, round_, step, now, there))
    process.start()
    there.close()
    assert here.poll(60), "the step was never reached"
    time.sleep(delay)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join(10)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.soak)])
def test_X1_kills_at_each_step_leave_counts_equal_to_a_recomputation_and_no_duplicates(
    sqlite_url: str, tmp_path: Path, kills: int
) -> None:
    sent = tmp_path / "sent"
    sent.touch()
    store = open_store(sqlite_url, role="worker")
    scorer = ScriptedClassifier()
    store.set_live_model(scorer.version, scorer.languages, "test", "first", NOW)
    from monitor.alerts.rules import default_rules

    for rule in default_rules():
        store.save_rule(rule, "test", NOW)
    store.save_channel(ChannelConfig(name="record", kind="console"), "test", NOW)
    store.add_articles(past(), NOW)
    score_queue(store, scorer, "before", lambda: NOW)
    store.close()

    dice = random.Random(20260312)
    rounds = 0
    for step in STEPS:
        for _ in range(kills):
            kill_within(sqlite_url, sent, rounds, step, NOW + timedelta(seconds=rounds), dice.uniform(0.0, 0.08))
            rounds += 1

    later = NOW + timedelta(minutes=20)  # every lease of the dead has expired
    for round_ in range(rounds):
        pipeline(sqlite_url, sent, round_, later)["store"]()
    steps = pipeline(sqlite_url, sent, rounds, later)
    for name in STEPS:
        steps[name]()
    store = open_store(sqlite_url)
    status = store.status()
    assert status.articles == len(past()) + 10 * (rounds + 1)
    assert (status.unscored, status.quarantined) == (0, 0)
    assert store.verify_rollups() == []
    assert store.verify_audit() is None
    alerts = store.alerts()
    assert alerts, "forty stories of default within two hours are a spike"
    assert max(Counter((a.rule, a.series) for a in alerts if a.resolved_at is None).values()) == 1
    deliveries = store.deliveries(limit=10_000)
    assert len({delivery.key for delivery in deliveries}) == len(deliveries)
    assert {d.state.value for d in deliveries} <= {"sent", "pending"}
    assert sent.read_text().strip(), "something was sent"
    store.close()


class CountingFeeds:
    """A real feed server that counts its requests."""

    def __init__(self) -> None:
        served = self
        self.requests = 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                served.requests += 1
                body = (
                    b"<rss version='2.0'><channel><title>Wire</title><item><title>Firm opens a branch</title>"
                    b"<link>https://wire.example/1</link><guid>1</guid>"
                    b"<pubDate>Thu, 12 Mar 2026 09:00:00 GMT</pubDate></item></channel></rss>"
                )
                self.send_response(200)
                self.send_header("Content-Type", "application/rss+xml")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/feed.xml"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def work_until_told(name: str) -> None:
    monitor.scheduler.BEAT_EVERY_S = 0.5
    worker = Worker(open_app(load_settings(), role="worker"))
    worker.name = name
    signal.signal(signal.SIGTERM, worker.stop)
    worker.run()
    os._exit(0)


def leader_of(app: Any) -> str | None:
    found = app.store.beats().get(WORKER_BEAT)
    return found[1]["name"] if found and found[1]["leading"] else None


def until(what: Callable[[], bool], why: str, patience_s: float = 60.0) -> None:
    deadline = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < deadline, why
        time.sleep(0.1)


@pytest.mark.timeout(300)
def test_X2_of_two_workers_one_leads_and_polls_and_the_other_takes_over_when_it_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEADWIND_ALLOW_NETWORKS", "127.0.0.0/8")
    feeds = CountingFeeds()
    app = open_app()
    app.store.add_feed(NewFeed(url=feeds.url, publisher="Wire"), datetime.now(UTC))
    workers = {name: SPAWN.Process(target=work_until_told, args=(name,)) for name in ("one", "two")}
    try:
        for process in workers.values():
            process.start()
        until(lambda: leader_of(app) is not None and feeds.requests > 0, "nobody leads or polls")
        first = leader_of(app)
        assert first is not None
        time.sleep(6)  # more than one turn of the poll job
        assert feeds.requests == 1, "one poll a feed, whatever the number of workers"
        workers[first].kill()
        other = next(name for name in workers if name != first)
        until(lambda: leader_of(app) == other, "the other does not take over")
    finally:
        for process in workers.values():
            if process.is_alive():
                process.terminate()
                process.join(30)
        app.close()
        feeds.close()


def tick_until_told(path: Path) -> None:
    """A worker whose poll job only leaves a mark, to see how often it runs."""
    worker = Worker(open_app(load_settings(), role="worker"))

    def mark() -> None:
        with path.open("a") as file:
            file.write(f"{time.time()}\n")

    worker._poll = mark  # type: ignore[method-assign]
    signal.signal(signal.SIGTERM, worker.stop)
    worker.run()
    os._exit(0)


@pytest.mark.timeout(200)
def test_X3_after_a_suspension_a_job_runs_once_and_not_once_per_missed_turn(tmp_path: Path, own_home: Path) -> None:
    marks = tmp_path / "marks"
    marks.touch()
    process = SPAWN.Process(target=tick_until_told, args=(marks,))
    process.start()
    try:
        until(lambda: len(marks.read_text().split()) >= 1, "the job never ran")
        os.kill(process.pid or 0, signal.SIGSTOP)
        before = len(marks.read_text().split())
        time.sleep(16)  # three turns and more are missed
        os.kill(process.pid or 0, signal.SIGCONT)
        time.sleep(3)
        assert len(marks.read_text().split()) - before in (1, 2), (
            "one for all that was missed, and perhaps its own turn"
        )
    finally:
        os.kill(process.pid or 0, signal.SIGCONT)
        process.terminate()
        process.join(30)


def polled(feed_id: int, at: datetime) -> PollRecord:
    return PollRecord(
        feed_id=feed_id,
        polled=at,
        next_poll=at + timedelta(minutes=15),
        interval_s=900,
        state=FeedState.OK,
        ok=True,
    )


def test_X4_a_clock_that_goes_back_an_hour_polls_nothing_twice(store: Any) -> None:
    feed = store.add_feed(NewFeed(url="https://wire.example/rss"), NOW)
    store.record_poll(polled(feed.id, NOW), ())
    assert store.due_feeds(NOW - timedelta(hours=1)) == []
    assert [one.id for one in store.due_feeds(NOW + timedelta(minutes=16))] == [feed.id]


def test_X4_a_clock_that_was_a_day_ahead_does_not_stop_polling_for_a_day(store: Any) -> None:
    feed = store.add_feed(NewFeed(url="https://wire.example/rss"), NOW)
    store.record_poll(polled(feed.id, NOW + timedelta(days=1)), ())
    assert [one.id for one in store.due_feeds(NOW)] == [feed.id]
    store.record_poll(polled(feed.id, NOW), ())
    assert store.due_feeds(NOW) == []


def test_X4_the_hour_that_a_zone_repeats_is_two_hours_in_utc(store: Any) -> None:
    from zoneinfo import ZoneInfo

    berlin = ZoneInfo("Europe/Berlin")
    times = [datetime(2026, 10, 25, 2, 30, tzinfo=berlin, fold=fold).astimezone(UTC) for fold in (0, 1)]
    scorer = ScriptedClassifier()
    store.set_live_model(scorer.version, scorer.languages, "test", "first", NOW)
    store.add_articles([wire(n, at, f"Firm {n} nears default") for n, at in enumerate(times)], times[1])
    score_queue(store, scorer, "w", lambda: times[1])
    cells = store.rollups(["all"], times[0] - timedelta(hours=2), times[1] + timedelta(hours=2))
    assert [(cell.hour.hour, cell.stories) for cell in cells] == [(0, 1), (1, 1)]
    assert all(min(cell.stories, cell.negative, cell.alert_negative) >= 0 for cell in cells)
