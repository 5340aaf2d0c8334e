"""Facts and rollups: recomputing what is dirty, verifying, and reading the counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, func, literal, select, text

from monitor.domain import CellFilter, DateQuality, Rollup, StoryFact
from monitor.rollups import Fact, Member, count, fact_of
from monitor.store.reading import ReadingPart
from monitor.store.schema import (
    SUMS,
    articles,
    cells,
    dirty_hours,
    dirty_stories,
    entities,
    hour_of,
    join_names,
    load,
    mentions,
    predictions,
    rollups,
    series,
    split_names,
    stories,
    story_facts,
    us,
    when,
    when_hour,
)

STORY_CHUNK = 4000
HOUR_CHUNK = 100
PAGE = 2000
_REFRESH_LOCK = 0x48574352
_FACT = (*Fact._fields,)
_TOPICS = _FACT.index("topics")
_LISTS = tuple(_FACT.index(name) for name in ("entities", "publishers", "families", "languages"))


class CountingPart(ReadingPart):
    def refresh_rollups(self, limit_hours: int = 500) -> int:
        """Recompute the dirty hours (all series and cells of each) under the live model; gives hours still dirty.

        Several short transactions: first facts of dirty stories, then the hours they touch. Killed in between, the
        marks are still there and the next call does the rest."""
        more = True
        for _ in range(max(1, limit_hours * 100 // STORY_CHUNK)):
            more = self._refresh_stories()
            if not more:
                break
        done = 0
        while done < limit_hours:
            refreshed = self._refresh_hours(min(HOUR_CHUNK, limit_hours - done))
            if not refreshed:
                break
            done += refreshed
        with self.read() as connection:
            hours = select(dirty_hours.c.model_id, dirty_hours.c.hour).distinct().subquery()
            left = int(connection.execute(select(func.count()).select_from(hours)).scalar_one())
            more = connection.execute(select(dirty_stories.c.id).limit(1)).one_or_none() is not None
        return max(left, 1) if more else left

    def _alone(self, connection: Connection) -> None:
        """One refresh at a time; SQLite has one writer anyway."""
        if not self.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _REFRESH_LOCK})

    def _refresh_stories(self) -> bool:
        """Recompute the facts of some dirty stories; whether there are more."""
        with self.read() as connection:
            if connection.execute(select(dirty_stories.c.id).limit(1)).one_or_none() is None:
                return False
        with self.write() as connection:
            self._alone(connection)
            query = select(dirty_stories.c.id, dirty_stories.c.story).order_by(dirty_stories.c.id).limit(STORY_CHUNK)
            marks = connection.execute(query).all()
            touched = sorted({story for _, story in marks})
            live = self._live(connection)
            hours = self._drop_facts(connection, touched, None if live is None else live.id)
            if live is not None:
                facts = self._compute(connection, touched, live.id, frozenset(load(live.languages)))
                rows = [_fact_row(live.id, story, fact) for story, fact in sorted(facts.items())]
                self.bulk(connection, story_facts, ("model_id", "story", *_FACT), rows)
                hours |= {(live.id, fact.hour) for fact in facts.values()}
            self.bulk(connection, dirty_hours, ("model_id", "hour"), sorted(hours))
            self._forget_empty(connection, touched)
            connection.execute(
                dirty_stories.delete().where(self.among(dirty_stories.c.id, [mark for mark, _ in marks]))
            )
        return len(marks) == STORY_CHUNK

    def _drop_facts(self, connection: Connection, touched: Sequence[int], live: int | None) -> set[tuple[int, int]]:
        """Take out the live model's facts of these stories, and every model's of stories that are gone."""
        f = story_facts.c
        filled = select(articles.c.story).distinct().where(self.among(articles.c.story, touched))
        there = set(connection.execute(filled).scalars())
        gone = [story for story in touched if story not in there]
        those: list[ColumnElement[bool]] = []
        if live is not None and there:
            those.append((f.model_id == live) & self.among(f.story, sorted(there)))
        if gone:
            those.append(self.among(f.story, gone))
        hours: set[tuple[int, int]] = set()
        for where in those:
            found = connection.execute(delete(story_facts).where(where).returning(f.model_id, f.hour))
            hours.update((model, hour) for model, hour in found)
        return hours

    def _forget_empty(self, connection: Connection, touched: Sequence[int]) -> None:
        """Stories without articles go, unless they point to the story they were merged into."""
        inside = select(articles.c.id).where(articles.c.story == stories.c.id)
        empty = self.among(stories.c.id, touched) & stories.c.merged_into.is_(None) & ~inside.exists()
        connection.execute(stories.delete().where(empty))

    def _compute(
        self, connection: Connection, ids: Sequence[int], model: int, languages: frozenset[str]
    ) -> dict[int, Fact]:
        a, p = articles.c, predictions.c
        query = (
            select(
                a.story,
                a.id,
                a.published,
                a.first_seen,
                a.date_quality,
                a.publisher,
                a.family,
                a.language,
                a.counts,
                p.p_negative,
                p.p_neutral,
                p.p_positive,
                p.topics,
            )
            .outerjoin(predictions, (p.article_id == a.id) & (p.model_id == model))
            .where(self.among(a.story, ids))
            .order_by(a.published, a.id)
        )
        members: dict[int, list[Member]] = {}
        for row in connection.execute(query):
            said = None if row[12] is None else tuple(row[12].split("|"))
            members.setdefault(row[0], []).append(Member._make((*row[1:12], said)))
        mentioned = (
            select(a.story, entities.c.name)
            .join(mentions, mentions.c.article_id == a.id)
            .join(entities, entities.c.id == mentions.c.entity_id)
            .where(self.among(a.story, ids))
            .distinct()
        )
        names: dict[int, set[str]] = {}
        for story, name in connection.execute(mentioned):
            names.setdefault(story, set()).add(name)
        facts = ((story, fact_of(those, names.get(story, ()), languages)) for story, those in members.items())
        return {story: fact for story, fact in facts if fact is not None}

    def _refresh_hours(self, limit: int) -> int:
        """Recompute the newest dirty hours; gives how many."""
        d = dirty_hours.c
        with self.read() as connection:
            if connection.execute(select(d.id).limit(1)).one_or_none() is None:
                return 0
        with self.write() as connection:
            self._alone(connection)
            newest = select(d.model_id, d.hour).distinct().order_by(d.model_id.desc(), d.hour.desc()).limit(limit)
            by_model: dict[int, list[int]] = {}
            for model, hour in connection.execute(newest):
                by_model.setdefault(model, []).append(hour)
            for model, hours in by_model.items():
                self._recount(connection, model, hours)
                connection.execute(dirty_hours.delete().where(d.model_id == model, self.among(d.hour, hours)))
        return sum(len(hours) for hours in by_model.values())

    def _recount(self, connection: Connection, model: int, hours: Sequence[int]) -> None:
        by_series, by_cell = count(self._facts_in(connection, model, hours))
        r, c = rollups.c, cells.c
        connection.execute(rollups.delete().where(r.model_id == model, self.among(r.hour, hours)))
        connection.execute(cells.delete().where(c.model_id == model, self.among(c.hour, hours)))
        ids = self._series_ids(connection, {name for _, name in by_series})
        self.bulk(
            connection,
            rollups,
            ("model_id", "series_id", "hour", *SUMS),
            sorted((model, ids[name], hour, *sums) for (hour, name), sums in by_series.items()),
        )
        self.bulk(
            connection,
            cells,
            ("model_id", "hour", "publisher", "language", "topic", *SUMS),
            sorted((model, *cell, *sums) for cell, sums in by_cell.items()),
        )

    def _facts_in(self, connection: Connection, model: int, hours: Sequence[int]) -> Iterator[Fact]:
        """Facts of these hours in a fixed order: sums of scores are then the same to the bit each time."""
        f = story_facts.c
        query = select(*(f[name] for name in _FACT)).where(f.model_id == model, self.among(f.hour, hours))
        for row in connection.execute(query.order_by(f.hour, f.story)):
            yield fact_from(row)

    def _series_ids(self, connection: Connection, names: set[str]) -> dict[str, int]:
        ids: dict[str, int] = {}
        for final in (False, True):
            unknown = sorted(names - ids.keys())
            if not unknown:
                break
            query = select(series.c.name, series.c.id).where(self.among(series.c.name, unknown))
            ids.update((name, key) for name, key in connection.execute(query))
            missing = sorted(names - ids.keys())
            if missing and not final:
                insert = self.insert(series).on_conflict_do_nothing(index_elements=["name"])
                connection.execute(insert, [{"name": name} for name in missing])
        return ids

    # ── reading the counts ───────────────────────────────────────────────────────────────────────────────────────

    def rollups(self, series: Sequence[str], start: datetime, end: datetime, *, step: str = "hour") -> list[Rollup]:
        """Non-empty buckets of the named series in [start, end), ordered by series and time. step: hour or day."""
        with self.read() as connection:
            live = self._live(connection)
            if live is None:
                return []
            return self._rollups(connection, live.id, sorted(set(series)), start, end, step)

    def _rollups(
        self, connection: Connection, model: int, names: Sequence[str], start: datetime, end: datetime, step: str
    ) -> list[Rollup]:
        r = rollups.c
        bucket = _bucket(r.hour, step)
        query = (
            select(series.c.name, bucket, *_added(rollups))
            .join(series, series.c.id == r.series_id)
            .where(r.model_id == model, self.among(series.c.name, names), *_span(r.hour, start, end))
            .group_by(series.c.name, bucket)
        )
        rows = sorted(connection.execute(query).all(), key=lambda row: (row[0], row[1]))
        return [_rollup(*row) for row in rows]

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
        bucket = _bucket(c.hour, step)
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
            query = query.group_by(bucket) if label is not None and not by else query.group_by(label, bucket)
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
        """Stories of a series whose first article was published in [start, end), most negative first."""
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


def _bucket(hour: Any, step: str) -> Any:
    return hour - hour % 24 if step == "day" else hour


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


def _fact_row(model: int, story: int, fact: Fact) -> tuple[Any, ...]:
    values: list[Any] = list(fact)
    values[_TOPICS] = "|".join(fact.topics)
    for at in _LISTS:
        values[at] = join_names(values[at])
    return (model, story, *values)


def fact_from(row: Any, skip: int = 0) -> Fact:
    """A `Fact` from a row that has its columns, in its order, after `skip` others."""
    values = list(row[skip:])
    values[_TOPICS] = tuple(values[_TOPICS].split("|"))
    for at in _LISTS:
        values[at] = split_names(values[at])
    return Fact(*values)
