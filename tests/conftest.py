"""What every test gets: a home folder of its own, no settings from outside, and soak tests only on demand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

NOW = datetime(2026, 3, 12, 10, 7, tzinfo=UTC)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-soak", action="store_true", help="run the long fault tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--run-soak"):
        return
    items[:] = [item for item in items if "soak" not in item.keywords]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """HEADWIND_HOME in the test's folder; nothing of the developer's environment leaks in (the corpora may)."""
    for name in [name for name in os.environ if name.startswith("HEADWIND_") and name != "HEADWIND_CORPORA"]:
        monkeypatch.delenv(name)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    monkeypatch.setenv("HEADWIND_HOME", str(home))
    yield home


@pytest.fixture
def now() -> datetime:
    """A Thursday morning; tests that need another time add to it."""
    return NOW
