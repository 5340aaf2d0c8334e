"""Tables out: CSV, XLSX and JSON that a spreadsheet can open without running anything (OWASP ASVS 1.2.10)."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
XLSX_CELL: Final = 32_767
_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?%?")
_XML_UNFIT: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

Cell = str | int | float | bool | None


def safe_cell(value: Any) -> Cell:
    """The value as a cell that no spreadsheet takes for a formula.

    Numbers stay numbers (−0.83 too), and so does text that is only a number; other text that starts with = + - @,
    a tab or a line break, plain or full-width, with or without blanks before it, gets an apostrophe in front. NaN and
    infinity become empty; times become ISO 8601; lists are joined by |.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        value = "|".join(str(part) for part in value)
    text = str(value)
    if text.startswith(FORMULA_STARTS) or text.lstrip(" \u00a0\u3000\ufeff").startswith(FORMULA_STARTS):
        return text if _NUMBER.fullmatch(text) else f"'{text}"
    return text


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """UTF-8 with a byte order mark, without which Excel garbles Chinese."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([safe_cell(column) for column in columns])
    for row in rows:
        writer.writerow(["" if cell is None else cell for cell in map(safe_cell, row)])
    return out.getvalue().encode("utf-8-sig", "replace")


def to_xlsx(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "Headwind") -> bytes:
    """One sheet. Text is stored as text, so that nothing is computed when it is opened."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell

    book = Workbook(write_only=True)
    sheet = book.create_sheet(re.sub(r"[\[\]:*?/\\]", " ", title)[:31] or "Headwind")

    def cell(value: Any) -> Any:
        safe = safe_cell(value)
        if not isinstance(safe, str):
            return safe
        made = WriteOnlyCell(sheet, value=_XML_UNFIT.sub("", safe)[:XLSX_CELL])
        made.data_type = "s"
        return made

    sheet.append([cell(column) for column in columns])
    for row in rows:
        sheet.append([cell(value) for value in row])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def to_json(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A list of objects with the values as they are; NaN and infinity become null, times ISO 8601."""
    listed = [{column: _plain(value) for column, value in zip(columns, row, strict=True)} for row in rows]
    return json.dumps(listed, ensure_ascii=False, indent=1, allow_nan=False).encode("utf-8", "replace")


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(part) for part in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
