"""What people set up and look after: the watchlist, rules, alerts and their delivery, the sample news."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from monitor import desk, samples, upkeep
from monitor.alerts.rules import rules_from_toml, rules_to_toml
from monitor.app.core import Core
from monitor.deliver import deliver_due, plan_repeats, send_test
from monitor.domain import Alert, ChannelConfig, SendOutcome
from monitor.entities.watchlist import entity_of, read_watchlist, write_watchlist
from monitor.errors import AlertError, DeliveryError, StoreError
from monitor.guard import AddressPolicy
from monitor.notify.base import Channel
from monitor.notify.factory import build_channel
from monitor.people import OPERATOR, Person, allow
from monitor.pulse import WORKER_SERIES, tell_pipeline

log = structlog.get_logger("app")

REMIND_EVERY = timedelta(minutes=1)
SUPERVISOR_PATIENCE_S = 10.0


class DeskPart(Core):
    def import_watchlist(self, path: Path, now: datetime) -> tuple[int, int]:
        """(entities saved, mentions found in what is stored). Raises `UploadError` naming row and column."""
        return upkeep.save_entities(self.store, read_watchlist(path), OPERATOR, now)

    def add_to_watchlist(self, row: Sequence[str], now: datetime) -> tuple[int, int]:
        """One company in the columns of the CSV, under the rules of the CSV: (1, mentions found in what is stored)."""
        return upkeep.save_entities(self.store, [entity_of(row, "watchlist add")], OPERATOR, now)

    def remove_from_watchlist(self, name: str, now: datetime) -> None:
        """Raises `StoreError` when nobody of that name is watched."""
        if all(entity.name != name for entity in self.store.entities()):
            raise StoreError(f"watchlist remove: there is no {name!r}; `watchlist list` shows the names")
        upkeep.remove_entity(self.store, name, OPERATOR, now)

    def export_watchlist(self, path: Path) -> int:
        entities = self.store.entities()
        path.write_text(write_watchlist(entities), encoding="utf-8")
        return len(entities)

    def import_rules(self, path: Path, actor: str, now: datetime) -> int:
        """Rules of a TOML file, all or none. Raises `AlertError` naming rule and field."""
        try:
            text = path.read_text(encoding="utf-8-sig")  # editors on Windows begin with a mark
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
        # Past the wait for neighbours: there are none. A slow channel must not keep the supervisor from its watch.
        self.deliver("supervisor", now + timedelta(minutes=1), patience_s=SUPERVISOR_PATIENCE_S)

    def deliver_for_worker(self, now: datetime) -> None:
        """While the worker is dead: what could not be sent is tried again when its time has come."""
        self.deliver("supervisor", now, patience_s=SUPERVISOR_PATIENCE_S)

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

    def channel(self, config: ChannelConfig) -> Channel:
        """The channel behind a configuration. Raises `DeliveryError` naming the option that cannot be used."""
        return build_channel(
            config,
            AddressPolicy(tuple(self.settings.allow_networks)),
            proxy=self.settings.egress_proxy,
            ca_bundle=self.settings.ca_bundle,
        )

    def deliver(self, worker: str, now: datetime, *, patience_s: float | None = None) -> dict[str, int]:
        """Put reminders that are due into the outbox and send what is due; gives messages by outcome (sent, retry,
        failed). patience_s: how long to wait for slow channels, which then go on by themselves; None waits for all."""
        if self._reminded is None or abs(now - self._reminded) >= REMIND_EVERY:
            plan_repeats(self.store, now, links_base=self.settings.links_base)
            self._reminded = now
        report = deliver_due(
            self.store, self.channel, now, worker, pacer=self._pacer, couriers=self._couriers, patience_s=patience_s
        )
        for problem in report.problems:
            log.warning("delivery", problem=problem)
        counts = {"sent": report.sent, "retry": report.retry, "failed": report.dead}
        return {outcome: count for outcome, count in counts.items() if count}

    def test_channel(self, name: str, now: datetime, by: Person = OPERATOR) -> SendOutcome:
        """Send a test message through one configured channel now."""
        allow(self.store, by, "analyst", "test a channel", now)
        config = next((one for one in self.store.channels() if one.name == name), None)
        if config is None:
            raise DeliveryError(f"there is no channel {name!r}")
        return send_test(config, self.channel, now, self.settings.links_base)

    def add_sample_news(self, now: datetime, by: Person = OPERATOR) -> int:
        """Our own sample news as the past before `now`, marked; gives how many articles. A second call adds none."""
        allow(self.store, by, "analyst", "add the sample news", now)
        return samples.add_sample_news(self.store, now)

    def remove_sample_news(self, now: datetime, by: Person = OPERATOR) -> int:
        """Everything that came with the sample, removed; gives how many articles."""
        allow(self.store, by, "analyst", "remove the sample news", now)
        removed = samples.remove_sample_news(self.store, now)
        with self._lock:
            self._index = None
        return removed
