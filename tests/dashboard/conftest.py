"""A seeded store behind the real app, with a scripted classifier; pages run in Streamlit's AppTest."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import context
from monitor.app import App
from monitor.settings import load_settings
from monitor.store import open_store
from tests.dashboard.scripted_app import ScriptedApp
from tests.dashboard.seeding import seed

Open = Callable[..., AppTest]


@pytest.fixture(scope="session")
def seeded_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One seeded SQLite file for the session; each test gets a copy."""
    path = tmp_path_factory.mktemp("seeded") / "headwind.db"
    store = open_store(f"sqlite:///{path}", role="worker")
    seed(store, datetime.now(UTC).replace(microsecond=0))
    store.close()
    return path


def _app(monkeypatch: pytest.MonkeyPatch, home: Path) -> ScriptedApp:
    home.mkdir(parents=True, exist_ok=True)
    settings = load_settings(home=home)
    app = ScriptedApp(settings, open_store(settings.store_url, role="worker"))
    monkeypatch.setattr(context, "app", lambda: app)
    st.cache_data.clear()
    return app


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, own_home: Path, seeded_file: Path) -> Iterator[App]:
    """The app over a fresh copy of the seeded store."""
    own_home.mkdir(parents=True, exist_ok=True)
    shutil.copy(seeded_file, own_home / "headwind.db")
    app = _app(monkeypatch, own_home)
    yield app
    app.close()


@pytest.fixture
def empty_desk(monkeypatch: pytest.MonkeyPatch, own_home: Path) -> Iterator[App]:
    """The app over an empty store."""
    app = _app(monkeypatch, own_home)
    yield app
    app.close()


def _run_page(name: str) -> None:
    import importlib

    importlib.import_module(f"dashboard.views.{name}").page()


@pytest.fixture
def open_page() -> Open:
    """Run one page by its address, with parameters in the URL, and give AppTest's view of it."""

    def run(name: str, **params: str | list[str]) -> AppTest:
        test = AppTest.from_function(_run_page, default_timeout=60, kwargs={"name": name})
        for key, value in params.items():
            test.query_params[key] = value
        return test.run()

    return run
