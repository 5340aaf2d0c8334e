"""One leader among the workers of a store: flock beside the SQLite file, advisory lock on PostgreSQL.

Neither knows a clock, so no jump of it makes two leaders; the system frees the lock when its holder dies.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

import psycopg
from sqlalchemy.engine import make_url

from monitor.errors import LeaderError
from monitor.store.database import normal_url, sqlite_path
from monitor.store.faults import wrap_store_errors

_LEAD_KEY = 0x48574C44


class Lead:
    """Held until `release`, the end of the process, or (PostgreSQL) the loss of the connection."""

    def __init__(self, handle: int | None, connection: psycopg.Connection | None) -> None:
        self._handle = handle
        self._connection = connection

    def held(self) -> bool:
        """Whether the lead is still ours; ask before each round."""
        if self._connection is None:
            return self._handle is not None
        try:
            self._connection.execute("SELECT 1")
        except psycopg.Error:  # closed or lost: either way the server has freed the lock
            return False
        return True

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Lead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def take_lead(url: str) -> Lead:
    """Become the leader of the store at `url`, or raise `LeaderError` at once when another process is."""
    path = sqlite_path(url)
    return _flock(path) if path is not None else _advisory(url)


def _flock(path: Path) -> Lead:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(f"{path}.leader", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
        os.close(handle)
        who = f" (process {holder})" if holder else ""
        raise LeaderError(f"another worker{who} leads the store {path}") from error
    os.ftruncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
    return Lead(handle, None)


def _advisory(url: str) -> Lead:
    parsed = make_url(normal_url(url)).set(drivername="postgresql")
    with wrap_store_errors():
        connection = psycopg.connect(parsed.render_as_string(hide_password=False), autocommit=True)
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", (_LEAD_KEY,)).fetchone()
    if row is None or not row[0]:
        connection.close()
        raise LeaderError("another worker leads this database")
    return Lead(None, connection)
