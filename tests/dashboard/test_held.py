"""What was read from uploads is kept for reruns, and never more of it than the limit (fault U2)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from dashboard import uploads
from dashboard.held import FORGOTTEN_S, Held
from monitor.errors import UploadError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def held() -> Held[str]:
    return Held(len, limit=100)


def test_what_is_asked_again_is_read_once(held: Held[str]) -> None:
    read: list[str] = []
    for _ in range(3):
        assert held.get("a", lambda: read.append("a") or "text") == "text"
    assert read == ["a"]


def test_U2_fifty_sessions_hold_no_more_than_the_limit(held: Held[str]) -> None:
    for session in range(50):
        held.get(f"file-{session}", lambda: "x" * 30)
        assert held.bytes <= 100
    assert held.bytes == 90


def test_the_least_recently_used_goes_first(held: Held[str]) -> None:
    for name in ("old", "used", "new"):
        held.get(name, lambda: "x" * 30)
    held.get("old", lambda: pytest.fail("still there"))
    held.get("fourth", lambda: "x" * 30)
    assert held.get("used", lambda: "read again") == "read again"


def test_what_is_larger_than_the_limit_is_given_and_not_kept(held: Held[str]) -> None:
    held.get("small", lambda: "x" * 30)
    assert held.get("large", lambda: "x" * 101) == "x" * 101
    assert held.bytes == 30


def test_what_nobody_used_for_half_an_hour_is_dropped() -> None:
    clock = Clock()
    held = Held(len, limit=100, clock=clock)
    held.get("left", lambda: "x" * 30)
    clock.now = FORGOTTEN_S + 1
    held.get("new", lambda: "x" * 10)
    assert held.bytes == 10


def test_a_value_that_lasts_ten_minutes_is_made_again_though_it_was_used() -> None:
    clock = Clock()
    held = Held(len, limit=100, clock=clock, lasts_s=600)
    for now in (0, 400, 601):
        clock.now = now
        text = held.get("a", lambda: f"made at {clock.now}")
    assert text == "made at 601"
    assert held.bytes == len(text)


def test_a_file_that_cannot_be_read_leaves_nothing(held: Held[str]) -> None:
    def refuse() -> str:
        raise UploadError("report.pdf: not a PDF")

    with pytest.raises(UploadError):
        held.get("report", refuse)
    assert held.bytes == 0


def test_a_table_weighs_at_least_its_text() -> None:
    table = pd.DataFrame([["x" * 1000, "y"]] * 500, columns=["text", "id"], dtype=str)
    one = uploads.Upload(identity="1", name="t.csv", text="", table=table, likely=0, notes=())
    assert uploads.weight(one) > 500 * 1000


def test_sessions_that_ask_at_once_read_once(held: Held[str]) -> None:
    begun, go = threading.Event(), threading.Event()
    read: list[str] = []

    def slow() -> str:
        read.append("a")
        begun.set()
        go.wait(10)
        return "text"

    with ThreadPoolExecutor(5) as sessions:
        first = sessions.submit(held.get, "a", slow)
        begun.wait(10)
        others = [sessions.submit(held.get, "a", slow) for _ in range(4)]
        go.set()
        assert {one.result(10) for one in (first, *others)} == {"text"}
    assert read == ["a"]


def test_who_waited_for_a_read_that_failed_reads_by_itself(held: Held[str]) -> None:
    begun, go = threading.Event(), threading.Event()

    def refuse() -> str:
        begun.set()
        go.wait(10)
        raise UploadError("report.pdf: not a PDF")

    with ThreadPoolExecutor(2) as sessions:
        first = sessions.submit(held.get, "report", refuse)
        begun.wait(10)
        second = sessions.submit(held.get, "report", lambda: "text")
        go.set()
        assert second.result(10) == "text"
        with pytest.raises(UploadError):
            first.result(10)
