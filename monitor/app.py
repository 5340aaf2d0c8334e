"""The composition root: the one place that names concrete choices. Everything above it knows only `App`.

Importing this module loads neither torch nor transformers; the classifier is opened when it is first needed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import structlog

from models import registry
from models.backend import Classifier
from models.errors import CheckpointError
from monitor import desk, ingest, samples
from monitor.alerts.backtest import BacktestReport
from monitor.alerts.rules import default_rules, rules_from_toml, rules_to_toml
from monitor.deliver import Pacer, deliver_due, plan_repeats, send_test
from monitor.digest import plan_digest
from monitor.domain import (
    Alert,
    ChannelConfig,
    Entity,
    Feed,
    FeedState,
    NewFeed,
    ParsedFeed,
    PollResult,
    SendOutcome,
    Transition,
)
from monitor.drift import measure_drift
from monitor.entities.watchlist import read_watchlist, write_watchlist
from monitor.errors import AlertError, DeliveryError, FeedError, LeaderError, SettingsError
from monitor.feeds.defaults import default_feeds
from monitor.feeds.fetch import Fetcher
from monitor.feeds.opml import read_opml, write_opml
from monitor.feeds.parser import ParserPool
from monitor.feeds.stories import StoryIndex
from monitor.ingest import ImportReport
from monitor.leader import Lead, take_lead
from monitor.mentions import rematch
from monitor.net import AddressPolicy, guarded_client
from monitor.notify.base import Channel
from monitor.notify.factory import build_channel
from monitor.pulse import WORKER_SERIES, Pulse, read_pulse, status_answer, tell_pipeline
from monitor.scoring import ScoreReport, refresh_counts, score_queue
from monitor.settings import Settings, load_settings
from monitor.store import open_store
from monitor.store.backup import restore
from monitor.store.base import Store
from monitor.store.open import Role, shown_url
from monitor.watch import run_backtest, watch

log = structlog.get_logger("app")

REMIND_EVERY = timedelta(minutes=1)
RETRY_REFUSED_S = 60.0  # a live version that could not be opened is tried again: its files may have been on their way
PREPARED = "prepared"


class App:
    """The product without its doors: what the command line, the worker and the dashboard all call."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings = settings
        self.store = store
        self._lock = threading.RLock()
        self._lead: Lead | None = None
        self._classifier: Classifier | None = None
        self._refused: tuple[str | None, str, float] | None = None  # live version that was not opened, why, when
        self._fetcher: Fetcher | None = None
        self._parser: ParserPool | None = None
        self._index: StoryIndex | None = None
        self._pacer = Pacer()
        self._reminded: datetime | None = None

    @property
    def store_name(self) -> str:
        return shown_url(self.settings.store_url)

    # ── the lead ─────────────────────────────────────────────────────────────────────────────────────────────────

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
        with self._lock:
            self._index = None  # whoever led before may have brought articles that this index does not know
        return True

    # ── the model ────────────────────────────────────────────────────────────────────────────────────────────────

    def prepare(self, now: datetime | None = None) -> None:
        """What the first start needs: default rules, and a live model. Later starts change nothing, except that a
        live version that is no longer shipped gives way to the one that is."""
        moment = now or datetime.now(UTC)
        if self.store.setting(PREPARED) is None:
            for rule in default_rules():
                self.store.save_rule(rule, "default", moment)
            self.store.set_setting(PREPARED, True, "default", moment)
        live = self.store.live_model()
        wanted = self.settings.model
        if live is not None and not wanted and live[0] in {m.version for m in registry.available()}:
            return
        manifest = registry.verify(registry.resolve(wanted or None))
        if live is None or live[0] != manifest.version:
            reason = "set by HEADWIND_MODEL" if wanted else "first start" if live is None else "shipped version"
            self.store.set_live_model(manifest.version, manifest.languages, "deployment", reason, moment)

    def live_version(self) -> str | None:
        live = self.store.live_model()
        return live[0] if live else None

    def classifier(self) -> Classifier:
        """The live model, opened once and again after a promotion. A version that cannot be loaded leaves the one
        in memory serving, says so in `refused`, and is tried again each minute; without one in memory the reason is
        raised (`CheckpointError`)."""
        with self._lock:
            version = self.live_version()
            if self._classifier is not None:
                if version == self._classifier.version:
                    self._refused = None
                    return self._classifier
                refused, _, tried = self._refused or ("", "", 0.0)
                if refused == version and time.monotonic() - tried < RETRY_REFUSED_S:
                    return self._classifier
            try:
                self._classifier = self.open_classifier(version)
                self._refused = None
            except CheckpointError as error:
                if self._classifier is None:
                    raise
                self._refused = (version, str(error), time.monotonic())
                log.error("live model refused; the one before serves on", version=version, error=str(error))
            return self._classifier

    @property
    def refused(self) -> str | None:
        """Why this process could not open the live version, in words; None when it could or never tried. The queue
        is that version's: until it opens, nothing is scored."""
        if self._refused is None:
            return None
        return f"the live model {self._refused[0]} cannot be opened, so nothing is scored: {self._refused[1]}"

    def open_classifier(self, version: str | None) -> Classifier:
        """A version by name or folder, on this deployment's backend and device. Raises `CheckpointError`."""
        return registry.open_classifier(
            self._place_of(version),
            backend=self.settings.backend,
            device=self.settings.device,
            threads=self.settings.threads or None,
        )

    def _place_of(self, version: str | None) -> str | None:
        """HEADWIND_MODEL may name a folder outside the checkpoints: that version is opened there, any other by name."""
        pinned = self.settings.model
        if pinned and version and registry.read_manifest(registry.resolve(pinned)).version == version:
            return pinned
        return version or pinned or None

    def model_versions(self) -> list[tuple[str, str, str, str]]:
        """(version, live or empty, languages, created) of every checkpoint at hand."""
        live = self.live_version()
        return [
            (m.version, "live" if m.version == live else "", ",".join(m.languages), m.created)
            for m in registry.available()
        ]

    # ── feeds ────────────────────────────────────────────────────────────────────────────────────────────────────

    def fetcher(self) -> Fetcher:
        with self._lock:
            if self._fetcher is None:
                self._fetcher = Fetcher(
                    allow_networks=self.settings.allow_networks,
                    proxy=self.settings.egress_proxy,
                    ca_bundle=self.settings.ca_bundle,
                )
            return self._fetcher

    def parser(self) -> ParserPool:
        with self._lock:
            if self._parser is None:
                self._parser = ParserPool()
            return self._parser

    def poll(
        self, now: datetime, feeds: Sequence[Feed] | None = None, stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[PollResult]:
        """One round over the given feeds, or over all that are enabled; results come as they finish."""
        wanted = [feed for feed in self.store.feeds() if feed.enabled] if feeds is None else list(feeds)
        yield from ingest.poll_due(
            self.store, self.fetcher(), self.parser(), self._story_index(now), now, wanted, stopped
        )

    def poll_due(self, now: datetime, stopped: Callable[[], bool] = lambda: False) -> Iterator[PollResult]:
        """The worker's round: only what is due."""
        due = self.store.due_feeds(now)
        if due and not stopped():
            yield from self.poll(now, due, stopped)

    def check_feed(self, url: str) -> ParsedFeed:
        """Fetch and parse an address without storing anything. Raises `FeedError`."""
        now = datetime.now(UTC)
        probe = Feed(
            id=0,
            url=url,
            title="",
            publisher="",
            family="",
            language="",
            enabled=True,
            sample=False,
            note="",
            state=FeedState.NEW,
            added=now,
        )
        return self.parser().parse(self.fetcher().fetch(probe, now))

    def check_feeds(self, urls: Iterable[str]) -> Iterator[tuple[str, ParsedFeed | FeedError]]:
        """Each address with what it answers, or why it does not."""
        for url in urls:
            try:
                yield url, self.check_feed(url)
            except FeedError as error:
                yield url, error

    def add_feed(self, feed: NewFeed, now: datetime) -> tuple[Feed, ParsedFeed]:
        """Check the address, fill in what the feed says of itself, and store it. Raises `FeedError`."""
        preview = self.check_feed(feed.url)
        host = urlsplit(feed.url).hostname or feed.url
        publisher = feed.publisher or preview.title or host
        filled = replace(
            feed,
            title=feed.title or preview.title or host,
            publisher=publisher,
            family=feed.family or publisher,
            language=feed.language or (preview.language or "en")[:2].lower(),
        )
        return self.store.add_feed(filled, now), preview

    def add_default_feeds(self, now: datetime) -> int:
        """The public feeds that risk teams start from; gives how many are new."""
        return self._add_missing(default_feeds(), now)

    def import_opml(self, path: Path, now: datetime) -> tuple[int, int]:
        """(added, already there). Raises `FeedError` when it is no OPML."""
        found = read_opml(path)
        added = self._add_missing(found, now)
        return added, len(found) - added

    def export_opml(self, now: datetime) -> str:
        return write_opml(self.store.feeds(), now)

    def _add_missing(self, feeds: Sequence[NewFeed], now: datetime) -> int:
        known = {feed.url for feed in self.store.feeds()}
        fresh = [feed for feed in feeds if feed.url not in known]
        for feed in fresh:
            self.store.add_feed(feed, now)
        return len(fresh)

    def _story_index(self, now: datetime) -> StoryIndex:
        """The index of this process, primed with the last days: stories survive a restart."""
        with self._lock:
            if self._index is None:
                index = StoryIndex()
                ingest.prime_index(self.store, index, now)
                self._index = index
            return self._index

    # ── watchlist ────────────────────────────────────────────────────────────────────────────────────────────────

    def import_watchlist(self, path: Path, now: datetime) -> tuple[int, int]:
        """(entities saved, mentions found in what is stored). Raises `UploadError` naming row and column."""
        return self.save_entities(read_watchlist(path), now)

    def save_entities(self, entities: Sequence[Entity], now: datetime) -> tuple[int, int]:
        """Insert or replace by name, and match back over the store."""
        saved = [self.store.save_entity(entity, now) for entity in entities]
        return len(saved), rematch(self.store, saved)

    def export_watchlist(self, path: Path) -> int:
        entities = self.store.entities()
        path.write_text(write_watchlist(entities), encoding="utf-8")
        return len(entities)

    # ── pipeline ─────────────────────────────────────────────────────────────────────────────────────────────────

    def import_archive(
        self, path: Path, now: datetime, progress: Callable[[int], object] = lambda n: None
    ) -> ImportReport:
        """Rows of an archive as articles that came when they were published. Raises `ArchiveError`."""
        return ingest.import_archive(self.store, StoryIndex(), path, now, progress)

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
        rule: str,
        start: datetime | None,
        end: datetime | None,
        progress: Callable[[int, int], object] = lambda done, total: None,
    ) -> BacktestReport:
        refresh_counts(self.store)
        return run_backtest(self.store, rule, start, end, progress)

    def channel(self, config: ChannelConfig) -> Channel:
        """The channel behind a configuration. Raises `DeliveryError` naming the option that cannot be used."""
        return build_channel(
            config,
            AddressPolicy(tuple(self.settings.allow_networks)),
            proxy=self.settings.egress_proxy,
            ca_bundle=self.settings.ca_bundle,
        )

    def deliver(self, worker: str, now: datetime) -> dict[str, int]:
        """Put reminders that are due into the outbox and send what is due; gives messages by outcome."""
        if self._reminded is None or abs(now - self._reminded) >= REMIND_EVERY:
            plan_repeats(self.store, now, links_base=self.settings.links_base)
            self._reminded = now
        report = deliver_due(self.store, self.channel, now, worker, pacer=self._pacer)
        for problem in report.problems:
            log.warning("delivery", problem=problem)
        counts = {"sent": report.sent, "to be tried again": report.retry, "failed for good": report.dead}
        return {outcome: count for outcome, count in counts.items() if count}

    def test_channel(self, name: str, now: datetime) -> SendOutcome:
        """Send a test message through one configured channel now."""
        config = next((one for one in self.store.channels() if one.name == name), None)
        if config is None:
            raise DeliveryError(f"there is no channel {name!r}")
        return send_test(config, self.channel, now, self.settings.links_base)

    # ── rules and alerts ─────────────────────────────────────────────────────────────────────────────────────────

    def import_rules(self, path: Path, actor: str, now: datetime) -> int:
        """Rules of a TOML file, all or none. Raises `AlertError` naming rule and field."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise AlertError(f"{path}: cannot be read ({error})") from error
        rules = rules_from_toml(text)
        for rule in rules:
            self.store.save_rule(rule, actor, now)
        return len(rules)

    def export_rules(self) -> str:
        return rules_to_toml(self.store.rules())

    def acknowledge(self, alert_id: int, actor: str, now: datetime) -> Alert:
        return desk.acknowledge(self.store, alert_id, actor, now)

    def report_worker_dead(self, deaths: int, status: int, now: datetime) -> None:
        """What a dead worker cannot do itself: raise the alert that it is dead, and deliver it."""
        summary = f"the worker died {deaths} times in a row (last exit status {status}); nothing is polled or scored"
        self._pipeline_alerts({WORKER_SERIES: summary}, set(), now)
        self.deliver("supervisor", now + timedelta(minutes=1))  # past the wait for neighbours: there are none

    def report_worker_alive(self, now: datetime) -> None:
        """The worker is up and beats: an alert that it is dead, whoever raised it, is over."""
        self._pipeline_alerts({}, {WORKER_SERIES}, now)

    def report_stalls(self, stalled: Mapping[str, str], parts: Iterable[str], now: datetime) -> None:
        """An alert for each part of the pipeline that stands still (part → why); those of other `parts` are over."""
        self._pipeline_alerts(
            {f"pipeline:{part}": why for part, why in stalled.items()},
            {f"pipeline:{part}" for part in parts if part not in stalled},
            now,
        )

    def _pipeline_alerts(self, wrong: Mapping[str, str], right: Collection[str], now: datetime) -> None:
        tell_pipeline(self.store, wrong, right, now, self.settings.links_base)

    # ── sample news ──────────────────────────────────────────────────────────────────────────────────────────────

    def add_sample_news(self, now: datetime) -> int:
        """Our own sample news as the past before `now`, marked; gives how many articles. A second call adds none."""
        return samples.add_sample_news(self.store, now)

    def remove_sample_news(self, now: datetime) -> int:
        """Everything that came with the sample, removed; gives how many articles."""
        removed = samples.remove_sample_news(self.store, now)
        with self._lock:
            self._index = None
        return removed

    # ── looking after itself ─────────────────────────────────────────────────────────────────────────────────────

    def pulse(self, now: datetime) -> Pulse:
        """How the pipeline is, in words a risk officer can act on."""
        refused = self._refused
        note = f"model {refused[0]} was refused, the one before answers here: {refused[1]}" if refused else ""
        return read_pulse(self.store, now, (note,) if note else ())

    def status(self, now: datetime) -> dict[str, Any]:
        """The answer of `status --json`."""
        return status_answer(self.store.status(), self.pulse(now))

    def keep_house(self, now: datetime) -> None:
        """Each minute: move the WAL into the file (SQLite, worker only)."""
        self.store.checkpoint()

    def daily(self, now: datetime) -> None:
        """Once a day: the digest into the outbox, retention, the drift of the model's inputs and outputs."""
        plan_digest(self.store, now, links_base=self.settings.links_base)
        if self.settings.retention_days:
            removed = self.store.apply_retention(now - timedelta(days=self.settings.retention_days))
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
        if self._fetcher is not None:
            self._fetcher.close()
        if self._parser is not None:
            self._parser.close()
        if self._lead is not None:
            self._lead.release()
        self.store.close()


def open_app(settings: Settings | None = None, role: Role = "tool") -> App:
    """Open the store (created and migrated when absent) and put the product together."""
    settings = settings or load_settings()
    try:
        settings.home_path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"setting 'home': {settings.home_path} cannot be made ({error.strerror})") from error
    return App(settings, open_store(settings.store_url, role=role))


def restore_store(settings: Settings, file: Path) -> None:
    """Put a backup in the store's place; no other process may have it open. Raises `StoreError`."""
    settings.home_path.mkdir(parents=True, exist_ok=True)
    restore(settings.store_url, str(file))
