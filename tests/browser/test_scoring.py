"""Scoring with the shipped model as a person sees it: never in Streamlit's process, and nobody waits for another."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import Desk, Served, serving
from tests.tools import free_port, require_tool

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

ROWS = 2_000
HEADLINE = "Calder Foods warns of a deep loss as lenders refuse to extend its loans"
NETWORKS = ("onnxruntime", "libtorch", "/torch/")
"""What the memory map of a process names once it has loaded a network library."""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    require_tool("chromium", "/usr/bin/chromium")
    with serving(tmp_path_factory.mktemp("real"), free_port(), real_model=True, THREADS="1") as one:
        yield one


@pytest.fixture
def two_tabs(browser: Browser, real: Served) -> Iterator[tuple[Desk, Desk]]:
    contexts: list[BrowserContext] = [browser.new_context(viewport={"width": 1280, "height": 900}) for _ in range(2)]
    first, second = (Desk(context.new_page(), real.url).listen() for context in contexts)
    yield first, second
    for context in contexts:
        context.close()


def test_a_pasted_text_and_its_reasons_come_from_a_process_of_its_own(
    two_tabs: tuple[Desk, Desk], real: Served
) -> None:
    desk, _ = two_tabs
    page = desk.open("score")
    paste(page, HEADLINE)
    expect(page.get_by_text("headwind-minilm")).to_be_visible()
    page.get_by_text("Show the words that drove the label").click()
    expect(page.locator("mark").first).to_be_visible()
    [scorer] = scorers(real)
    assert loaded(scorer), "the scoring process runs the network"
    assert not loaded(real.process_id), "Streamlit's process does not"

    os.kill(scorer, signal.SIGKILL)
    paste(page, "Quill Insurance raises its dividend after a record profit")
    expect(page.get_by_text("positive", exact=False).first).to_be_visible()
    assert scorers(real) != [scorer]
    assert page.get_by_test_id("stAlertContentError").count() == 0
    assert desk.errors == []


def test_a_second_tab_is_answered_while_a_long_table_is_scored(two_tabs: tuple[Desk, Desk], real: Served) -> None:
    first, second = two_tabs
    page = first.open("score")
    page.get_by_text("Upload files").first.click()
    table = "id,headline\n" + "".join(f"{row},{HEADLINE} in week {row}\n" for row in range(ROWS))
    page.locator('input[type="file"]').set_input_files(
        [{"name": "clients.csv", "mimeType": "text/csv", "buffer": table.encode()}]
    )
    page.get_by_role("button", name=f"Score {ROWS:,} rows").click()
    running = page.get_by_text(f"Scoring {ROWS:,} rows in a process of its own")
    expect(running).to_be_visible()

    second.open("news?range=30d")
    second.page.get_by_text("7 days", exact=True).click()
    second.page.wait_for_url("**/news?*")
    second.settle()
    expect(second.page.get_by_text(" found")).to_be_visible()
    assert running.is_visible(), "the other tab was answered before the table was done"

    expect(page.get_by_text(f"{ROWS:,} rows: ")).to_be_visible(timeout=300_000)
    assert not loaded(real.process_id)
    assert first.errors == [] and second.errors == []


def paste(page: Page, text: str) -> None:
    page.get_by_role("textbox").first.fill(text)
    page.get_by_role("button", name="Score", exact=True).click()


def scorers(real: Served) -> list[int]:
    """Process ids of the scoring processes of the dashboard."""
    children = Path(f"/proc/{real.process_id}/task").glob("*/children")
    ids = [int(one) for file in children for one in file.read_text().split()]
    return [one for one in ids if b"models.process_backend" in Path(f"/proc/{one}/cmdline").read_bytes()]


def loaded(process_id: int) -> bool:
    maps = Path(f"/proc/{process_id}/maps").read_text()
    return any(name in maps for name in NETWORKS)
