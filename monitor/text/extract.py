"""Text or a table out of an uploaded or named file: txt, md, csv, xlsx, html, pdf, docx, eml, by content.

Files come from strangers, so the libraries that read them run in a child process with 10 seconds and 512 MB, one
process a file, two at a time: a hostile file costs those, and never this process. Nothing is written to disk by name.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Final

import monitor
from monitor.errors import UploadError
from monitor.text import sniff


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """size, memory, output: bytes. seconds: of processor time. wall_s: whatever the machine is busy with besides; a
    reader waits for nothing, so on a free machine `seconds` comes first. wait_s: for a free place."""

    size: int = 20 * 1024 * 1024
    seconds: int = 10
    wall_s: float = 30.0
    memory: int = 512 * 1024 * 1024
    output: int = 128 * 1024 * 1024
    wait_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """Either `text`, or a table: `columns` and `rows` as long as them. problems: what was left out, one line each."""

    name: str
    kind: str
    text: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    problems: tuple[str, ...] = ()
    encoding: str = ""

    @property
    def is_table(self) -> bool:
        return bool(self.columns)

    def text_column(self) -> str | None:
        """The column that most likely holds the text: by its name, else the one with the longest cells."""
        if not self.columns:
            return None
        by_name = {column.strip().lower(): column for column in self.columns}
        for name in _TEXT_COLUMNS:
            if name in by_name:
                return by_name[name]
        sample = self.rows[:200]
        sizes = [sum(len(row[index]) for row in sample) for index in range(len(self.columns))]
        return self.columns[sizes.index(max(sizes))]


_TEXT_COLUMNS: Final = ("text", "title", "headline", "sentence", "news", "content", "标题", "内容", "文本", "正文")
_PLACES: Final = threading.BoundedSemaphore(2)


def extract(name: str, data: bytes, limits: Limits | None = None) -> Extracted:
    """Raises `UploadError` with one line that names the file: too large, not a kind that is read, damaged, encrypted,
    or too demanding. A table's bad rows are `problems`, not errors."""
    bounds = limits or Limits()
    shown = shown_name(name)
    if len(data) > bounds.size:
        raise UploadError(f"{shown}: {len(data) / 1e6:.1f} MB is more than the limit of {bounds.size / 1048576:.0f} MB")
    try:
        sniff.container(data)
    except UploadError as error:
        raise UploadError(f"{shown}: {error}; readable are {', '.join(sniff.KINDS)}") from error
    if not _PLACES.acquire(timeout=bounds.wait_s):
        raise UploadError(f"{shown}: too many files are being read; try again in a minute")
    try:
        answer = _ask_child(shown, data, bounds)
    finally:
        _PLACES.release()
    if "error" in answer:
        raise UploadError(f"{shown}: {answer['error']}")
    return Extracted(
        name=shown,
        kind=answer["kind"],
        text=answer["text"],
        columns=tuple(answer["columns"]),
        rows=tuple(tuple(row) for row in answer["rows"]),
        problems=tuple(answer["problems"]),
        encoding=answer["encoding"],
    )


def read_file(path: Path, limits: Limits | None = None) -> Extracted:
    """The same for a named file. Raises `UploadError` when it cannot be opened; reads no more than the limit."""
    bounds = limits or Limits()
    try:
        with path.open("rb") as file:
            data = file.read(bounds.size + 1)
    except OSError as error:
        raise UploadError(f"{shown_name(path.name)}: cannot be read ({error.strerror})") from error
    return extract(path.name, data, bounds)


def shown_name(name: str) -> str:
    """A file name fit for a message: the last part, one line, at most 80 characters with its ending kept."""
    last = PurePath(name.replace("\\", "/")).name
    clean = "".join(char for char in last if char.isprintable()).strip() or "upload"
    return clean if len(clean) <= 80 else f"{clean[:60]}…{clean[-19:]}"


def _ask_child(name: str, data: bytes, bounds: Limits) -> dict[str, Any]:
    too_slow = f"{name}: refused: reading it takes longer than {bounds.seconds} s"
    too_big = f"{name}: refused: reading it needs more than {bounds.memory / 1048576:.0f} MB"
    with tempfile.TemporaryFile() as out:  # its size is bounded by the child's limit, so ours is too
        command = [sys.executable, "-m", "monitor.text.extract_child"]
        command += [str(bounds.seconds), str(bounds.memory), str(bounds.output)]
        try:
            done = subprocess.run(
                command,
                input=json.dumps(name).encode() + b"\n" + data,
                stdout=out,
                stderr=subprocess.DEVNULL,
                timeout=bounds.wall_s,
                env={"PYTHONPATH": str(Path(monitor.__file__).parent.parent), "PATH": os.environ.get("PATH", "")},
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise UploadError(too_slow) from error
        except OSError as error:
            raise UploadError(f"{name}: the reader could not start ({error.strerror})") from error
        out.seek(0)
        raw = out.read()
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise UploadError(too_slow)
    try:
        answer = json.loads(raw)
    except ValueError as error:
        raise UploadError(too_big) from error
    if not isinstance(answer, dict):
        raise UploadError(too_big)
    return answer
