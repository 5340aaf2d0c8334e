"""One leader at a time, and a dead one leaves the place free."""

from __future__ import annotations

import os
import signal
import time

import pytest

from monitor.errors import LeaderError
from monitor.leader import take_lead


def test_there_is_one_leader(store_url: str) -> None:
    with take_lead(store_url) as lead:
        assert lead.held()
        with pytest.raises(LeaderError, match="another worker"):
            take_lead(store_url)
    assert not lead.held()
    take_lead(store_url).release()


def test_a_killed_leader_is_followed(store_url: str) -> None:
    inlet, outlet = os.pipe()
    child = os.fork()
    if not child:
        try:
            lead = take_lead(store_url)
            os.write(outlet, b"led" if lead.held() else b"not")
            time.sleep(600)
        finally:
            os._exit(0)
    assert os.read(inlet, 3) == b"led"
    with pytest.raises(LeaderError):
        take_lead(store_url)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    deadline = time.monotonic() + 30
    while True:
        try:
            take_lead(store_url).release()
            break
        except LeaderError:  # PostgreSQL notices the dead connection a moment later
            assert time.monotonic() < deadline
            time.sleep(0.05)
    os.close(inlet)
    os.close(outlet)
