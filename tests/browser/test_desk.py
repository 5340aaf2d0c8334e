"""What a person does at the desk, in a real browser. Kept short: the logic is tested in tests/dashboard."""

from __future__ import annotations

import http.client
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from dashboard.nav import PAGES
from tests.browser.conftest import Desk, Served

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def test_every_page_opens_without_an_error_and_asks_nobody_outside(desk: Desk) -> None:
    for name in PAGES:
        desk.open("" if name == "now" else name)
        expect(desk.page.get_by_test_id("stAlertContentError")).to_have_count(0)
        expect(desk.page.get_by_test_id("stException")).to_have_count(0)
    assert desk.errors == []
    assert desk.outside == []


def test_a_search_is_shared_by_its_address(desk: Desk) -> None:
    page = desk.open("news?range=30d&sentiment=negative")
    box = page.get_by_placeholder("Search")
    box.fill("lawsuit -Corvale")
    box.press("Enter")
    page.wait_for_url("**/news?*q=lawsuit*")
    desk.settle()
    expect(page.get_by_text("Filters (1)")).to_be_visible()
    expect(page.get_by_text(" found")).to_be_visible()
    found = page.get_by_text(" found").inner_text()
    other = Desk(page.context.new_page(), desk.url).listen()
    other.page.goto(page.url)
    other.settle()
    expect(other.page.get_by_placeholder("Search")).to_have_value("lawsuit -Corvale")
    expect(other.page.get_by_text(" found")).to_have_text(found)
    other.page.close()


def test_D1_a_hostile_title_is_shown_as_text_and_fetches_nothing(desk: Desk) -> None:
    page = desk.open("news?q=tracker")
    expect(page.get_by_role("heading", name="![](http://tracker.invalid/x.png)")).to_be_visible()
    assert ":red[x] <b>bold</b> <img src=x>" in desk.text()
    assert desk.outside == []
    assert page.locator('a[href^="javascript"]').count() == 0


def test_an_alert_is_acknowledged(desk: Desk) -> None:
    page = desk.open("alerts?alert=1")
    expect(page.get_by_role("heading", name="Credit distress")).to_be_visible()
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("Critical · acknowledged")).to_be_visible()
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)


def test_pasted_text_is_scored_sentence_by_sentence(desk: Desk) -> None:
    page = desk.open("score")
    page.get_by_label("Text", exact=True).fill("Tessera Energy nears default. Its chief remains calm.")
    page.get_by_role("button", name="Score", exact=True).click()
    expect(page.get_by_text("Negative, 90% sure")).to_be_visible()
    expect(page.get_by_text("Sentence by sentence (2)")).to_be_visible()


def test_an_uploaded_table_is_scored(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "clients.csv"
    file.write_text("id,headline\n1,Calder Foods faces a probe\n2,Quill Insurance profit rises\n", encoding="utf-8")
    page = desk.open("score")
    page.get_by_role("button", name="Upload files").or_(page.get_by_text("Upload files")).first.click()
    page.locator('input[type="file"]').set_input_files(str(file))
    page.get_by_role("button", name="Score 2 rows").click()
    expect(page.get_by_text("2 rows: 1 negative, 0 neutral, 1 positive")).to_be_visible()


def test_the_language_is_switched(desk: Desk) -> None:
    page = desk.open()
    page.get_by_text("中文").click()
    expect(page.get_by_role("heading", name="现况")).to_be_visible()


def test_D2_a_foreign_origin_gets_neither_socket_nor_upload(served: Served) -> None:
    host = urlsplit(served.url)
    headers = {
        "Origin": "https://evil.invalid",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    socket = http.client.HTTPConnection(host.hostname or "", host.port, timeout=20)
    socket.request("GET", "/_stcore/stream", headers=headers)
    assert socket.getresponse().status == 403
    socket.close()
    upload = http.client.HTTPConnection(host.hostname or "", host.port, timeout=20)
    upload.request("PUT", "/_stcore/upload_file/no-such-session/x", body=b"x", headers={"Origin": headers["Origin"]})
    assert upload.getresponse().status in (400, 403)
    upload.close()
