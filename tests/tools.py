"""What tests need from the system. Missing on a laptop is a skip with a reason; missing in CI is a failure."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest


def require_tool(name: str, path: str | Path | None = None) -> str:
    """Path of a system program, or skip the test; with CI=true a missing one fails instead."""
    found = str(path) if path and Path(path).exists() else shutil.which(name)
    if found:
        return found
    message = f"{name} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{message}, and CI must have it")
    pytest.skip(message)


def require_corpora() -> Path:
    """Folder of the corpora named by HEADWIND_CORPORA, or skip."""
    named = os.environ.get("HEADWIND_CORPORA")
    if not named or not Path(named).is_dir():
        pytest.skip("HEADWIND_CORPORA does not name a folder of corpora")
    return Path(named)


def free_port() -> int:
    """A loopback TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
