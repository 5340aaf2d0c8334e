"""Recompute all counts from articles and predictions, and name each difference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import func, select

from monitor.rollups import Fact, Sums, count
from monitor.store.counting import CountingPart, fact_from
from monitor.store.schema import (
    SUMS,
    cells,
    dirty_hours,
    dirty_stories,
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
        return [*self._verify_facts(live.id, languages), *self._verify_hours(live.id)][:_MOST]

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
            hours = range(first, first + _HOURS)
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


def _differences(what: str, kept: Mapping[Any, Sums], computed: Mapping[Any, Sums], dirty: set[int]) -> Iterable[str]:
    for key in sorted(kept.keys() | computed.keys()):
        if key[0] not in dirty and kept.get(key) != computed.get(key):
            name = " ".join(str(part) for part in key[1:])
            at = when_hour(key[0]).isoformat()
            yield f"{what} {name} {at}: kept {_shown(kept.get(key))}, recomputed {_shown(computed.get(key))}"


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(tuple(value))
