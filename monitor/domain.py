"""The frozen types of the vocabulary. No I/O, no clock: `now` is passed in, and every time is aware UTC.

Each stage of the pipeline hands the next one a value of one of these types, never a dict:
`ArticleDraft → NewArticle → Article → Prediction → Rollup → Alert → Delivery`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from models.backend import Prediction

__all__ = ["Prediction"]


# ── feeds ────────────────────────────────────────────────────────────────────────────────────────────────────────


class DateQuality(StrEnum):
    EXACT = "exact"  # the source gave a time
    DAY = "day"  # the source gave a calendar day only; judged in calendar-day windows
    NONE = "none"  # no usable date: published := first_seen; never counts towards an alert


class FeedState(StrEnum):
    NEW = "new"  # never polled
    OK = "ok"
    FAILING = "failing"  # the last poll failed; backing off, never given up
    SILENT = "silent"  # answers, but brings nothing against its own habit
    DISABLED = "disabled"  # by a person, or by HTTP 410


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFeed:
    """What a person, OPML or the default list says of a feed before it is stored."""

    url: str
    title: str = ""
    publisher: str = ""
    family: str = ""  # publishers of one group are one voice; defaults to the publisher
    language: str = "en"  # ISO 639-1
    enabled: bool = True
    sample: bool = False  # our own sample news; removed with one click
    note: str = ""  # for example "unverified" for an address nobody has reached yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    id: int
    url: str
    title: str
    publisher: str
    family: str
    language: str
    enabled: bool
    sample: bool
    note: str
    state: FeedState
    added: datetime
    etag: str | None = None
    last_modified: str | None = None
    interval_s: float = 900.0  # present cadence, between 5 and 60 minutes
    next_poll: datetime | None = None
    last_polled: datetime | None = None
    last_success: datetime | None = None
    last_item: datetime | None = None  # first_seen of the newest item
    failures: int = 0  # in a row
    last_error: str | None = None
    items_per_day: float | None = None  # its habit; None until it is known


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleDraft:
    """One item as the parser gives it: plain text, links only http(s), no identity yet."""

    guid: str | None
    url: str | None
    title: str
    summary: str
    author: str = ""
    published: datetime | None = None
    date_quality: DateQuality = DateQuality.NONE
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedFeed:
    title: str
    language: str | None
    drafts: tuple[ArticleDraft, ...]
    ttl_s: float | None = None  # the feed's own wish (<ttl>, sy:updatePeriod)
    dropped: int = 0  # items beyond the newest 1,000, or without title and link


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An answer of a feed server that is worth parsing, or `not_modified`."""

    url: str  # where it finally came from
    status: int
    body: bytes = b""
    content_type: str = ""
    etag: str | None = None
    last_modified: str | None = None
    max_age_s: float | None = None
    retry_after_s: float | None = None
    moved_permanently: bool = False

    @property
    def not_modified(self) -> bool:
        return self.status == 304


@dataclass(frozen=True, slots=True, kw_only=True)
class PollRecord:
    """What a poll leaves behind on its feed; written together with the articles it brought."""

    feed_id: int
    polled: datetime
    next_poll: datetime
    interval_s: float
    state: FeedState
    ok: bool
    etag: str | None = None  # validators are stored only after a body that parsed
    last_modified: str | None = None
    failures: int = 0
    error: str | None = None
    title: str | None = None
    items_per_day: float | None = None
    new_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PollResult:
    """One line of a round: counts, or the reason why there are none."""

    feed: Feed
    new: int = 0
    revised: int = 0
    seen: int = 0
    not_modified: bool = False
    error: str | None = None


