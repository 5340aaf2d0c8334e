"""The first schema. A migration is frozen once it is released: it names its tables itself."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT, BIG, INT, BOOL, DOUBLE = sa.Text(), sa.BigInteger(), sa.Integer(), sa.Boolean(), sa.Float(53)
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _tables()
    op.execute("INSERT INTO counters (name, value) VALUES ('data_version', 1)")
    if op.get_bind().dialect.name == "sqlite":
        _sqlite()
    else:
        _postgresql()


def _tables() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", ID, primary_key=True),
        sa.Column("rule", TEXT, nullable=False),
        sa.Column("series", TEXT, nullable=False),
        sa.Column("severity", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("opened_at", BIG, nullable=False),
        sa.Column("updated_at", BIG, nullable=False),
        sa.Column("resolved_at", BIG),
        sa.Column("summary", TEXT, nullable=False),
        sa.Column("evidence", TEXT, nullable=False),
        sa.Column("assignee", TEXT),
        sa.Column("snoozed_until", BIG),
        sa.Column("inhibited_by", ID),
        sa.Column("verdict", TEXT),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "alerts_one_open",
        "alerts",
        ["rule", "series"],
        unique=True,
        sqlite_where=sa.text("state <> 'resolved'"),
        postgresql_where=sa.text("state <> 'resolved'"),
    )
    op.create_index("alerts_resolved", "alerts", ["rule", "series", "resolved_at"])
    op.create_index("ix_alerts_opened_at", "alerts", ["opened_at"])
    op.create_table(
        "audit",
        sa.Column("seq", ID, primary_key=True, autoincrement=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("detail", TEXT, nullable=False),
        sa.Column("previous_hash", TEXT, nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.UniqueConstraint("hash"),
    )
    op.create_table(
        "beats",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("at", BIG, nullable=False),
        sa.Column("detail", TEXT, nullable=False),
    )
    op.create_table(
        "cells",
        sa.Column("model_id", ID, primary_key=True),
        sa.Column("hour", INT, primary_key=True),
        sa.Column("publisher", TEXT, primary_key=True),
        sa.Column("language", TEXT, primary_key=True),
        sa.Column("topic", TEXT, primary_key=True),
        sa.Column("articles", INT, nullable=False),
        sa.Column("stories", INT, nullable=False),
        sa.Column("negative", INT, nullable=False),
        sa.Column("neutral", INT, nullable=False),
        sa.Column("positive", INT, nullable=False),
        sa.Column("score_sum", DOUBLE, nullable=False),
        sa.Column("alert_stories", INT, nullable=False),
        sa.Column("alert_negative", INT, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "channels",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("body", TEXT, nullable=False),
    )
    op.create_table(
        "counters",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("value", BIG, nullable=False),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", ID, primary_key=True),
        sa.Column("key", TEXT, nullable=False, unique=True),
        sa.Column("channel", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("group_key", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("due", BIG, nullable=False),
        sa.Column("created", BIG, nullable=False),
        sa.Column("attempts", INT, nullable=False),
        sa.Column("alert_ids", TEXT, nullable=False),
        sa.Column("payload", TEXT, nullable=False),
        sa.Column("last_error", TEXT),
        sa.Column("sent_at", BIG),
        sa.Column("worker", TEXT),
        sa.Column("lease_until", BIG, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("deliveries_state", "deliveries", ["state", "due"])
    op.create_table(
        "dirty_hours",
        sa.Column("id", ID, primary_key=True),
        sa.Column("model_id", ID, nullable=False),
        sa.Column("hour", INT, nullable=False),
    )
    op.create_index("dirty_hours_hour", "dirty_hours", ["model_id", "hour"])
    op.create_table(
        "dirty_stories",
        sa.Column("id", ID, primary_key=True),
        sa.Column("story", ID, nullable=False),
    )
    op.create_table(
        "entities",
        sa.Column("id", ID, primary_key=True),
        sa.Column("name", TEXT, nullable=False, unique=True),
        sa.Column("aliases", TEXT, nullable=False),
        sa.Column("ticker", TEXT),
        sa.Column("lei", TEXT),
        sa.Column("weight", sa.Float()),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "feeds",
        sa.Column("id", ID, primary_key=True),
        sa.Column("url", TEXT, nullable=False, unique=True),
        sa.Column("title", TEXT, nullable=False),
        sa.Column("publisher", TEXT, nullable=False),
        sa.Column("family", TEXT, nullable=False),
        sa.Column("language", TEXT, nullable=False),
        sa.Column("enabled", BOOL, nullable=False),
        sa.Column("sample", BOOL, nullable=False),
        sa.Column("note", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("added", BIG, nullable=False),
        sa.Column("etag", TEXT),
        sa.Column("last_modified", TEXT),
        sa.Column("interval_s", sa.Float(), nullable=False),
        sa.Column("next_poll", BIG),
        sa.Column("last_polled", BIG),
        sa.Column("last_success", BIG),
        sa.Column("last_item", BIG),
        sa.Column("failures", INT, nullable=False),
        sa.Column("last_error", TEXT),
        sa.Column("items_per_day", sa.Float()),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "models",
        sa.Column("id", ID, primary_key=True),
        sa.Column("version", TEXT, nullable=False, unique=True),
        sa.Column("languages", TEXT, nullable=False),
    )
    op.create_table(
        "prediction_topics",
        sa.Column("model_id", ID, primary_key=True),
        sa.Column("topic", TEXT, primary_key=True),
        sa.Column("position", BIG, primary_key=True),
        sa.Column("article_id", ID, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rules",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("body", TEXT, nullable=False),
    )
    op.create_table(
        "series",
        sa.Column("id", ID, primary_key=True),
        sa.Column("name", TEXT, nullable=False, unique=True),
    )
    op.create_table(
        "settings",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("value", TEXT, nullable=False),
    )
    op.create_table(
        "silences",
        sa.Column("id", ID, primary_key=True),
        sa.Column("matcher", TEXT, nullable=False),
        sa.Column("rule", TEXT),
        sa.Column("start", BIG, nullable=False),
        sa.Column("end", BIG, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("note", TEXT, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "stories",
        sa.Column("id", ID, primary_key=True),
        sa.Column("key", TEXT, nullable=False, unique=True),
        sa.Column("first_position", BIG, nullable=False),
        sa.Column("merged_into", ID, sa.ForeignKey("stories.id", ondelete="CASCADE")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_stories_merged_into", "stories", ["merged_into"])
    op.create_table(
        "story_facts",
        sa.Column("model_id", ID, primary_key=True),
        sa.Column("story", ID, primary_key=True),
        sa.Column("hour", INT, nullable=False),
        sa.Column("first_article", ID, nullable=False),
        sa.Column("published", BIG, nullable=False),
        sa.Column("first_seen", BIG, nullable=False),
        sa.Column("date_quality", TEXT, nullable=False),
        sa.Column("sentiment", TEXT, nullable=False),
        sa.Column("p_negative", DOUBLE, nullable=False),
        sa.Column("score", DOUBLE, nullable=False),
        sa.Column("confidence", DOUBLE, nullable=False),
        sa.Column("main_topic", TEXT, nullable=False),
        sa.Column("topics", TEXT, nullable=False),
        sa.Column("entities", TEXT, nullable=False),
        sa.Column("publishers", TEXT, nullable=False),
        sa.Column("families", TEXT, nullable=False),
        sa.Column("languages", TEXT, nullable=False),
        sa.Column("articles", INT, nullable=False),
        sa.Column("counts", BOOL, nullable=False),
    )
    op.create_index("story_facts_hour", "story_facts", ["model_id", "hour", "story"])
    op.create_index("story_facts_story", "story_facts", ["story"])
    op.create_table(
        "verdicts",
        sa.Column("id", ID, primary_key=True),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("is_right", BOOL, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("sentiment", TEXT),
        sa.Column("topics", TEXT, nullable=False),
        sa.Column("note", TEXT, nullable=False),
    )
    op.create_index("ix_verdicts_subject", "verdicts", ["subject"])
    op.create_table(
        "alert_events",
        sa.Column("id", ID, primary_key=True),
        sa.Column("alert_id", ID, sa.ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("note", TEXT, nullable=False),
    )
    op.create_index("ix_alert_events_alert_id", "alert_events", ["alert_id"])
    op.create_table(
        "articles",
        sa.Column("id", ID, primary_key=True, autoincrement=False),
        sa.Column("position", BIG, nullable=False, unique=True),
        sa.Column("identity", TEXT, nullable=False, unique=True),
        sa.Column("story", ID, sa.ForeignKey("stories.id"), nullable=False),
        sa.Column("feed_id", ID, sa.ForeignKey("feeds.id", ondelete="SET NULL")),
        sa.Column("publisher", TEXT, nullable=False),
        sa.Column("family", TEXT, nullable=False),
        sa.Column("language", TEXT, nullable=False),
        sa.Column("title", TEXT, nullable=False),
        sa.Column("summary", TEXT, nullable=False),
        sa.Column("url", TEXT),
        sa.Column("author", TEXT, nullable=False),
        sa.Column("published", BIG, nullable=False),
        sa.Column("first_seen", BIG, nullable=False),
        sa.Column("date_quality", TEXT, nullable=False),
        sa.Column("counts", BOOL, nullable=False),
        sa.Column("sample", BOOL, nullable=False),
    )
    op.create_index(
        "articles_feed",
        "articles",
        ["feed_id"],
        sqlite_where=sa.text("feed_id IS NOT NULL"),
        postgresql_where=sa.text("feed_id IS NOT NULL"),
    )
    op.create_index("articles_first_seen", "articles", ["first_seen"])
    op.create_index("articles_language", "articles", ["language", "position"])
    op.create_index("articles_publisher", "articles", ["publisher", "position"])
    op.create_index(
        "articles_sample",
        "articles",
        ["sample"],
        sqlite_where=sa.text("sample = 1"),
        postgresql_where=sa.text("sample"),
    )
    op.create_index("articles_story", "articles", ["story"])
    op.create_table(
        "model_history",
        sa.Column("id", ID, primary_key=True),
        sa.Column("model_id", ID, sa.ForeignKey("models.id"), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
    )
    op.create_table(
        "rollups",
        sa.Column("model_id", ID, primary_key=True),
        sa.Column("series_id", ID, sa.ForeignKey("series.id"), primary_key=True),
        sa.Column("hour", INT, primary_key=True),
        sa.Column("articles", INT, nullable=False),
        sa.Column("stories", INT, nullable=False),
        sa.Column("negative", INT, nullable=False),
        sa.Column("neutral", INT, nullable=False),
        sa.Column("positive", INT, nullable=False),
        sa.Column("score_sum", DOUBLE, nullable=False),
        sa.Column("alert_stories", INT, nullable=False),
        sa.Column("alert_negative", INT, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("rollups_hour", "rollups", ["model_id", "hour"])
    op.create_table(
        "mentions",
        sa.Column("entity_id", ID, sa.ForeignKey("entities.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("article_id", ID, sa.ForeignKey("articles.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("place", TEXT, primary_key=True),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("alias", TEXT, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_mentions_article_id", "mentions", ["article_id"])
    op.create_table(
        "predictions",
        sa.Column("article_id", ID, sa.ForeignKey("articles.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("model_id", ID, sa.ForeignKey("models.id"), primary_key=True),
        sa.Column("position", BIG, nullable=False),
        sa.Column("sentiment", TEXT, nullable=False),
        sa.Column("p_negative", DOUBLE, nullable=False),
        sa.Column("p_neutral", DOUBLE, nullable=False),
        sa.Column("p_positive", DOUBLE, nullable=False),
        sa.Column("topics", TEXT, nullable=False),
        sa.Column("topic_scores", sa.LargeBinary(), nullable=False),
        sa.Column("confidence", DOUBLE, nullable=False),
        sa.Column("unsure", BOOL, nullable=False),
        sa.Column("truncated", BOOL, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("predictions_sentiment", "predictions", ["model_id", "sentiment", "position"])
    op.create_index(
        "predictions_unsure",
        "predictions",
        ["model_id", "position"],
        sqlite_where=sa.text("unsure = 1"),
        postgresql_where=sa.text("unsure"),
    )
    op.create_table(
        "revisions",
        sa.Column("id", ID, primary_key=True),
        sa.Column("article_id", ID, sa.ForeignKey("articles.id", ondelete="CASCADE"), nullable=False),
        sa.Column("replaced", BIG, nullable=False),
        sa.Column("title", TEXT, nullable=False),
        sa.Column("summary", TEXT, nullable=False),
    )
    op.create_index("ix_revisions_article_id", "revisions", ["article_id"])
    op.create_table(
        "work",
        sa.Column(
            "article_id", ID, sa.ForeignKey("articles.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
        ),
        sa.Column("language", TEXT, nullable=False),
        sa.Column("position", BIG, nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("worker", TEXT),
        sa.Column("lease_until", BIG, nullable=False),
        sa.Column("quarantined", BOOL, nullable=False),
        sa.Column("discard", BOOL, nullable=False),
    )
    op.create_index("work_next", "work", ["quarantined", "language", "position"])
    op.create_index(
        "work_worker",
        "work",
        ["worker"],
        sqlite_where=sa.text("worker IS NOT NULL"),
        postgresql_where=sa.text("worker IS NOT NULL"),
    )


def _sqlite() -> None:
    op.execute("PRAGMA application_id = 1213681220")  # "HWND"
    op.execute("INSERT INTO counters (name, value) VALUES ('article_id', 0)")
    op.execute("CREATE VIRTUAL TABLE article_search USING fts5(body, content='', tokenize='unicode61')")
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit "
            "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        )


def _postgresql() -> None:
    op.execute("CREATE SEQUENCE article_id")
    op.execute("CREATE TABLE article_search (article_id bigint PRIMARY KEY, position bigint NOT NULL, body tsvector)")
    op.execute("CREATE INDEX article_search_body ON article_search USING gin (body)")
    op.execute("CREATE INDEX article_search_position ON article_search (position)")
    op.execute(
        "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit "
        "FOR EACH ROW EXECUTE FUNCTION audit_append_only()"
    )
    op.execute(
        "CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
    )
