"""CSV of any quality: a bad row is a problem with its line number, never the end of the file. Pure."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from monitor.text.sniff import delimiter_of

MAX_ROWS: Final = 100_000
MAX_COLUMNS: Final = 200
MAX_CELL: Final = 100_000
OPEN_QUOTE_LINES: Final = 200  # a quoted cell over more lines than this is a quote that nobody closed
LISTED_PROBLEMS: Final = 100

csv.field_size_limit(1 << 27)  # a row is judged by our own limits, with its line number


@dataclass
class Table:
    """columns: named as in the first row, the unnamed and repeated ones numbered. problems: one line each."""

    columns: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    bad: int = 0

    def problem(self, line: int, what: str) -> None:
        self.bad += 1
        if self.bad <= LISTED_PROBLEMS:
            self.problems.append(f"line {line}: {what}")

    def add(self, line: int, cells: list[str], *, aligned: bool = False) -> None:
        """The first row names the columns; a later one that holds a NUL or more cells than that is a problem.

        aligned: cells stand in their columns whatever comes after the last named one (a workbook), so that is left
        out; in a CSV it means a delimiter inside a cell, and every cell after it would be read in the wrong column.
        """
        if not any(cell.strip() for cell in cells):
            return
        if any("\x00" in cell for cell in cells):
            self.problem(line, "contains a NUL character")
            if self.columns:
                return
            cells = [cell.replace("\x00", "") for cell in cells]
        if not self.columns:
            self._name(line, cells)
        elif any(len(cell) > MAX_CELL for cell in cells):
            self.problem(line, f"a cell has more than {MAX_CELL:,} characters")
        elif (
            not aligned and len(cells) > len(self.columns) and any(cell.strip() for cell in cells[len(self.columns) :])
        ):
            self.problem(line, f"{len(cells):,} cells where the first row names {len(self.columns)} columns")
        else:
            wanted = len(self.columns)
            self.rows.append((cells + [""] * (wanted - len(cells)))[:wanted])

    @property
    def full(self) -> bool:
        return len(self.rows) >= MAX_ROWS

    def _name(self, line: int, cells: list[str]) -> None:
        while len(cells) > 1 and not cells[-1].strip():
            cells = cells[:-1]
        if len(cells) > MAX_COLUMNS:
            self.problem(line, f"{len(cells):,} columns; only the first {MAX_COLUMNS} are named")
            cells = cells[:MAX_COLUMNS]
        for number, cell in enumerate(cells, 1):
            name = " ".join(cell.split())[:100] or f"column {number}"
            self.columns.append(name if name not in self.columns else f"{name} {number}")


def read_csv(text: str) -> Table:
    """The table of a CSV text with any of the usual delimiters; at most 100,000 rows."""
    table = Table()
    delimiter = delimiter_of(text)
    for line, block, closed in _records(text):
        if table.full:
            table.problem(line, f"only the first {MAX_ROWS:,} rows are read")
            break
        if not closed:
            table.problem(line, "a quote is opened and never closed")
            continue
        try:
            for cells in csv.reader(block, delimiter=delimiter, strict=False):
                table.add(line, cells)
        except csv.Error as error:
            table.problem(line, str(error))
    if table.bad > LISTED_PROBLEMS:
        table.problems.append(f"and {table.bad - LISTED_PROBLEMS:,} more")
    return table


def _records(text: str) -> Iterator[tuple[int, list[str], bool]]:
    """(line number, lines of the record, closed). A quote that stays open costs its own line, not the file."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    at = 0
    while at < len(lines):
        end, quotes = at, lines[at].count('"')
        while quotes % 2 and end + 1 < len(lines) and end - at < OPEN_QUOTE_LINES:
            end += 1
            quotes += lines[end].count('"')
        if quotes % 2:
            yield at + 1, [lines[at]], False
            at += 1
            continue
        yield at + 1, [f"{line}\n" for line in lines[at : end + 1]], True
        at = end + 1
