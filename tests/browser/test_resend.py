"""A letter that failed for good is sent again from the page, to a real webhook that first refuses and then accepts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from monitor.app import App, open_app
from monitor.domain import ChannelConfig, DeliveryState
from monitor.settings import load_settings
from tests.browser.conftest import Desk, Served
from tests.browser.receiver import Receiver, receiving

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture
def webhook() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def worker(served: Served) -> Iterator[App]:
    """The part of the worker that sends, over the store of the pages."""
    app = open_app(
        load_settings(database_url=f"sqlite:///{served.home / 'headwind.db'}", allow_networks="127.0.0.0/8"),
        role="worker",
    )
    yield app
    app.close()


def test_a_dead_letter_is_sent_again_by_a_click_and_arrives(desk: Desk, worker: App, webhook: Receiver) -> None:
    now = datetime.now(UTC)
    worker.store.save_channel(
        ChannelConfig(name="risk desk", kind="webhook", options={"url": webhook.url}), "test", now
    )
    webhook.status = 410
    worker.report_worker_dead(3, -9, now)
    worker.deliver("test", now + timedelta(minutes=2))
    dead = worker.store.deliveries([DeliveryState.DEAD])
    assert "risk desk" in [one.channel for one in dead] and webhook.posts == []

    page = desk.open("settings?view=deliveries")
    expect(page.get_by_text(f"{len(dead)} failed for good")).to_be_visible()
    page.get_by_role("combobox", name="Failed for good").click()
    page.get_by_role("option", name="risk desk").first.click()
    desk.settle()
    page.get_by_role("button", name="Send it again").click()
    expect(page.get_by_text(f"{len(dead) - 1} failed for good")).to_be_visible()

    webhook.status = 204
    worker.deliver("test", datetime.now(UTC) + timedelta(minutes=4))
    sent = worker.store.deliveries([DeliveryState.SENT])
    [letter] = [one for one in sent if one.id in {each.id for each in dead}]
    assert letter.channel == "risk desk" and len(webhook.posts) == 1
    [entry] = [one for one in worker.store.audit(50) if one.action == "delivery.resend"]
    assert (entry.actor, entry.subject) == ("dashboard", f"delivery:{letter.id}")
    page = desk.open("settings?view=deliveries")
    expect(page.get_by_text(f"{len(sent)} sent,")).to_be_visible()
    worker.store.remove_channel("risk desk", "test", now)
    worker.report_worker_alive(now)
