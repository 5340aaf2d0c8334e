"""The composition root: the one place that names concrete choices. Everything above it knows only `App`.

Importing this module loads neither torch nor transformers; the classifier is opened when it is first needed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import structlog

from monitor import archives
from monitor.alerts.backtest import BacktestReport
from monitor.app.desk import DeskPart
from monitor.app.feeds import FeedsPart
from monitor.app.model import ModelPart
from monitor.archives import ImportReport
from monitor.digest import plan_digest
from monitor.domain import Rule, Transition
from monitor.drift import measure_drift
from monitor.errors import LeaderError, SettingsError
from monitor.feeds.stories import StoryIndex
from monitor.guard import AddressPolicy
from monitor.keeping import retention_days
from monitor.leader import take_lead
from monitor.net import guarded_client
from monitor.pulse import Asked, Pulse, read_pulse, status_answer
from monitor.scoring import ScoreReport, refresh_counts, score_queue
from monitor.settings import Settings, load_settings
from monitor.store import open_store
from monitor.store.backup import restore
from monitor.store.open import Role
from monitor.trial import run_backtest
from monitor.watch import watch

__all__ = ["App", "open_app", "restore_store"]

log = structlog.get_logger("app")

LAST_MESSAGES_S = 22.0  # at the end: a message in hand takes at most 20 s, the supervisor waits 30


class App(ModelPart, FeedsPart, DeskPart):
    """The product without its doors: what the command line, the worker and the dashboard all call."""

    # ── the lead ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def lead(self) -> bool:
        """Whether this process leads: takes the lead when it is free, notices when it is lost."""
        if self._lead is not None:
            if self._lead.held():
                return True
            self._lead.release()
            self._lead = None
        try:
            self._lead = take_lead(self.settings.store_url)
        except LeaderError:
            return False
        return True

    # ── pipeline ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def import_archive(
        self, path: Path, now: datetime, progress: Callable[[int], object] = lambda n: None
    ) -> ImportReport:
        """Rows of an archive as articles that came when they were published. Raises `ArchiveError`."""
        return archives.import_archive(self.store, StoryIndex(), path, now, progress)

    def score(
        self,
        worker: str,
        clock: Callable[[], datetime],
        *,
        limit: int | None = None,
        stopped: Callable[[], bool] = lambda: False,
        progress: Callable[[int], object] = lambda n: None,
    ) -> ScoreReport:
        """Score what waits. The classifier is opened only when something does."""
        if not self.store.unscored_count():
            refresh_counts(self.store, stopped)
            return ScoreReport()
        return score_queue(
            self.store, self.classifier(), worker, clock, limit=limit, stopped=stopped, progress=progress
        )

    def watch(self, now: datetime) -> list[Transition]:
        return watch(self.store, now, self.settings.links_base)

    def backtest(
        self,
        rule: Rule | str,
        start: datetime | None,
        end: datetime | None,
        progress: Callable[[int, int], object] = lambda done, total: None,
    ) -> BacktestReport:
        """A stored rule by its name, or one as it stands, over the past."""
        refresh_counts(self.store)
        return run_backtest(self.store, rule, start, end, progress)

    # ── looking after itself ──────────────────────────────────────────────────────────────────────────────────────────

    def pulse(self, now: datetime, asked: Asked | None = None) -> Pulse:
        """How the pipeline is, in words a risk officer can act on. asked: a page's reads instead of the store."""
        refused = self._refused
        note = f"model {refused[0]} was refused, the one before answers here: {refused[1]}" if refused else ""
        return read_pulse(asked or self.store, now, (note,) if note else ())

    def status(self, now: datetime) -> dict[str, Any]:
        """The answer of `status --json`."""
        return status_answer(self.store.status(), self.pulse(now))

    def keep_house(self, now: datetime) -> None:
        """Each minute: move the WAL into the file (SQLite, worker only)."""
        self.store.checkpoint()

    def daily(self, now: datetime) -> None:
        """Once a day: the digest into the outbox, retention, the drift of the model's inputs and outputs."""
        plan_digest(self.store, now, links_base=self.settings.links_base)
        if days := retention_days(self.store, self.settings.retention_days):
            removed = self.store.apply_retention(now - timedelta(days=days))
            log.info("retention", removed=removed)
        measure_drift(self.store, now)

    def heartbeat(self) -> None:
        """Tell the watcher outside that this host is alive. A failure is logged, never raised."""
        if not self.settings.heartbeat_url:
            return
        try:
            with guarded_client(
                AddressPolicy(tuple(self.settings.allow_networks)),
                proxy=self.settings.egress_proxy,
                ca_bundle=self.settings.ca_bundle,
                timeout=10.0,
            ) as client:
                client.get(self.settings.heartbeat_url).raise_for_status()
        except (httpx.HTTPError, OSError) as error:
            log.warning("heartbeat failed", error=type(error).__name__)

    def close(self) -> None:
        self._couriers.close(LAST_MESSAGES_S)
        if self._fetcher is not None:
            self._fetcher.close()
        if self._parser is not None:
            self._parser.close()
        if self._lead is not None:
            self._lead.release()
        self.store.close()


def open_app(settings: Settings | None = None, role: Role = "tool", *, scores_apart: bool = False) -> App:
    """Open the store (created and migrated when absent) and put the product together. scores_apart: the classifier
    answers from a process of its own."""
    settings = settings or load_settings()
    try:
        settings.home_path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"setting 'home': {settings.home_path} cannot be made ({error.strerror})") from error
    return App(settings, open_store(settings.store_url, role=role), scores_apart=scores_apart)


def restore_store(settings: Settings, file: Path) -> None:
    """Put a backup in the store's place; no other process may have it open. Raises `StoreError`."""
    settings.home_path.mkdir(parents=True, exist_ok=True)
    restore(settings.store_url, str(file))
