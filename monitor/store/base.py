"""The seam `Store`: all that the use cases and the dashboard may ask of what is kept.

One implementation (SQLAlchemy Core) serves SQLite and PostgreSQL; tests/contracts/test_store.py runs on both. Every
method is one transaction unless it says otherwise, takes and returns frozen values, and raises only `StoreError`.
The store keeps no clock: `now` is passed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from models.backend import Prediction
from monitor.domain import (
    AddCounts,
    Alert,
    AlertEvent,
    AlertState,
    Article,
    ArticleQuery,
    AuditEntry,
    CellFilter,
    ChannelConfig,
    Delivery,
    DeliveryState,
    Entity,
    Feed,
    Mention,
    NewArticle,
    NewDelivery,
    NewFeed,
    PollRecord,
    Rollup,
    RollupColumns,
    Rule,
    ScoredArticle,
    SendOutcome,
    Silence,
    StatusCounts,
    StoryFact,
    Transition,
    Verdict,
)

EVERY: Final = "*"
"""In place of a series: every story, also those whose only topic is `other`."""


class Feeds(Protocol):
    def add_feed(self, feed: NewFeed, now: datetime) -> Feed:
        """Store a feed; the same URL twice gives the feed that is there."""
        ...

    def feeds(self) -> list[Feed]: ...
    def feed(self, feed_id: int) -> Feed | None: ...
    def feed_by_url(self, url: str) -> Feed | None: ...

    def due_feeds(self, now: datetime, limit: int = 1000) -> list[Feed]:
        """Enabled feeds whose next poll is due, the longest overdue first."""
        ...

    def set_feed_enabled(self, feed_id: int, enabled: bool, reason: str, now: datetime) -> None: ...
    def edit_feed(
        self, feed_id: int, *, title: str, publisher: str, family: str, language: str, now: datetime
    ) -> None: ...

    def note_feed(self, feed_id: int, note: str) -> None: ...
    def remove_feed(self, feed_id: int) -> None:
        """Forget the feed; its articles stay."""
        ...

    def record_poll(self, record: PollRecord, articles: Sequence[NewArticle]) -> AddCounts:
        """Write what a poll left on its feed together with the articles that it brought: both or neither."""
        ...

    def record_polls(self, polls: Sequence[tuple[PollRecord, Sequence[NewArticle]]]) -> list[AddCounts]:
        """The same for several feeds in one transaction, as if one came after the other: all of it or nothing."""
        ...

    def record_quiet_polls(self, records: Sequence[PollRecord]) -> None:
        """Polls that brought no document (not modified, or failed), many in one transaction."""
        ...


class Articles(Protocol):
    def add_articles(self, articles: Sequence[NewArticle], now: datetime) -> AddCounts:
        """Insert new identities; a known identity with another title keeps the old one as a revision and is
        scored again; otherwise it counts as seen. Story hours of touched stories are marked dirty."""
        ...

    def known_identities(self, identities: Sequence[str]) -> set[str]: ...

    def recent_articles(self, since: datetime, until: datetime | None = None) -> Iterator[Article]:
        """Articles published in the span, oldest first, streamed: feeds the story index after a start."""
        ...

    def newest_article(self) -> int:
        """The highest id that was given to an article, 0 in an empty store; it tells whether anybody added some."""
        ...

    def articles_after(self, article_id: int, since: datetime) -> Iterator[Article]:
        """Articles with a higher id that were published at or after `since`, in the order of their ids."""
        ...

    def ingesting(self) -> AbstractContextManager[None]:
        """Held from reading what is known to storing what is new: of all processes and threads one at a time, so
        that two that take in news never give one event two stories. Waits, then raises `StoreBusyError`."""
        ...

    def article(self, article_id: int) -> ScoredArticle | None: ...

    def pages_due(self, publishers: Sequence[str] | None, now: datetime, limit: int) -> list[Article]:
        """Fresh articles of feeds whose page was not read yet, newest first. publishers: only theirs; None: all."""
        ...

    def save_page(self, article_id: int, text: str | None, error: str | None, now: datetime) -> None:
        """Keep the text of an article's page and make it searchable; or, with None, why there is none: it is tried
        three times. The article itself stays as it is either way."""
        ...

    def full_text(self, article_id: int) -> str | None:
        """The text of the article's page; None when it was not read, or held none."""
        ...

    def search_articles(self, query: ArticleQuery) -> tuple[list[ScoredArticle], int]:
        """One page of matches, newest first, and the total number of matches as far as `count_to`."""
        ...

    def revisions(self, article_id: int) -> list[tuple[datetime, str, str]]:
        """Earlier versions as (replaced at, title, summary), newest first."""
        ...

    def merge_stories(self, keep: str, others: Sequence[str]) -> None: ...
    def remove_samples(self) -> int:
        """Remove sample feeds with all their articles, alerts about them and counts; gives how many articles."""
        ...

    def apply_retention(self, older_than: datetime) -> int: ...


