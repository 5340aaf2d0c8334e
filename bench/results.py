"""bench/RESULTS.md: each benchmark owns one section, between its markers, and replaces only that."""

from __future__ import annotations

import fcntl
import re
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"
_HEAD = "# Results\n\nEach section is written by its benchmark (`make bench`); the machine is named in it.\n"


def bar(value: float, longest: float) -> str:
    """A bar of at most 30 blocks for a table: the plot of a section."""
    return f"`{'█' * max(1, round(30 * value / longest))}`"


def write_section(name: str, text: str, path: Path = RESULTS) -> None:
    """Put `text` between the markers of `name`; the rest of the file stays as it is, also when two benchmarks end at
    once."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    block = f"{begin}\n{text.strip()}\n{end}"
    with (path.parent / ".results.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        _put(path, block, begin, end)


def _put(path: Path, block: str, begin: str, end: str) -> None:
    old = path.read_text(encoding="utf-8") if path.exists() else _HEAD
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    new = pattern.sub(lambda _: block, old) if pattern.search(old) else f"{old.rstrip()}\n\n{block}\n"
    path.write_text(new, encoding="utf-8")
