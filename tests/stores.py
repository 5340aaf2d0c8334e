"""Fixtures that give stores; a folder's conftest.py imports them. A migrated store is copied, not migrated again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from monitor.store import open_store
from monitor.store.schema import metadata
from monitor.store.sql import SqlStore
from tests.postgres import Postgres, running_postgres

OpenStore = Callable[..., SqlStore]


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "headwind.db"
    open_store(f"sqlite:///{path}", role="worker").close()
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_postgres(postgres: Postgres) -> str:
    url = postgres.database()
    open_store(url).close()
    return url


@pytest.fixture
def postgres_url(migrated_postgres: str) -> str:
    """The migrated database, emptied: much cheaper than a new one, and deleting few rows is cheaper than TRUNCATE."""
    with psycopg.connect(migrated_postgres) as connection:
        connection.execute("SET session_replication_role = replica")  # the audit log refuses to be emptied
        for table in [*metadata.tables, "article_search"]:
            connection.execute(f"DELETE FROM {table}")  # type: ignore[arg-type]
        connection.execute("SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'")
        counters = "('data_version', 1), ('articles', 0), ('samples', 0), ('stories', 0)"
        connection.execute(f"INSERT INTO counters (name, value) VALUES {counters}")
    return migrated_postgres


@pytest.fixture
def sqlite_url(empty_sqlite: Path, tmp_path: Path) -> str:
    path = tmp_path / "headwind.db"
    shutil.copyfile(empty_sqlite, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest) -> str:
    """A fresh, migrated store on each of the two databases."""
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))


@pytest.fixture
def open_at() -> Iterator[OpenStore]:
    """Open stores that are closed when the test ends."""
    opened: list[SqlStore] = []

    def opener(url: str, **options: Any) -> SqlStore:
        store = open_store(url, **options)
        opened.append(store)
        return store

    yield opener
    for store in opened:
        store.close()


@pytest.fixture
def store(store_url: str, open_at: OpenStore) -> SqlStore:
    return open_at(store_url, role="worker")
