"""`python -m monitor up` as a person starts it: both come up, both end on Ctrl-C, a killed worker comes back."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tools import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE_S = 120.0


def until(what: Callable[[], bool], why: str, patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if what():
            return
        time.sleep(0.25)
    raise AssertionError(f"waited {patience_s:.0f} s in vain: {why}")


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def worker_of(home: Path) -> int | None:
    """Process id that the worker's beat names, if it lives."""
    try:
        with sqlite3.connect(f"file:{home / 'headwind.db'}?mode=ro", uri=True, timeout=5) as connection:
            row = connection.execute("SELECT json_extract(detail, '$.pid') FROM beats WHERE name = 'worker'").fetchone()
    except sqlite3.Error:
        return None
    if row is None:
        return None
    try:
        os.kill(int(row[0]), 0)
    except ProcessLookupError:
        return None
    return int(row[0])


@pytest.fixture
def started(own_home: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "monitor", "up"],
        cwd=ROOT,
        env={**os.environ, "HEADWIND_PORT": str(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    yield process, port
    if process.poll() is None:
        process.kill()
        process.wait(10)


@pytest.mark.timeout(400)
def test_both_come_up_a_killed_worker_comes_back_and_ctrl_c_ends_both(
    started: tuple[subprocess.Popen[str], int], own_home: Path
) -> None:
    process, port = started
    until(lambda: answers(port), "the dashboard answers")
    until(lambda: worker_of(own_home) is not None, "the worker beats")
    first = worker_of(own_home)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: worker_of(own_home) not in (None, first), "the supervisor starts another worker")
    second = worker_of(own_home)
    assert second is not None
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert f"http://127.0.0.1:{port}" in output
    assert not answers(port)
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)