class Scoring(Protocol):
    def live_model(self) -> tuple[str, tuple[str, ...]] | None:
        """(version, languages) that predictions, rollups and alerts use now."""
        ...

    def set_live_model(self, version: str, languages: Sequence[str], actor: str, reason: str, now: datetime) -> None:
        """Switch; audited. Articles without a prediction by it are in the queue by themselves."""
        ...

    def model_history(self) -> list[tuple[datetime, str, str, str]]:
        """(at, version, actor, reason), newest first."""
        ...

    def claim_unscored(self, worker: str, limit: int, now: datetime, lease: timedelta) -> list[Article]:
        """Lease articles that the live model supports and has not scored, newest first. An expired lease is free
        again; an article leased more than three times without a result is quarantined, not returned."""
        ...

    def save_predictions(
        self, version: str, predictions: Sequence[tuple[int, Prediction | None]], now: datetime
    ) -> None:
        """Write predictions and release the leases; None quarantines the article. Touched story hours get dirty."""
        ...

    def release(self, worker: str) -> None:
        """Give back the leases of a worker that stops in order; they do not count as attempts."""
        ...

    def unscored_count(self, since: datetime | None = None) -> int:
        """Articles that wait for the live model; since: only those published at or after it."""
        ...


class Counting(Protocol):
    def refresh_rollups(self, limit_hours: int = 500) -> int:
        """Recompute the dirty hours (all series and cells of each) under the live model; gives hours still dirty."""
        ...

    def verify_rollups(self) -> list[str]:
        """Recompute everything from articles and predictions and name each difference; empty means right."""
        ...

    def rollups(self, series: Sequence[str], start: datetime, end: datetime, *, step: str = "hour") -> list[Rollup]:
        """Non-empty buckets of the named series in [start, end), ordered by series and time. step: hour, 6h, day, or
        `all` for one bucket that begins with the span."""
        ...

    def rollup_columns(
        self, series: Sequence[str], start: datetime, end: datetime, *, step: str = "hour"
    ) -> RollupColumns:
        """The same as columns: the cheap way for many buckets."""
        ...

    def alert_counts(
        self, start: datetime, end: datetime, *, topics_of_entities: bool = True
    ) -> list[tuple[str, int, int, int, float]]:
        """Every series' hours in [start, end) as plain rows (series, hours since 1970, stories that count towards
        alerts, the negative ones, summed score): what the spike statistic reads, a year at a time, in no order."""
        ...

    def counts_version(self, start: datetime, end: datetime) -> int:
        """Grows when an hour of the days that [start, end) touches is counted anew, under whatever model."""
        ...

    def cells(
        self, where: CellFilter, start: datetime, end: datetime, *, step: str = "hour", by: str = ""
    ) -> list[Rollup]:
        """Added-up cells; `series` of a row is the value of `by` (publisher, language, topic) or `all`. step: as
        for rollups."""
        ...

    def cell_columns(
        self, where: CellFilter, start: datetime, end: datetime, *, step: str = "hour", by: str = ""
    ) -> RollupColumns:
        """The same as columns."""
        ...

    def story_facts(
        self,
        series: str,
        start: datetime,
        end: datetime,
        *,
        negative_only: bool = False,
        counting_only: bool = False,
        seen_after: datetime | None = None,
        limit: int | None = None,
    ) -> list[StoryFact]:
        """Stories of a series, or of `EVERY`, whose first article was published in [start, end), most negative
        first. seen_after: only those first seen after it."""
        ...

    def iter_story_facts(self, start: datetime, end: datetime) -> Iterator[StoryFact]:
        """All stories of the span under the live model, oldest first, streamed (backtests, calibration)."""
        ...

    def story_articles(self, story_id: str) -> list[ScoredArticle]: ...

    def arrivals(self, start: datetime, end: datetime) -> list[tuple[str, str, int, int]]:
        """(feed's title or address, empty for what came by no feed; publisher; hours since 1970; articles) of those
        first seen in [start, end) that count towards alerts, in no order."""
        ...

    def named_in_title(self, story_ids: Sequence[str]) -> dict[str, frozenset[str]]:
        """Story id → the watched entities that the title of one of its articles names; stories without are left out."""
        ...


class Entities(Protocol):
    def entities(self) -> list[Entity]: ...

    def save_entity(self, entity: Entity, now: datetime) -> Entity:
        """Insert (id 0) or replace by name. Matching back over the store is the caller's work (see add_mentions)."""
        ...

    def remove_entity(self, name: str, now: datetime) -> None: ...

    def replace_mentions(self, entity_id: int, mentions: Iterable[tuple[int, Mention]]) -> int:
        """Set the (article id, mention) pairs of one entity, mark the hours dirty; gives how many."""
        ...


