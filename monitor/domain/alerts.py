"""Rules, and the alerts that they open."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class RuleKind(StrEnum):
    SPIKE = "spike"
    THRESHOLD = "threshold"
    CRITICAL_STORY = "critical_story"
    KEYWORD = "keyword"
    QUIET = "quiet"


class AlertState(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    ESCALATED = "escalated"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What to watch, which statistic, thresholds, severity, channels, cooldown. Validated in monitor/alerts/rules.py.

    scope: series patterns, e.g. ("all", "topic:*", "entity:*"). params: the kind's own thresholds, named and
    validated there. channels: names; empty means every channel. Durations are in seconds.
    """

    name: str
    kind: RuleKind
    scope: tuple[str, ...]
    params: dict[str, Any] = field(default_factory=dict)
    severity: Severity = Severity.WARNING
    channels: tuple[str, ...] = ()
    cooldown_s: float = 3600.0
    escalate_after_s: float | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Why an alert fired, frozen as it was at that moment.

    stories: newest and strongest first, each a JSON-able dict with story_id, title, published, publishers, families,
    and its articles (title, url, publisher, published, first_seen, prediction). baseline: what the expectation rests
    on: span (real first and last hour), hours, level, shape, exposure, dispersion and the hourly sample.
    """

    window_start: datetime
    window_end: datetime
    window_hours: float
    stories: int
    negative: int
    expected: float
    p_value: float
    families: int
    model_version: str
    rule: dict[str, Any]
    top: tuple[dict[str, Any], ...] = ()
    baseline: dict[str, Any] = field(default_factory=dict)

    @property
    def from_statistic(self) -> bool:
        """Whether `expected` and `p_value` were reckoned: other kinds of rule than spike hold fixed numbers there."""
        return bool(self.rule.get("kind", RuleKind.SPIKE) == RuleKind.SPIKE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    id: int
    rule: str
    series: str
    severity: Severity
    state: AlertState
    opened_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    summary: str
    evidence: Evidence
    assignee: str | None = None
    snoozed_until: datetime | None = None
    inhibited_by: int | None = None
    verdict: str | None = None  # "right", "false_alarm" or None


class TransitionKind(StrEnum):
    OPEN = "open"
    UPDATE = "update"  # same alert, more evidence
    WORSEN = "worsen"  # severity went up, or the count doubled: worth another word
    ESCALATE = "escalate"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """What `evaluate` decided about one (rule, series); `watch` writes it, with its deliveries, in one transaction."""

    kind: TransitionKind
    rule: str
    series: str
    severity: Severity
    at: datetime
    summary: str
    evidence: Evidence
    alert_id: int | None = None  # None for OPEN
    inhibited_by: str | None = None  # series of the open alert that explains this one


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent:
    """One line of an alert's time line."""

    alert_id: int
    at: datetime
    kind: str  # a TransitionKind, or acknowledge, assign, comment, snooze, reopen, verdict
    actor: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    id: int
    matcher: str  # a series pattern, e.g. "topic:market_move" or "entity:Acme*"
    rule: str | None
    start: datetime
    end: datetime
    actor: str
    note: str = ""
