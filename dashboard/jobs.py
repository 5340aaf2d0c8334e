"""Scoring of long tables and documents beside the pages, so that the pages of other people stay quick.

A job has a scoring process of its own, of the kind that answers pasted texts (`models.process_backend`), opened on the
deployment's backend and device; a thread here only hands it texts. The process ends with the job, and the job with the
session that started it.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

import pandas as pd

from dashboard.scored import score_texts
from models.backend import Classifier, Prediction
from models.batching import in_chunks
from models.errors import ModelError
from models.longtext import DocumentScore, score_document
from models.process_backend import AT_ONCE as REQUEST
from models.sentences import split_sentences
from monitor.errors import UploadError

AT_ONCE: Final = 2
"""Jobs that run at the same time over all sessions; another one waits its turn."""

_turns = threading.BoundedSemaphore(AT_ONCE)

T = TypeVar("T")
OpenModel = Callable[[], Classifier]
"""Opens the model for one job: `Classifier` of a process that nobody else asks."""


class _StoppedError(Exception):
    """Nobody wants the result any more."""


class _Run:
    """What the thread and the job share. Whoever forgets the job ends the run: it never refers to the job."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.ended = threading.Event()
        self.started = False
        self.done = 0
        self.result: object = None
        self.error: Exception | None = None


class _Counted:
    """A classifier that counts what was read, and stops between two requests when the run is to end."""

    def __init__(self, classifier: Classifier, run: _Run) -> None:
        self._inner = classifier
        self._run = run
        self.version = classifier.version
        self.languages = classifier.languages

    def predict(self, texts: Sequence[str]) -> list[Prediction | None]:
        found: list[Prediction | None] = []
        for some in in_chunks(texts, REQUEST):
            if self._run.stop.is_set():
                raise _StoppedError
            found += self._inner.predict(some)
            self._run.done += len(some)
        return found


class Job(Generic[T]):
    """Something being scored. `progress()` and `done` never block; `result()` is for when it is done.

    total: texts that `work` reads, as far as that is known before.
    """

    def __init__(self, name: str, open_model: OpenModel, work: Callable[[Classifier], T], total: int) -> None:
        self.name = name
        self.total = max(1, total)
        self._run = _Run()
        self._finalizer = weakref.finalize(self, self._run.stop.set)
        threading.Thread(target=_score, args=(self._run, open_model, work), name=f"score {name}", daemon=True).start()

    @property
    def waiting(self) -> bool:
        return not self._run.started and not self._run.ended.is_set()

    @property
    def done(self) -> bool:
        return self._run.ended.is_set()

    def progress(self) -> float:
        """Share of the texts that are scored, 0 to 1."""
        return min(1.0 if self.done else 0.99, self._run.done / self.total)

    def result(self) -> T:
        """Raises `UploadError` before it is done or when it was stopped, `ModelError` when it could not be scored."""
        if isinstance(self._run.error, ModelError):
            raise self._run.error
        if self._run.error is not None or not self.done:
            raise UploadError(f"{self.name}: not scored yet") from self._run.error
        return self._run.result  # type: ignore[return-value]  # what `work` gave

    def stop(self) -> None:
        """Ends between two requests; the turn is given back then."""
        self._finalizer()


def table_job(frame: pd.DataFrame, column: str, name: str, open_model: OpenModel) -> Job[pd.DataFrame]:
    """The table with the added columns."""
    return Job(name, open_model, lambda classifier: score_texts(frame, column, classifier), len(frame))


def documents_job(texts: Sequence[str], name: str, open_model: OpenModel) -> Job[list[DocumentScore]]:
    """The scores of documents, in order. Each text is read once by sentence and once by window."""
    total = sum(2 * sum(1 for _ in split_sentences(text)) for text in texts)
    return Job(name, open_model, lambda classifier: [score_document(classifier, text) for text in texts], total)


def _score(run: _Run, open_model: OpenModel, work: Callable[[Classifier], T]) -> None:
    try:
        while not _turns.acquire(timeout=0.2):
            if run.stop.is_set():
                raise _StoppedError
        try:
            run.started = True
            classifier = open_model()
            try:
                run.result = work(_Counted(classifier, run))
            finally:
                getattr(classifier, "close", lambda: None)()
        finally:
            _turns.release()
    except Exception as error:
        run.error = error  # raised again where the page asks for the result
    finally:
        run.ended.set()
