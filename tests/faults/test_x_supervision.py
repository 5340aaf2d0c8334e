"""X5: a worker that dies and stays dead is restarted, an alert says so, and the pulse is stale, not calm."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from monitor import supervisor
from monitor.app import WORKER_BEAT, App, open_app
from monitor.domain import AlertState, ChannelConfig
from monitor.supervisor import DEATHS_FOR_ALERT, Child, Supervisor


@pytest.fixture
def app() -> Iterator[App]:
    opened = open_app()
    yield opened
    opened.close()


def keeper_of(app: App, command: list[str]) -> Supervisor:
    keeper = Supervisor(app, web=False)
    keeper.children = [Child("worker", command)]
    return keeper


def look_until(keeper: Supervisor, done) -> None:
    import time

    deadline = time.monotonic() + 60
    while not done() and time.monotonic() < deadline:
        for child in keeper.children:
            child.next_start = 0.0  # the growing pause is not what is tested here
            keeper._look_after(child)
        time.sleep(0.02)
    assert done()


def test_X5_a_worker_that_keeps_dying_raises_one_alert_and_delivers_it(
    app: App, capsys: pytest.CaptureFixture[str], now: datetime
) -> None:
    app.store.save_channel(ChannelConfig(name="terminal", kind="console"), "test", now)
    keeper = keeper_of(app, [sys.executable, "-c", "raise SystemExit(3)"])
    child = keeper.children[0]
    look_until(keeper, lambda: child.deaths >= DEATHS_FOR_ALERT + 2)
    alerts = app.store.alerts()
    assert [(a.rule, a.series, a.state) for a in alerts] == [("worker", "pipeline:worker", AlertState.OPEN)]
    assert "exit status 3" in alerts[0].summary
    assert "worker" in capsys.readouterr().out


def test_X5_a_dead_worker_is_started_again_and_its_alert_resolved_when_it_stays(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = keeper_of(app, [sys.executable, "-c", "raise SystemExit(1)"])
    child = keeper.children[0]
    look_until(keeper, lambda: bool(app.store.alerts()))
    child.command = [sys.executable, "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr(supervisor, "HEALTHY_AFTER_S", 0.2)
    look_until(keeper, lambda: app.store.alerts()[0].state is AlertState.RESOLVED)
    assert child.process is not None
    child.process.kill()
    child.process.wait()


def test_X5_no_sign_of_life_is_shown_as_stale_and_not_as_calm(app: App, now: datetime) -> None:
    app.store.beat(WORKER_BEAT, now, {"pid": 1})
    assert app.pulse(now + timedelta(seconds=30)).worker == "running"
    late = app.pulse(now + timedelta(minutes=5))
    assert late.worker == "stale"
    assert any("no sign of life" in note for note in late.notes)


def test_X5_a_worker_that_lives_but_does_nothing_is_ended(app: App, now: datetime, monkeypatch) -> None:
    app.store.beat(WORKER_BEAT, now, {"pid": 1})
    keeper = keeper_of(app, [sys.executable, "-c", "import time; time.sleep(60)"])
    child = keeper.children[0]
    child.start()
    first = child.process
    assert first is not None
    monkeypatch.setattr(supervisor, "HEALTHY_AFTER_S", 0.0)
    monkeypatch.setattr(supervisor, "STALE_AFTER", timedelta(seconds=0.5))
    look_until(keeper, lambda: first.poll() is not None)
    if child.process is not None:
        child.process.kill()
        child.process.wait()
