"""Facts of stories, the series and sums that come of them, and what must be recomputed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    text,
)

from monitor.store.schema.base import Id, metadata

WORST = "(CAST(score * 128 AS INTEGER))"

story_facts = Table(
    "story_facts",
    metadata,
    Column("model_id", Id, primary_key=True),
    Column("story", Id, primary_key=True),
    Column("hour", Integer, nullable=False),
    Column("first_article", Id, nullable=False),
    Column("published", BigInteger, nullable=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("date_quality", Text, nullable=False),
    Column("sentiment", Text, nullable=False),
    Column("p_negative", Float(53), nullable=False),
    Column("score", Float(53), nullable=False),
    Column("confidence", Float(53), nullable=False),
    Column("main_topic", Text, nullable=False),
    Column("topics", Text, nullable=False),
    Column("entities", Text, nullable=False),
    Column("publishers", Text, nullable=False),
    Column("families", Text, nullable=False),
    Column("languages", Text, nullable=False),
    Column("articles", Integer, nullable=False),
    Column("counts", Boolean, nullable=False),
    Index("story_facts_hour", "model_id", "hour", "story"),
    Index("story_facts_story", "story"),
    # The most negative first, within a step of 1/128 in no order: new rows join at the end of few runs.
    Index("story_facts_worst", "model_id", text(WORST), "hour"),
)

series = Table(
    "series",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False, unique=True),
)

SUMS = (
    "articles",
    "stories",
    "negative",
    "neutral",
    "positive",
    "score_sum",
    "alert_stories",
    "alert_negative",
)


def _sums() -> list[Column[Any]]:
    return [Column(name, Float(53) if name == "score_sum" else Integer, nullable=False) for name in SUMS]


rollups = Table(
    "rollups",
    metadata,
    Column("model_id", Id, primary_key=True),
    Column("series_id", Id, ForeignKey("series.id"), primary_key=True),
    Column("hour", Integer, primary_key=True),
    *_sums(),
    Index("rollups_hour", "model_id", "hour"),
    sqlite_with_rowid=False,
)

cells = Table(
    "cells",
    metadata,
    Column("model_id", Id, primary_key=True),
    Column("hour", Integer, primary_key=True),
    Column("publisher", Text, primary_key=True),
    Column("language", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    *_sums(),
    sqlite_with_rowid=False,
)

# Days of the same, so that a year costs 365 rows whatever came in it. Beside the cells themselves (publisher, language,
# main topic) there are their sums over all publishers, and over all languages and topics, under the name ANY.

rollup_days = Table(
    "rollup_days",
    metadata,
    Column("model_id", Id, primary_key=True),
    Column("series_id", Id, ForeignKey("series.id"), primary_key=True),
    Column("day", Integer, primary_key=True),
    *_sums(),
    Index("rollup_days_day", "model_id", "day"),
    sqlite_with_rowid=False,
)

cell_days = Table(
    "cell_days",
    metadata,
    Column("model_id", Id, primary_key=True),
    Column("publisher", Text, primary_key=True),
    Column("language", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("day", Integer, primary_key=True),
    *_sums(),
    Index("cell_days_day", "model_id", "day"),
    sqlite_with_rowid=False,
)

# Marks are appended and never updated, and a refresh removes exactly the marks it read: a mark that is written while
# a refresh runs is never lost, without locks between writers.
dirty_stories = Table(
    "dirty_stories",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("story", Id, nullable=False),
)

dirty_hours = Table(
    "dirty_hours",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("model_id", Id, nullable=False),
    Column("hour", Integer, nullable=False),
    Index("dirty_hours_hour", "model_id", "hour"),
)
