"""The contract of the counts: days beside hours, the most negative first, and what verification finds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from monitor.domain import CellFilter, Rollup
from monitor.store.schema import SUMS
from monitor.store.sql import SqlStore
from tests.store.made import DAY, HOUR, NOW, article, go_live, said, score, settle


def test_days_are_the_sums_of_their_hours_for_every_filter(store: SqlStore) -> None:
    """Six days of stories, asked for from the middle of one day to the middle of another."""
    go_live(store)
    papers, kinds = ("Harbour Post", "Inland Times", "Coast Wire"), ("earnings_guidance", "macro_policy", "litigation")
    many = [article(n * 97, publisher=papers[n % 3], story=f"s{n - n % 5 // 4}") for n in range(90)]
    store.add_articles(many, NOW)
    score(
        store,
        *(
            (f"Quarry {n * 97} ", said(("negative", "positive")[n % 2], kinds[n % 3], p=0.625 + n % 3 / 8))
            for n in range(90)
        ),
    )
    settle(store)
    start, end = NOW - 5 * DAY - 3 * HOUR, NOW - 4 * HOUR
    for by in ("", "publisher", "language", "topic"):
        for publishers in ((), papers[:1], papers[:2]):
            for topics in ((), kinds[:1]):
                where = CellFilter(publishers=publishers, topics=topics)
                hours = store.cells(where, start, end, by=by)
                for step, width in (("6h", 6), ("day", 24)):
                    assert store.cells(where, start, end, step=step, by=by) == added(hours, width), (where, by)
                assert store.cells(where, start, end, step="all", by=by) == added(hours, None), (where, by)
    names = ["all", "topic:litigation", "publisher:Coast Wire"]
    for step, width in (("6h", 6), ("day", 24), ("all", None)):
        assert store.rollups(names, start, end, step=step) == added(store.rollups(names, start, end), width), step
    assert store.cells(CellFilter(), NOW + DAY, NOW + 9 * DAY, step="all") == []


def added(rows: list[Rollup], hours: int | None) -> list[Rollup]:
    """Rows of hours added up to days or to the span that the test above asks for. Scores are sums of sixteenths, so
    no order of adding changes them."""
    first = (NOW - 5 * DAY - 3 * HOUR).replace(minute=0)
    sums: dict[tuple[str, datetime], dict[str, Any]] = {}
    for row in rows:
        at = first if hours is None else row.hour.replace(hour=row.hour.hour // hours * hours)
        there = sums.setdefault((row.series, at), dict.fromkeys(SUMS, 0))
        for name in SUMS:
            there[name] += getattr(row, name)
    return [Rollup(series=name, hour=at, **values) for (name, at), values in sorted(sums.items())]


@pytest.mark.parametrize("table", ["rollup_days", "cell_days"])
def test_verify_finds_a_day_that_is_off_by_one_and_a_day_that_is_missing(store: SqlStore, table: str) -> None:
    go_live(store)
    store.add_articles([article(1), article(3000)], NOW)
    score(store)
    settle(store)
    with store.write() as connection:
        connection.exec_driver_sql(f"UPDATE {table} SET stories = stories + 1 WHERE day = 20524")
        connection.exec_driver_sql(f"DELETE FROM {table} WHERE day = 20522")
    told = "\n".join(store.verify_rollups())
    assert f"{table} " in told and "2026-03-12: kept (1, 2, " in told and "2026-03-10: kept nothing" in told
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE counters SET value = 9 WHERE name = 'stories'")
    assert any(line == "number of stories: kept 9, recounted 2" for line in store.verify_rollups())


def test_the_most_negative_of_a_long_span_come_first(store: SqlStore) -> None:
    """Walked from the most negative on, or sorted out of the span: the same stories."""
    go_live(store)
    store.add_articles([article(n * 700) for n in range(60)], NOW)
    score(
        store, *((f"Quarry {n * 700} ", said("negative", "litigation", p=0.4 + n * 37 % 60 / 128)) for n in range(60))
    )
    settle(store)
    start, end = NOW - 25 * DAY, NOW + DAY
    everything = store.story_facts("topic:litigation", start, end, negative_only=True)
    assert 30 < len(everything) < 60 and everything == sorted(everything, key=lambda fact: fact.score)
    assert store.story_facts("topic:litigation", start, end, negative_only=True, limit=7) == everything[:7]
