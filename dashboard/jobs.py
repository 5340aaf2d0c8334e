"""Scoring of long tables and documents in a process of its own, so that the pages of other people stay quick.

`python -m models score` or `python -m dashboard.scorer` does the work in a private temporary folder; the page only
looks at its progress. The folder goes with the job, and the process with the session that started it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from dashboard.scorer import read_scores
from models.longtext import DocumentScore
from monitor.errors import UploadError

ROOT: Final = Path(__file__).resolve().parent.parent
AT_ONCE: Final = 2
"""Jobs that run at the same time over all sessions; another one waits its turn."""

_turns = threading.BoundedSemaphore(AT_ONCE)
_PERCENT: Final = re.compile(r"(\d{1,3})%\|")


class Process:
    """Something being scored in a process of its own. `progress()` never blocks."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._folder = tempfile.TemporaryDirectory(prefix="headwind-score-")
        self._source = Path(self._folder.name) / "in"
        self._target = Path(self._folder.name) / "out"
        self._errors = Path(self._folder.name) / "stderr"
        self._command: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._finalizer: weakref.finalize | None = None

    def _start(self) -> bool:
        """Take a turn when one is free."""
        if self._process is not None or not _turns.acquire(blocking=False):
            return False
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
            )
        self._finalizer = weakref.finalize(self, _stop, self._process)
        return True

    @property
    def waiting(self) -> bool:
        return self._process is None

    @property
    def done(self) -> bool:
        self._start()
        if self._process is None or self._process.poll() is None:
            return False
        if self._finalizer is not None:
            self._finalizer()  # gives the turn back, once
        return True

    def progress(self) -> float:
        """Share of the table that is scored, 0 to 1, as the process reports it."""
        found = _PERCENT.findall(self._tail())
        return min(1.0, int(found[-1]) / 100) if found else 0.0

    def _finished(self) -> Path:
        """The file with the result. Raises `UploadError` with the process's own last line when it failed."""
        if not self.done or self._process is None:
            raise UploadError(f"{self.name}: not scored yet")
        if self._process.returncode != 0 or not self._target.exists():
            lines = [line for line in self._tail().replace("\r", "\n").splitlines() if line.strip()]
            reason = lines[-1].replace(str(self._source), self.name) if lines else f"status {self._process.returncode}"
            raise UploadError(f"{self.name}: {reason}")
        return self._target

    def stop(self) -> None:
        if self._finalizer is not None:
            self._finalizer()

    def _tail(self) -> str:
        if not self._errors.exists():
            return ""
        with self._errors.open("rb") as file:
            file.seek(max(0, self._errors.stat().st_size - 4000))
            return file.read().decode("utf-8", errors="replace")


class Job(Process):
    """One table being scored; `result()` is the table with the added columns once it is done."""

    def __init__(self, table: pd.DataFrame, column: str, name: str, model: str | None, threads: int = 1) -> None:
        super().__init__(name)
        self.rows = len(table)
        self._source, self._target = self._source.with_suffix(".csv"), self._target.with_suffix(".csv")
        table.to_csv(self._source, index=False)
        self._command = [
            *(sys.executable, "-m", "models", "score", "--in", str(self._source), "--out", str(self._target)),
            *("--text-column", column, "--threads", str(threads)),
            *(("--model", model) if model else ()),
        ]
        self._start()

    def result(self) -> pd.DataFrame:
        return pd.read_csv(self._finished(), keep_default_na=False, dtype=str)


class DocumentsJob(Process):
    """Documents being scored; `result()` gives their scores in order once they are done."""

    def __init__(self, texts: Sequence[str], name: str, model: str | None, threads: int = 1) -> None:
        super().__init__(name)
        self._source.write_text(json.dumps(list(texts)), encoding="utf-8")
        self._command = [
            *(sys.executable, "-m", "dashboard.scorer", str(self._source), str(self._target)),
            *("--threads", str(threads), *(("--model", model) if model else ())),
        ]
        self._start()

    def result(self) -> list[DocumentScore]:
        return read_scores(self._finished().read_text(encoding="utf-8"))


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    _turns.release()
