"""Worker and dashboard under one supervisor: starts both, restarts what dies, says so, ends both on Ctrl-C.

A worker that died cannot report itself. The supervisor does: it leaves its own beat in the store, and after repeated
deaths it raises the `worker` alert and delivers it itself.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from types import FrameType

import structlog

from monitor.app import App
from monitor.errors import MonitorError, SettingsError
from monitor.login import login_path, read_login
from monitor.pulse import STALE_AFTER, WORKER_BEAT
from monitor.scheduler import die_with_parent
from monitor.settings import Settings

log = structlog.get_logger("supervisor")

ROOT = Path(__file__).resolve().parent.parent
STOP_WITHIN_S = 30.0
HEALTHY_AFTER_S = 60.0
LOOK_AT_BEAT_EVERY_S = 2.0
DEATHS_FOR_ALERT = 3


def check_address(settings: Settings) -> None:
    """Refuse to listen where strangers are, unless told to, and refuse a port that is taken: one line each."""
    login = read_login(settings)  # raises for a login that is there and cannot be used
    try:
        loopback = settings.address == "localhost" or ip_address(settings.address).is_loopback
    except ValueError as error:
        raise SettingsError(f"setting 'address': {settings.address!r} is not an IP address") from error
    if not loopback and not settings.allow_remote and login is None:
        raise SettingsError(
            f"setting 'address': {settings.address} is not loopback and no login is configured; configure OIDC in "
            f"{login_path(settings)}, or set HEADWIND_ALLOW_REMOTE=true behind a proxy that asks who is there"
        )
    family = socket.AF_INET6 if ":" in settings.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.address, settings.port))
        except OSError as error:
            raise SettingsError(
                f"port {settings.port} on {settings.address} cannot be used ({error.strerror}); "
                "stop what uses it or set HEADWIND_PORT"
            ) from error


def dashboard_command(settings: Settings) -> list[str]:
    return [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(ROOT / "streamlit_app.py"),
        f"--server.port={settings.port}",
        f"--server.address={settings.address}",
        "--server.headless=true",
        "--browser.gatherUsageStats=false",
        "--server.fileWatcherType=none",
        f"--secrets.files={login_path(settings)}",  # this file and no other: what check_address has looked at
    ]


@dataclass(slots=True)
class Child:
    """One supervised process and its history of deaths."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    deaths: int = 0  # in a row, without a healthy minute between
    healthy: bool = False  # since its last start
    next_start: float = 0.0
    exits: list[int] = field(default_factory=list)

    def start(self) -> None:
        # A session of its own: Ctrl-C reaches the supervisor alone, which then ends both in order.
        self.process = subprocess.Popen(
            self.command, cwd=ROOT, env=os.environ.copy(), start_new_session=True, preexec_fn=die_with_parent
        )
        self.started = time.monotonic()
        self.healthy = False

    def poll(self) -> int | None:
        return None if self.process is None else self.process.poll()


class Supervisor:
    """Keeps worker and dashboard alive until `stop`."""

    def __init__(self, app: App, *, web: bool = True) -> None:
        self.app = app
        self.children = [Child("worker", [sys.executable, "-m", "monitor", "run"])]
        if web:
            self.children.append(Child("dashboard", dashboard_command(app.settings)))
        self._stop = threading.Event()
        self._alerted = False
        self._next_beat = 0.0
        self._seen_beat: datetime | None = None
        self._seen_at = 0.0
        self._looked_at = 0.0

    def stop(self, *_: object) -> None:
        self._stop.set()

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        for child in self.children:
            child.start()
        try:
            while not self._stop.wait(0.5):
                for child in self.children:
                    self._look_after(child)
                self._beat(datetime.now(UTC))
        finally:
            self._end()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop()

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        code = child.poll()
        if child.process is not None and code is None:
            if child.name == "worker":
                self._kill_if_stuck(child)
            if not child.healthy and self._lives(child) - child.started > HEALTHY_AFTER_S:
                self._say_healthy(child)
            return
        if child.process is not None and code is not None:
            child.deaths += 1
            child.exits.append(code)
            child.process = None
            wait = min(60.0, 2.0 ** (child.deaths - 1))
            child.next_start = now + wait
            log.error("died", process=child.name, status=code, deaths=child.deaths, restart_in_s=wait)
            self._say_dead(child)
        if child.process is None and now >= child.next_start:
            child.start()
            log.info("restarted", process=child.name)

    def _lives(self, child: Child) -> float:
        """Until when (monotonic) the child is known to do its work: a worker by its beat, the dashboard by being there.
        A worker that only exists, and is ended for its silence each time, has died each time."""
        return self._seen_at if child.name == "worker" else time.monotonic()

    def _kill_if_stuck(self, child: Child) -> None:
        """End a worker whose beat has not changed for a while by our own clock: wall clocks may jump, this cannot."""
        if time.monotonic() - self._looked_at >= min(LOOK_AT_BEAT_EVERY_S, STALE_AFTER.total_seconds() / 4):
            self._looked_at = time.monotonic()
            beat = self._worker_beat()
            if beat is not None and beat != self._seen_beat:
                self._seen_beat, self._seen_at = beat, time.monotonic()
        if time.monotonic() - max(self._seen_at, child.started) < STALE_AFTER.total_seconds():
            return
        log.error("no sign of life; ending it", process=child.name, last_beat=str(self._seen_beat))
        if child.process is not None:
            child.process.kill()

    def _worker_beat(self) -> datetime | None:
        try:
            found = self.app.store.beats().get(WORKER_BEAT)
        except MonitorError as error:
            log.warning("beats cannot be read", error=str(error))
            return None
        return found[0] if found else None

    def _beat(self, now: datetime) -> None:
        if time.monotonic() < self._next_beat:
            return
        self._next_beat = time.monotonic() + 10
        detail = {
            child.name: {"alive": child.poll() is None and child.process is not None, "deaths": len(child.exits)}
            for child in self.children
        }
        try:
            self.app.store.beat("supervisor", now, detail)
        except MonitorError as error:
            log.warning("supervisor beat not written", error=str(error))
        if self._alerted:
            self._tell_again(now)

    def _tell_again(self, now: datetime) -> None:
        """The alert of the dead worker may have met a channel that failed: nobody else would try it again."""
        try:
            self.app.deliver_for_worker(now)
        except MonitorError as error:
            log.warning("messages could not be sent for the dead worker", error=str(error))

    def _say_dead(self, child: Child) -> None:
        if child.name != "worker" or child.deaths < DEATHS_FOR_ALERT or self._alerted:
            return
        try:
            self.app.report_worker_dead(child.deaths, child.exits[-1], datetime.now(UTC))
            self._alerted = True
        except MonitorError as error:
            log.error("the worker is dead and the alert could not be written", error=str(error))

    def _say_healthy(self, child: Child) -> None:
        child.deaths = 0
        if child.name != "worker":
            child.healthy = True
            return
        try:
            self.app.report_worker_alive(datetime.now(UTC))  # also ends an alert that a supervisor before us raised
            self._alerted = False
            child.healthy = True
        except MonitorError as error:
            log.warning("the worker is back and its alert could not be resolved", error=str(error))

    def _end(self) -> None:
        for child in self.children:
            if child.process is not None and child.poll() is None:
                child.process.terminate()
        deadline = time.monotonic() + STOP_WITHIN_S
        for child in self.children:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.error("did not end in time; killed", process=child.name)
                child.process.kill()
                child.process.wait()
        log.info("ended")
