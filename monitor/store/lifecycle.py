"""Stories merged, samples removed, old articles let go; and the counts that `status` shows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select

from monitor.domain import DeliveryState, FeedState, StatusCounts
from monitor.store.alerts import RESOLVED, AlertsPart
from monitor.store.counting import CountingPart
from monitor.store.counts import CountsPart
from monitor.store.database import chunks
from monitor.store.schema import (
    alerts,
    articles,
    counters,
    deliveries,
    feeds,
    stories,
)
from monitor.store.scoring import ScoringPart
from monitor.store.values import (
    load,
    position_at,
    us,
    when,
)

_BATCH = 2000


class LifecyclePart(AlertsPart, ScoringPart, CountingPart, CountsPart):
    def merge_stories(self, keep: str, others: Sequence[str]) -> None:
        """Move the articles of the others into the story `keep`; late copies that name an other follow."""
        with self.write() as connection:
            ids, first_positions = self._find_stories(connection, [keep, *others])
            if keep not in ids:
                return
            target = ids[keep]
            merged = sorted({ids[key] for key in others if key in ids} - {target})
            if not merged:
                return
            connection.execute(articles.update().where(articles.c.story.in_(merged)).values(story=target))
            connection.execute(stories.update().where(stories.c.merged_into.in_(merged)).values(merged_into=target))
            connection.execute(stories.update().where(stories.c.id.in_(merged)).values(merged_into=target))
            earliest = min(first_positions[story] for story in (target, *merged))
            self._lower_first_positions(connection, {target: earliest})
            self._mark(connection, [target, *merged])
            self.count_by(connection, stories=-len(merged))

    def remove_samples(self) -> int:
        """Remove sample feeds with all their articles, alerts about them and counts; gives how many articles."""
        with self.write() as connection:
            connection.execute(feeds.delete().where(feeds.c.sample))
            self._remove_sample_alerts(connection)
        removed = 0
        while True:
            with self.write() as connection:
                ids = list(connection.execute(select(articles.c.id).where(articles.c.sample).limit(_BATCH)).scalars())
                self._remove_articles(connection, ids)
                self.count_by(connection, articles=-len(ids), samples=-len(ids))
            removed += len(ids)
            if len(ids) < _BATCH:
                break
        if removed:
            self.refresh_rollups(5000)
        return removed

    def _remove_sample_alerts(self, connection: Connection) -> None:
        """An alert is about samples when all the stories in its evidence are; one real story keeps it."""
        for row in connection.execute(select(alerts.c.id, alerts.c.evidence)).all():
            keys = {str(story.get("story_id")) for story in load(row.evidence)["top"]}
            if not keys:
                continue
            real = (
                select(stories.c.key)
                .join(articles, articles.c.story == stories.c.id)
                .where(stories.c.key.in_(keys), ~articles.c.sample)
                .limit(1)
            )
            samples = (
                select(stories.c.key)
                .join(articles, articles.c.story == stories.c.id)
                .where(stories.c.key.in_(keys), articles.c.sample)
                .limit(1)
            )
            if connection.execute(real).first() is None and connection.execute(samples).first() is not None:
                connection.execute(alerts.delete().where(alerts.c.id == row.id))

    def apply_retention(self, older_than: datetime) -> int:
        """Forget stories whose newest article was published before; with their counts. Alerts keep their evidence."""
        removed, after = 0, -(1 << 62)
        while True:
            with self.write() as connection:
                query = (
                    select(articles.c.position, articles.c.story)
                    .where(articles.c.position > after, articles.c.position < position_at(older_than))
                    .order_by(articles.c.position)
                    .limit(_BATCH)
                )
                rows = connection.execute(query).all()
                if not rows:
                    return removed
                after = rows[-1].position
                newest = func.max(articles.c.published)
                old: list[int] = []
                for chunk in chunks(sorted({row.story for row in rows})):
                    grouped = select(articles.c.story).where(articles.c.story.in_(chunk)).group_by(articles.c.story)
                    old += connection.execute(grouped.having(newest < us(older_than))).scalars()
                gone = samples = 0
                for chunk in chunks(old):
                    those = select(articles.c.id, articles.c.sample).where(articles.c.story.in_(chunk))
                    found = connection.execute(those).all()
                    self._remove_articles(connection, [row.id for row in found])
                    gone += len(found)
                    samples += sum(row.sample for row in found)
                self.count_by(connection, articles=-gone, samples=-samples)
                removed += gone

    def _remove_articles(self, connection: Connection, ids: Sequence[int]) -> None:
        a = articles.c
        for chunk in chunks(ids):
            rows = connection.execute(
                select(a.id, a.position, a.title, a.summary, a.story).where(a.id.in_(chunk))
            ).all()
            if not rows:
                continue
            self._unindex(connection, [(row.id, row.position, row.title, row.summary) for row in rows])
            self._forget_predictions(connection, chunk)
            connection.execute(articles.delete().where(a.id.in_(chunk)))
            touched = sorted({row.story for row in rows})
            first = select(a.story, func.min(a.position)).where(a.story.in_(touched)).group_by(a.story)
            earliest = [tuple(row) for row in connection.execute(first)]
            self._lower_first_positions(connection, dict(earliest))
            self._mark(connection, touched)

    # ── status ───────────────────────────────────────────────────────────────────────────────────────────────────

    def status(self) -> StatusCounts:
        with self.read() as connection:
            waiting, unsupported, quarantined = self._queue_counts(connection)
            live = self._live(connection)
            newest = connection.execute(select(func.max(articles.c.first_seen))).scalar()
            polled = connection.execute(select(func.max(feeds.c.last_success))).scalar()
            as_of = max((at for at in (newest, polled) if at is not None), default=None)
            about = self.describe(connection)
            names = ("articles", "samples", "stories")
            counted = select(counters.c.name, counters.c.value).where(counters.c.name.in_(names))
            kept = dict(connection.execute(counted).tuples().all())
            return StatusCounts(
                articles=kept["articles"],
                stories=kept["stories"],
                unscored=waiting,
                unsupported=unsupported,
                quarantined=quarantined,
                feeds=_feed_counts(connection),
                alerts_open=int(
                    connection.execute(
                        select(func.count()).select_from(alerts).where(alerts.c.state != RESOLVED)
                    ).scalar_one()
                ),
                deliveries=_delivery_counts(connection),
                model_version=None if live is None else live.version,
                data_as_of=None if as_of is None else when(as_of),
                store=about,
                samples=kept["samples"],
            )


def _feed_counts(connection: Connection) -> dict[str, int]:
    """A feed that was never polled counts in the total only."""
    counts = {"total": 0, "ok": 0, "failing": 0, "silent": 0, "disabled": 0}
    for enabled, state, n in connection.execute(
        select(feeds.c.enabled, feeds.c.state, func.count()).group_by(feeds.c.enabled, feeds.c.state)
    ):
        counts["total"] += n
        name = FeedState.DISABLED.value if not enabled else state
        if name in counts:
            counts[name] += n
    return counts


def _delivery_counts(connection: Connection) -> dict[str, int]:
    counts = {state.value: 0 for state in DeliveryState}
    for state, n in connection.execute(select(deliveries.c.state, func.count()).group_by(deliveries.c.state)):
        counts[state] = n
    return counts
