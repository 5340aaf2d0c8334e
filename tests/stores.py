"""Fixtures that give stores; import them where they are needed. A migrated store is copied, not migrated again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.store import open_store
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
    """Name of a database to copy."""
    url = postgres.database()
    open_store(url).close()
    return url.split("@/")[1].split("?")[0]


@pytest.fixture
def sqlite_url(empty_sqlite: Path, tmp_path: Path) -> str:
    path = tmp_path / "headwind.db"
    shutil.copyfile(empty_sqlite, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest) -> str:
    """A fresh, migrated store on each of the two databases."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    server: Postgres = request.getfixturevalue("postgres")
    return server.database(template=request.getfixturevalue("migrated_postgres"))


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
