"""The tables, as SQLAlchemy Core. One schema for SQLite and PostgreSQL; what differs is in migrations and search.

How times, positions and lists are kept is in values.py.
"""

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
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

HEAD = "0001"
"""Revision of the migrations that this code expects (a test keeps it equal to the newest script)."""

APPLICATION_ID = 0x48574E44
"""PRAGMA application_id of our SQLite files ("HWND"), so that a foreign database is recognised."""

metadata = MetaData()
Id = BigInteger().with_variant(Integer(), "sqlite")  # only INTEGER is a row number in SQLite

feeds = Table(
    "feeds",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("url", Text, nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("publisher", Text, nullable=False),
    Column("family", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("sample", Boolean, nullable=False),
    Column("note", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("added", BigInteger, nullable=False),
    Column("etag", Text),
    Column("last_modified", Text),
    Column("interval_s", Float, nullable=False),
    Column("next_poll", BigInteger),
    Column("last_polled", BigInteger),
    Column("last_success", BigInteger),
    Column("last_item", BigInteger),
    Column("failures", Integer, nullable=False),
    Column("last_error", Text),
    Column("items_per_day", Float),
    sqlite_autoincrement=True,
)

stories = Table(
    "stories",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False, unique=True),
    Column("first_position", BigInteger, nullable=False),
    # A merged story keeps its row, so that a late copy that still names it lands in the story that was kept.
    Column("merged_into", Id, ForeignKey("stories.id", ondelete="CASCADE"), index=True),
    sqlite_autoincrement=True,
)

articles = Table(
    "articles",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False, unique=True),
    Column("identity", Text, nullable=False, unique=True),
    Column("story", Id, ForeignKey("stories.id"), nullable=False),
    Column("feed_id", Id, ForeignKey("feeds.id", ondelete="SET NULL")),
    Column("publisher", Text, nullable=False),
    Column("family", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("url", Text),
    Column("author", Text, nullable=False),
    Column("published", BigInteger, nullable=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("date_quality", Text, nullable=False),
    Column("counts", Boolean, nullable=False),
    Column("sample", Boolean, nullable=False),
    Index("articles_story", "story"),
    Index(
        "articles_feed",
        "feed_id",
        sqlite_where=text("feed_id IS NOT NULL"),
        postgresql_where=text("feed_id IS NOT NULL"),
    ),
    Index("articles_publisher", "publisher", "position"),
    Index("articles_language", "language", "position"),
    Index("articles_first_seen", "first_seen"),
    Index("articles_sample", "sample", sqlite_where=text("sample = 1"), postgresql_where=text("sample")),
)

revisions = Table(
    "revisions",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("article_id", Id, ForeignKey("articles.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("replaced", BigInteger, nullable=False),
    Column("title", Text, nullable=False),
    Column("summary", Text, nullable=False),
)

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("version", Text, nullable=False, unique=True),
    Column("languages", Text, nullable=False),
)

model_history = Table(
    "model_history",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("model_id", Id, ForeignKey("models.id"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

predictions = Table(
    "predictions",
    metadata,
    Column("article_id", Id, ForeignKey("articles.id", ondelete="CASCADE"), primary_key=True),
    Column("model_id", Id, ForeignKey("models.id"), primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("sentiment", Text, nullable=False),
    Column("p_negative", Float(53), nullable=False),
    Column("p_neutral", Float(53), nullable=False),
    Column("p_positive", Float(53), nullable=False),
    Column("topics", Text, nullable=False),  # labels joined by |, most central first
    Column("topic_scores", LargeBinary, nullable=False),  # doubles, little-endian, in the order of TOPICS
    Column("confidence", Float(53), nullable=False),
    Column("unsure", Boolean, nullable=False),
    Column("truncated", Boolean, nullable=False),
    Index("predictions_sentiment", "model_id", "sentiment", "position"),
    Index(
        "predictions_unsure",
        "model_id",
        "position",
        sqlite_where=text("unsure = 1"),
        postgresql_where=text("unsure"),
    ),
    sqlite_with_rowid=False,
)

prediction_topics = Table(
    "prediction_topics",
    metadata,
    Column("model_id", Id, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("article_id", Id, nullable=False),
    sqlite_with_rowid=False,
)

# The queue: one row for each article that the live model has not scored. It changes in the transactions that add
# articles, save predictions and switch the model, so it always equals that question, and stays small.
work = Table(
    "work",
    metadata,
    Column("article_id", Id, ForeignKey("articles.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("language", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("worker", Text),
    Column("lease_until", BigInteger, nullable=False),
    Column("quarantined", Boolean, nullable=False),
    Column("discard", Boolean, nullable=False),  # revised while leased: the result of that lease is for the old title
    Index("work_next", "quarantined", "language", "position"),
    Index(
        "work_worker", "worker", sqlite_where=text("worker IS NOT NULL"), postgresql_where=text("worker IS NOT NULL")
    ),
)

entities = Table(
    "entities",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False, unique=True),
    Column("aliases", Text, nullable=False),
    Column("ticker", Text),
    Column("lei", Text),
    Column("weight", Float),
    sqlite_autoincrement=True,
)

mentions = Table(
    "mentions",
    metadata,
    Column("entity_id", Id, ForeignKey("entities.id", ondelete="CASCADE"), primary_key=True),
    Column("article_id", Id, ForeignKey("articles.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("place", Text, primary_key=True),
    Column("confidence", Float, nullable=False),
    Column("alias", Text, nullable=False),
    sqlite_with_rowid=False,
)

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

rules = Table(
    "rules",
    metadata,
    Column("name", Text, primary_key=True),
    Column("body", Text, nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("rule", Text, nullable=False),
    Column("series", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("opened_at", BigInteger, nullable=False, index=True),
    Column("updated_at", BigInteger, nullable=False),
    Column("resolved_at", BigInteger),
    Column("summary", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("assignee", Text),
    Column("snoozed_until", BigInteger),
    Column("inhibited_by", Id),
    Column("verdict", Text),
    Index(
        "alerts_one_open",
        "rule",
        "series",
        unique=True,
        sqlite_where=text("state <> 'resolved'"),
        postgresql_where=text("state <> 'resolved'"),
    ),
    Index("alerts_resolved", "rule", "series", "resolved_at"),
    sqlite_autoincrement=True,
)

alert_events = Table(
    "alert_events",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("alert_id", Id, ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("note", Text, nullable=False),
)

silences = Table(
    "silences",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("matcher", Text, nullable=False),
    Column("rule", Text),
    Column("start", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("note", Text, nullable=False),
    sqlite_autoincrement=True,
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False, unique=True),
    Column("channel", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("group_key", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("alert_ids", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("last_error", Text),
    Column("sent_at", BigInteger),
    Column("worker", Text),
    Column("lease_until", BigInteger, nullable=False),
    Index("deliveries_state", "state", "due"),
    sqlite_autoincrement=True,
)

channels = Table(
    "channels",
    metadata,
    Column("name", Text, primary_key=True),
    Column("body", Text, nullable=False),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("subject", Text, nullable=False, index=True),
    Column("actor", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("is_right", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("sentiment", Text),
    Column("topics", Text, nullable=False),
    Column("note", Text, nullable=False),
)

settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Id, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    UniqueConstraint("hash"),
)

beats = Table(
    "beats",
    metadata,
    Column("name", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
)
