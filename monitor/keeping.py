"""Use case: what is kept and for how long: the retention of articles, and scored uploads that somebody asked to keep.

Nothing that is pasted or uploaded is kept unless asked. A kept result is a CSV file in `exports/scores` of the home
folder, in the same form as the download; who kept and who removed it stands in the audit log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from monitor.errors import SettingsError, StoreError
from monitor.people import Person, allow
from monitor.settings import LEAST_DAYS
from monitor.store.base import Store

RETENTION: Final = "retention"
_FOLDER: Final = Path("exports") / "scores"
_UNFIT: Final = re.compile(r"[^\w.-]+")
_NAME: Final = re.compile(r"\d{8}T\d{6}Z-[\w.-]{1,80}\.csv")


def retention_days(store: Store, configured: int) -> int:
    """Days that articles are kept: what the desk set, else what the deployment says; 0 means for ever."""
    found: Any = store.setting(RETENTION)
    return int(found["days"]) if isinstance(found, dict) and "days" in found else configured


def save_retention(store: Store, days: int, by: Person, now: datetime) -> None:
    """0 keeps articles for ever. Raises `SettingsError` for fewer days than alerts need of the past."""
    allow(store, by, "admin", "change how long articles are kept", now)
    if days and days < LEAST_DAYS:
        raise SettingsError(f"retention: {days} days are too few, alerts rest on {LEAST_DAYS}; 0 keeps for ever")
    store.set_setting(RETENTION, {"days": days}, by.name, now)


def would_go(store: Store, days: int, now: datetime) -> int:
    """How many counted articles are older than so many days; none for 0."""
    if not days:
        return 0
    first, last = datetime(1900, 1, 1, tzinfo=UTC), now - timedelta(days=days)
    old = store.rollups(["all", "topic:other"], first, last, step="day")
    return sum(row.articles for row in old)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A result that is kept. name: of its file; at: when it was kept; size: bytes."""

    name: str
    at: datetime
    size: int


def keep(store: Store, home: Path, name: str, content: bytes, by: Person, now: datetime) -> Kept:
    """Write a scored table to the home folder. Raises `StoreError` when it cannot be written."""
    allow(store, by, "analyst", "keep a result", now)
    stem = _UNFIT.sub("-", name.rsplit(".", 1)[0]).strip("-.")[:60] or "text"
    path = home / _FOLDER / f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{stem}.csv"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise StoreError(f"{path.name} cannot be kept in {path.parent}: {error.strerror}") from error
    store.append_audit(by.name, "score.keep", path.name, {"bytes": len(content)}, now)
    return Kept(name=path.name, at=now, size=len(content))


def kept(home: Path) -> list[Kept]:
    """What is kept, the newest first."""
    folder = home / _FOLDER
    found = [path for path in folder.glob("*.csv") if _NAME.fullmatch(path.name)] if folder.is_dir() else []
    return [
        Kept(
            name=path.name,
            at=datetime.strptime(path.name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC),
            size=path.stat().st_size,
        )
        for path in sorted(found, reverse=True)
    ]


def read_kept(home: Path, name: str) -> bytes:
    """Raises `StoreError` for a name that is not kept."""
    return _path(home, name).read_bytes()


def forget(store: Store, home: Path, name: str, by: Person, now: datetime) -> None:
    """Remove a kept result. Raises `StoreError` for a name that is not kept."""
    allow(store, by, "analyst", "remove a kept result", now)
    _path(home, name).unlink()
    store.append_audit(by.name, "score.forget", name, {}, now)


def _path(home: Path, name: str) -> Path:
    path = home / _FOLDER / name
    if not _NAME.fullmatch(name) or not path.is_file():
        raise StoreError(f"{name!r} is not among the kept results")
    return path
