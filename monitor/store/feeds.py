"""Feeds: their list, their state, and what a poll leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select

from monitor.domain import AddCounts, Feed, FeedState, NewArticle, NewFeed, PollRecord
from monitor.errors import StoreError
from monitor.redaction import redact
from monitor.store.articles import ArticlesPart
from monitor.store.schema import (
    feeds,
)
from monitor.store.values import (
    us,
    when,
    when_or_none,
)

_CLOCK_JUMP = timedelta(hours=2)  # more than any cadence: an hour back delays a poll, it does not double it


class FeedsPart(ArticlesPart):
    def add_feed(self, feed: NewFeed, now: datetime) -> Feed:
        """Store a feed; the same URL twice gives the feed that is there."""
        publisher = feed.publisher or feed.title or redact(feed.url)
        with self.write() as connection:
            connection.execute(
                self.insert(feeds).on_conflict_do_nothing(index_elements=["url"]),
                {
                    "url": feed.url,
                    "title": feed.title,
                    "publisher": publisher,
                    "family": feed.family or publisher,
                    "language": feed.language,
                    "enabled": feed.enabled,
                    "sample": feed.sample,
                    "note": feed.note,
                    "state": FeedState.NEW.value if feed.enabled else FeedState.DISABLED.value,
                    "added": us(now),
                    "interval_s": 900.0,
                    "failures": 0,
                },
            )
            row = connection.execute(select(feeds).where(feeds.c.url == feed.url)).one()
        return _feed(row)

    def feeds(self) -> list[Feed]:
        with self.read() as connection:
            return [_feed(row) for row in connection.execute(select(feeds).order_by(feeds.c.id))]

    def feed(self, feed_id: int) -> Feed | None:
        with self.read() as connection:
            row = connection.execute(select(feeds).where(feeds.c.id == feed_id)).one_or_none()
        return None if row is None else _feed(row)

    def feed_by_url(self, url: str) -> Feed | None:
        with self.read() as connection:
            row = connection.execute(select(feeds).where(feeds.c.url == url)).one_or_none()
        return None if row is None else _feed(row)

    def due_feeds(self, now: datetime, limit: int = 1000) -> list[Feed]:
        """Enabled feeds whose next poll is due: never polled first, then the longest overdue.

        One that was polled in the future is due too: the clock was ahead then, and its next poll would be days away.
        """
        due = or_(
            feeds.c.next_poll.is_(None), feeds.c.next_poll <= us(now), feeds.c.last_polled > us(now + _CLOCK_JUMP)
        )
        query = (
            select(feeds)
            .where(feeds.c.enabled, due)
            .order_by(feeds.c.next_poll.is_not(None), feeds.c.next_poll, feeds.c.id)
            .limit(limit)
        )
        with self.read() as connection:
            return [_feed(row) for row in connection.execute(query)]

    def set_feed_enabled(self, feed_id: int, enabled: bool, reason: str, now: datetime) -> None:
        """Enabling makes the feed due at once and forgets its failures; the reason is shown as its note."""
        values: dict[str, Any] = {"enabled": enabled, "note": reason}
        if enabled:
            values |= {"state": FeedState.NEW.value, "next_poll": us(now), "failures": 0, "last_error": None}
        else:
            values |= {"state": FeedState.DISABLED.value}
        with self.write() as connection:
            changed = connection.execute(feeds.update().where(feeds.c.id == feed_id).values(**values))
            if changed.rowcount == 0:
                raise StoreError(f"store: there is no feed {feed_id}")

    def edit_feed(self, feed_id: int, *, title: str, publisher: str, family: str, language: str, now: datetime) -> None:
        """Later articles carry the new names; stored ones keep what they were stored with."""
        with self.write() as connection:
            changed = connection.execute(
                feeds.update()
                .where(feeds.c.id == feed_id)
                .values(title=title, publisher=publisher, family=family or publisher, language=language)
            )
            if changed.rowcount == 0:
                raise StoreError(f"store: there is no feed {feed_id}")

    def note_feed(self, feed_id: int, note: str) -> None:
        with self.write() as connection:
            connection.execute(feeds.update().where(feeds.c.id == feed_id).values(note=note))

    def remove_feed(self, feed_id: int) -> None:
        """Forget the feed; its articles stay."""
        with self.write() as connection:
            connection.execute(feeds.delete().where(feeds.c.id == feed_id))

    def record_poll(self, record: PollRecord, articles: Sequence[NewArticle]) -> AddCounts:
        """Write what a poll left on its feed together with the articles that it brought: both or neither."""
        return self.record_polls([(record, articles)])[0]

    def record_polls(self, polls: Sequence[tuple[PollRecord, Sequence[NewArticle]]]) -> list[AddCounts]:
        """The same for several feeds in one transaction: all of it or nothing."""
        if not polls:
            return []
        batches = [articles for _, articles in polls]
        with self.write(ingest=any(batches)) as connection:
            counts = self._add_batches(connection, batches, polls[0][0].polled)
            those = self.among(feeds.c.id, [record.feed_id for record, _ in polls])
            found = {row.id: row for row in connection.execute(select(feeds).where(those))}
            for (record, articles), count in zip(polls, counts, strict=True):
                if record.feed_id in found:  # else removed while it was polled
                    self._write_poll(connection, found[record.feed_id], record, articles if count.new else ())
        return counts

    def record_quiet_polls(self, records: Sequence[PollRecord]) -> None:
        """Polls that brought no document (not modified, or failed), many in one transaction."""
        if not records:
            return
        f = feeds.c
        known = select(
            f.id, f.enabled, f.state, f.last_success, f.items_per_day, f.batches_per_day, f.etag, f.last_modified
        )
        with self.write() as connection:
            found = {
                row.id: row for row in connection.execute(known.where(self.among(f.id, [r.feed_id for r in records])))
            }
            there = [record for record in records if record.feed_id in found]  # others were removed meanwhile
            if there:
                connection.execute(_QUIET, [_quiet(record, found[record.feed_id]) for record in there])

    def _write_poll(self, connection: Connection, feed: Any, record: PollRecord, new: Sequence[NewArticle]) -> None:
        values: dict[str, Any] = {
            "last_polled": us(record.polled),
            "next_poll": us(record.next_poll),
            "interval_s": record.interval_s,
            "failures": record.failures,
            "last_error": record.error,
        }
        if feed.enabled:  # a person who disabled it meanwhile wins
            values["state"] = record.state.value
            values["enabled"] = record.state is not FeedState.DISABLED
        if record.ok:  # validators are stored only after a body that parsed
            values |= {
                "last_success": us(record.polled),
                "etag": record.etag,
                "last_modified": record.last_modified,
            }
        if record.items_per_day is not None:
            values["items_per_day"] = record.items_per_day
        if record.batches_per_day is not None:
            values["batches_per_day"] = record.batches_per_day
        if record.language:
            values["language"] = record.language
        if record.title and not feed.title:
            values["title"] = record.title
        if new:
            values["last_item"] = max(us(article.first_seen) for article in new)
        if record.note is not None:
            values["note"] = record.note
        if record.new_url and record.new_url != feed.url:
            taken = connection.execute(select(feeds.c.id).where(feeds.c.url == record.new_url)).one_or_none()
            if taken is None:
                values["url"] = record.new_url
        connection.execute(feeds.update().where(feeds.c.id == record.feed_id).values(**values))


_QUIET_COLUMNS = (
    *("last_polled", "next_poll", "interval_s", "failures", "last_error", "state", "enabled", "last_success"),
    *("items_per_day", "batches_per_day", "etag", "last_modified"),
)
_QUIET = (
    feeds.update()
    .where(feeds.c.id == bindparam("b_id"))
    .values({name: bindparam(f"b_{name}") for name in _QUIET_COLUMNS})
)


def _quiet(record: PollRecord, was: Any) -> dict[str, Any]:
    """Parameters of `_QUIET`: what the poll changes, and the rest as it was."""
    return {
        "b_id": was.id,
        "b_last_polled": us(record.polled),
        "b_next_poll": us(record.next_poll),
        "b_interval_s": record.interval_s,
        "b_failures": record.failures,
        "b_last_error": record.error,
        # a person who disabled it meanwhile wins
        "b_state": record.state.value if was.enabled else was.state,
        "b_enabled": was.enabled and record.state is not FeedState.DISABLED,
        "b_last_success": us(record.polled) if record.ok else was.last_success,
        "b_items_per_day": was.items_per_day if record.items_per_day is None else record.items_per_day,
        "b_batches_per_day": was.batches_per_day if record.batches_per_day is None else record.batches_per_day,
        "b_etag": record.etag if record.ok else was.etag,
        "b_last_modified": record.last_modified if record.ok else was.last_modified,
    }


def _feed(row: Any) -> Feed:
    return Feed(
        id=row.id,
        url=row.url,
        title=row.title,
        publisher=row.publisher,
        family=row.family,
        language=row.language,
        enabled=row.enabled,
        sample=row.sample,
        note=row.note,
        state=FeedState(row.state),
        added=when(row.added),
        etag=row.etag,
        last_modified=row.last_modified,
        interval_s=row.interval_s,
        next_poll=when_or_none(row.next_poll),
        last_polled=when_or_none(row.last_polled),
        last_success=when_or_none(row.last_success),
        last_item=when_or_none(row.last_item),
        failures=row.failures,
        last_error=row.last_error,
        items_per_day=row.items_per_day,
        batches_per_day=row.batches_per_day,
    )
