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
from types import FrameType
from typing import Any

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from monitor import metrics
from monitor.app import WORKER_BEAT, App

log = structlog.get_logger("worker")

BEAT_EVERY_S = 10.0


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
        self.leading = False

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
                if not self.leading and self.app.lead():
                    self.leading = True
                    log.info("leading", name=self.name)
                    self._lead(scheduler)
                if time.monotonic() >= next_beat:
                    next_beat = time.monotonic() + BEAT_EVERY_S
                    self._job("beat", self._beat)()
        finally:
            log.info("worker stopping: the batch in hand is finished first", name=self.name)
            scheduler.shutdown(wait=True)
            self.app.store.release(self.name)
            log.info("worker stopped", name=self.name)

    def _lead(self, scheduler: BackgroundScheduler) -> None:
        soon = utc_now() + timedelta(seconds=1)
        for name, step, seconds in (
            ("poll", self._poll, 5),
            ("watch", self._watch, 15),
            ("deliver", self._deliver, 3),
            ("keep", self._keep, 60),
        ):
            scheduler.add_job(self._job(name, step), "interval", seconds=seconds, id=name, next_run_time=soon)
        scheduler.add_job(self._job("daily", self._daily), "cron", hour=5, minute=10, id="daily")

    def _job(self, name: str, step: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                with metrics.JOB_SECONDS.labels(name).time():
                    step()
                self._errors.pop(name, None)
            except Exception as error:  # the job's own failure must not end the worker; it is shown in the pulse
                metrics.JOB_ERRORS.labels(name).inc()
                self._errors[name] = f"{type(error).__name__}: {error}"[:300]
                log.error("job failed", job=name, error=self._errors[name], exc_info=not _expected(error))

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

    def _score(self) -> None:
        report = self.app.score(self.name, self.clock, stopped=self._stop.is_set)
        if report.scored:
            metrics.SCORED.inc(report.scored)
            log.info("scored", articles=report.scored, set_aside=report.set_aside)

    def _watch(self) -> None:
        for transition in self.app.watch(self.clock()):
            metrics.ALERTS.labels(transition.kind.value).inc()
            log.info("alert", kind=transition.kind.value, rule=transition.rule, series=transition.series)

    def _deliver(self) -> None:
        for outcome, count in self.app.deliver(self.name, self.clock()).items():
            metrics.DELIVERIES.labels(outcome).inc(count)

    def _keep(self) -> None:
        self.app.keep_house(self.clock())
        metrics.observe_status(self.app.store.status())
        if not self._errors:
            self.app.heartbeat()

    def _daily(self) -> None:
        self.app.daily(self.clock())

    def _beat(self) -> None:
        self.app.store.beat(
            WORKER_BEAT,
            self.clock(),
            {"name": self.name, "pid": os.getpid(), "leading": self.leading, "errors": dict(self._errors)},
        )


def _expected(error: Exception) -> bool:
    from models.errors import ModelError
    from monitor.errors import MonitorError

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
