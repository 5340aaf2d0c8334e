"""Foreign errors become `StoreError` in this one place. tests/store/test_faults.py lists them all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import sqlalchemy.exc

from monitor.errors import StoreBusyError, StoreError

_BUSY = ("database is locked", "database table is locked", "database is busy")
_FULL = ("database or disk is full", "no space left", "disk full")
_DAMAGED = ("malformed", "not a database", "disk image", "file is encrypted")


@contextmanager
def wrap_store_errors(where: str = "") -> Iterator[None]:
    """Map sqlite3, psycopg and SQLAlchemy errors to one line of `StoreError`; everything else passes through."""
    try:
        yield
    except StoreError:
        raise
    except sqlalchemy.exc.DBAPIError as error:
        raise translate(error.orig if error.orig is not None else error, where) from error
    except (sqlite3.Error, psycopg.Error, sqlalchemy.exc.SQLAlchemyError) as error:
        raise translate(error, where) from error


def translate(error: BaseException, where: str = "") -> StoreError:
    """The `StoreError` for one foreign error; never with parameters, for they may hold secrets."""
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    low = first.lower()
    at = f"store {where}: " if where else "store: "
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return StoreBusyError(f"{at}no free connection in time; try again")
    if isinstance(error, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected) or any(
        part in low for part in _BUSY
    ):
        return StoreBusyError(f"{at}locked for longer than the wait ({first}); try again")
    if isinstance(error, psycopg.errors.QueryCanceled) or low == "interrupted":
        return StoreBusyError(f"{at}a read took longer than its limit and was stopped; ask for a shorter span")
    if isinstance(error, psycopg.errors.SerializationFailure):
        return StoreBusyError(f"{at}{first}; try again")
    if isinstance(error, psycopg.errors.DiskFull) or any(part in low for part in _FULL):
        return StoreError(f"{at}the disk is full; free some space, nothing that was committed is lost")
    if any(part in low for part in _DAMAGED):
        return StoreError(f"{at}the file is damaged ({first}); restore a backup, it was not changed")
    if "readonly database" in low or "unable to open database file" in low:
        return StoreError(f"{at}{first}; check that the folder exists and may be written")
    if isinstance(error, psycopg.OperationalError):
        return StoreError(f"{at}the database server cannot be reached ({first})")
    return StoreError(f"{at}{first}")
