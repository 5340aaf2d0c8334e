"""The worker: APScheduler jobs that call the use cases. One leader polls, watches and delivers; every worker scores.

A job that fails is logged, counted and tried again at its next turn; it never ends the worker. A stop signal lets the
batch in hand finish. After a suspension each job runs once (coalesced), not once per missed turn.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from functools import partial
from types import FrameType
from typing import Any

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from models.errors import CheckpointError, ModelError
from monitor import metrics
from monitor.app import App
from monitor.errors import MonitorError
from monitor.pulse import STANDBY_BEAT, WORKER_BEAT

log = structlog.get_logger("worker")

BEAT_EVERY_S = 10.0
DELIVER_PATIENCE_S = 2.0  # a channel that needs longer goes on by itself; the next round sends what is due elsewhere
PIPELINE = ("poll", "score", "watch", "deliver")  # the jobs that must go on, or an alert says so
LEADERS = ("poll", "pages", "watch", "deliver", "keep", "daily")
FAILING_FOR_S = 15 * 60.0  # a job that has only failed for so long stands still
HUNG_FOR_S = 30 * 60.0  # so does one that has not come back; scoring counts from its last batch
DAILY_FROM = time_of_day(5, 10)  # UTC
DAILY_DONE = "daily.done"  # setting: the day whose daily round is done


def utc_now() -> datetime:
    return datetime.now(UTC)


class Worker:
    """Runs until `stop` is called. `clock` gives aware UTC; intervals are the scheduler's own (monotonic)."""

    def __init__(self, app: App, clock: Callable[[], datetime] = utc_now) -> None:
        self.app = app
        self.clock = clock
        self.name = f"{os.uname().nodename}:{os.getpid()}"
        self._stop = threading.Event()
        self._errors: dict[str, str] = {}
        self._failing: dict[str, float] = {}  # job → when its present row of failures began, monotonic
        self._busy: dict[str, float] = {}  # job → when it began or last gave a sign, monotonic
        self.leading = False
        self._beaten = ""

    def stop(self, *_: Any) -> None:
        self._stop.set()

    def run(self) -> None:
        """Blocks until stopped. Raises only what makes starting impossible."""
        metrics.serve(self.app.settings.metrics_port)
        scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(8)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone=UTC,
        )
        self._beat()
        scheduler.add_job(self._job("score", self._score), "interval", seconds=2, id="score")
        scheduler.start()
        log.info("worker started", name=self.name, model=self.app.live_version())
        try:
            next_beat = time.monotonic() + BEAT_EVERY_S
            while not self._stop.wait(1.0):
                self._job("lead", partial(self._keep_lead, scheduler))()
                if time.monotonic() >= next_beat:
                    next_beat = time.monotonic() + BEAT_EVERY_S
                    self._job("beat", self._beat)()
        finally:
            log.info("worker stopping: the batch in hand is finished first", name=self.name)
            scheduler.shutdown(wait=True)
            self.app.store.release(self.name)
            log.info("worker stopped", name=self.name)

    def _keep_lead(self, scheduler: BackgroundScheduler) -> None:
        """Take the lead when it is free; give up the leader's jobs when it is lost (PostgreSQL: the connection)."""
        leads = False
        try:
            leads = self.app.lead()
        finally:
            if leads != self.leading:
                self.leading = leads
                log.info("leading" if leads else "the lead is lost", name=self.name)
                if leads:
                    self._lead(scheduler)
                else:
                    for name in LEADERS:
                        scheduler.remove_job(name)
                        self._errors.pop(name, None)
                        self._failing.pop(name, None)
        if leads and self._beaten != WORKER_BEAT:
            self._beat()

    def _lead(self, scheduler: BackgroundScheduler) -> None:
        soon = utc_now() + timedelta(seconds=1)
        for name, step, seconds in (
            ("poll", self._poll, 5),
            ("pages", self._pages, 20),
            ("watch", self._watch, 15),
            ("deliver", self._deliver, 3),
            ("keep", self._keep, 60),
            ("daily", self._daily, 600),
        ):
            scheduler.add_job(self._job(name, step), "interval", seconds=seconds, id=name, next_run_time=soon)

    def _job(self, name: str, step: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            self._busy[name] = time.monotonic()
            try:
                with metrics.JOB_SECONDS.labels(name).time():
                    step()
                self._errors.pop(name, None)
                self._failing.pop(name, None)
            except Exception as error:  # the job's own failure must not end the worker; it is shown in the pulse
                metrics.JOB_ERRORS.labels(name).inc()
                self._errors[name] = f"{type(error).__name__}: {error}"[:300]
                self._failing.setdefault(name, time.monotonic())
                log.error("job failed", job=name, error=self._errors[name], exc_info=not _expected(error))
            finally:
                self._busy.pop(name, None)

        run.__name__ = name
        return run

    def _poll(self) -> None:
        for result in self.app.poll_due(self.clock(), stopped=self._stop.is_set):
            outcome = "error" if result.error else "not_modified" if result.not_modified else "ok"
            metrics.POLLS.labels(outcome).inc()
            metrics.ARTICLES.inc(result.new)
            if result.error:
                log.warning("poll failed", feed=result.feed.url, error=result.error)
            elif result.new:
                log.info("polled", feed=result.feed.url, new=result.new, seen=result.seen)

    def _pages(self) -> None:
        for result in self.app.read_pages(self.clock(), stopped=self._stop.is_set):
            metrics.PAGES.labels("error" if result.error else "ok").inc()
            if result.error:
                log.info("page not read", url=result.article.url, error=result.error)

    def _score(self) -> None:
        if self.app.live_version() is None:
            self.app.prepare(self.clock())  # a worker started by itself on a new store
        report = self.app.score(self.name, self.clock, stopped=self._stop.is_set, progress=self._scored_a_batch)
        if report.scored:
            metrics.SCORED.inc(report.scored)
            log.info("scored", articles=report.scored, set_aside=report.set_aside)
        if self.app.refused:
            raise CheckpointError(self.app.refused)

    def _scored_a_batch(self, _: int) -> None:
        self._busy["score"] = time.monotonic()

    def _watch(self) -> None:
        for transition in self.app.watch(self.clock()):
            metrics.ALERTS.labels(transition.kind.value).inc()
            log.info("alert", kind=transition.kind.value, rule=transition.rule, series=transition.series)

    def _deliver(self) -> None:
        for outcome, count in self.app.deliver(self.name, self.clock(), patience_s=DELIVER_PATIENCE_S).items():
            metrics.DELIVERIES.labels(outcome).inc(count)

    def _keep(self) -> None:
        self.app.keep_house(self.clock())
        metrics.observe_status(self.app.store.status())
        stalled = self.stalled()
        self.app.report_stalls(stalled, PIPELINE, self.clock())
        if not stalled and not self._errors.keys() & set(PIPELINE):
            self.app.heartbeat()

    def stalled(self) -> dict[str, str]:
        """Parts of the pipeline that stand still → why, in words."""
        found: dict[str, str] = {}
        moment = time.monotonic()
        for name in PIPELINE:
            failing = moment - self._failing.get(name, moment)
            busy = moment - self._busy.get(name, moment)
            if busy >= HUNG_FOR_S:
                found[name] = f"{name} has not come back for {busy / 60:.0f} minutes"
            elif failing >= FAILING_FOR_S:
                found[name] = f"{name} has failed for {failing / 60:.0f} minutes: {self._errors.get(name, '')}"
        return found

    def _daily(self) -> None:
        """Once a day from DAILY_FROM on, also when the worker was not up at that minute; again when it failed. The
        first day of a store has no day before it to tell of."""
        now = self.clock()
        today, done = now.date().isoformat(), self.app.store.setting(DAILY_DONE)
        if done == today or now.time() < DAILY_FROM:
            return
        if done is not None:
            self.app.daily(now)
        self.app.store.set_setting(DAILY_DONE, today, "worker", now)

    def _beat(self) -> None:
        self._beaten = WORKER_BEAT if self.leading else STANDBY_BEAT
        self.app.store.beat(
            self._beaten,
            self.clock(),
            {
                "name": self.name,
                "pid": os.getpid(),
                "leading": self.leading,
                "errors": {**self._errors, **self.stalled()},
            },
        )


def _expected(error: Exception) -> bool:
    return isinstance(error, MonitorError | ModelError)


def run_worker(app: App) -> None:
    """The worker in the foreground of this process, ended in order by SIGTERM or SIGINT."""
    worker = Worker(app)

    def on_signal(number: int, _: FrameType | None) -> None:
        worker.stop()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    worker.run()


def die_with_parent() -> None:
    """Linux: ask for SIGTERM when the parent dies, so that a killed supervisor leaves no orphans. Else nothing."""
    pr_set_pdeathsig = 1
    try:
        ctypes.CDLL("libc.so.6", use_errno=True).prctl(pr_set_pdeathsig, signal.SIGTERM)
    except OSError:
        return
