"""A real server on a loopback port over a seeded store, and a real Chromium in front of it."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from models import registry
from monitor.settings import load_settings
from monitor.store import open_store
from monitor.supervisor import dashboard_command
from tests.dashboard.seeding import seed
from tests.tools import free_port, require_tool

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)  # it has a limit of its own, five seconds: a busy machine is no failure
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


@dataclass(slots=True)
class Served:
    url: str
    home: Path
    process_id: int


@contextmanager
def serving(home: Path, port: int, *, real_model: bool = False, **settings: str) -> Iterator[Served]:
    """The dashboard over a seeded store in `home`, started as `python -m monitor web` does; ended by its process id.

    real_model: with the shipped model instead of a scripted one. settings: deployment settings, as environment
    variables without HEADWIND_.
    """
    store = open_store(f"sqlite:///{home / 'headwind.db'}", role="worker")
    seed(store, datetime.now(UTC).replace(microsecond=0))
    store.beat("worker", datetime.now(UTC), {})
    if real_model:
        manifest = registry.read_manifest(registry.resolve(None))
        store.set_live_model(manifest.version, manifest.languages, "test", "shipped", datetime.now(UTC))
    store.close()
    kept = {n: v for n, v in os.environ.items() if not n.startswith("HEADWIND_") and not n.lower().endswith("_proxy")}
    given = {"HOME": str(home), "PORT": str(port), **settings}
    environment = {**kept, **{f"HEADWIND_{name}": value for name, value in given.items()}}
    command = dashboard_command(load_settings(home=home, port=port))
    if not real_model:
        command[command.index(str(ROOT / "streamlit_app.py"))] = str(ROOT / "tests" / "browser" / "served.py")
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process)
        yield Served(url, home, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The dashboard without a login over a store of its own."""
    require_tool("chromium", "/usr/bin/chromium")
    with serving(tmp_path_factory.mktemp("served"), free_port()) as one:
        yield one


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if process.poll() is not None:
            raise RuntimeError(f"streamlit ended with status {process.returncode}")
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("streamlit did not come up")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = require_tool("chromium", "/usr/bin/chromium")
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=path, args=list(FLAGS))
        yield chromium
        chromium.close()


@dataclass
class Desk:
    """A tab on the desk: opens pages, waits for them to be drawn, remembers errors and where requests went."""

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def listen(self) -> Desk:
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._request)
        return self

    def open(self, path: str = "") -> Page:
        self.page.goto(f"{self.url}/{path}")
        self.settle()
        return self.page

    def settle(self) -> None:
        """Until the script has run to its end and the title of the page stands there."""
        self.page.wait_for_selector("h1")
        self.page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')

    def text(self) -> str:
        return self.page.inner_text('[data-testid="stMain"]')

    def _console(self, message: ConsoleMessage) -> None:
        # Streamlit itself asks for its settings below the page's address first, and is told 404.
        if message.type == "error" and "/_stcore/" not in (message.location or {}).get("url", ""):
            self.errors.append(f"{message.text} {(message.location or {}).get('url', '')}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.url, "data:", "blob:", self.url.replace("http", "ws", 1))):
            self.outside.append(request.url)


@pytest.fixture(scope="session")
def tab(browser: Browser, served: Served) -> Iterator[BrowserContext]:
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, locale="en-GB", timezone_id="Europe/Zurich", accept_downloads=True
    )
    yield context
    context.close()


@pytest.fixture
def desk(tab: BrowserContext, served: Served) -> Iterator[Desk]:
    # No worker runs beside the pages: on a slow machine they would call it dead after some tests.
    store = open_store(f"sqlite:///{served.home / 'headwind.db'}", role="reader")
    store.beat("worker", datetime.now(UTC), {})
    store.close()
    page = tab.new_page()
    yield Desk(page, served.url).listen()
    page.close()
