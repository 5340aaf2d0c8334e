"""Reading rollups and cells: hours where hours are asked for, and days for the whole days of a longer span."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, func, literal, select

from models.labels import TOPICS
from monitor.domain import ALL, CellFilter, Rollup, RollupColumns
from monitor.rollups import ANY
from monitor.store.reading import ReadingPart
from monitor.store.schema import SUMS, cell_days, cells, rollup_days, rollups, series
from monitor.store.values import hour_of, us, when_hour

_SEEK_HOURS = 10_000  # up to so many hours of few publishers are looked up one by one
_SEEK_PUBLISHERS = 8
_WIDTH = {"hour": 1, "6h": 6, "day": 24}  # hours


class Part(NamedTuple):
    """Rows of one table whose `column`, in units of so many hours, lies in [first, last)."""

    table: Any
    column: Any
    hours: int
    first: int
    last: int


Found = dict[str, list[Sequence[Any]]]
"""series → rows (anything, hour, sums in the order of SUMS)"""


class SumsPart(ReadingPart):
    def rollups(self, series: Sequence[str], start: datetime, end: datetime, *, step: str = "hour") -> list[Rollup]:
        """Non-empty buckets of the named series in [start, end), ordered by series and time. step: hour, 6h, day, or
        `all` for one bucket that begins with the span."""
        return _objects(self.rollup_columns(series, start, end, step=step))

    def rollup_columns(
        self, series: Sequence[str], start: datetime, end: datetime, *, step: str = "hour"
    ) -> RollupColumns:
        """The same as columns: the cheap way for many buckets."""
        with self.read() as connection:
            live = self._live(connection)
            found = {} if live is None else self._rollups(connection, live.id, series, start, end, step)
        return _columns(found, step, start)

    def _rollups(
        self, connection: Connection, model: int, names: Sequence[str], start: datetime, end: datetime, step: str
    ) -> Found:
        known = select(series.c.id, series.c.name).where(self.among(series.c.name, sorted(set(names))))
        named: dict[int, str] = {row.id: row.name for row in connection.execute(known)}
        found: Found = {}
        for part in _parts(rollup_days, rollups, start, end, step):
            c, key, bucket = part.table.c, part.table.c.series_id, _bucket(part, step)
            own = (c.model_id == model, self.among(key, named), part.column >= part.first, part.column < part.last)
            if bucket is part.column:  # one row already
                query = select(key, bucket * part.hours, *(c[name] for name in SUMS)).where(*own)
            else:
                at = literal(0) if bucket is None else bucket * part.hours
                groups = [key] if bucket is None else [key, bucket]
                query = select(key, at, *(func.sum(c[name]) for name in SUMS)).where(*own).group_by(*groups)
            for series_id, rows in groupby(connection.execute(query).all(), itemgetter(0)):
                found.setdefault(named[series_id], []).extend(rows)
        return found

    def cells(
        self, where: CellFilter, start: datetime, end: datetime, *, step: str = "hour", by: str = ""
    ) -> list[Rollup]:
        """Added-up cells; `series` of a row is the value of `by` (publisher, language, topic) or `all`. step: as for
        rollups."""
        return _objects(self.cell_columns(where, start, end, step=step, by=by))

    def cell_columns(
        self, where: CellFilter, start: datetime, end: datetime, *, step: str = "hour", by: str = ""
    ) -> RollupColumns:
        """The same as columns."""
        found: Found = {}
        with self.read() as connection:
            live = self._live(connection)
            if live is not None:
                values = self._values(connection, where, by)
                for part in _parts(cell_days, cells, start, end, step):
                    rows = self._cells(connection, part, live.id, where, values, by, step)
                    for value, group in groupby(rows, itemgetter(0)):
                        found.setdefault(value, []).extend(group)
        return _columns(found, step, start)

    def _values(self, connection: Connection, where: CellFilter, by: str) -> dict[str, list[str]]:
        """The values that each part of the key may have. A part that nobody asks about is ANY where such sums are
        kept, over all publishers or over all languages and topics; else every value that there is."""
        of_publishers = bool(where.publishers) or by == "publisher"
        of_topics = bool(where.languages or where.topics) or by in ("language", "topic")
        if not of_publishers:
            publishers = [ANY]
        else:
            publishers = sorted(set(where.publishers)) or self._labels(connection, "publisher:")
        if of_publishers and not of_topics:
            return {"publisher": publishers, "language": [ANY], "topic": [ANY]}
        return {
            "publisher": publishers,
            "language": sorted(set(where.languages)) or self._labels(connection, "language:"),
            "topic": sorted(set(where.topics)) or list(TOPICS),
        }

    def _labels(self, connection: Connection, prefix: str) -> list[str]:
        """Names of the series with this prefix, without it."""
        name = series.c.name
        if self.is_sqlite:  # LIKE folds case there and cannot use the index
            inside: ColumnElement[bool] = (name >= prefix) & (name < prefix[:-1] + chr(ord(prefix[-1]) + 1))
        else:
            inside = name.startswith(prefix, autoescape=True)
        return [one[len(prefix) :] for one in connection.execute(select(name).where(inside)).scalars()]

    def _cells(
        self,
        connection: Connection,
        part: Part,
        model: int,
        where: CellFilter,
        values: dict[str, list[str]],
        by: str,
        step: str,
    ) -> list[Sequence[Any]]:
        """Rows (value of `by`, hour, sums)."""
        table, column, hours, first, last = part
        c = table.c
        wheres: list[ColumnElement[bool]] = [c.model_id == model, self.among(c.publisher, values["publisher"])]
        if table is cell_days:
            wheres += [self.among(c.language, values["language"]), self.among(c.topic, values["topic"])]
        else:  # the key begins with the hour: a publisher is found within each, the rest are few
            if where.languages:
                wheres.append(self.among(c.language, values["language"]))
            if where.topics:
                wheres.append(self.among(c.topic, values["topic"]))
        if table is cells and last - first <= _SEEK_HOURS and len(values["publisher"]) <= _SEEK_PUBLISHERS:
            wheres.append(self.among(c.hour, range(first, last)))
        else:
            wheres += [column >= first, column < last]
        bucket = _bucket(part, step)
        if table is cell_days and bucket is column and all(len(own) == 1 for own in values.values()):  # one row already
            value = c[by] if by else literal(ALL)
            query = select(value, column * hours, *(c[name] for name in SUMS)).where(*wheres)
            return list(connection.execute(query).all())
        # "+ 0": SQLite would read every cell of the span in the order of the groups, to save sorting a few.
        own = None if bucket is None else bucket + 0
        groups = ([] if own is None else [own]) + ([c[by]] if by else [])
        value, at = c[by] if by else literal(ALL), literal(0) if own is None else own * hours
        query = select(value, at, *(func.sum(c[name]) for name in SUMS)).where(*wheres).group_by(*groups)
        return [row for row in connection.execute(query).all() if row[2] is not None]  # a sum over nothing, ungrouped


def _first(moment: datetime) -> int:
    """The first hour that begins at or after a moment."""
    return -(-us(moment) // 3_600_000_000)


def _parts(days: Any, hours: Any, start: datetime, end: datetime, step: str) -> list[Part]:
    """How the buckets that begin in [start, end) are read: whole days as days, the rest as hours."""
    first, last = _first(start), _first(end)
    begin, done = -(-first // 24), last // 24
    if step in ("hour", "6h") or begin >= done:
        parts = [Part(hours, hours.c.hour, 1, first, last)]
    else:
        parts = [
            Part(hours, hours.c.hour, 1, first, begin * 24),
            Part(days, days.c.day, 24, begin, done),
            Part(hours, hours.c.hour, 1, done * 24, last),
        ]
    return [part for part in parts if part.first < part.last]


def _bucket(part: Part, step: str) -> Any:
    """The bucket of a row in units of its part; None when the whole part is one bucket."""
    if step == "all":
        return None
    width = _WIDTH[step]
    return part.column if width == part.hours else part.column - part.column % width


def _columns(found: Found, step: str, start: datetime) -> RollupColumns:
    """Rows by name and time. Only the bucket of a whole span comes from several parts: the hours at the ends of a span
    belong to other days than its whole ones."""
    names: list[str] = []
    rows: list[Sequence[Any]] = []
    for name in sorted(found):
        own = found[name]
        if step == "all":
            own = [(name, hour_of(us(start)), *map(sum, zip(*(row[2:] for row in own), strict=True)))]
        else:
            own.sort(key=itemgetter(1))
        names += [name] * len(own)
        rows += own
    _, hour, *sums = zip(*rows, strict=True) if rows else ((),) * (2 + len(SUMS))
    return RollupColumns(series=names, hour=hour, **dict(zip(SUMS, sums, strict=True)))


def _objects(columns: RollupColumns) -> list[Rollup]:
    sums = zip(*(getattr(columns, name) for name in SUMS), strict=True)
    return [
        Rollup(series=name, hour=when_hour(hour), **dict(zip(SUMS, values, strict=True)))
        for name, hour, values in zip(columns.series, columns.hour, sums, strict=True)
    ]
