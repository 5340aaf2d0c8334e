"""Whether people have to log in, and by which provider: `[auth]` of a TOML file in the form that Streamlit reads.

A file that is there but cannot be used is an error, never "no login": then nobody would be asked who they are.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from monitor.errors import SettingsError
from monitor.people import read_names
from monitor.settings import Settings

ROOT: Final = Path(__file__).resolve().parent.parent
CALLBACK: Final = "/oauth2callback"
NEEDED: Final = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")
SHORTEST_SECRET: Final = 32
"""Characters of `cookie_secret`: whoever guesses it can write a login of their own."""


@dataclass(frozen=True, slots=True)
class Login:
    """A configured login. origin: scheme and host of the dashboard as browsers see it."""

    file: Path
    origin: str


def login_path(settings: Settings) -> Path:
    """Where the login stands or would stand: the setting, login.toml in the home folder, or Streamlit's own place."""
    if settings.login_file:
        return Path(settings.login_file).expanduser().resolve()
    own, streamlits = settings.home_path / "login.toml", ROOT / ".streamlit" / "secrets.toml"
    return streamlits if streamlits.exists() and not own.exists() else own


def read_login(settings: Settings) -> Login | None:
    """The login, or None where none is configured. Raises `SettingsError` in one line, without secrets."""
    path = login_path(settings)
    read_names(settings.role_names)
    if not path.exists():
        if settings.login_file:
            raise SettingsError(f"setting 'login_file': {path} is not there; correct it or remove the setting")
        return None
    try:
        auth: Any = tomllib.loads(path.read_text(encoding="utf-8")).get("auth")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"login file {path}: is not TOML ({error}); correct the line") from error
    except OSError as error:
        raise SettingsError(f"login file {path}: cannot be read ({error.strerror})") from error
    if not isinstance(auth, dict):
        raise SettingsError(f"login file {path}: has no section [auth]; see the operations guide")
    for name in NEEDED:
        if not isinstance(auth.get(name), str) or not auth[name].strip():
            raise SettingsError(f"login file {path}: [auth] needs {name!r}; see the operations guide")
    if len(auth["cookie_secret"]) < SHORTEST_SECRET:
        raise SettingsError(
            f"login file {path}: 'cookie_secret' must be random and have at least {SHORTEST_SECRET} characters"
        )
    address = urlsplit(auth["redirect_uri"].replace("{port}", str(settings.port)))
    if address.scheme not in ("http", "https") or not address.netloc or not address.path.endswith(CALLBACK):
        raise SettingsError(
            f"login file {path}: 'redirect_uri' must be the dashboard's address with {CALLBACK} after it"
        )
    return Login(path, f"{address.scheme}://{address.netloc}")
