"""Facts and rollups: recomputing what is dirty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, delete, func, literal, literal_column, select, text

from monitor.rollups import ANY, Fact, Member, count, fact_of
from monitor.store.reading import ReadingPart
from monitor.store.schema import (
    SUMS,
    articles,
    cell_days,
    cells,
    counters,
    dirty_hours,
    dirty_stories,
    entities,
    mentions,
    predictions,
    rollup_days,
    rollups,
    series,
    stories,
    story_facts,
)
from monitor.store.values import (
    join_names,
    load,
    recount_name,
    split_names,
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
        gone = connection.execute(stories.delete().where(empty)).rowcount
        self.count_by(connection, stories=-gone)

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
        self._note_recount(connection, hours)
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
        self._add_up_days(connection, model, sorted({hour // 24 for hour in hours}))

    def _add_up_days(self, connection: Connection, model: int, days: Sequence[int]) -> None:
        """The sums of these days again, from their hours. Both databases add doubles in an order of their own, so a
        summed score may differ in its last bits; nothing else may."""
        for kept in (rollup_days, cell_days):
            connection.execute(kept.delete().where(kept.c.model_id == model, self.among(kept.c.day, days)))
        for statement in self.day_sums(model, days):
            connection.execute(statement)

    def day_sums(self, model: int, days: Sequence[int]) -> list[Any]:
        """Statements that insert the sums of these days, whose rows must be gone."""
        hours = [hour for day in days for hour in range(day * 24, day * 24 + 24)]
        statements = []
        for kept, source, others in (
            (rollup_days, rollups, ("series_id",)),
            (cell_days, cells, ("publisher", "language", "topic")),
        ):
            by = [source.c[name] for name in others]
            day = day_of(source.c.hour)
            added = select(literal(model), *by, day, *(func.sum(source.c[name]) for name in SUMS))
            added = added.where(source.c.model_id == model, self.among(source.c.hour, hours)).group_by(*by, day)
            statements.append(kept.insert().from_select(["model_id", *others, "day", *SUMS], added))
        c = cell_days.c
        added = select(
            c.model_id, c.publisher, literal(ANY), literal(ANY), c.day, *(func.sum(c[name]) for name in SUMS)
        ).where(c.model_id == model, self.among(c.day, days), c.publisher != ANY)
        names = ["model_id", "publisher", "language", "topic", "day", *SUMS]
        statements.append(cell_days.insert().from_select(names, added.group_by(c.model_id, c.publisher, c.day)))
        return statements

    def _note_recount(self, connection: Connection, hours: Sequence[int]) -> None:
        """One more in the counter of each day that is counted anew; see `counts_version`."""
        insert = self.insert(counters)
        days = sorted({hour // 24 for hour in hours})
        connection.execute(
            insert.on_conflict_do_update(index_elements=["name"], set_={"value": counters.c.value + 1}),
            [{"name": recount_name(day), "value": 1} for day in days],
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


def day_of(hour: Any) -> Any:
    """Days since 1970 of hours since 1970, rounded down before 1970 too, on both databases."""
    day: Any = literal_column("24", Integer)
    return (hour - (hour % day + day) % day) // day


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
