"""Use case: what the pipeline says of itself, and the alerts about it. No data is never shown as calm."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from monitor.domain import (
    Alert,
    AlertState,
    Evidence,
    Feed,
    FeedState,
    Rule,
    RuleKind,
    Severity,
    StatusCounts,
    Transition,
    TransitionKind,
)
from monitor.notify.plan import plan_deliveries
from monitor.store.base import Store

STALE_AFTER = timedelta(seconds=90)  # a process without a beat for this long is treated as dead
WORKER_BEAT = "worker"  # written by the worker that leads; another one that only scores writes STANDBY_BEAT
STANDBY_BEAT = "standby worker"
WORKER_RULE = Rule(name="worker", kind=RuleKind.QUIET, scope=("pipeline:*",), severity=Severity.CRITICAL)
WORKER_SERIES = "pipeline:worker"
JUDGED_MODEL = "alerts.model"  # setting: the version that alerts rest on; a new one takes over once it has caught up
FEW_WAITING = 20  # so few articles without a score hold no alert back


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """The pipeline at a glance. `notes` say in words what is wrong; empty means healthy.

    worker: "running", "stale" (no sign of life for 90 s) or "never started". silent, failing: feed titles. problems:
    those of the notes that no other field holds, such as a job that fails.
    """

    worker: str
    last_beat: datetime | None
    data_as_of: datetime | None
    unscored: int
    silent: tuple[str, ...]
    failing: tuple[str, ...]
    notes: tuple[str, ...]
    problems: tuple[str, ...] = ()


class Asked(Protocol):
    """What the pulse is read from: the store, or a page's reads, which remember what did not change."""

    def status(self) -> StatusCounts: ...
    def feeds(self) -> list[Feed]: ...
    def beats(self) -> dict[str, tuple[datetime, dict[str, Any]]]: ...
    def setting(self, name: str) -> Any | None: ...


def read_pulse(store: Asked, now: datetime, more: Sequence[str] = ()) -> Pulse:
    """How the pipeline is, in words a risk officer can act on. more: notes of the process that asks."""
    counts = store.status()
    feeds = [feed for feed in store.feeds() if feed.enabled]
    found = store.beats().get(WORKER_BEAT)
    last, detail = found if found else (None, {})
    worker = "never started" if last is None else "stale" if now - last > STALE_AFTER else "running"
    silent = tuple(feed.title or feed.url for feed in feeds if feed.state is FeedState.SILENT)
    failing = tuple(feed.title or feed.url for feed in feeds if feed.state is FeedState.FAILING)
    notes = []
    if worker == "stale" and last is not None:
        notes.append(f"the worker has given no sign of life since {last:%Y-%m-%d %H:%M} UTC; what you see is old")
    elif worker == "never started":
        notes.append("the worker has not run yet; start it with: python -m monitor up")
    problems = [f"{job} fails: {error}" for job, error in dict(detail.get("errors", {})).items()]
    problems += _waits(counts, store.setting(JUDGED_MODEL))
    notes += problems
    if failing:
        first = next(feed for feed in feeds if feed.state is FeedState.FAILING)
        notes.append(f"{len(failing)} of {len(feeds)} feeds cannot be reached; {first.title}: {first.last_error}")
    if silent:
        notes.append(f"{len(silent)} feeds bring nothing against their habit")
    if counts.quarantined:
        notes.append(f"{counts.quarantined} articles could not be scored and are quarantined")
    notes += more
    return Pulse(
        worker=worker,
        last_beat=last,
        data_as_of=counts.data_as_of,
        unscored=counts.unscored,
        silent=silent,
        failing=failing,
        notes=tuple(notes),
        problems=(*problems, *more),
    )


def _waits(counts: StatusCounts, judged: str | None) -> list[str]:
    """What stands still on purpose: silence would otherwise be taken for calm."""
    found = []
    if judged is not None and judged != counts.model_version and counts.unscored > FEW_WAITING:
        found.append(
            f"spike and threshold alerts are paused: they rest on {judged} no longer, and {counts.model_version} has "
            f"still {counts.unscored:,} articles to score; they go on by themselves once it has scored the past weeks"
        )
    if counts.store.get("ingestion_paused"):
        found.append(
            f"ingestion is paused: the write-ahead log has {counts.store['wal_bytes'] // 2**20} MB because a reader "
            "stays open; nothing is lost, it goes on when the reader ends"
        )
    return found


def status_answer(counts: StatusCounts, pulse: Pulse) -> dict[str, Any]:
    """The answer of `status --json`."""
    return {
        "articles": counts.articles,
        "stories": counts.stories,
        "unscored": counts.unscored,
        "unsupported": counts.unsupported,
        "quarantined": counts.quarantined,
        "feeds": counts.feeds,
        "alerts_open": counts.alerts_open,
        "deliveries": counts.deliveries,
        "model_version": counts.model_version,
        "data_as_of": counts.data_as_of,
        "samples": counts.samples,
        "store": counts.store,
        "worker": pulse.worker,
        "notes": list(pulse.notes),
    }


def tell_pipeline(
    store: Store, wrong: Mapping[str, str], right: Collection[str], now: datetime, links_base: str
) -> None:
    """Open an alert for each series that is `wrong` (series → why) and resolve those of the series that are `right`.

    An alert that is open already stays as it is. Deliveries go into the outbox with it.
    """
    active = (AlertState.OPEN, AlertState.ACKNOWLEDGED, AlertState.ESCALATED)
    mine = {a.series: a for a in store.alerts(active, limit=10_000) if a.rule == WORKER_RULE.name}
    for series, summary in wrong.items():
        if series not in mine:
            _pipeline_alert(store, TransitionKind.OPEN, series, summary, None, now, links_base)
    for series in sorted(mine.keys() & set(right)):
        _pipeline_alert(store, TransitionKind.RESOLVE, series, "it runs again", mine[series], now, links_base)


def _pipeline_alert(
    store: Store, kind: TransitionKind, series: str, summary: str, alert: Alert | None, now: datetime, links_base: str
) -> None:
    evidence = Evidence(
        window_start=now,
        window_end=now,
        window_hours=0.0,
        stories=0,
        negative=0,
        expected=0.0,
        p_value=1.0,
        families=0,
        model_version=_live_version(store),
        rule={"name": WORKER_RULE.name, "kind": WORKER_RULE.kind.value},
    )
    transition = Transition(
        kind=kind,
        rule=WORKER_RULE.name,
        series=series,
        severity=WORKER_RULE.severity,
        at=now,
        summary=summary,
        evidence=evidence,
        alert_id=alert.id if alert else None,
    )
    planned = plan_deliveries(
        transition,
        transition.alert_id,
        store.channels(),
        WORKER_RULE,
        store.silences(now),
        now,
        links_base=links_base,
        opened_at=alert.opened_at if alert else None,
    )
    store.apply_transitions([transition], [(0, delivery) for delivery in planned], now)


def _live_version(store: Store) -> str:
    live = store.live_model()
    return live[0] if live else ""
