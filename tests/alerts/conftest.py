from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.store import open_store
from tests.alerts.newsroom import Newsroom, open_newsroom


@pytest.fixture
def newsroom(tmp_path: Path) -> Iterator[Newsroom]:
    """An empty store with the default rules, a scripted model and a console channel."""
    room = open_newsroom(tmp_path)
    yield room
    room.store.close()


@pytest.fixture(scope="session")
def _a_past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("past")
    room = open_newsroom(folder)
    room.publish(room.past())
    room.store.backup(str(folder / "copy.db"))
    room.store.close()
    return folder / "copy.db"


@pytest.fixture
def settled(_a_past: Path, tmp_path: Path) -> Iterator[Newsroom]:
    """The same with six weeks of ordinary news, scored and counted."""
    shutil.copy(_a_past, tmp_path / "headwind.db")
    room = Newsroom(open_store(f"sqlite:///{tmp_path / 'headwind.db'}"), first_number=100_000)
    yield room
    room.store.close()