class Alerts(Protocol):
    def rules(self) -> list[Rule]: ...
    def save_rule(self, rule: Rule, actor: str, now: datetime) -> None: ...
    def remove_rule(self, name: str, actor: str, now: datetime) -> None: ...

    def alerts(
        self, states: Sequence[AlertState] = (), *, since: datetime | None = None, limit: int = 500
    ) -> list[Alert]:
        """Newest first."""
        ...

    def alert(self, alert_id: int) -> Alert | None: ...
    def alert_events(self, alert_id: int) -> list[AlertEvent]: ...

    def apply_transitions(
        self, transitions: Sequence[Transition], deliveries: Sequence[tuple[int, NewDelivery]], now: datetime
    ) -> list[int]:
        """Write transitions and the deliveries they cause in ONE transaction (outbox). Each delivery names the
        index of its transition; its alert id is filled in. A delivery key that exists is not written twice.
        Gives the alert id of each transition. Audited."""
        ...

    def change_alert(
        self,
        alert_id: int,
        *,
        kind: str,
        actor: str,
        now: datetime,
        note: str = "",
        state: AlertState | None = None,
        assignee: str | None = None,
        snoozed_until: datetime | None = None,
        verdict: str | None = None,
        deliveries: Sequence[NewDelivery] = (),
    ) -> Alert:
        """A person's step (acknowledge, assign, comment, snooze, resolve, reopen, verdict): an event and audit."""
        ...

    def last_resolved(self) -> dict[tuple[str, str], datetime]:
        """(rule, series) → when its last alert was resolved; for the cooldown."""
        ...

    def silences(self, at: datetime | None = None) -> list[Silence]: ...
    def save_silence(self, silence: Silence, now: datetime) -> Silence: ...
    def end_silence(self, silence_id: int, actor: str, now: datetime) -> None: ...


class Deliveries(Protocol):
    def add_deliveries(self, deliveries: Sequence[NewDelivery], now: datetime) -> int: ...

    def claim_deliveries(
        self, worker: str, now: datetime, lease: timedelta, limit: int = 500, *, without: Sequence[str] = ()
    ) -> list[Delivery]:
        """Lease what is due (pending or failed) on other channels than `without`, oldest first; an expired lease is
        free again."""
        ...

    def record_deliveries(self, outcomes: Sequence[tuple[int, SendOutcome, datetime | None]], now: datetime) -> None:
        """(delivery id, outcome, when to try again); None with `retry` or `failed` means dead."""
        ...

    def deliveries(self, states: Sequence[DeliveryState] = (), limit: int = 200) -> list[Delivery]: ...
    def resend(self, delivery_id: int, actor: str, now: datetime) -> None: ...
    def channels(self) -> list[ChannelConfig]: ...
    def save_channel(self, channel: ChannelConfig, actor: str, now: datetime) -> None: ...
    def remove_channel(self, name: str, actor: str, now: datetime) -> None: ...


class Desk(Protocol):
    def save_verdict(self, verdict: Verdict) -> None: ...
    def verdicts(self, subject_prefix: str = "") -> list[Verdict]: ...
    def setting(self, name: str) -> Any | None: ...
    def set_setting(self, name: str, value: Any, actor: str, now: datetime) -> None: ...
    def append_audit(self, actor: str, action: str, subject: str, detail: dict[str, Any], now: datetime) -> None: ...
    def audit(self, limit: int = 200) -> list[AuditEntry]: ...

    def verify_audit(self, head: tuple[int, str] | None = None) -> str | None:
        """None when the chain holds, else a line that names the first broken entry. head: (entry, hash) as a digest
        carried it; the log must hold that entry still."""
        ...

    def beat(self, name: str, now: datetime, detail: dict[str, Any]) -> None:
        """Leave a sign of life of a process or job (unaudited); `beats` reads them: stale means dead."""
        ...

    def beats(self) -> dict[str, tuple[datetime, dict[str, Any]]]: ...


class Store(Feeds, Articles, Scoring, Counting, Entities, Alerts, Deliveries, Desk, Protocol):
    """Everything together. `monitor.store.open_store(url, ...)` opens one and migrates it."""

    def status(self) -> StatusCounts: ...
    def data_version(self) -> int:
        """Grows with every write that a page could show; a page that saw this number need not read again."""
        ...

    def backup(self, path: str) -> None:
        """A consistent copy while others read and write."""
        ...

    def checkpoint(self) -> None:
        """SQLite only, worker only: move the WAL into the file (see S1, S3); elsewhere nothing."""
        ...

    def close(self) -> None: ...
