"""Backup while others read and write, and restore."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy import inspect
from sqlalchemy.engine import make_url

from monitor.errors import StoreError
from monitor.store.database import make_engine, normal_url, sqlite_path
from monitor.store.faults import wrap_store_errors
from monitor.store.open import check_file, open_store, shown_url
from monitor.store.schema import APPLICATION_ID

_PAGES = 2000


def write_backup(url: str, path: str) -> None:
    """A consistent copy of the store at `path`, complete or not there at all; an existing file is never replaced."""
    target = Path(path)
    if target.exists():
        raise StoreError(f"backup {target}: is there already; name a new file")
    if not target.parent.is_dir():
        raise StoreError(f"backup {target}: there is no folder {target.parent}")
    part = target.with_name(f"{target.name}.part")
    source = sqlite_path(url)
    try:
        if source is not None:
            _copy(source, part)
        else:
            _dump(url, part)
        part.replace(target)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def _copy(source: Path, target: Path) -> None:
    with wrap_store_errors(f"backup {target}"):
        with closing(sqlite3.connect(source, timeout=40)) as here, closing(sqlite3.connect(target)) as there:
            here.execute("PRAGMA wal_autocheckpoint=0")
            here.backup(there)  # one snapshot: in WAL mode it stops nobody
            there.execute("PRAGMA journal_mode=DELETE")
            found = there.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise StoreError(f"backup {target}: the store is damaged ({found}); nothing was written")


def _dump(url: str, target: Path) -> None:
    _run_tool("pg_dump", url, ["--format=custom", "--no-owner", "--file", str(target)])


def restore(url: str, path: str) -> None:
    """Put a backup in the place of the store at `url`; no worker may run, and pages must be started anew.

    The store that was there is kept beside as `.before-restore` (SQLite); on PostgreSQL the database must be empty.
    """
    source, target = Path(path), sqlite_path(url)
    if not source.is_file():
        raise StoreError(f"restore {source}: there is no such file")
    if target is None:
        _restore_dump(url, source)
        return
    if target.exists() and source.samefile(target):
        raise StoreError(f"restore {source}: is the store itself; name a backup")
    check_file(source)
    if source.stat().st_size == 0:
        raise StoreError(f"restore {source}: is empty; the store was left as it is")
    with source.open("rb") as file:
        mark = int.from_bytes(file.read(72)[68:], "big")
    if mark != APPLICATION_ID:  # an empty database, say: a start would fill it, a restore must not
        raise StoreError(f"restore {source}: is no backup of Headwind; the store was left as it is")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    try:
        shutil.copyfile(source, part)
        try:
            open_store(f"sqlite:///{part}").close()  # refuses what is foreign or newer, migrates what is older
        except StoreError as error:
            raise StoreError(str(error).replace(str(part), str(source))) from error
        _stand_alone(part)
        _put_aside(target)
        part.replace(target)
    finally:
        for name in (part, *(Path(f"{part}{end}") for end in ("-wal", "-shm", ".migrate", ".checkpoint"))):
            with suppress(FileNotFoundError):
                name.unlink()


def _restore_dump(url: str, source: Path) -> None:
    engine = make_engine(url, busy_timeout_s=40.0)
    try:
        with wrap_store_errors(shown_url(url)), engine.connect() as connection:
            if inspect(connection).get_table_names():
                raise StoreError(
                    f"restore {source}: the database {engine.url.database} is not empty and was left as it is; "
                    "make it anew (dropdb, createdb) and restore before anything else is started"
                )
    finally:
        engine.dispose()
    _run_tool("pg_restore", url, ["--no-owner", "--exit-on-error", "--single-transaction", str(source)])
    open_store(url).close()  # says what is foreign or newer, migrates what is older


def _stand_alone(path: Path) -> None:
    with wrap_store_errors(f"restore {path}"), closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise StoreError(f"restore: the backup is damaged ({found}); the store was left as it is")


def _put_aside(target: Path) -> None:
    """Fold the WAL of the old store in and move it aside; refuse while a worker runs."""
    if not target.exists():
        return
    with _no_worker(target):
        with closing(sqlite3.connect(target, timeout=1)) as connection, suppress(sqlite3.DatabaseError):
            # A damaged store may be why somebody restores: what cannot be folded in moves aside with it.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        target.replace(target.with_name(f"{target.name}.before-restore"))
        for end in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{target}{end}").replace(f"{target}.before-restore{end}")


@contextmanager
def _no_worker(target: Path) -> Iterator[None]:
    """Hold the lock that a worker holds for its life."""
    handle = os.open(f"{target}.checkpoint", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise StoreError(f"restore {target}: is in use by a running worker; stop it first") from error
    try:
        yield
    finally:
        os.close(handle)


def _run_tool(name: str, url: str, arguments: list[str]) -> None:
    """Run pg_dump or pg_restore; the password goes by environment, never on the command line."""
    program = shutil.which(name) or next(
        (str(p) for p in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), ""
    )
    if not program:
        raise StoreError(f"{name} is not installed; install the PostgreSQL client tools")
    parsed = make_url(normal_url(url))
    environment = dict(os.environ)
    if parsed.password:
        environment["PGPASSWORD"] = str(parsed.password)
    plain = parsed.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    done = subprocess.run([program, "--dbname", plain, *arguments], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        raise StoreError(f"{name} failed ({reason})")
