"""A connection pool with our rules: short reads, immediate writes, one checkpointer, errors mapped once.

Nothing here knows a table's meaning. SQLite: WAL, bounded busy wait, foreign keys; only the holder of the checkpoint
lock moves the WAL into the file (SQLite 3.7.0 to 3.51.2 can lose a reset when several connections checkpoint).
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import psycopg
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    TableClause,
    Text,
    any_,
    bindparam,
    create_engine,
    event,
    func,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from monitor.errors import StoreBusyError, StoreError
from monitor.store.faults import wrap_store_errors
from monitor.store.schema import counters

Row = TypeVar("Row")
WAL_SOFT = 96 * 2**20
"""Above this size of the WAL a write tries to checkpoint (bytes): a page that many writes changed is moved once."""
WAL_HARD = 256 * 2**20
"""Above this size ingestion pauses until a checkpoint gets through (bytes)."""
IN_CHUNK = 900
_INGESTING = 0x48574944


def chunks(items: Sequence[Row], size: int = IN_CHUNK) -> Iterator[Sequence[Row]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def normal_url(url: str) -> str:
    """The URL with our driver: psycopg 3 for PostgreSQL. Raises `StoreError` for anything else than the two."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError("store: the database URL cannot be read; use sqlite:///path or postgresql://…") from error
    backend = parsed.get_backend_name()
    if backend == "postgres" or backend == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    elif backend != "sqlite":
        raise StoreError(f"store: {backend} is not supported; use sqlite:///path or postgresql://…")
    elif not parsed.database or parsed.database == ":memory:":
        raise StoreError("store: SQLite needs a file, for example sqlite:////var/lib/headwind/headwind.db")
    return parsed.render_as_string(hide_password=False)


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite URL, None for PostgreSQL."""
    parsed = make_url(normal_url(url))
    return Path(parsed.database or "").expanduser() if parsed.get_backend_name() == "sqlite" else None


def make_engine(url: str, *, busy_timeout_s: float) -> Engine:
    """An engine whose SQLite connections never checkpoint by themselves."""
    path = sqlite_path(url)
    if path is None:
        return create_engine(
            normal_url(url),
            pool_pre_ping=True,
            pool_size=10,
            max_overflow=20,
            connect_args={"options": f"-c lock_timeout={int(busy_timeout_s * 1000)} -c timezone=UTC"},
        )
    engine = create_engine(
        f"sqlite:///{path}",
        pool_size=10,
        max_overflow=20,
        pool_timeout=busy_timeout_s,
        connect_args={"timeout": busy_timeout_s, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves: immediate for writes
        for pragma in (
            "PRAGMA foreign_keys=ON",
            "PRAGMA synchronous=NORMAL",
            "PRAGMA wal_autocheckpoint=0",
            "PRAGMA cache_size=-65536",
            "PRAGMA temp_store=MEMORY",
        ):
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("headwind_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


class Database:
    """What every part of the store stands on."""

    def __init__(
        self, url: str, engine: Engine, *, role: str, wal_limit: int, read_timeout_s: float, busy_timeout_s: float
    ) -> None:
        self.url = url
        self.role = role
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self.path = sqlite_path(url)
        self._wal_limit = wal_limit
        self._read_timeout_s = read_timeout_s
        self._busy_timeout_s = busy_timeout_s
        self._checkpointing = threading.Lock()
        self._checkpoint_lock: int | None = None
        if role == "worker":
            self._checkpoint_lock = self._take_checkpoint_lock()

    # ── transactions ─────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent snapshot, bounded in time: a long read would hold the WAL back (S3)."""
        with wrap_store_errors(), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin(), self._bounded(connection):
                yield connection

    @contextmanager
    def _bounded(self, connection: Connection) -> Iterator[None]:
        """Interrupt what reads for longer than the read timeout."""
        if not self.is_sqlite:
            connection.execute(text(f"SET LOCAL statement_timeout = {int(self._read_timeout_s * 1000)}"))
            yield
            return
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        deadline = time.monotonic() + self._read_timeout_s
        raw.set_progress_handler(lambda: time.monotonic() > deadline, 50_000)
        try:
            yield
        finally:
            raw.set_progress_handler(None, 0)

    @contextmanager
    def write(self, *, ingest: bool = False, shown: bool = True) -> Iterator[Connection]:
        """One transaction that commits or leaves nothing. ingest: may be paused when the WAL cannot be moved.
        shown: a page could show what it writes, so `data_version` grows."""
        self._make_room(ingest)
        with wrap_store_errors(), self.engine.connect() as connection:
            connection = connection.execution_options(headwind_write=True)
            with connection.begin():
                yield connection
                if shown and self.is_sqlite:
                    connection.execute(_BUMP)

    @contextmanager
    def ingesting(self) -> Iterator[None]:
        """One holder at a time among all processes and threads (flock beside the SQLite file, advisory lock on
        PostgreSQL); waits as long as a write waits for another one, then raises `StoreBusyError`."""
        if self.path is None:
            with wrap_store_errors("ingestion"), self.engine.connect() as connection:
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _INGESTING})
                try:
                    yield
                finally:
                    connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _INGESTING})
            return
        handle = os.open(f"{self.path}.ingest", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._wait_for(handle)
            yield
        finally:
            os.close(handle)

    def _wait_for(self, handle: int) -> None:
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if time.monotonic() > deadline:
                    raise StoreBusyError(
                        "store ingestion: another process takes in news for longer than the wait; try again"
                    ) from error
            time.sleep(0.005)

    def insert(self, table: Table) -> Any:
        """INSERT of this dialect, with on_conflict_do_nothing and on_conflict_do_update."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def bulk(
        self, connection: Connection, table: TableClause, names: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        """Insert many rows, values in the order of `names`, without SQLAlchemy's work for each row."""
        if not rows:
            return
        columns = ", ".join(self.engine.dialect.identifier_preparer.quote(name) for name in names)
        if self.is_sqlite:
            marks = ", ".join("?" * len(names))
            statement = f"INSERT INTO {table.name} ({columns}) VALUES ({marks})"
            connection.exec_driver_sql(statement, [tuple(row) for row in rows])
            return
        raw = connection.connection.driver_connection
        assert isinstance(raw, psycopg.Connection)
        with raw.cursor() as cursor, cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row(row)

    def among(self, column: Any, values: Iterable[Any]) -> ColumnElement[bool]:
        """`column IN values` with one parameter however many there are, so that the statement is compiled once."""
        wanted = list(values)
        if not self.is_sqlite:
            array = bindparam(None, wanted, type_=postgresql.ARRAY(column.type), unique=True)
            return cast(ColumnElement[bool], column == any_(array))
        each = func.json_each(bindparam(None, json.dumps(wanted), type_=Text, unique=True)).table_valued("value")
        return cast(ColumnElement[bool], column.in_(select(each.c.value)))

    def data_version(self) -> int:
        """SQLite: a counter in each write. PostgreSQL: the number of finished transactions that wrote anything,
        which needs no row that every writer would have to lock."""
        with self.read() as connection:
            if self.is_sqlite:
                return int(connection.execute(_VERSION).scalar_one())
            return int(connection.execute(_PG_VERSION).scalar_one())

    # ── the write-ahead log ──────────────────────────────────────────────────────────────────────────────────────

    def wal_bytes(self) -> int:
        """Size of the WAL file, 0 where there is none."""
        if self.path is None:
            return 0
        with suppress(FileNotFoundError):
            return Path(f"{self.path}-wal").stat().st_size
        return 0

    def checkpoint(self) -> None:
        """Move the WAL into the file and cut it, unless another process is the checkpointer or a reader is in the
        way; then it is tried again with the next write."""
        self._checkpoint()

    def _checkpoint(self) -> bool:
        if self.path is None or not self._checkpointing.acquire(blocking=False):
            return False
        borrowed = None
        try:
            if self._checkpoint_lock is None:
                borrowed = self._take_checkpoint_lock()
                if borrowed is None:
                    return False
                if self.role == "worker":  # it was another's at the start; a restore goes by who holds it
                    self._checkpoint_lock, borrowed = borrowed, None
            with wrap_store_errors():
                connection = sqlite3.connect(self.path, timeout=0.2, isolation_level=None)
                try:
                    connection.execute("PRAGMA wal_autocheckpoint=0")
                    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                finally:
                    connection.close()
            return not busy
        except StoreBusyError:
            return False
        finally:
            if borrowed is not None:
                os.close(borrowed)
            self._checkpointing.release()

    def _make_room(self, ingest: bool) -> None:
        size = self.wal_bytes()
        if size < min(WAL_SOFT, self._wal_limit):
            return
        if not self._checkpoint() and ingest and self.wal_bytes() >= self._wal_limit:
            raise StoreBusyError(
                f"store: ingestion pauses, the write-ahead log has {size // 2**20} MB because a reader stays open "
                "or another process checkpoints; it goes on by itself when the reader ends"
            )

    def _take_checkpoint_lock(self) -> int | None:
        if self.path is None:
            return None
        handle = os.open(f"{self.path}.checkpoint", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return None
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        return handle

    def describe(self, connection: Connection) -> dict[str, Any]:
        """What `status` says of the store itself."""
        if self.path is None:
            return {"kind": "postgresql", "version": connection.execute(text("SHOW server_version")).scalar_one()}
        size = self.wal_bytes()
        return {
            "kind": "sqlite",
            "version": sqlite3.sqlite_version,
            "wal_reset_fault": (3, 7, 0) <= sqlite3.sqlite_version_info <= (3, 51, 2),
            "wal_bytes": size,
            "ingestion_paused": size >= self._wal_limit,
            "checkpointer": self._checkpointer(),
        }

    def _checkpointer(self) -> int | None:
        """Process that holds the checkpoint lock, None when nobody does."""
        if self._checkpoint_lock is not None:
            return os.getpid()
        free = self._take_checkpoint_lock()
        if free is not None:
            os.close(free)
            return None
        with suppress(OSError, ValueError):
            return int(Path(f"{self.path}.checkpoint").read_text())
        return None

    def close(self) -> None:
        if self._checkpoint_lock is not None:
            self._checkpoint()
        self.engine.dispose()
        if self._checkpoint_lock is not None:
            os.close(self._checkpoint_lock)
            self._checkpoint_lock = None


_BUMP = counters.update().where(counters.c.name == "data_version").values(value=counters.c.value + 1)
_VERSION = counters.select().with_only_columns(counters.c.value).where(counters.c.name == "data_version")
_PG_VERSION = text(
    "SELECT (pg_snapshot_xmax(s)::text::bigint) - (SELECT count(*) FROM pg_snapshot_xip(s)) "
    "FROM pg_current_snapshot() AS s"
)
