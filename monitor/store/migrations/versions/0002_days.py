"""Sums by day beside those by hour, cells over all publishers, the order of the most negative, counted articles."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXT, INT, DOUBLE = sa.Text(), sa.Integer(), sa.Float(53)
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ANY = "\x1f"
COUNTS = ("articles", "stories", "negative", "neutral", "positive", "score_sum", "alert_stories", "alert_negative")
NAMES = ", ".join(COUNTS)
ADDED = ", ".join(f"sum({name})" for name in COUNTS)
DAY = "(hour - ((hour % 24 + 24) % 24)) / 24"  # rounded down before 1970 too


def upgrade() -> None:
    op.create_table(
        "rollup_days",
        sa.Column("model_id", ID, primary_key=True),
        sa.Column("series_id", ID, sa.ForeignKey("series.id"), primary_key=True),
        sa.Column("day", INT, primary_key=True),
        *_sums(),
        sqlite_with_rowid=False,
    )
    op.create_index("rollup_days_day", "rollup_days", ["model_id", "day"])
    op.create_table(
        "cell_days",
        sa.Column("model_id", ID, primary_key=True),
        sa.Column("publisher", TEXT, primary_key=True),
        sa.Column("language", TEXT, primary_key=True),
        sa.Column("topic", TEXT, primary_key=True),
        sa.Column("day", INT, primary_key=True),
        *_sums(),
        sqlite_with_rowid=False,
    )
    op.create_index("cell_days_day", "cell_days", ["model_id", "day"])
    op.create_index("story_facts_worst", "story_facts", ["model_id", sa.text("(CAST(score * 128 AS INTEGER))"), "hour"])
    _add_up()
    for name, where in (
        ("articles", "articles"),
        ("samples", "articles WHERE sample"),
        ("stories", "stories WHERE merged_into IS NULL"),
    ):
        op.execute(f"INSERT INTO counters (name, value) SELECT '{name}', count(*) FROM {where}")


def _sums() -> list[sa.Column]:
    return [sa.Column(name, DOUBLE if name == "score_sum" else INT, nullable=False) for name in COUNTS]


def _add_up() -> None:
    op.execute(
        f"INSERT INTO cells (model_id, hour, publisher, language, topic, {NAMES}) "
        f"SELECT model_id, hour, '{ANY}', language, topic, {ADDED} FROM cells GROUP BY model_id, hour, language, topic"
    )
    op.execute(
        f"INSERT INTO rollup_days (model_id, series_id, day, {NAMES}) "
        f"SELECT model_id, series_id, {DAY}, {ADDED} FROM rollups GROUP BY model_id, series_id, {DAY}"
    )
    names = "model_id, publisher, language, topic, day"
    op.execute(
        f"INSERT INTO cell_days ({names}, {NAMES}) SELECT model_id, publisher, language, topic, {DAY}, {ADDED} "
        f"FROM cells GROUP BY model_id, publisher, language, topic, {DAY}"
    )
    op.execute(
        f"INSERT INTO cell_days ({names}, {NAMES}) SELECT model_id, publisher, '{ANY}', '{ANY}', day, {ADDED} "
        f"FROM cell_days WHERE publisher <> '{ANY}' GROUP BY model_id, publisher, day"
    )
