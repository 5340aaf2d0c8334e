"""A page does not ask again for what did not change, and asks for counts where they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from dashboard.queries import TOPIC_SERIES, Reads
from dashboard.times import DAY, HOUR, Span, floor
from monitor.app import App
from monitor.domain import CellFilter
from monitor.store.sql import SqlStore
from tests.dashboard.conftest import Open

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BIG = ("articles", "predictions", "prediction_topics", "stories", "story_facts", "rollups", "cells", "article_search")


@contextmanager
def asked(store: Any) -> Iterator[list[str]]:
    """The statements that reach the database meanwhile."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        found.append(" ".join(statement.split()))

    event.listen(store.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(store.engine, "before_cursor_execute", note)


def about(statements: list[str], *tables: str) -> list[str]:
    return [one for one in statements if any(f" {table} " in f"{one} ".replace("\n", " ") for table in tables)]


@pytest.mark.parametrize("name", ["now", "news", "topics", "watchlist", "alerts", "feeds", "settings"])
def test_a_page_does_not_ask_again_for_what_did_not_change(desk: App, open_page: Open, name: str) -> None:
    with asked(desk.store) as first:
        page = open_page(name, range="30d")
    page.run()  # the first rerun settles what the address keeps
    with asked(desk.store) as again:
        page.run()
    assert not page.exception
    assert about(first, *BIG), "the first time it asks"
    assert about(again, *BIG) == []
    desk.store.beat("worker", datetime.now(UTC), {})
    with asked(desk.store) as after_a_beat:
        page.run()
    assert about(after_a_beat, *BIG) == [], "a sign of life is no news"
    desk.store.set_setting("quiet_hours", {"start": "21:00"}, "test", datetime.now(UTC))
    with asked(desk.store) as after_a_write:
        page.run()
    assert about(after_a_write, *BIG), "after a write it asks anew"


def test_counts_of_a_series_are_found_by_their_key_and_not_by_walking_all_series(desk: App) -> None:
    store = desk.store
    assert isinstance(store, SqlStore) and store.is_sqlite
    now = datetime.now(UTC)
    plans: list[str] = []
    inside = False

    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        nonlocal inside
        if inside or not (" rollups" in statement or " rollup_days" in statement):
            return
        inside = True
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
        plans.append(" ".join(str(row[3]) for row in rows))
        inside = False

    event.listen(store.engine, "before_cursor_execute", explain)
    try:
        for step in ("hour", "6h", "day", "all"):
            assert store.rollups(["all", "topic:litigation"], now - timedelta(days=30), now, step=step) is not None
    finally:
        event.remove(store.engine, "before_cursor_execute", explain)
    assert len(plans) >= 4
    for plan in plans:
        assert "USING PRIMARY KEY (model_id=? AND series_id=? AND " in plan


def test_a_span_that_moves_by_a_day_finds_what_was_counted(desk: App) -> None:
    store, reads = desk.store, Reads(desk.store, desk.settings.store_url)
    today = floor(datetime.now(UTC), DAY)
    # Both spans lie in one window of round days.
    ends = (today - n * DAY for n in range(3))
    end = next(end for end in ends if all((end - before * DAY - EPOCH) % (32 * DAY) for before in (1, 10)))
    first = Span(start=end - 21 * DAY, end=end)
    moved = Span(start=first.start, end=end - DAY)
    everything = CellFilter()
    for span in (first, moved):
        with asked(store) as statements:
            got = (
                reads.trend("all", span),
                reads.topics_over_time(span, DAY, everything),
                reads.totals(TOPIC_SERIES, span.start, span.end),
                reads.values("publisher", span),
                reads.days_before("all", span.end, 10),
            )
    assert about(statements, *BIG, "rollup_days", "cell_days") == [], "the store was not asked for the moved span"
    trend, topics, totals, publishers, days = got
    rollups = store.rollups(["all"], moved.start, moved.end, step="hour")
    assert trend["stories"].sum() == sum(one.stories for one in rollups) > 0
    assert list(trend["time"]) == [moved.start + n * DAY for n in range(20)]
    assert days["negative"].sum() == sum(one.negative for one in rollups if one.hour >= moved.end - 10 * DAY)
    by_topic = store.rollups(list(TOPIC_SERIES), moved.start, moved.end, step="hour")
    assert topics["stories"].sum() == sum(one.stories for one in by_topic)
    assert sum(stories for stories, _ in totals.values()) == topics["stories"].sum()
    cells = store.cells(everything, moved.start, moved.end, step="all", by="publisher")
    assert publishers == sorted(one.series for one in cells)


@pytest.mark.parametrize("minutes", [0, 30, 8 * 60])
@pytest.mark.parametrize("step", [HOUR, 6 * HOUR, DAY])
def test_days_of_another_zone_are_counted_from_their_own_midnight(desk: App, minutes: int, step: timedelta) -> None:
    store, reads = desk.store, Reads(desk.store, desk.settings.store_url)
    start = floor(datetime.now(UTC), DAY) - 5 * DAY + timedelta(minutes=minutes)
    span = Span(start=start, end=start + 3 * DAY)
    rows = store.rollups(["all"], span.start, span.end, step="hour")
    trend = reads.trend("all", span, step=step)
    assert trend["stories"].sum() == sum(one.stories for one in rows) > 0
    assert trend["time"].iloc[0] == floor(span.start, step)
    days = reads.days_before("all", span.end, 3)
    assert list(days["stories"]) == [
        sum(one.stories for one in rows if (one.hour - start) // DAY == number) for number in range(3)
    ]
