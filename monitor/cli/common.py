"""What the commands share: opening the app, times from the command line, tables on the terminal."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from monitor.app import App, open_app
from monitor.domain import Feed
from monitor.errors import MonitorError
from monitor.logs import set_up_logs
from monitor.redaction import redact
from monitor.settings import load_settings
from monitor.store.open import Role

ACTOR = "command line"
T = TypeVar("T")


@contextmanager
def opened(role: Role = "tool", *, log_to_file: bool = False) -> Iterator[App]:
    """The app with its store migrated; closed at the end."""
    settings = load_settings()
    set_up_logs(settings.log_level, settings.home_path / "logs" if log_to_file else None)
    app = open_app(settings, role=role)
    try:
        yield app
    finally:
        app.close()


def utc_now() -> datetime:
    return datetime.now(UTC)


def moment(text: str) -> datetime:
    """An ISO time or day from the command line; without a zone it is UTC."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not an ISO time such as 2026-03-12T10:00Z") from error
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def print_json(value: Any) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2, default=_plain)
    print()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def print_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Columns padded to their widest cell; an empty table prints its head alone."""
    cells = [[str(value) if value is not None else "-" for value in row] for row in rows]
    widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(head)]
    for row in [list(head), *cells]:
        print("  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip())


def ago(then: datetime | None, now: datetime) -> str:
    if then is None:
        return "never"
    seconds = max(0, int((now - then).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def feed_named(app: App, named: str) -> Feed:
    """A feed by its address or, since addresses with passwords are not shown, by its number.

    Raises MonitorError when there is none.
    """
    if named.isdecimal():
        return one_found(next((f for f in app.store.feeds() if f.id == int(named)), None), f"feed {named}")
    return one_found(app.store.feed_by_url(named), f"feed {redact(named)}")


def one_found(found: T | None, what: str) -> T:
    if found is None:
        raise MonitorError(f"{what}: not found")
    return found
