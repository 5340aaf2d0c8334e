"""Settings come from one list, the environment wins, and a broken one is named in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.errors import SettingsError
from monitor.settings import load_settings


def write(home: Path, text: str) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / "headwind.toml").write_text(text, encoding="utf-8")


def test_without_anything_set_the_store_is_a_file_in_the_home_folder(own_home: Path) -> None:
    assert load_settings().store_url == f"sqlite:///{own_home.resolve() / 'headwind.db'}"


def test_the_environment_wins_over_the_file(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(own_home, "port = 9000\nthreads = 3\n")
    monkeypatch.setenv("HEADWIND_PORT", "9100")
    settings = load_settings()
    assert (settings.port, settings.threads) == (9100, 3)


def test_networks_are_a_comma_separated_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWIND_ALLOW_NETWORKS", "127.0.0.0/8, 10.1.0.0/16,")
    assert [str(network) for network in load_settings().allow_networks] == ["127.0.0.0/8", "10.1.0.0/16"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("port = \n", "headwind.toml"),
        ("port = 99999\n", "'port'"),
        ("retention_days = 30\n", "alerts rest on 60"),
        ("prot = 1\n", "'prot'"),
        ("backend = 'gpu'\n", "auto, onnx, torch"),
        ("allow_networks = '10.0.0.0/99'\n", "'allow_networks'"),
    ],
)
def test_a_broken_settings_file_is_one_clear_line(own_home: Path, text: str, named: str) -> None:
    write(own_home, text)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert named in str(caught.value)
    assert "\n" not in str(caught.value).strip()


def test_a_named_settings_file_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADWIND_CONFIG", str(tmp_path / "absent.toml"))
    with pytest.raises(SettingsError, match="not found"):
        load_settings()
