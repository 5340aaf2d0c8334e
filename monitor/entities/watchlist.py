"""The watchlist as CSV: name, aliases joined by |, optional ticker, lei, weight. All rows are good or none is taken."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from monitor.domain import Entity
from monitor.errors import UploadError

COLUMNS = ("name", "aliases", "ticker", "lei", "weight")
LARGEST = 20 * 2**20
_LEI = re.compile(r"[A-Z0-9]{18}[0-9]{2}")
_FORMULA = tuple("=+-@")  # a spreadsheet would run such a cell; an apostrophe keeps it text (OWASP ASVS 1.2.10)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def read_watchlist(path: Path) -> list[Entity]:
    """Entities (with id 0) of a CSV file. Raises `UploadError` that names the file, the row and the column."""
    try:
        if path.stat().st_size > LARGEST:
            raise UploadError(f"{path}: larger than {LARGEST // 2**20} MiB")
        data = path.read_bytes()
    except OSError as error:
        raise UploadError(f"{path}: cannot be read ({error.strerror or error})") from error
    return parse_watchlist(data, str(path))


def parse_watchlist(data: bytes, name: str = "watchlist") -> list[Entity]:
    text = _decoded(data, name)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [cell.strip().casefold() for cell in next(reader, [])]
        if "name" not in header:
            raise UploadError(f"{name}: row 1: the column 'name' is missing; the columns are {', '.join(COLUMNS)}")
        for column in header:
            if column not in COLUMNS:
                known = ", ".join(COLUMNS)
                raise UploadError(f"{name}: row 1: unknown column {column[:40]!r}; the columns are {known}")
            if header.count(column) > 1:
                raise UploadError(f"{name}: row 1: the column {column!r} stands there twice")
        found: dict[str, Entity] = {}
        for cells in reader:
            if any(cell.strip() for cell in cells):
                entity = _entity(header, cells, f"{name}: row {reader.line_num}")
                if entity.name.casefold() in found:
                    where = f"{name}: row {reader.line_num}, column 'name'"
                    raise UploadError(f"{where}: {entity.name!r} stands there twice")
                found[entity.name.casefold()] = entity
    except csv.Error as error:
        raise UploadError(f"{name}: row {reader.line_num}: is not CSV ({error})") from error
    if not found:
        raise UploadError(f"{name}: holds no entity")
    return list(found.values())


def entity_of(row: Sequence[str], where: str) -> Entity:
    """The entity of one row in the order of `COLUMNS`. Raises `UploadError` that names the column."""
    return _entity(list(COLUMNS), list(row), where)


def _decoded(data: bytes, name: str) -> str:
    for encoding in ("utf-8-sig", "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeError:
            continue
        if "\0" not in text:
            return text
    raise UploadError(f"{name}: is not text in UTF-8, UTF-16 or GB18030")


def _unquoted(cell: str) -> str:
    text = cell.strip()
    return text[1:] if text[:1] == "'" and text[1:2] in _FORMULA else text


def _entity(header: list[str], cells: list[str], where: str) -> Entity:
    if len(cells) > len(header):
        raise UploadError(f"{where}: has {len(cells)} cells for {len(header)} columns; quote cells that hold a comma")
    row = dict.fromkeys(COLUMNS, "") | dict(zip(header, map(_unquoted, cells), strict=False))
    for column, value in row.items():
        if _CONTROL.search(value):
            raise UploadError(f"{where}, column {column!r}: holds a control character or line break")
        if len(value) > 4_000:
            raise UploadError(f"{where}, column {column!r}: longer than 4,000 characters")
    if not row["name"]:
        raise UploadError(f"{where}, column 'name': is empty")
    if len(row["name"]) > 200 or "/topic:" in row["name"]:
        raise UploadError(f"{where}, column 'name': is not a usable name")
    lei = row["lei"].upper() or None
    if lei and not _LEI.fullmatch(lei):
        raise UploadError(f"{where}, column 'lei': {row['lei'][:40]!r} is not 18 letters or digits and 2 digits")
    weight = None
    if row["weight"]:
        try:
            weight = float(row["weight"])
        except ValueError:
            weight = math.nan
        if not math.isfinite(weight) or weight < 0:
            raise UploadError(f"{where}, column 'weight': {row['weight'][:40]!r} is not a number of 0 or more")
    aliases = dict.fromkeys(" ".join(alias.split()) for alias in row["aliases"].split("|"))
    return Entity(
        id=0,
        name=" ".join(row["name"].split()),
        aliases=tuple(alias for alias in aliases if alias and alias != row["name"]),
        ticker=row["ticker"] or None,
        lei=lei,
        weight=weight,
    )


def write_watchlist(entities: Iterable[Entity]) -> str:
    """The CSV of the entities, which `parse_watchlist` reads back to the same."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entity in entities:
        weight = "" if entity.weight is None else repr(entity.weight).removesuffix(".0")
        cells = [entity.name, "|".join(entity.aliases), entity.ticker or "", entity.lei or "", weight]
        writer.writerow([f"'{cell}" if cell[:1] in _FORMULA else cell for cell in cells])
    return out.getvalue()
