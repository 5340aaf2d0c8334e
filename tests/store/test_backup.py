"""Backups are whole while others write, and a restore never loses what was there."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from monitor.errors import StoreError
from monitor.store.backup import restore
from tests.postgres import Postgres, tool
from tests.store.made import NOW, article, go_live, said, score, settle
from tests.stores import OpenStore


def test_a_backup_taken_while_others_write_is_whole(sqlite_url: str, tmp_path: Path, open_at: OpenStore) -> None:
    store = open_at(sqlite_url, role="worker")
    go_live(store)
    stop = threading.Event()

    def write() -> None:
        other = open_at(sqlite_url)
        number = 0
        while not stop.is_set():
            other.add_articles([article(number + n, story=f"s{number}") for n in range(10)], NOW)
            number += 10

    store.add_articles([article(90_000)], NOW)
    thread = threading.Thread(target=write)
    thread.start()
    target = tmp_path / "backup.db"
    try:
        store.backup(str(target))
    finally:
        stop.set()
        thread.join(30)
    assert [file.name for file in tmp_path.glob("backup*")] == ["backup.db"]
    with closing(sqlite3.connect(target)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert raw.execute("SELECT count(*) % 10 FROM articles").fetchone() == (1,)
    copy = open_at(f"sqlite:///{target}")
    score(copy, ("Quarry", said()))
    settle(copy)


def test_a_backup_never_replaces_a_file(sqlite_url: str, tmp_path: Path, open_at: OpenStore) -> None:
    store = open_at(sqlite_url)
    there = tmp_path / "precious.txt"
    there.write_text("precious")
    with pytest.raises(StoreError, match="is there already"):
        store.backup(str(there))
    assert there.read_text() == "precious"
    with pytest.raises(StoreError, match="there is no folder"):
        store.backup(str(tmp_path / "nowhere" / "x.db"))


def test_restore_puts_the_backup_in_place_and_keeps_what_was_there(
    sqlite_url: str, tmp_path: Path, open_at: OpenStore
) -> None:
    store = open_at(sqlite_url, role="worker")
    store.add_articles([article(1)], NOW)
    store.backup(str(tmp_path / "backup.db"))
    store.add_articles([article(2)], NOW)
    store.close()
    restore(sqlite_url, str(tmp_path / "backup.db"))
    assert open_at(sqlite_url).known_identities(["article-1", "article-2"]) == {"article-1"}
    aside = open_at(f"{sqlite_url}.before-restore")
    assert aside.known_identities(["article-1", "article-2"]) == {"article-1", "article-2"}
    assert list(tmp_path.glob("*.part*")) == []


def test_restore_refuses_while_the_store_is_in_use(sqlite_url: str, tmp_path: Path, open_at: OpenStore) -> None:
    worker = open_at(sqlite_url, role="worker")
    worker.backup(str(tmp_path / "backup.db"))
    with pytest.raises(StoreError, match="in use"):
        restore(sqlite_url, str(tmp_path / "backup.db"))
    worker.add_articles([article(1)], NOW)


def test_restore_refuses_while_a_worker_runs_that_took_over_from_another(
    sqlite_url: str, tmp_path: Path, open_at: OpenStore
) -> None:
    first, second = open_at(sqlite_url, role="worker"), open_at(sqlite_url, role="worker")
    first.backup(str(tmp_path / "backup.db"))
    first.close()
    second.checkpoint()
    with pytest.raises(StoreError, match="in use"):
        restore(sqlite_url, str(tmp_path / "backup.db"))


def test_restore_refuses_what_is_no_backup(sqlite_url: str, tmp_path: Path, open_at: OpenStore) -> None:
    open_at(sqlite_url).close()
    letter = tmp_path / "letter.txt"
    letter.write_text("no backup" * 100)
    newer = tmp_path / "newer.db"
    open_at(f"sqlite:///{newer}").close()
    with closing(sqlite3.connect(newer)) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.commit()
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    blank = tmp_path / "blank.db"
    with closing(sqlite3.connect(blank)) as raw:
        raw.execute("PRAGMA user_version = 1")
    itself = Path(sqlite_url.removeprefix("sqlite:///"))
    before = itself.read_bytes()
    for path, reason in (
        (letter, "not a SQLite"),
        (tmp_path / "gone.db", "no such file"),
        (blank, "no backup of Headwind"),
        (newer, f"{newer}: was written by a newer"),
        (itself, "the store itself"),
    ):
        with pytest.raises(StoreError, match=reason):
            restore(sqlite_url, str(path))
    assert itself.read_bytes() == before


@pytest.mark.postgres
def test_postgresql_is_dumped_and_restored(
    postgres: Postgres, postgres_url: str, tmp_path: Path, open_at: OpenStore
) -> None:
    tool("pg_dump")
    store = open_at(postgres_url)
    go_live(store)
    store.add_articles([article(1), article(2)], NOW)
    score(store)
    target = tmp_path / "backup.dump"
    store.backup(str(target))
    fresh = postgres.database()
    restore(fresh, str(target))
    copy = open_at(fresh)
    assert copy.status().articles == 2
    settle(copy)
    with pytest.raises(StoreError, match="is not empty and was left as it is"):
        restore(postgres_url, str(target))
    assert store.status().articles == 2
