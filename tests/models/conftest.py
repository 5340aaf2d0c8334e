"""Checkpoints for the tests of the classifier. The tiny one is built once a session and copied where it is damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from models.errors import CheckpointError
from models.registry import CHECKPOINTS, resolve


@pytest.fixture(scope="session")
def tiny() -> Path:
    """Folder of the tiny checkpoint; read only, take `own` to change it."""
    from tests.models import tiny_checkpoint

    return tiny_checkpoint.shared()


@pytest.fixture
def own(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint that the test may damage."""
    return Path(shutil.copytree(tiny, tmp_path / tiny.name))


@pytest.fixture(scope="session")
def shipped() -> Path:
    """Folder of the newest shipped checkpoint; skips where none is shipped yet."""
    try:
        return resolve(None)
    except CheckpointError:
        pytest.skip(f"no checkpoint under {CHECKPOINTS.name}/")
