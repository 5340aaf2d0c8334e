"""Feeds, articles, what models said of them, and who they are about."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    text,
)

from monitor.store.schema.base import Id, metadata

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
    Column("batches_per_day", Float),
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

article_pages = Table(
    "article_pages",
    metadata,
    Column("article_id", Id, ForeignKey("articles.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("text", Text),
    Column("attempts", Integer, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("error", Text),
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
