"""The pictures of the user guide, made by the run that tests the pages: `make docs` names the folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from monitor.domain import AlertState
from monitor.store import open_store
from tests.browser import screenshots
from tests.browser.conftest import ROOT
from tests.tools import free_port, require_tool

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]
FOLDER = os.environ.get("HEADWIND_SCREENSHOTS", "")  # read now: each test runs without the deployment's settings
LARGEST = 250_000
"""Bytes of a picture, so that the repository stays small."""


@pytest.mark.skipif(not FOLDER, reason="pictures are made by make docs")
def test_the_pictures_of_the_guide(tmp_path: Path) -> None:
    require_tool("chromium", "/usr/bin/chromium")
    folder, port = ROOT / FOLDER, free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADWIND_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "monitor", "demo", "--keep", str(tmp_path / "demo"), "--after", "0"],
        cwd=ROOT,
        env={**kept, "HEADWIND_PORT": str(port)},
    )
    try:
        _until_alerts_are_open(tmp_path / "demo" / "headwind.db", f"http://127.0.0.1:{port}", process)
        screenshots.main(f"http://127.0.0.1:{port}", folder, [])
    finally:
        process.terminate()
        process.wait(timeout=60)
    sizes = {name: (folder / f"{name}.png").stat().st_size for name, *_ in screenshots.PICTURES}
    assert {name: size for name, size in sizes.items() if not 5_000 < size < LARGEST} == {}


def _until_alerts_are_open(file: Path, url: str, process: subprocess.Popen[bytes]) -> None:
    """The demo's bad news has come in and its alerts are open; a minute or two on a busy machine."""
    deadline = time.monotonic() + 900
    while time.monotonic() < deadline:
        assert process.poll() is None, "the demo ended"
        time.sleep(5)
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2):
                pass
        except OSError:
            continue
        store = open_store(f"sqlite:///{file}", role="reader")
        found, waiting = len(store.alerts((AlertState.OPEN,))), store.status().unscored
        store.close()
        if found >= 6 and not waiting:
            time.sleep(20)  # the last stories of the morning
            return
    raise AssertionError("no alerts within a quarter of an hour")
