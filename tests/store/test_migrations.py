"""Stores of every released schema, kept as files, open with this code: migrated, whole and right.

`released/<revision>.db.gz` was written by the code of that revision: 161 made articles of twelve days, one of them
waiting, an open alert with its delivery, a verdict, a channel. A released schema's file is never written again.
"""

from __future__ import annotations

import gzip
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from monitor.domain import ArticleQuery, CellFilter
from monitor.store.database import normal_url
from monitor.store.open import MIGRATIONS
from monitor.store.sql import SqlStore
from tests.postgres import Postgres
from tests.store.made import DAY, NOW, article
from tests.stores import OpenStore

RELEASED = sorted((Path(__file__).parent / "released").glob("*.db.gz"))
REVISIONS = sorted(file.name[:4] for file in MIGRATIONS.joinpath("versions").glob("[0-9]*.py"))


def test_every_released_schema_has_its_file() -> None:
    assert [file.name[:4] for file in RELEASED] == REVISIONS[:-1]


@pytest.mark.parametrize("file", RELEASED, ids=lambda file: file.name[:4])
def test_a_sqlite_store_of_every_released_schema_opens(file: Path, tmp_path: Path, open_at: OpenStore) -> None:
    path = tmp_path / "headwind.db"
    path.write_bytes(gzip.decompress(file.read_bytes()))
    check(open_at(f"sqlite:///{path}", role="worker"))


@pytest.mark.postgres
@pytest.mark.parametrize("file", RELEASED, ids=lambda file: file.name[:4])
def test_a_postgresql_store_of_every_released_schema_opens(
    file: Path, tmp_path: Path, postgres: Postgres, open_at: OpenStore
) -> None:
    path = tmp_path / "released.db"
    path.write_bytes(gzip.decompress(file.read_bytes()))
    url = postgres.database()
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(normal_url(url))
    with engine.connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, file.name[:4])
    engine.dispose()
    copy_rows(path, url)
    check(open_at(url, role="worker"))


def copy_rows(path: Path, url: str) -> None:
    """The rows of a SQLite store into the same tables on PostgreSQL; what either keeps in its own way stays out."""
    with closing(sqlite3.connect(path)) as source, psycopg.connect(url) as target:
        target.execute("SET session_replication_role = replica")
        names = [name for (name,) in source.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            if name.startswith(("sqlite_", "article_search", "alembic")) or name == "counters":
                continue
            rows = source.execute(f"SELECT * FROM {name}")
            columns = [column[0] for column in rows.description]
            query = "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND data_type = 'boolean'"
            flags = {column for (column,) in target.execute(query, [name])}
            made = [
                [bool(value) if column in flags else value for column, value in zip(columns, row, strict=True)]
                for row in rows
            ]
            marks = ", ".join(["%s"] * len(columns))
            quoted = ", ".join(f'"{column}"' for column in columns)
            with target.cursor() as cursor:
                cursor.executemany(f"INSERT INTO {name} ({quoted}) VALUES ({marks})", made)  # type: ignore[arg-type]
        kept = "SELECT value, name FROM counters WHERE name NOT IN ('article_id', 'data_version')"
        with target.cursor() as cursor:
            cursor.executemany("UPDATE counters SET value = %s WHERE name = %s", source.execute(kept).fetchall())
        for table in ("stories", "alerts", "deliveries", "models", "series"):
            target.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))")  # type: ignore[arg-type]
        target.execute("SELECT setval('article_id', (SELECT max(id) FROM articles))")


def check(store: SqlStore) -> None:
    """Everything is there, counted right, and work goes on."""
    status = store.status()
    assert (status.articles, status.stories, status.unscored, status.alerts_open) == (161, 120, 1, 1)
    assert status.deliveries["pending"] == 1 and status.model_version == "headwind-minilm-1"
    assert store.verify_rollups() == [] and store.verify_audit() is None
    found = store.search_articles(ArticleQuery(limit=1))[0][0]
    start, end = found.article.published - 30 * DAY, found.article.published + DAY
    hours = store.rollups(["all"], start, end)
    assert hours and sum(row.stories for row in hours) == sum(
        row.stories for row in store.rollups(["all"], start, end, step="day")
    )
    by_publisher = store.cells(CellFilter(), start, end, step="all", by="publisher")
    assert sum(row.stories for row in by_publisher) == sum(row.stories for row in store.cells(CellFilter(), start, end))
    assert store.verdicts("article:")[0].sentiment == "neutral" and store.channels()[0].name == "desk"
    assert store.add_articles([article(1)], NOW).new == 1
    assert store.status().articles == 162
