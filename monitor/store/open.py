"""Open a store: look at the file before touching it, migrate, hand back a `Store`.

A file that is truncated, foreign, damaged or of a newer Headwind is refused with one line and left as it is.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.engine import make_url

from monitor.errors import StoreError
from monitor.store.database import WAL_HARD, make_engine, normal_url, sqlite_path
from monitor.store.faults import wrap_store_errors
from monitor.store.schema import APPLICATION_ID, HEAD
from monitor.store.sql import SqlStore

Role = Literal["worker", "reader", "tool"]
MAGIC = b"SQLite format 3\x00"
MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 0x48574D49  # advisory lock on PostgreSQL


def open_store(
    url: str,
    *,
    role: Role = "tool",
    busy_timeout_s: float = 40.0,
    read_timeout_s: float = 60.0,
    wal_limit: int = WAL_HARD,
) -> SqlStore:
    """The store at a SQLAlchemy URL, migrated to the newest schema; a missing SQLite file is made.

    role: `worker` keeps the checkpoint lock of SQLite for its life; the others only borrow it for a moment when the
    WAL grows and no worker runs. busy_timeout_s: how long a write waits for another one before `StoreBusyError`.
    read_timeout_s: a single read that takes longer is stopped. wal_limit: bytes of WAL at which ingestion pauses.
    Raises `StoreError` when there is something at that place that is not ours, and never changes it.
    """
    path = sqlite_path(url)
    if path is not None:
        check_file(path)
        _make_folder(path)
    engine = make_engine(url, busy_timeout_s=busy_timeout_s)
    try:
        with wrap_store_errors(shown_url(url)):
            _migrate(engine, path)
    except BaseException:
        engine.dispose()
        raise
    return SqlStore(
        url, engine, role=role, wal_limit=wal_limit, read_timeout_s=read_timeout_s, busy_timeout_s=busy_timeout_s
    )


def shown_url(url: str) -> str:
    """The URL as it may be shown: without the password."""
    path = sqlite_path(url)
    return str(path) if path is not None else make_url(normal_url(url)).render_as_string(hide_password=True)


def check_file(path: Path) -> None:
    """Refuse a file that is not a whole SQLite database of ours. A missing or empty file is a new store."""
    if not path.exists():
        return
    if path.is_dir():
        raise StoreError(f"store {path}: is a folder; name a file")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise StoreError(f"store {path}: cannot be read ({error.strerror})") from error
    if size == 0:
        return
    if not header.startswith(MAGIC):
        what = "is truncated" if MAGIC.startswith(header) else "is not a SQLite database"
        raise StoreError(f"store {path}: {what}; it was left as it is, restore a backup or name another file")
    if len(header) < 100:
        raise StoreError(f"store {path}: is truncated; it was left as it is, restore a backup")
    page = int.from_bytes(header[16:18], "big")
    page = 65536 if page == 1 else page
    pages = int.from_bytes(header[28:32], "big")
    if header[24:28] == header[92:96] and size < page * pages and not _in_the_wal(path, page, pages):
        raise StoreError(
            f"store {path}: is truncated ({size} of {page * pages} bytes); it was left as it is, restore a backup"
        )
    application = int.from_bytes(header[68:72], "big")
    wal = Path(f"{path}-wal")
    if application != APPLICATION_ID and not (wal.exists() and wal.stat().st_size > 0):
        _refuse_foreign(path)


def _in_the_wal(path: Path, page: int, pages: int) -> bool:
    """Whether the pages that the file lacks stand in its write-ahead log. A checkpoint writes the header, with the new
    size, before the pages at the end: so it is while one runs, and after a kill in the midst of it."""
    there: set[int] = set()
    with suppress(OSError), Path(f"{path}-wal").open("rb") as wal:
        header = wal.read(32)
        while len(frame := wal.read(24)) == 24 and frame[8:16] == header[16:24]:
            there.add(int.from_bytes(frame[:4], "big"))
            wal.seek(page, os.SEEK_CUR)
    # Looked at last: where the checkpoint came to its end meanwhile, the log is empty and the file is whole.
    return all(number in there for number in range(path.stat().st_size // page + 1, pages + 1))


def _refuse_foreign(path: Path) -> None:
    """A database without our mark is foreign if it has tables of its own."""
    with wrap_store_errors(str(path)):
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        finally:
            connection.close()
    if tables - {"alembic_version"}:
        raise StoreError(f"store {path}: belongs to another program; it was left as it is, name another file")


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"store {path}: the folder cannot be made ({error.strerror})") from error


def _migrate(engine: Engine, path: Path | None) -> None:
    if _revision(engine) == HEAD:
        return
    with _one_at_a_time(engine, path):
        found = _revision(engine)
        if found == HEAD:
            return
        if path is not None:
            _set_wal(path)
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        with engine.connect().execution_options(headwind_write=True) as connection, connection.begin():
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _revision(engine: Engine) -> str | None:
    """Revision of the schema that is there, None for an empty database. Refuses what is newer or foreign."""
    with engine.connect() as connection, connection.begin():
        names = set(inspect(connection).get_table_names())
        if "alembic_version" not in names:
            if names and engine.dialect.name == "sqlite":
                raise StoreError(f"store {engine.url.database}: belongs to another program; it was left as it is")
            if names & {"articles", "stories", "feeds"}:
                raise StoreError("store: the database belongs to another program; it was left as it is")
            return None
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    if found is not None and found not in _known_revisions():
        raise StoreError(
            f"store {engine.url.render_as_string(hide_password=True)}: was written by a newer Headwind "
            f"(schema {found}, this one knows {HEAD}); it was left as it is, update Headwind"
        )
    return found


def _known_revisions() -> set[str]:
    return {file.name.split("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*.py")}


def _set_wal(path: Path) -> None:
    connection = sqlite3.connect(path, timeout=30)
    try:
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    finally:
        connection.close()
    if mode != "wal":
        raise StoreError(f"store {path}: this file system cannot do write-ahead logging; use a local disk")


@contextmanager
def _one_at_a_time(engine: Engine, path: Path | None) -> Iterator[None]:
    """Several processes may start at once; one of them migrates, the others wait and find it done."""
    if path is None:
        with engine.connect() as connection:
            _advisory(connection, "pg_advisory_lock")
            try:
                yield
            finally:
                _advisory(connection, "pg_advisory_unlock")
        return
    handle = os.open(f"{path}.migrate", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _advisory(connection: Connection, function: str) -> None:
    connection.execute(text(f"SELECT {function}(:key)"), {"key": _MIGRATION_LOCK})
    connection.commit()
