"""A classifier that answers from a process of its own, so that a server of pages never runs a network itself.

The process is started when the classifier is opened, kept warm, and started again when it dies. Both speak over a
socket pair, one line of JSON a message: a list of texts goes in, a list of predictions comes out. The process ends by
itself when the other end is gone. Importing this module loads neither torch nor ONNX Runtime.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final

from models import registry
from models.backend import Prediction
from models.batching import in_chunks
from models.errors import CheckpointError, ModelError, ScorerError

ROOT: Final = Path(__file__).resolve().parent.parent
AT_ONCE: Final = 64
"""Texts of one request: between two requests others get their turn, so that a headline need not wait for a book."""

START_S: Final = 120.0
ANSWER_S: Final = 120.0


class ProcessClassifier:
    """Implements `models.backend.Classifier`; may be asked from several threads.

    Arguments as `models.registry.open_classifier`. Raises `CheckpointError` when the process refuses the checkpoint and
    `ScorerError` when it does not come up. A request during which it dies is asked once more of a new one, then
    `ScorerError`; the next request starts it again.
    """

    def __init__(
        self,
        version: str | os.PathLike[str] | None = None,
        backend: str = "auto",
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        self._arguments = [
            *("--backend", backend, "--device", device),
            *(("--threads", str(threads)) if threads else ()),
            *(("--model", os.fspath(version)) if version else ()),
        ]
        self._lock = threading.Lock()
        self._worker: _Worker | None = None
        said = self._start()
        self._version: str = said["version"]
        self._languages: tuple[str, ...] = tuple(said["languages"])

    @property
    def version(self) -> str:
        return self._version

    @property
    def languages(self) -> tuple[str, ...]:
        return self._languages

    @property
    def process_id(self) -> int | None:
        """Of the process that answers now; None while there is none."""
        worker = self._worker
        return worker.process.pid if worker else None

    def predict(self, texts: Sequence[str]) -> list[Prediction | None]:
        found: list[Prediction | None] = []
        for some in in_chunks(texts, AT_ONCE):
            with self._lock:
                found += [from_plain(one) for one in self._asked(list(some))]
        return found

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _asked(self, texts: list[str]) -> list[dict[str, Any] | None]:
        for last in (False, True):
            try:
                if self._worker is None:
                    self._start()
                assert self._worker is not None
                answer = self._worker.ask(texts, ANSWER_S)
            except (OSError, ValueError) as error:
                reason = self._drop() or str(error)
                if last:
                    raise ScorerError("died", reason) from error
                continue
            if "error" in answer:
                raise ScorerError("failed", answer["error"])
            predictions: list[dict[str, Any] | None] = answer["predictions"]
            return predictions
        raise AssertionError("not reached")

    def _start(self) -> dict[str, Any]:
        worker = _Worker(self._arguments)
        weakref.finalize(self, worker.stop)
        try:
            said = worker.hear(START_S)
        except (OSError, ValueError) as error:
            raise ScorerError("start", worker.stop() or str(error)) from error
        if "refused" in said:
            worker.stop()
            raise CheckpointError(said["refused"])
        self._worker = worker
        return said

    def _drop(self) -> str:
        """End the process, if there is one; gives how it ended."""
        worker, self._worker = self._worker, None
        return worker.stop() if worker else ""


class _Worker:
    """The process and this end of its socket."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "models.process_backend", str(theirs.fileno()), *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        self._file: IO[bytes] = self._socket.makefile("rb")

    def ask(self, texts: list[str], patience_s: float) -> dict[str, Any]:
        self._socket.settimeout(patience_s)
        self._socket.sendall(json.dumps(texts).encode() + b"\n")
        return self.hear(patience_s)

    def hear(self, patience_s: float) -> dict[str, Any]:
        """The next message. Raises OSError (also TimeoutError) when none comes."""
        self._socket.settimeout(patience_s)
        line = self._file.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("no answer")
        said: dict[str, Any] = json.loads(line)
        return said

    def stop(self) -> str:
        """End the process; a second call changes nothing. Gives how it had ended by itself, or an empty text."""
        self._file.close()
        self._socket.close()
        try:
            status = self.process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return ""
        return f"status {status}" if status else ""


def to_plain(prediction: Prediction | None) -> dict[str, Any] | None:
    return None if prediction is None else asdict(prediction)


def from_plain(value: dict[str, Any] | None) -> Prediction | None:
    if value is None:
        return None
    fields: dict[str, Any] = {name: tuple(part) if isinstance(part, list) else part for name, part in value.items()}
    return Prediction(**fields)


def serve(stream: IO[bytes], out: IO[bytes], arguments: argparse.Namespace) -> None:
    """Answer until the other end is closed."""

    def say(message: dict[str, Any]) -> None:
        out.write(json.dumps(message).encode() + b"\n")
        out.flush()

    try:
        classifier = registry.open_classifier(
            arguments.model, backend=arguments.backend, device=arguments.device, threads=arguments.threads
        )
    except ModelError as error:
        say({"refused": str(error)})
        return
    say({"version": classifier.version, "languages": list(classifier.languages)})
    for line in stream:
        try:
            say({"predictions": [to_plain(one) for one in classifier.predict(json.loads(line))]})
        except (ModelError, RuntimeError) as error:
            say({"error": str(error) or type(error).__name__})


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.process_backend")
    parser.add_argument("socket", type=int, help="number of an open socket")
    parser.add_argument("--model")
    parser.add_argument("--backend", choices=registry.BACKENDS, default="auto")
    parser.add_argument("--device", choices=registry.DEVICES, default="auto")
    parser.add_argument("--threads", type=int)
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; this one ends with its parent
    with socket.socket(fileno=given.socket) as ours:
        try:
            serve(ours.makefile("rb"), ours.makefile("wb"), given)
        except (BrokenPipeError, ConnectionResetError):
            return 0  # whoever asked is gone
    return 0


if __name__ == "__main__":
    sys.exit(main())
