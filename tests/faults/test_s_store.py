"""S1 to S7 of the fault list: what the store survives, on real files and a real PostgreSQL."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from monitor.domain import ArticleQuery
from monitor.errors import StoreBusyError, StoreError
from monitor.pulse import read_pulse
from monitor.store import open_store
from monitor.store.schema import HEAD, articles
from monitor.store.sql import SqlStore
from tests.store.made import LEASE, NOW, article, go_live, said, score, settle
from tests.stores import OpenStore

LONG = "A long summary. " * 200


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def in_child(job: Callable[[], None]) -> int:
    """Run a job in a forked child, which ends with it; gives its process id."""
    child = os.fork()
    if child:
        return child
    try:
        job()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


# ── S1 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_S1_one_process_checkpoints_and_status_says_which(sqlite_url: str, open_at: OpenStore) -> None:
    page = open_at(sqlite_url, role="reader")
    assert page.status().store["checkpointer"] is None
    worker = open_at(sqlite_url, role="worker")
    told = page.status().store
    assert told["checkpointer"] == os.getpid() and told["kind"] == "sqlite"
    assert told["wal_reset_fault"] is (sqlite3.sqlite_version_info <= (3, 51, 2))
    page.add_articles([article(1, summary=LONG)], NOW)
    size = page.wal_bytes()
    page.checkpoint()  # not ours to move
    assert page.wal_bytes() == size > 0
    worker.checkpoint()
    assert worker.wal_bytes() == 0


def test_S1_no_connection_checkpoints_by_itself(sqlite_url: str, open_at: OpenStore) -> None:
    for role in ("reader", "tool", "worker"):
        own = open_at(sqlite_url, role=role)
        with own.read() as connection:
            assert connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar_one() == 0
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"


# ── S2 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def hold_lock(url: str, seconds: float) -> threading.Thread:
    held = threading.Event()

    def hold() -> None:
        with closing(sqlite3.connect(file_of(url), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            held.set()
            time.sleep(seconds)
            other.execute("ROLLBACK")

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    return thread


def test_S2_a_held_lock_is_waited_for_within_bounds_and_no_batch_is_lost(sqlite_url: str, open_at: OpenStore) -> None:
    impatient = open_at(sqlite_url, busy_timeout_s=0.2)
    other = hold_lock(sqlite_url, 1.5)
    with pytest.raises(StoreBusyError, match="locked for longer than the wait"):
        impatient.add_articles([article(1)], NOW)
    assert impatient.status().articles == 0  # reads go on
    patient = open_at(sqlite_url, busy_timeout_s=60)
    assert patient.add_articles([article(1)], NOW).new == 1
    other.join()
    assert impatient.add_articles([article(1), article(2)], NOW).new == 1


@pytest.mark.soak
def test_S2_a_lock_held_for_30_seconds_is_waited_for(sqlite_url: str, open_at: OpenStore) -> None:
    store = open_at(sqlite_url)
    other = hold_lock(sqlite_url, 30)
    assert store.add_articles([article(1)], NOW).new == 1
    other.join()


# ── S3 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_S3_an_open_reader_pauses_ingestion_at_the_limit_until_it_ends(sqlite_url: str, open_at: OpenStore) -> None:
    store = open_at(sqlite_url, role="worker", wal_limit=2**20)
    go_live(store)
    store.add_articles([article(0)], NOW)
    reader = sqlite3.connect(file_of(sqlite_url), isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM articles").fetchone()
    with pytest.raises(StoreBusyError, match="ingestion pauses"):
        for number in range(1, 2000):
            store.add_articles([article(number, summary=LONG)], NOW)
    assert 2**20 <= store.wal_bytes() < 3 * 2**20
    assert store.status().store["ingestion_paused"] is True
    assert any("ingestion is paused" in note for note in read_pulse(store, NOW).problems)
    score(store)  # what is there is still scored, counted and told
    settle(store)
    reader.execute("COMMIT")
    reader.close()
    assert store.add_articles([article(5000)], NOW).new == 1
    assert store.status().store["ingestion_paused"] is False
    assert not any("ingestion" in note for note in read_pulse(store, NOW).notes)


def test_S3_our_own_reads_are_bounded_in_time(sqlite_url: str, open_at: OpenStore) -> None:
    store = open_at(sqlite_url, read_timeout_s=0.2)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(StoreBusyError, match="longer than its limit"), store.read() as connection:
        connection.exec_driver_sql(endless)
    assert store.status().articles == 0


def test_S3_a_stream_holds_no_read_open_between_pages(sqlite_url: str, open_at: OpenStore) -> None:
    store = open_at(sqlite_url, role="worker")
    store.add_articles([article(n) for n in range(3)], NOW)
    stream = store.recent_articles(NOW - timedelta(days=1))
    next(stream)
    store.checkpoint()
    assert store.wal_bytes() == 0


# ── S4 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def kill_while_it_writes(url: str, rounds: int) -> None:
    """Kill a writer at a random moment; all that it said it had written must be there, and the file whole."""
    dice = random.Random(4)
    acknowledged: set[str] = set()
    for number in range(rounds):
        inlet, outlet = os.pipe()

        def write(number: int = number, outlet: int = outlet) -> None:
            store = open_store(url, role="worker", wal_limit=2**22)
            go_live(store)
            for batch in range(10_000):
                name = f"round-{number}-{batch}"
                rows = [article(n, summary=LONG, identity=f"{name}-{n}", story=name) for n in range(5)]
                store.add_articles(rows, NOW)
                os.write(outlet, f"{name}\n".encode())
                claimed = store.claim_unscored("w", 50, NOW + timedelta(hours=number * 20 + batch), LEASE)
                store.save_predictions("v1", [(one.id, said()) for one in claimed], NOW)
                store.refresh_rollups()

        child = in_child(write)
        os.close(outlet)
        told = b""
        while told.count(b"\n") < dice.randint(1, 4):
            heard = os.read(inlet, 4096)
            assert heard, "the writer ended by itself; its error is above"
            told += heard
        time.sleep(dice.random() * 0.02)
        kill(child)
        while more := os.read(inlet, 65536):
            told += more
        os.close(inlet)
        acknowledged.update(told.decode().split())
    with closing(sqlite3.connect(file_of(url))) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
        raw.execute("INSERT INTO article_search (article_search) VALUES ('integrity-check')")
    store = open_store(url, role="worker")
    try:
        expected = {f"{name}-{n}" for name in acknowledged for n in range(5)}
        assert store.known_identities(sorted(expected)) == expected
        status = store.status()
        assert status.articles % 5 == 0 and status.articles == 5 * status.stories  # whole batches only
        later = NOW + timedelta(days=365)
        while claimed := store.claim_unscored("last", 500, later, LEASE):
            store.save_predictions("v1", [(one.id, said()) for one in claimed], later)
        settle(store)
        counted = store.rollups(["all"], NOW - timedelta(days=1), NOW + timedelta(days=1))
        assert sum(row.articles for row in counted) == status.articles
        assert store.verify_audit() is None
    finally:
        store.close()


def test_S4_killed_20_times_while_it_writes_nothing_acknowledged_is_lost(sqlite_url: str) -> None:
    kill_while_it_writes(sqlite_url, 20)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_S4_killed_200_times_while_it_writes_nothing_acknowledged_is_lost(sqlite_url: str) -> None:
    kill_while_it_writes(sqlite_url, 200)


def test_S4_a_kill_in_the_midst_of_a_checkpoint_is_no_truncated_file(sqlite_url: str, tmp_path: Path) -> None:
    """The header is written first, and then says a size that the file does not have yet."""
    path, cut = file_of(sqlite_url), tmp_path / "cut" / "headwind.db"
    cut.parent.mkdir()
    with closing(open_store(sqlite_url)) as store:
        store.add_articles([article(n, summary=LONG) for n in range(300)], NOW)
        log = Path(f"{path}-wal").read_bytes()
        cut.write_bytes(path.read_bytes())
        Path(f"{cut}-wal").write_bytes(log)
    page = int.from_bytes(log[8:12], "big")
    frames = [log[at : at + 24 + page] for at in range(32, len(log), 24 + page)]
    first = [frame[24:] for frame in frames if frame[:4] == (1).to_bytes(4, "big")][-1]
    with cut.open("r+b") as file:
        file.write(first)
    assert cut.stat().st_size < page * int.from_bytes(first[28:32], "big")
    with closing(open_store(f"sqlite:///{cut}")) as store:
        assert store.status().articles == 300
    Path(f"{cut}-wal").unlink(missing_ok=True)
    with cut.open("r+b") as file:
        file.truncate(page * 20)
    refused(cut, "truncated")


# ── S5 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_S5_a_full_disk_rolls_back_reads_go_on_and_work_resumes(sqlite_url: str, open_at: OpenStore) -> None:
    store = open_at(sqlite_url)
    go_live(store)
    store.add_articles([article(1)], NOW)
    pages = {"most": 400}

    @event.listens_for(store.engine, "begin")
    def _limit(connection: object) -> None:  # SQLite answers SQLITE_FULL, as it does when the disk is full
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages['most']}")  # type: ignore[attr-defined]

    with pytest.raises(StoreError, match="disk is full"):
        store.add_articles([article(n, summary=LONG) for n in range(2, 2000)], NOW)
    assert store.status().articles == 1
    assert store.search_articles(ArticleQuery(text="Quarry"))[1] == 1
    pages["most"] = 1_000_000
    assert store.add_articles([article(n, summary=LONG) for n in range(1, 2000)], NOW).new == 1998
    score(store)
    settle(store)


# ── S6 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def refused(path: Path, match: str) -> None:
    """Opening is refused with one line, and nothing at that place has changed."""
    before = path.read_bytes()
    with pytest.raises(StoreError, match=match) as caught:
        open_store(f"sqlite:///{path}")
    assert "\n" not in str(caught.value) and path.read_bytes() == before


def test_S6_a_truncated_file_is_refused(sqlite_url: str) -> None:
    path = file_of(sqlite_url)
    whole = path.read_bytes()
    for size in (len(whole) - 4096, len(whole) // 2, 4096, 99, 20, 10, 3):
        path.write_bytes(whole[:size])
        refused(path, "truncated")


def test_S6_what_is_not_ours_is_refused(tmp_path: Path, sqlite_url: str) -> None:
    text = tmp_path / "letter.txt"
    text.write_text("Dear Sir, this is not a database at all." * 50)
    refused(text, "not a SQLite database")
    foreign = tmp_path / "foreign.db"
    with closing(sqlite3.connect(foreign)) as other:
        other.execute("CREATE TABLE articles (id INTEGER PRIMARY KEY)")
        other.commit()
    refused(foreign, "belongs to another program")
    with pytest.raises(StoreError, match="is a folder"):
        open_store(f"sqlite:///{tmp_path}")


def test_S6_a_newer_schema_is_refused(sqlite_url: str) -> None:
    path = file_of(sqlite_url)
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
        newer.commit()
        newer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    refused(path, "newer Headwind .schema 9999")


def test_S6_damage_inside_the_file_is_an_error_in_one_line(sqlite_url: str, open_at: OpenStore) -> None:
    store = open_at(sqlite_url, role="worker")
    store.add_articles([article(n, summary=LONG) for n in range(200)], NOW)
    store.close()
    path = file_of(sqlite_url)
    whole = bytearray(path.read_bytes())
    for at in range(4096 * 12, len(whole), 4096):
        whole[at : at + 64] = b"\xff" * 64
    path.write_bytes(whole)
    with pytest.raises(StoreError, match="damaged") as caught:
        damaged = open_at(sqlite_url)
        list(damaged.recent_articles(NOW - timedelta(days=9)))
        damaged.add_articles([article(5000)], NOW)
    assert "\n" not in str(caught.value)


def test_S6_a_foreign_or_newer_postgresql_is_refused(postgres_url: str, open_at: OpenStore) -> None:
    store = open_at(postgres_url)
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    try:
        with pytest.raises(StoreError, match="newer Headwind"):
            open_store(postgres_url)
    finally:
        with store.write() as connection:
            connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{HEAD}'")
    with pytest.raises(StoreError, match="cannot be reached"):
        open_store("postgresql://nobody@127.0.0.1:1/none")


# ── S7 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def claim_and_hang(url: str) -> tuple[int, int]:
    """A child that claims everything and then "scores" for ever: its process id, and a pipe that told of the claim."""
    inlet, outlet = os.pipe()

    def work() -> None:
        store = open_store(url)
        claimed = store.claim_unscored("killed", 100, NOW, LEASE)
        os.write(outlet, f"{len(claimed)}\n".encode())
        time.sleep(600)

    child = in_child(work)
    os.close(outlet)
    return child, inlet


def test_S7_no_lock_is_held_while_scoring(postgres_url: str, open_at: OpenStore) -> None:
    store = open_at(postgres_url, busy_timeout_s=5)
    go_live(store)
    store.add_articles([article(n) for n in range(20)], NOW)
    child, inlet = claim_and_hang(postgres_url)
    try:
        assert os.read(inlet, 100) == b"20\n"
        with store.read() as connection:
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
            assert connection.exec_driver_sql(waiting).scalar_one() == 0
        store.add_articles([article(1, "Another title")], NOW)  # the very rows that are leased
        store.set_live_model("v2", ["en"], "ana", "no lock", NOW)
    finally:
        kill(child)
        os.close(inlet)


def test_S7_a_killed_workers_lease_expires_and_the_effect_is_once(postgres_url: str, open_at: OpenStore) -> None:
    store = open_at(postgres_url)
    go_live(store)
    store.add_articles([article(n) for n in range(20)], NOW)
    child, inlet = claim_and_hang(postgres_url)
    assert os.read(inlet, 100) == b"20\n"
    kill(child)
    os.close(inlet)
    assert store.claim_unscored("next", 100, NOW, LEASE) == []
    done: list[int] = []
    while claimed := store.claim_unscored("next", 100, NOW + LEASE, LEASE):
        store.save_predictions("v1", [(one.id, said()) for one in claimed], NOW)
        done += [one.id for one in claimed]
    assert sorted(done) == list(range(1, 21))
    store.save_predictions("v1", [(1, said())], NOW)  # a result that comes twice changes nothing
    settle(store)
    assert sum(row.stories for row in store.rollups(["all"], NOW - timedelta(days=1), NOW)) == 20


def test_S7_a_worker_killed_within_its_writes_leaves_all_or_nothing(postgres_url: str, open_at: OpenStore) -> None:
    store = open_at(postgres_url)
    go_live(store)
    store.add_articles([article(n) for n in range(200)], NOW)

    def work() -> None:
        own = open_store(postgres_url)
        later = NOW
        while True:
            later += 2 * LEASE
            claimed = own.claim_unscored("killed", 5, later, LEASE)
            own.save_predictions("v1", [(one.id, said()) for one in claimed], NOW)
            own.refresh_rollups()

    dice = random.Random(7)
    for _ in range(5):
        child = in_child(work)
        time.sleep(0.2 + dice.random() * 0.2)
        kill(child)
    later = NOW + timedelta(days=9)
    while claimed := store.claim_unscored("last", 100, later, LEASE):
        store.save_predictions("v1", [(one.id, said()) for one in claimed], NOW)
    settle(store)
    with store.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM predictions").scalar_one() == 200


def test_a_copy_of_a_store_is_a_store(sqlite_url: str, tmp_path: Path, open_at: OpenStore) -> None:
    """What the fixtures rely on: a migrated file that was closed is whole without its WAL."""
    copy = tmp_path / "copy.db"
    shutil.copyfile(file_of(sqlite_url), copy)
    store: SqlStore = open_at(f"sqlite:///{copy}")
    with store.read() as connection:
        assert connection.execute(articles.select()).all() == []
