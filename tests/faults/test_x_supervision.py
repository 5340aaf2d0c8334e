"""X5: a worker that dies and stays dead is restarted, an alert says so, and the pulse is stale, not calm."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from apscheduler.schedulers.background import BackgroundScheduler

from monitor import scheduler, supervisor
from monitor.app import App, open_app
from monitor.domain import AlertState, ChannelConfig, DeliveryState
from monitor.errors import StoreError
from monitor.pulse import WORKER_BEAT
from monitor.scheduler import Worker
from monitor.settings import load_settings
from monitor.supervisor import DEATHS_FOR_ALERT, Child, Supervisor
from tests.notify.servers import Answer, hook_server


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


def test_X5_a_channel_that_failed_hears_of_the_dead_worker_from_the_supervisor_at_its_next_beats(
    tmp_path: Path, now: datetime
) -> None:
    database = f"sqlite:///{tmp_path / 'headwind.db'}"
    app = open_app(load_settings(database_url=database, allow_networks="127.0.0.0/8"))
    with hook_server(Answer(status=503), Answer()) as hook:
        app.store.save_channel(ChannelConfig(name="desk", kind="webhook", options={"url": hook.url}), "test", now)
        keeper = keeper_of(app, [sys.executable, "-c", "raise SystemExit(3)"])
        look_until(keeper, lambda: bool(app.store.alerts()))
        assert len(hook.got) == 1
        assert [one.state for one in app.store.deliveries()] == [DeliveryState.FAILED]
        keeper._beat(datetime.now(UTC) + timedelta(minutes=30))
        assert len(hook.got) == 2
        assert [one.state for one in app.store.deliveries()] == [DeliveryState.SENT]
    app.close()


def test_X5_a_dead_worker_is_started_again_and_its_alert_resolved_when_it_stays(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = keeper_of(app, [sys.executable, "-c", "raise SystemExit(1)"])
    child = keeper.children[0]
    look_until(keeper, lambda: bool(app.store.alerts()))
    child.command = [sys.executable, "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr(supervisor, "HEALTHY_AFTER_S", 0.2)
    monkeypatch.setattr(supervisor, "LOOK_AT_BEAT_EVERY_S", 0.05)

    def resolved() -> bool:
        app.store.beat(WORKER_BEAT, datetime.now(UTC), {"pid": 1})  # what a working worker does
        return app.store.alerts()[0].state is AlertState.RESOLVED

    look_until(keeper, resolved)
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


def test_X5_a_worker_that_hangs_after_each_start_is_reported_like_one_that_dies(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = keeper_of(app, [sys.executable, "-c", "import time; time.sleep(60)"])
    monkeypatch.setattr(supervisor, "HEALTHY_AFTER_S", 0.1)
    monkeypatch.setattr(supervisor, "STALE_AFTER", timedelta(seconds=0.3))
    look_until(keeper, lambda: bool(app.store.alerts()))
    keeper._end()


def test_X5_an_alert_that_the_supervisor_before_raised_is_resolved_when_the_worker_beats(
    app: App, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.report_worker_dead(3, 1, now)
    keeper = keeper_of(app, [sys.executable, "-c", "import time; time.sleep(60)"])
    monkeypatch.setattr(supervisor, "HEALTHY_AFTER_S", 0.2)

    def resolved() -> bool:
        app.store.beat(WORKER_BEAT, datetime.now(UTC), {})
        return app.store.alerts()[0].state is AlertState.RESOLVED

    monkeypatch.setattr(supervisor, "LOOK_AT_BEAT_EVERY_S", 0.05)
    look_until(keeper, resolved)
    keeper._end()


def test_X5_a_job_that_only_fails_is_an_alert_until_it_works_again(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "FAILING_FOR_S", 1e-9)
    worker = Worker(app)
    fails = [True]

    def step() -> None:
        if fails:
            raise StoreError("store: no space left on the device")

    job = worker._job("score", step)
    job()
    worker._keep()
    (alert,) = app.store.alerts()
    assert (alert.series, alert.state) == ("pipeline:score", AlertState.OPEN)
    assert "no space left" in alert.summary
    fails.clear()
    job()
    worker._keep()
    assert app.store.alerts()[0].state is AlertState.RESOLVED


def test_X5_a_lost_lead_ends_the_leaders_jobs_and_the_worker_goes_on(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(app)
    jobs = BackgroundScheduler(timezone=UTC)
    keep = worker._job("lead", lambda: worker._keep_lead(jobs))
    keep()
    assert worker.leading
    assert {job.id for job in jobs.get_jobs()} == set(scheduler.LEADERS)

    def broken() -> bool:
        raise StoreError("store: the server closed the connection")

    with monkeypatch.context() as lost:
        lost.setattr(app, "lead", broken)
        keep()
    assert not worker.leading
    assert jobs.get_jobs() == []
    keep()
    assert worker.leading


def test_X5_the_daily_round_is_made_up_when_the_worker_was_down_at_its_minute(
    app: App, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[datetime] = []
    monkeypatch.setattr(app, "daily", rounds.append)
    moments = [now, now + timedelta(hours=1), now + timedelta(hours=18), now + timedelta(days=1)]
    for moment in [*moments, now + timedelta(days=1, minutes=10)]:
        Worker(app, lambda moment=moment: moment)._daily()
    assert rounds == [now + timedelta(days=1)], "not on the store's first day, not before its hour, once a day"
