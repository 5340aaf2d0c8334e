"""Reading the counts: rollups, cells, series and the facts behind them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal, literal_column, select

from monitor.domain import ALL, DateQuality, StoryFact
from monitor.rollups import Fact
from monitor.store.base import EVERY
from monitor.store.counting import fact_from
from monitor.store.database import chunks
from monitor.store.schema import (
    SUMS,
    WORST,
    articles,
    counters,
    entities,
    feeds,
    mentions,
    rollups,
    series,
    stories,
    story_facts,
)
from monitor.store.sums import SumsPart
from monitor.store.values import (
    hour_of,
    join_names,
    recount_name,
    us,
    when,
    when_hour,
)

PAGE = 2000
_SHORT = timedelta(days=2)
_RARE = 1000  # one story in so many
_STORIES = SUMS.index("stories")


class CountsPart(SumsPart):
    def alert_counts(
        self, start: datetime, end: datetime, *, topics_of_entities: bool = True
    ) -> list[tuple[str, int, int, int, float]]:
        """Every series' hours in [start, end) as plain rows (series, hours since 1970, stories that count towards
        alerts, the negative ones, summed score): what the spike statistic reads, a year at a time, in no order."""
        with self.read() as connection:
            live = self._live(connection)
            if live is None:
                return []
            r = rollups.c
            named = select(series.c.id, series.c.name)
            if not topics_of_entities:
                named = named.where(~(series.c.name.startswith("entity:") & series.c.name.contains("/topic:")))
            names = {row.id: row.name for row in connection.execute(named)}
            query = select(r.series_id, r.hour, r.alert_stories, r.alert_negative, r.score_sum).where(
                r.model_id == live.id, *_span(r.hour, start, end)
            )
            if not topics_of_entities:
                query = query.where(r.series_id.in_(named.with_only_columns(series.c.id)))
            rows = connection.execute(query).all()
        return [(names[key], hour, count, bad, score) for key, hour, count, bad, score in rows if key in names]

    def counts_version(self, start: datetime, end: datetime) -> int:
        """Grows when an hour of the days that [start, end) touches is counted anew, under whatever model; what was
        read of these days under one live model holds as long as it stays the same."""
        c = counters.c
        first, last = hour_of(us(start)) // 24, -(-us(end) // (24 * 3_600_000_000))
        query = select(func.coalesce(func.sum(c.value), 0)).where(
            c.name >= recount_name(first), c.name < recount_name(last)
        )
        with self.read() as connection:
            return int(connection.execute(query).scalar_one())

    # ── reading facts ────────────────────────────────────────────────────────────────────────────────────────────

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
        f = story_facts.c
        with self.read() as connection:
            live = self._live(connection)
            if live is None:
                return []
            # A long span has far more stories than are wanted: walk from the most negative on.
            walk = limit is not None and end - start > _SHORT and self._many(connection, live.id, series, start, end)
            query = _facts(live.id, start, end, walk=walk).order_by(f.score, f.story)
            query = query.where(*self._in_series(series)).limit(limit)
            if negative_only:
                query = query.where(f.sentiment == "negative")
            if counting_only:
                query = query.where(f.counts)
            if seen_after is not None:
                query = query.where(f.first_seen > us(seen_after))
            return [_story_fact(row) for row in connection.execute(query)]

    def _many(self, connection: Connection, model: int, series: str, start: datetime, end: datetime) -> bool:
        """Whether the series has so many stories in the span that some of the most negative are soon met."""
        if series == EVERY:
            return True
        found = self._rollups(connection, model, [series, ALL], start, end, "all")
        own, everything = (sum(row[2 + _STORIES] for row in found.get(name, ())) for name in (series, ALL))
        return own * _RARE >= everything

    def _in_series(self, name: str) -> list[ColumnElement[bool]]:
        f = story_facts.c
        kind, _, rest = name.partition(":")
        if name == EVERY:
            return []
        if name == "all":
            return [f.main_topic != "other"]
        if kind == "topic":
            return [self._holds(literal("|") + f.topics + literal("|"), f"|{rest}|")]
        if kind == "entity":
            entity, slash, topic = rest.rpartition("/topic:")
            if not slash:
                return [self._holds(f.entities, join_names([rest]))]
            return [
                self._holds(f.entities, join_names([entity])),
                self._holds(literal("|") + f.topics + literal("|"), f"|{topic}|"),
            ]
        if kind == "publisher":
            return [self._holds(f.publishers, join_names([rest]))]
        if kind == "language":
            return [self._holds(f.languages, join_names([rest]))]
        return [literal(False)]

    def _holds(self, column: Any, part: str) -> ColumnElement[bool]:
        """Whether a text holds a part, letter for letter (LIKE folds case on SQLite)."""
        find = func.instr if self.is_sqlite else func.strpos
        return find(column, part) > 0

    def iter_story_facts(self, start: datetime, end: datetime) -> Iterator[StoryFact]:
        """All stories of the span under the live model, oldest first, streamed a page at a time."""
        f = story_facts.c
        with self.read() as connection:
            live = self._live(connection)
        if live is None:
            return
        first, last, span = hour_of(us(start)), hour_of(us(end)), 24
        while first <= last:
            chosen = _facts(live.id, start, end).where(f.hour >= first, f.hour < first + span)
            with self.read() as connection:
                rows = connection.execute(chosen.order_by(f.hour, f.published, f.story)).all()
            yield from (_story_fact(row) for row in rows)
            first += span
            span = span * 2 if len(rows) < PAGE else max(1, span // 2) if len(rows) > 4 * PAGE else span

    def arrivals(self, start: datetime, end: datetime) -> list[tuple[str, str, int, int]]:
        """(feed's title or address, empty for what came by no feed; publisher; hours since 1970; articles) of those
        first seen in [start, end) that count towards alerts, in no order."""
        a, hour = articles.c, articles.c.first_seen // 3_600_000_000
        counted = (
            select(a.feed_id, a.publisher, hour.label("hour"), func.count().label("items"))
            .where(a.first_seen >= us(start), a.first_seen < us(end), a.counts)
            .group_by(a.feed_id, a.publisher, hour)
        )
        with self.read() as connection:
            named = connection.execute(select(feeds.c.id, feeds.c.title, feeds.c.url))
            names = {key: title or url for key, title, url in named}
            return [
                (names.get(row.feed_id, ""), row.publisher, int(row.hour), int(row.items))
                for row in connection.execute(counted)
            ]

    def named_in_title(self, story_ids: Sequence[str]) -> dict[str, frozenset[str]]:
        """Story id → the watched entities that the title of one of its articles names; stories without are left out."""
        found: dict[str, set[str]] = {}
        query = (
            select(stories.c.key, entities.c.name)
            .join(articles, articles.c.story == stories.c.id)
            .join(mentions, (mentions.c.article_id == articles.c.id) & (mentions.c.place == "title"))
            .join(entities, entities.c.id == mentions.c.entity_id)
            .distinct()
        )
        with self.read() as connection:
            for part in chunks(story_ids):
                for key, name in connection.execute(query.where(stories.c.key.in_(part))):
                    found.setdefault(key, set()).add(name)
        return {key: frozenset(names) for key, names in found.items()}


def _span(hour: Any, start: datetime, end: datetime) -> list[ColumnElement[bool]]:
    """Buckets that begin in [start, end)."""
    return [hour >= -(-us(start) // 3_600_000_000), hour < -(-us(end) // 3_600_000_000)]


def _facts(model: int, start: datetime, end: datetime, *, walk: bool = False) -> Select[Any]:
    """Facts of the span with key and title. walk: ordered from the most negative on, in the order of that index."""
    f = story_facts.c
    hour = f.hour + 0 if walk else f.hour  # SQLite would take the index of the hours, and sort them all
    query = (
        select(story_facts, stories.c.key, articles.c.title)
        .join(stories, stories.c.id == f.story)
        .join(articles, articles.c.id == f.first_article)
        .where(
            f.model_id == model,
            hour >= hour_of(us(start)),
            hour <= hour_of(us(end)),
            f.published >= us(start),
            f.published < us(end),
        )
    )
    return query.order_by(literal_column(WORST)) if walk else query


_SAME = tuple(
    name
    for name in StoryFact.__dataclass_fields__
    if name in Fact._fields and name not in ("hour", "published", "first_seen", "date_quality")
)


def _story_fact(row: Any) -> StoryFact:
    """The fact of a row of `_facts` as people and rules read it."""
    fact = fact_from(row[:-2], skip=2)
    return StoryFact(
        story_id=row.key,
        title=row.title,
        hour=when_hour(fact.hour),
        published=when(fact.published),
        first_seen=when(fact.first_seen),
        date_quality=DateQuality(fact.date_quality),
        **{name: getattr(fact, name) for name in _SAME},
    )
