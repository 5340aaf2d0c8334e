"""Reading the counts: rollups, cells, series and the facts behind them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal, select

from monitor.domain import CellFilter, DateQuality, Rollup, StoryFact
from monitor.store.base import EVERY
from monitor.store.reading import ReadingPart
from monitor.store.schema import (
    SUMS,
    articles,
    cells,
    counters,
    rollups,
    series,
    stories,
    story_facts,
)
from monitor.store.values import (
    hour_of,
    join_names,
    recount_name,
    split_names,
    us,
    when,
    when_hour,
)

PAGE = 2000


class CountsPart(ReadingPart):
    def rollups(self, series: Sequence[str], start: datetime, end: datetime, *, step: str = "hour") -> list[Rollup]:
        """Non-empty buckets of the named series in [start, end), ordered by series and time. step: hour, 6h, day, or
        `all` for one bucket that begins with the span."""
        with self.read() as connection:
            live = self._live(connection)
            if live is None:
                return []
            return self._rollups(connection, live.id, sorted(set(series)), start, end, step)

    def _rollups(
        self, connection: Connection, model: int, names: Sequence[str], start: datetime, end: datetime, step: str
    ) -> list[Rollup]:
        r = rollups.c
        summed = step != "hour"  # an hour is one row already
        bucket = _bucket(r.hour, step, start)
        sums = _added(rollups) if summed else [r[name] for name in SUMS]
        # First the few numbers, then the rows by the primary key: joined with names, SQLite would walk the counts of
        # every series in the span (51 ms against 0.03 ms for a series of a million articles).
        named = connection.execute(select(series.c.id, series.c.name).where(self.among(series.c.name, names)))
        known = {row.id: row.name for row in named}
        query = select(r.series_id, bucket, *sums).where(
            r.model_id == model, self.among(r.series_id, known), *_span(r.hour, start, end)
        )
        if summed:
            query = query.group_by(r.series_id, *_grouped(bucket, step))
        rows = [(known[key], *rest) for key, *rest in connection.execute(query)]
        return [_rollup(*row) for row in sorted(rows, key=lambda row: (row[0], row[1]))]

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

    def series_names(self, start: datetime, end: datetime, prefixes: Sequence[str] = ()) -> list[str]:
        """Names of the series that have a story in [start, end), in order; prefixes such as "entity:"."""
        with self.read() as connection:
            live = self._live(connection)
            if live is None:
                return []
            r = rollups.c
            inside = select(r.series_id).where(
                r.model_id == live.id, r.series_id == series.c.id, *_span(r.hour, start, end)
            )
            names = connection.execute(select(series.c.name).where(inside.exists())).scalars()
            return sorted(name for name in names if not prefixes or name.startswith(tuple(prefixes)))

    def cells(
        self, where: CellFilter, start: datetime, end: datetime, *, step: str = "hour", by: str = ""
    ) -> list[Rollup]:
        """Added-up cells; `series` of a row is the value of `by` (publisher, language, topic) or `all`."""
        c = cells.c
        label: Any = c[by] if by in ("publisher", "language", "topic") else literal("all")
        bucket = _bucket(c.hour, step, start)
        with self.read() as connection:
            live = self._live(connection)
            if live is None:
                return []
            query = select(label, bucket, *_added(cells)).where(c.model_id == live.id, *_span(c.hour, start, end))
            for column, values in (
                (c.publisher, where.publishers),
                (c.language, where.languages),
                (c.topic, where.topics),
            ):
                if values:
                    query = query.where(column.in_(values))
            groups = [*([label] if by else []), *_grouped(bucket, step)]
            # Without a group there would be one row of nothings where nothing is found.
            query = query.group_by(*groups) if groups else query.having(func.count() > 0)
            rows = sorted(connection.execute(query).all(), key=lambda row: (row[0], row[1]))
        return [_rollup(*row) for row in rows]

    # ── reading facts ────────────────────────────────────────────────────────────────────────────────────────────

    def story_facts(
        self,
        series: str,
        start: datetime,
        end: datetime,
        *,
        negative_only: bool = False,
        counting_only: bool = False,
        limit: int | None = None,
    ) -> list[StoryFact]:
        """Stories of a series, or of `EVERY`, whose first article was published in [start, end), most negative
        first."""
        f = story_facts.c
        with self.read() as connection:
            live = self._live(connection)
            if live is None:
                return []
            query = _facts(live.id, start, end).where(*self._in_series(series))
            if negative_only:
                query = query.where(f.sentiment == "negative")
            if counting_only:
                query = query.where(f.counts)
            query = query.order_by(f.score, f.story).limit(limit)
            return [_story_fact(row) for row in connection.execute(query)]

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


_HOURS = {"6h": 6, "day": 24}


def _bucket(hour: Any, step: str, start: datetime) -> Any:
    """The hour in which the bucket of an hour begins."""
    if step == "all":
        return literal(hour_of(us(start)))
    width = _HOURS.get(step)
    return hour - hour % width if width else hour


def _grouped(bucket: Any, step: str) -> list[Any]:
    return [] if step == "all" else [bucket]


def _added(table: Any) -> list[Any]:
    return [func.sum(table.c[name]) for name in SUMS]


def _span(hour: Any, start: datetime, end: datetime) -> list[ColumnElement[bool]]:
    """Buckets that begin in [start, end)."""
    return [hour >= -(-us(start) // 3_600_000_000), hour < -(-us(end) // 3_600_000_000)]


def _rollup(name: str, hour: int, *sums: Any) -> Rollup:
    values = dict(zip(SUMS, sums, strict=True))
    score = float(values.pop("score_sum"))
    return Rollup(series=name, hour=when_hour(int(hour)), score_sum=score, **{key: int(n) for key, n in values.items()})


def _facts(model: int, start: datetime, end: datetime) -> Select[Any]:
    f = story_facts.c
    return (
        select(story_facts, stories.c.key, articles.c.title)
        .join(stories, stories.c.id == f.story)
        .join(articles, articles.c.id == f.first_article)
        .where(
            f.model_id == model,
            f.hour >= hour_of(us(start)),
            f.hour <= hour_of(us(end)),
            f.published >= us(start),
            f.published < us(end),
        )
    )


def _story_fact(row: Any) -> StoryFact:
    return StoryFact(
        story_id=row.key,
        hour=when_hour(row.hour),
        published=when(row.published),
        sentiment=row.sentiment,
        score=row.score,
        p_negative=row.p_negative,
        confidence=row.confidence,
        main_topic=row.main_topic,
        topics=tuple(row.topics.split("|")),
        entities=split_names(row.entities),
        publishers=split_names(row.publishers),
        families=split_names(row.families),
        languages=split_names(row.languages),
        articles=row.articles,
        counts=row.counts,
        date_quality=DateQuality(row.date_quality),
        title=row.title,
        first_seen=when(row.first_seen),
    )
