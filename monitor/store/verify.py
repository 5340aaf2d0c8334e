"""Recompute all counts from articles and predictions, and name each difference."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from sqlalchemy import func, select

from monitor.rollups import ANY, Fact, Sums, count
from monitor.store.counting import CountingPart, fact_from
from monitor.store.schema import (
    SUMS,
    articles,
    cell_days,
    cells,
    counters,
    dirty_hours,
    dirty_stories,
    rollup_days,
    rollups,
    series,
    stories,
    story_facts,
)
from monitor.store.values import (
    load,
    when_hour,
)

_STORIES = 5000
_HOURS = 200
_DAYS = 10
_MOST = 1000


class VerifyPart(CountingPart):
    def verify_rollups(self) -> list[str]:
        """Recompute everything from articles and predictions and name each difference (at most 1,000); empty means
        right. What is marked dirty at that moment is due to be recomputed anyway and is passed over."""
        with self.read() as connection:
            live = self._live(connection)
        if live is None:
            return []
        languages = frozenset(load(live.languages))
        checks = chain(
            self._verify_facts(live.id, languages),
            self._verify_hours(live.id),
            self._verify_days(live.id),
            self._verify_counters(),
        )
        return list(islice(checks, _MOST))

    def _verify_facts(self, model: int, languages: frozenset[str]) -> Iterable[str]:
        f = story_facts.c
        after = 0
        while True:
            with self.read() as connection:
                known = select(stories.c.id, stories.c.key).where(stories.c.id > after).order_by(stories.c.id)
                keys = {row.id: row.key for row in connection.execute(known.limit(_STORIES))}
                if not keys:
                    return
                first, after = after, max(keys)
                dirty = set(
                    connection.execute(
                        select(dirty_stories.c.story).where(dirty_stories.c.story.between(first, after))
                    ).scalars()
                )
                computed = self._compute(connection, sorted(keys), model, languages)
                query = select(f.story, *(f[name] for name in Fact._fields)).where(
                    f.model_id == model, f.story > first, f.story <= after
                )
                kept = {row.story: fact_from(row, skip=1) for row in connection.execute(query)}
            for story in sorted((computed.keys() | kept.keys()) - dirty):
                was, is_now = kept.get(story), computed.get(story)
                if was != is_now:
                    yield f"story {keys.get(story, story)}: kept {_shown(was)}, recomputed {_shown(is_now)}"

    def verify_span(self, hours: range) -> Iterable[str]:
        """The same for the stories, hours and days of some whole days (hours since 1970): a sample of a large store."""
        with self.read() as connection:
            live = self._live(connection)
            if live is None:
                return
            languages = frozenset(load(live.languages))
            f = story_facts.c
            query = select(f.story, *(f[name] for name in Fact._fields))
            inside = query.where(f.model_id == live.id, f.hour.between(hours[0], hours[-1]))
            kept = {row.story: fact_from(row, skip=1) for row in connection.execute(inside)}
            computed = self._compute(connection, sorted(kept), live.id, languages)
        for story, fact in kept.items():
            if computed.get(story) != fact:
                yield f"story {story}: kept {_shown(fact)}, recomputed {_shown(computed.get(story))}"
        yield from self._verify_some_hours(live.id, hours)
        days = range(hours[0] // 24, hours[-1] // 24 + 1)
        yield from self._verify_some_days(live.id, rollup_days, rollups, ("series_id",), days)
        yield from self._verify_some_days(live.id, cell_days, cells, ("publisher", "language", "topic"), days)

    def _verify_hours(self, model: int) -> Iterable[str]:
        with self.read() as connection:
            bounds = [
                connection.execute(select(func.min(t.c.hour), func.max(t.c.hour)).where(t.c.model_id == model)).one()
                for t in (story_facts, rollups, cells)
            ]
        there = [(low, high) for low, high in bounds if low is not None]
        if not there:
            return
        low, high = min(low for low, _ in there), max(high for _, high in there)
        for first in range(low, high + 1, _HOURS):
            yield from self._verify_some_hours(model, range(first, first + _HOURS))

    def _verify_some_hours(self, model: int, hours: range) -> Iterable[str]:
        with self.read() as connection:
            d = dirty_hours.c
            dirty = set(
                connection.execute(
                    select(d.hour).where(d.model_id == model, d.hour.between(hours[0], hours[-1]))
                ).scalars()
            )
            by_series, by_cell = count(self._facts_in(connection, model, hours))
            r, c = rollups.c, cells.c
            kept_series = connection.execute(
                select(r.hour, series.c.name, *(r[name] for name in SUMS))
                .join(series, series.c.id == r.series_id)
                .where(r.model_id == model, r.hour.between(hours[0], hours[-1]))
            ).all()
            kept_cells = connection.execute(
                select(c.hour, c.publisher, c.language, c.topic, *(c[name] for name in SUMS)).where(
                    c.model_id == model, c.hour.between(hours[0], hours[-1])
                )
            ).all()
        yield from _differences("rollup", {tuple(row[:2]): Sums(*row[2:]) for row in kept_series}, by_series, dirty)
        yield from _differences("cell", {tuple(row[:4]): Sums(*row[4:]) for row in kept_cells}, by_cell, dirty)

    def _verify_days(self, model: int) -> Iterable[str]:
        """Days against the sum of their hours; a summed score may differ in its last bits, see `_add_up_days`."""
        for kept, source, others in (
            (rollup_days, rollups, ("series_id",)),
            (cell_days, cells, ("publisher", "language", "topic")),
        ):
            with self.read() as connection:
                low, high = connection.execute(
                    select(func.min(source.c.hour), func.max(source.c.hour)).where(source.c.model_id == model)
                ).one()
                days = connection.execute(
                    select(func.min(kept.c.day), func.max(kept.c.day)).where(kept.c.model_id == model)
                ).one()
            there = [day for day in (*(None if h is None else h // 24 for h in (low, high)), *days) if day is not None]
            for first in range(min(there), max(there) + 1, _DAYS) if there else ():
                yield from self._verify_some_days(model, kept, source, others, range(first, first + _DAYS))

    def _verify_some_days(
        self, model: int, kept: Any, source: Any, others: Sequence[str], days: range
    ) -> Iterable[str]:
        hours = (source.c.hour >= days.start * 24, source.c.hour < days.stop * 24)
        with self.read() as connection:
            d = dirty_hours.c
            marked = select(d.hour).where(d.model_id == model, d.hour.between(days.start * 24, days.stop * 24 - 1))
            dirty = {hour // 24 for hour in connection.execute(marked).scalars()}
            query = select(source.c.hour, *(source.c[name] for name in (*others, *SUMS)))
            expected: dict[Any, list[Any]] = {}
            for hour, *row in connection.execute(query.where(source.c.model_id == model, *hours)):
                names, sums = row[: len(others)], row[len(others) :]
                keys = [(hour // 24, *names)]
                if source is cells and names[0] != ANY:
                    keys.append((hour // 24, names[0], ANY, ANY))
                for key in keys:
                    before = expected.get(key)
                    expected[key] = sums if before is None else [a + b for a, b in zip(before, sums, strict=True)]
            query = select(kept.c.day, *(kept.c[name] for name in (*others, *SUMS)))
            there = {
                tuple(row[: 1 + len(others)]): list(row[1 + len(others) :])
                for row in connection.execute(
                    query.where(kept.c.model_id == model, kept.c.day.between(days[0], days[-1]))
                )
            }
        for key in sorted(expected.keys() | there.keys()):
            if key[0] not in dirty and not _same(there.get(key), expected.get(key)):
                name = " ".join(str(part) for part in key[1:])
                at = when_hour(key[0] * 24).date().isoformat()
                is_now, was = _shown(expected.get(key)), _shown(there.get(key))
                yield f"{kept.name} {name} {at}: kept {was}, recomputed {is_now}"

    def _verify_counters(self) -> Iterable[str]:
        for name, what in (
            ("articles", select(func.count()).select_from(articles)),
            ("samples", select(func.count()).select_from(articles).where(articles.c.sample)),
            ("stories", select(func.count()).select_from(stories).where(stories.c.merged_into.is_(None))),
        ):
            with self.read() as connection:
                kept = connection.execute(select(counters.c.value).where(counters.c.name == name)).scalar_one_or_none()
                counted = int(connection.execute(what).scalar_one())
            if kept != counted:
                yield f"number of {name}: kept {_shown(kept)}, recounted {counted}"


def _same(kept: list[Any] | None, computed: list[Any] | None) -> bool:
    if kept is None or computed is None:
        return kept is computed
    return all(math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) for a, b in zip(kept, computed, strict=True))


def _differences(what: str, kept: Mapping[Any, Sums], computed: Mapping[Any, Sums], dirty: set[int]) -> Iterable[str]:
    for key in sorted(kept.keys() | computed.keys()):
        if key[0] not in dirty and kept.get(key) != computed.get(key):
            name = " ".join(str(part) for part in key[1:])
            at = when_hour(key[0]).isoformat()
            yield f"{what} {name} {at}: kept {_shown(kept.get(key))}, recomputed {_shown(computed.get(key))}"


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return str(tuple(value)) if isinstance(value, Iterable) else str(value)
