"""Opening: migrations give the schema that the code expects, once, and anything else at that place is refused."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from monitor.errors import StoreError
from monitor.store import open_store
from monitor.store.open import MIGRATIONS, shown_url
from monitor.store.schema import APPLICATION_ID, HEAD, metadata
from tests.store.made import NOW, article
from tests.stores import OpenStore


def test_the_code_expects_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_migrations_give_the_very_tables_of_the_schema_on_sqlite(empty_sqlite: Path, tmp_path: Path) -> None:
    expected = tmp_path / "expected.db"
    engine = create_engine(f"sqlite:///{expected}")
    metadata.create_all(engine)
    engine.dispose()

    def statements(path: Path) -> set[str]:
        query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE '%search%'"
        with closing(sqlite3.connect(path)) as connection:
            found = {row[0] for row in connection.execute(query) if "alembic" not in row[0]}
        return {" ".join(statement.split()) for statement in found if not statement.startswith("CREATE TRIGGER")}

    assert statements(empty_sqlite) == statements(expected)
    with closing(sqlite3.connect(empty_sqlite)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


def test_migrations_give_the_tables_of_the_schema_on_postgresql(postgres_url: str) -> None:
    engine = create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_name": lambda name, kind, _: kind != "table" or name in metadata.tables}
        )
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_several_processes_may_open_a_new_store_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'deep' / 'folder' / 'headwind.db'}"
    failures: list[BaseException] = []

    def start() -> None:
        try:
            open_store(url).close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def test_an_empty_file_is_a_new_store(tmp_path: Path, open_at: OpenStore) -> None:
    path = tmp_path / "headwind.db"
    path.touch()
    assert open_at(f"sqlite:///{path}").add_articles([article(1)], NOW).new == 1


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://x/y", "mysql is not supported"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("not a url", "cannot be read"),
        ("sqlite:////proc/nowhere/headwind.db", "folder cannot be made"),
    ],
)
def test_a_url_that_cannot_be_used_is_one_clear_line(url: str, reason: str) -> None:
    with pytest.raises(StoreError, match=reason) as caught:
        open_store(url)
    assert "\n" not in str(caught.value)


def test_a_password_is_never_shown() -> None:
    assert "hunter2" not in shown_url("postgresql://ana:hunter2@db.example/headwind")
    with pytest.raises(StoreError) as caught:
        open_store("postgresql://ana:hunter2@127.0.0.1:1/headwind")
    assert "hunter2" not in str(caught.value) and "\n" not in str(caught.value)


def test_opening_loads_alembic_only_to_migrate(sqlite_url: str) -> None:
    code = (
        "import sys; from monitor.store import open_store; open_store(sys.argv[1]).close(); "
        "print('alembic' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, sqlite_url], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
