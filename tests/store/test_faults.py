"""Every foreign error becomes a `StoreError` of one line, and each kind in its own words."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest
import sqlalchemy.exc

from monitor.errors import StoreBusyError, StoreError
from monitor.store.faults import wrap_store_errors

FOREIGN: list[tuple[BaseException, type[StoreError], str]] = [
    (sqlite3.OperationalError("database is locked"), StoreBusyError, "locked"),
    (sqlite3.OperationalError("database table is locked: articles"), StoreBusyError, "locked"),
    (sqlite3.OperationalError("interrupted"), StoreBusyError, "longer than its limit"),
    (sqlite3.OperationalError("database or disk is full"), StoreError, "disk is full"),
    (sqlite3.OperationalError("unable to open database file"), StoreError, "may be written"),
    (sqlite3.OperationalError("attempt to write a readonly database"), StoreError, "may be written"),
    (sqlite3.DatabaseError("database disk image is malformed"), StoreError, "damaged"),
    (sqlite3.DatabaseError("file is not a database"), StoreError, "damaged"),
    (sqlite3.IntegrityError("UNIQUE constraint failed: feeds.url"), StoreError, "UNIQUE constraint failed"),
    (sqlite3.ProgrammingError("Cannot operate on a closed database."), StoreError, "closed database"),
    (psycopg.errors.LockNotAvailable("canceling statement due to lock timeout"), StoreBusyError, "locked"),
    (psycopg.errors.DeadlockDetected("deadlock detected\nDETAIL: x"), StoreBusyError, "locked"),
    (psycopg.errors.SerializationFailure("could not serialize access"), StoreBusyError, "try again"),
    (psycopg.errors.QueryCanceled("canceling statement"), StoreBusyError, "longer than its limit"),
    (psycopg.errors.DiskFull("could not extend file"), StoreError, "disk is full"),
    (psycopg.OperationalError("connection refused"), StoreError, "cannot be reached"),
    (psycopg.errors.UniqueViolation("duplicate key"), StoreError, "duplicate key"),
    (sqlalchemy.exc.TimeoutError("QueuePool limit"), StoreBusyError, "no free connection"),
    (sqlalchemy.exc.NoResultFound("No row was found"), StoreError, "No row"),
]


@pytest.mark.parametrize(("foreign", "kind", "words"), FOREIGN)
def test_a_foreign_error_is_mapped(foreign: BaseException, kind: type[StoreError], words: str) -> None:
    with pytest.raises(StoreError, match=words) as caught, wrap_store_errors():
        raise foreign
    assert type(caught.value) is kind and "\n" not in str(caught.value)


def test_parameters_never_stand_in_an_error() -> None:
    inner = sqlite3.IntegrityError("NOT NULL constraint failed: channels.body")
    foreign = sqlalchemy.exc.IntegrityError("INSERT INTO channels", {"body": "hunter2"}, inner)
    with pytest.raises(StoreError, match="NOT NULL") as caught, wrap_store_errors():
        raise foreign
    assert "hunter2" not in str(caught.value)


def test_our_own_errors_and_bugs_pass_through() -> None:
    with pytest.raises(ZeroDivisionError), wrap_store_errors():
        raise ZeroDivisionError
    own = StoreBusyError("as it is")
    with pytest.raises(StoreBusyError) as caught, wrap_store_errors():
        raise own
    assert caught.value is own
