"""Rows of an archive of news: CSV or JSON lines, plain or gzipped, read one at a time.

Columns: title and published, and optional summary, url, source, language. A bad row is a value, with its line and the
reason; only a file that cannot be an archive raises.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from monitor.domain import DateQuality
from monitor.errors import ArchiveError
from monitor.feeds.dating import quality_of
from monitor.feeds.plain import SUMMARY_LENGTH, TITLE_LENGTH, plain_text, web_link

REQUIRED = ("title", "published")
_LONGEST_LINE = 4 * 2**20


@dataclass(frozen=True, slots=True)
class ArchiveRow:
    """midnight: the time is 00:00 exactly, which in some archives only means "that day"."""

    line: int
    title: str
    published: datetime
    date_quality: DateQuality
    midnight: bool
    summary: str
    url: str | None
    source: str
    language: str | None


@dataclass(frozen=True, slots=True)
class BadRow:
    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


def read_archive(path: Path) -> Iterator[ArchiveRow | BadRow]:
    """Rows in the order of the file. Raises `ArchiveError` that names the file and, where it is one, the column."""
    try:
        with _opened(path) as file:
            first = file.read(1 << 16)
            if b"\0" in first[:4096]:
                raise ArchiveError(f"{path}: is not text; an archive is CSV or JSON lines, plain or gzipped")
            file.seek(0)
            text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
            head = first.removeprefix(b"\xef\xbb\xbf").lstrip()
            yield from _json_rows(text, path) if head[:1] == b"{" else _csv_rows(text, path)
    except (EOFError, gzip.BadGzipFile) as error:
        raise ArchiveError(f"{path}: the gzip file is damaged or cut short ({error})") from error
    except OSError as error:
        raise ArchiveError(f"{path}: cannot be read ({error.strerror or error})") from error


def _opened(path: Path) -> Any:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if zipped else path.open("rb")


def _csv_rows(text: io.TextIOWrapper, path: Path) -> Iterator[ArchiveRow | BadRow]:
    reader = csv.reader(text)
    try:
        header = [cell.strip().casefold() for cell in next(reader, [])]
    except csv.Error as error:
        raise ArchiveError(f"{path}: is not CSV ({error})") from error
    for column in REQUIRED:
        if column not in header:
            shown = ", ".join(name[:40] for name in header[:10]) or "none"
            raise ArchiveError(f"{path}: the column {column!r} is missing; the columns are: {_printable(shown)}")
    line = reader.line_num
    while True:
        start = line + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            line = reader.line_num
            yield BadRow(start, f"is not CSV ({error})")
            continue
        if cells is None:
            return
        line = reader.line_num
        if not cells:
            continue
        if len(cells) != len(header):
            yield BadRow(start, f"has {len(cells)} cells where the header has {len(header)}")
            continue
        yield _row(start, dict(zip(header, cells, strict=True)))


def _json_rows(text: io.TextIOWrapper, path: Path) -> Iterator[ArchiveRow | BadRow]:
    line, good = 0, False
    while True:
        raw = text.readline(_LONGEST_LINE)
        line += 1
        if not raw:
            return
        if not raw.strip():
            continue
        if len(raw) == _LONGEST_LINE and not raw.endswith("\n"):
            while (rest := text.readline(_LONGEST_LINE)) and not rest.endswith("\n"):
                pass
            yield BadRow(line, "is longer than 4 MiB")
            continue
        try:
            values = json.loads(raw)
        except (ValueError, RecursionError) as error:
            yield BadRow(line, f"is not JSON ({str(error)[:80]})")
            continue
        if not isinstance(values, dict):
            yield BadRow(line, "is not a JSON object")
            continue
        values = {str(name).casefold(): value for name, value in values.items()}
        if not good:
            for column in REQUIRED:
                if column not in values:
                    shown = _printable(", ".join(values)[:200])
                    raise ArchiveError(f"{path}: line {line} has no {column!r}; it has: {shown}")
            good = True
        yield _row(line, {name: value if isinstance(value, str) else "" for name, value in values.items()})


def _row(line: int, cells: dict[str, str]) -> ArchiveRow | BadRow:
    if any("\udc80" <= char <= "\udcff" for cell in cells.values() if not cell.isascii() for char in cell):
        return BadRow(line, "is not UTF-8")
    title = plain_text(cells.get("title"), TITLE_LENGTH)
    if not title:
        return BadRow(line, "column 'title': is empty")
    raw = (cells.get("published") or "").strip()
    if not raw:
        return BadRow(line, "column 'published': is empty")
    published = _moment(raw)
    if published is None:
        return BadRow(line, f"column 'published': {_printable(raw[:40])!r} is not a date")
    quality = quality_of(raw)
    if quality is DateQuality.NONE:
        return BadRow(line, f"column 'published': {_printable(raw[:40])!r} has an impossible offset from UTC")
    return ArchiveRow(
        line=line,
        title=title,
        published=published.astimezone(UTC),
        date_quality=quality,
        midnight=(published.hour, published.minute, published.second) == (0, 0, 0),
        summary=plain_text(cells.get("summary"), SUMMARY_LENGTH),
        url=web_link(cells.get("url")),
        source=plain_text(cells.get("source"), 200),
        language=_language(cells.get("language") or cells.get("lang") or ""),
    )


def _moment(raw: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(raw)
    except ValueError:
        try:
            moment = parsedate_to_datetime(raw)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    try:
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return moment if 1900 < moment.astimezone(UTC).year < 9999 else None
    except (ValueError, OverflowError):
        return None


def _language(value: str) -> str | None:
    code = value.strip().lower()[:2]
    return code if len(code) == 2 and code.isascii() and code.isalpha() else None


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