# ── articles, stories, entities ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    entity_id: int
    where: str  # "title" or "lead"
    confidence: float  # 0 to 1
    alias: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewArticle:
    """An article ready to be stored. `identity` is stable across re-polls; `story_id` names the story it reports."""

    identity: str
    story_id: str  # identity of the story's first stored article
    feed_id: int | None
    publisher: str
    family: str
    language: str
    title: str
    summary: str
    url: str | None
    author: str
    published: datetime
    first_seen: datetime
    date_quality: DateQuality
    counts: bool  # may count towards an alert: dated, and not from a feed's first poll
    sample: bool = False
    mentions: tuple[Mention, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    id: int
    identity: str
    story_id: str
    feed_id: int | None
    publisher: str
    family: str
    language: str
    title: str
    summary: str
    url: str | None
    author: str
    published: datetime
    first_seen: datetime
    date_quality: DateQuality
    counts: bool
    sample: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCounts:
    new: int = 0
    revised: int = 0
    seen: int = 0  # already there, unchanged


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredArticle:
    """An article as people see it: with its prediction by the live model, its entities and the size of its story."""

    article: Article
    prediction: Prediction | None
    state: str  # "scored", "waiting", "unsupported", "quarantined"
    entities: tuple[str, ...] = ()
    story_articles: int = 1
    story_publishers: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    id: int
    name: str
    aliases: tuple[str, ...] = ()
    ticker: str | None = None
    lei: str | None = None
    weight: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryFact:
    """A story under one model version, as rollups and alerts count it: once, in the hour of its first article.

    sentiment: argmax of the mean probabilities over its scored articles. topics: those that at least half of its
    scored articles carry; main topic is its first article's. families: distinct publisher families of all articles.
    """

    story_id: str
    hour: datetime  # start of the hour of its first article
    published: datetime
    sentiment: str
    score: float  # mean of positive minus negative probability
    p_negative: float
    confidence: float
    main_topic: str
    topics: tuple[str, ...]
    entities: tuple[str, ...]
    publishers: tuple[str, ...]
    families: tuple[str, ...]
    languages: tuple[str, ...]
    articles: int
    counts: bool  # at least one of its articles counts towards alerts
    date_quality: DateQuality
    title: str
    first_seen: datetime  # of its first counting article, else of its first article


# ── series and rollups ───────────────────────────────────────────────────────────────────────────────────────────


def series_of_topic(topic: str) -> str:
    return f"topic:{topic}"


def series_of_entity(entity: str, topic: str | None = None) -> str:
    return f"entity:{entity}" if topic is None else f"entity:{entity}/topic:{topic}"


ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollup:
    """Counts of one series in one bucket (an hour; a day when asked for days) under one model version.

    articles: all articles of the stories counted here. stories = negative + neutral + positive.
    alert_stories, alert_negative: the part that counts towards alerts. score_sum: sum of the stories' scores.
    """

    series: str
    hour: datetime
    articles: int
    stories: int
    negative: int
    neutral: int
    positive: int
    score_sum: float
    alert_stories: int
    alert_negative: int


# ── rules, alerts ────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── notifications ────────────────────────────────────────────────────────────────────────────────────────────────


class DeliveryState(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"  # will be retried
    DEAD = "dead"  # failed for good; visible, can be sent again


class SendReason(StrEnum):
    FIRST = "first"
    WORSENED = "worsened"
    ESCALATED = "escalated"
    RESOLVED = "resolved"
    REPEAT_DUE = "repeat_due"
    DIGEST = "digest"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelConfig:
    """A configured channel. `options` may hold secrets: never log, show or raise them."""

    name: str
    kind: str  # email, webhook, slack, teams, dingtalk, feishu, wecom, apprise, console
    options: dict[str, Any] = field(default_factory=dict)
    enabled: bool = True
    min_severity: Severity = Severity.INFO


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """One notification to one channel, written in the transaction of the transition that caused it (outbox)."""

    key: str  # idempotency key: the same cause and channel give the same key
    channel: str
    reason: SendReason
    group_key: str  # deliveries of one group and channel may be sent as one message
    due: datetime
    alert_ids: tuple[int, ...] = ()
    payload: dict[str, Any] = field(default_factory=dict)  # all that rendering needs, frozen


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    id: int
    key: str
    channel: str
    reason: SendReason
    group_key: str
    state: DeliveryState
    due: datetime
    created: datetime
    attempts: int
    alert_ids: tuple[int, ...]
    payload: dict[str, Any]
    last_error: str | None = None
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a channel sends: plain text everywhere, already cut to the channel's limits by render."""

    key: str
    subject: str
    text: str
    severity: Severity
    url: str | None = None
    data: dict[str, Any] = field(default_factory=dict)  # the structured form, for webhooks


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOutcome:
    """sent, retry (with what the server asked for, seconds) or failed for good, with the reason in words."""

    status: str  # "sent", "retry", "failed"
    detail: str = ""
    retry_after_s: float | None = None


# ── people ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """An analyst's correction or confirmation. subject: "article:<id>" or "alert:<id>"."""

    subject: str
    actor: str
    at: datetime
    right: bool
    reason: str = ""  # wrong_company, not_negative, not_material, …
    sentiment: str | None = None
    topics: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    previous_hash: str
    hash: str


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleQuery:
    """A question to the store for articles; None or empty means "any". Newest first."""

    text: str = ""  # words, "quoted phrases", -minus
    start: datetime | None = None
    end: datetime | None = None
    sentiments: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    publishers: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    min_confidence: float = 0.0
    unsure_only: bool = False
    story_id: str | None = None
    group_stories: bool = False  # one row a story: its first article
    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFilter:
    """Which cells (hour × publisher × language × main topic) are added up."""

    publishers: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusCounts:
    articles: int
    stories: int
    unscored: int  # only what the live model supports
    unsupported: int
    quarantined: int
    feeds: dict[str, int]  # total, ok, failing, silent, disabled
    alerts_open: int
    deliveries: dict[str, int]  # pending, sent, failed, dead
    model_version: str | None
    data_as_of: datetime | None  # newest first_seen, or newest successful poll if later
    samples: int = 0  # articles of the sample news
    store: dict[str, Any] = field(default_factory=dict)  # kind, version, write-ahead log, who checkpoints, paused
