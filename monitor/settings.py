"""Deployment settings: one list of (name, default, help), read from the environment and from headwind.toml.

What a desk changes on a page (rules, channels, retention) lives in the store, audited; this is what an operator sets
before the start. The environment wins over the file. Beside this, only `python -m models`, benchmarks and
tests look at variables of the same names.
"""

from __future__ import annotations

import os
import tomllib
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from monitor.errors import SettingsError

PREFIX = "HEADWIND_"
LEAST_DAYS = 60
"""Articles kept for fewer days would take the past away that alerts are judged against."""


class Settings(BaseSettings):
    """All deployment settings. `docs/operations.md` lists each one; a test keeps the two together."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    home: Path = Field(Path("~/.headwind"), description="Folder of the store, exports and logs.")
    database_url: str = Field("", description="SQLAlchemy URL; empty means SQLite in the home folder.")
    allow_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (), description="Comma-separated private networks that feeds and channels may reach, e.g. 10.1.0.0/16."
    )
    egress_proxy: str = Field("", description="Proxy URL through which feeds and channels are reached.")
    ca_bundle: str = Field("", description="File of certificates to trust instead of the built-in ones.")
    model: str = Field("", description="Version or folder of the model to serve; empty means the live or shipped one.")
    backend: str = Field("auto", description="auto, onnx or torch.")
    device: str = Field("auto", description="auto, cpu or cuda.")
    threads: int = Field(0, ge=0, le=256, description="Threads that scoring may use; 0 means one per core.")
    port: int = Field(8501, ge=1, le=65535, description="Port of the dashboard.")
    address: str = Field("127.0.0.1", description="Address the dashboard listens on.")
    allow_remote: bool = Field(False, description="Listen beyond loopback without a login; only behind a proxy.")
    login_file: str = Field(
        "", description="File with the OIDC login; empty means login.toml in the home folder, where there is one."
    )
    login_hours: float = Field(12.0, ge=0, description="Hours until a person logs in again; 0 means after 30 days.")
    first_admin: str = Field("", description="E-mail address (or subject) of the login that is always admin.")
    roles_claim: str = Field("roles", description="Claim of the login that names the roles; dots for nested ones.")
    role_names: str = Field("", description="The provider's names for our roles, e.g. risk-desk=analyst, it=admin.")
    default_role: str = Field("viewer", description="Role of a login without one: viewer, or none to keep it out.")
    base_url: str = Field("", description="Address that links in messages use; empty means the local dashboard.")
    heartbeat_url: str = Field("", description="URL fetched after each healthy round, so that a dead host is noticed.")
    full_text: str = Field(
        "", description="Publishers whose articles' pages are read for their text, by comma, or all; empty means off."
    )
    metrics_port: int = Field(0, ge=0, le=65535, description="Loopback port for Prometheus metrics; 0 means off.")
    retention_days: int = Field(0, ge=0, description="Days that articles are kept; 0 means for ever.")
    log_level: str = Field("info", description="debug, info, warning or error.")
    corpora: str = Field("", description="Folder of the labelled and dated corpora for training and replay tests.")

    @field_validator("allow_networks", mode="before")
    @classmethod
    def _networks(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(ip_network(part.strip(), strict=False) for part in value.split(",") if part.strip())
        return value

    @field_validator("backend")
    @classmethod
    def _backend(cls, value: str) -> str:
        return _one_of(value, ("auto", "onnx", "torch"))

    @field_validator("device")
    @classmethod
    def _device(cls, value: str) -> str:
        return _one_of(value, ("auto", "cpu", "cuda"))

    @field_validator("default_role")
    @classmethod
    def _default_role(cls, value: str) -> str:
        return _one_of(value, ("viewer", "none"))

    @field_validator("retention_days")
    @classmethod
    def _retention(cls, value: int) -> int:
        if value and value < LEAST_DAYS:
            raise ValueError(f"{value} days are too few, alerts rest on {LEAST_DAYS}; 0 keeps for ever")
        return value

    @field_validator("log_level")
    @classmethod
    def _log_level(cls, value: str) -> str:
        return _one_of(value.lower(), ("debug", "info", "warning", "error"))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (env_settings, init_settings)  # the environment wins over headwind.toml

    @property
    def home_path(self) -> Path:
        return self.home.expanduser().resolve()

    @property
    def store_url(self) -> str:
        return self.database_url or f"sqlite:///{self.home_path / 'headwind.db'}"

    @property
    def links_base(self) -> str:
        if self.base_url:
            return self.base_url.rstrip("/")
        host = "localhost" if self.address in ("0.0.0.0", "::") else self.address
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def _one_of(value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"must be one of {', '.join(allowed)}, not {value!r}")
    return value


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment and from headwind.toml in the home folder (or where HEADWIND_CONFIG points).

    Raises `SettingsError` with one line that names the setting and its source. `overrides` rank with the file.
    """
    home = Path(os.environ.get(f"{PREFIX}HOME", "~/.headwind")).expanduser()
    named = os.environ.get(f"{PREFIX}CONFIG")
    path = Path(named).expanduser() if named else home / "headwind.toml"
    values: dict[str, Any] = {}
    if named and not path.exists():
        raise SettingsError(f"settings file {path}: not found; correct {PREFIX}CONFIG or remove it")
    if path.exists():
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise SettingsError(f"settings file {path}: {error}; correct the line or remove the file") from error
    try:
        return Settings(**{**values, **overrides})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "?"
        source = f"environment {PREFIX}{name.upper()}" if f"{PREFIX}{name.upper()}" in os.environ else str(path)
        what = "unknown setting" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"setting {name!r} ({source}): {what}") from error


def described() -> list[tuple[str, str, str, str]]:
    """Every setting as (name in headwind.toml, environment variable, default, help)."""
    return [
        (name, f"{PREFIX}{name.upper()}", str(field.default if field.default != () else ""), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
