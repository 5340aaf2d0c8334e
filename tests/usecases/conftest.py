"""A real store on a file for every test of a use case."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from monitor.store import open_store
from monitor.store.base import Store
from tests.usecases.newsroom import Newsroom


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'desk.db'}")
    yield opened
    opened.close()


@pytest.fixture
def room(store: Store, now: datetime) -> Newsroom:
    return Newsroom(store, now)


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a sound checkpoint tiny-1, built once; copy it to damage it. Building it loads torch."""
    from tests.models import tiny_checkpoint

    return tiny_checkpoint.build(tmp_path_factory.mktemp("sound") / "tiny-1")
