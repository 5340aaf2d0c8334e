"""A throw-away PostgreSQL for tests: its own data folder, a unix socket, no network, no fsync.

PostgreSQL refuses to run as root, so a suite that runs as root starts it as an unprivileged user of the system.
"""

from __future__ import annotations

import getpass
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests.tools import require_tool

_numbers = itertools.count(1)


class Postgres:
    """A running server; `database()` gives the URL of a fresh database."""

    def __init__(self, folder: Path, user: str) -> None:
        self.folder = folder
        self.user = user

    def url(self, database: str) -> str:
        return f"postgresql://{self.user}@/{database}?host={self.folder}"

    def database(self, template: str = "template1") -> str:
        name = f"test{next(_numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE {name} TEMPLATE "{template}"')
        return self.url(name)


def tool(name: str) -> str:
    """Path of a PostgreSQL program, from Debian's folders or PATH; skips the test without it."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return require_tool(name, found[-1] if found else None)


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Start a server, stop it at the end, leave nothing behind."""
    initdb, pg_ctl = tool("initdb"), tool("pg_ctl")
    folder = Path(tempfile.mkdtemp(prefix="hw-pg-"))  # a short path: sockets allow 107 characters
    user, as_user = _unprivileged(folder)
    data = folder / "data"
    try:
        _run(
            [initdb, "-D", str(data), "-U", user, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            as_user,
        )
        options = (
            f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c synchronous_commit=off "
            "-c full_page_writes=off -c max_connections=60 -c shared_buffers=64MB"
        )
        log = str(folder / "log")
        _run([pg_ctl, "-D", str(data), "-w", "-t", "60", "-l", log, "-o", options, "start"], as_user)
        try:
            yield Postgres(folder, user)
        finally:
            _run([pg_ctl, "-D", str(data), "-m", "immediate", "-w", "stop"], as_user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged(folder: Path) -> tuple[str, dict[str, Any]]:
    if os.geteuid() != 0:
        return getpass.getuser(), {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        return name, {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise RuntimeError("running as root, and the system has neither a user postgres nor nobody")


def _run(command: list[str], as_user: dict[str, Any]) -> None:
    done = subprocess.run(
        command, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **as_user
    )
    if done.returncode != 0:
        raise RuntimeError(f"{Path(command[0]).name}: {done.stdout.decode(errors='replace')[-2000:]}")
