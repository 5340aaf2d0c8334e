"""Scores the rows of a CSV file: what `python -m models score` does. Reads and writes in pieces, however long the file.

The cells of the input are written as they were read. Eight columns are added; a column of the input that has the name
of one of them is kept as `<name>_in`, so that the result never has two columns of one name.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from tqdm import tqdm

from models.backend import Classifier, Prediction, join_title_and_summary
from models.batching import in_chunks
from models.errors import DataError
from models.longtext import score_whole
from models.registry import open_classifier

ADDED: Final = (
    "sentiment",
    "p_negative",
    "p_neutral",
    "p_positive",
    "score",
    "topics",
    "confidence",
    "model_version",
)

_ROWS: Final = 4096
_LONGEST_CELL: Final = 64 * 1024 * 1024
_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Outcome:
    """rows: rows written; unscored: how many of them had nothing to score and got empty cells."""

    rows: int
    unscored: int


def score_file(
    source: Path,
    target: Path,
    model: str | None = None,
    backend: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    text_column: str | None = None,
) -> Outcome:
    """Writes `target` with the rows of `source` and their predictions; whole, or not at all.

    Texts longer than the model's window are read in windows and aggregated. Raises DataError naming file, line and
    column for a file that cannot be used, and CheckpointError when there is no model to score with.
    """
    if not source.is_file():
        raise DataError(f"{source}: no such file")
    if target.exists() and target.samefile(source):
        raise DataError(f"{target}: is the input itself; choose another name for the result")
    if not target.parent.is_dir():
        raise DataError(f"{target}: its folder does not exist")
    partial = target.with_name(f"{target.name}.tmp")
    try:
        with (
            source.open("rb") as raw,
            partial.open("w", encoding="utf-8", newline="") as out,
        ):
            file = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
            rows = _rows(file, source)
            header = next(rows, None)
            if not header:
                raise DataError(f"{source}: empty; a header with a column text, or title and summary, is needed")
            text_of = _text_of(header, source, text_column)
            classifier = open_classifier(model, backend=backend, device=device, threads=threads)
            with tqdm(total=source.stat().st_size, unit="B", unit_scale=True, desc="score", file=sys.stderr) as bar:
                outcome = _write(classifier, rows, header, text_of, out, lambda: bar.update(raw.tell() - bar.n))
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return outcome


def _write(
    classifier: Classifier,
    rows: Iterable[list[str]],
    header: list[str],
    text_of: Callable[[Sequence[str]], str],
    out: IO[str],
    progress: Callable[[], object],
) -> Outcome:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*(f"{name}_in" if name in ADDED else name for name in header), *ADDED])
    done = unscored = 0
    for chunk in in_chunks(rows, _ROWS):
        predictions = predict_any_length(classifier, [text_of(row) for row in chunk])
        for row, prediction in zip(chunk, predictions, strict=True):
            # A row shorter than the header is filled up, or the added cells would stand under other names.
            cells = [*row, *[""] * (len(header) - len(row))]
            writer.writerow([*cells, *_cells(prediction, classifier.version)])
            unscored += prediction is None
        done += len(chunk)
        progress()
    return Outcome(done, unscored)


def predict_any_length(classifier: Classifier, texts: Sequence[str]) -> list[Prediction | None]:
    """As `predict`, but a text longer than the window is read to its end, in windows, and aggregated."""
    return [
        score_whole(classifier, text) if prediction is not None and prediction.truncated else prediction
        for text, prediction in zip(texts, classifier.predict(texts), strict=True)
    ]


def _cells(prediction: Prediction | None, version: str) -> list[str]:
    if prediction is None:
        return [""] * (len(ADDED) - 1) + [version]
    numbers = (prediction.p_negative, prediction.p_neutral, prediction.p_positive, prediction.score)
    return [
        prediction.sentiment,
        *(f"{number:.{_DIGITS}f}" for number in numbers),
        "|".join(prediction.topics),
        f"{prediction.confidence:.{_DIGITS}f}",
        prediction.model_version,
    ]


def _rows(file: IO[str], source: Path) -> Iterator[list[str]]:
    """Rows of the CSV file, the header first; blank lines are no rows. DataError with the line of what is wrong."""
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(file)
    width = 0
    while True:
        try:
            row = next(reader, None)
        except UnicodeDecodeError as error:
            raise DataError(f"{source}: line {reader.line_num + 1} or after is not UTF-8; save it as UTF-8") from error
        except csv.Error as error:
            raise DataError(f"{source}: line {reader.line_num}: not readable as CSV ({error})") from error
        if row is None:
            return
        if not row:
            continue
        width = width or len(row)
        if len(row) > width:
            raise DataError(
                f"{source}: line {reader.line_num}: {len(row)} cells where the header has {width}; "
                "a text with commas needs quotes"
            )
        yield row


def _text_of(header: Sequence[str], source: Path, wanted: str | None) -> Callable[[Sequence[str]], str]:
    """How a row becomes the text to score."""
    names = [name.strip().lower() for name in header]

    def place(name: str) -> int | None:
        return names.index(name) if name in names else None

    if wanted is not None:
        column = place(wanted.strip().lower())
        if column is None:
            raise DataError(f"{source}: has no column {wanted!r}; its columns are {', '.join(header)[:300]}")
        return lambda row: row[column] if column < len(row) else ""
    first, second = place("text"), place("summary")
    lead = first if first is not None else place("title")
    if lead is None:
        raise DataError(
            f"{source}: needs a column text, or title and optionally summary; its columns are "
            f"{', '.join(header)[:300]}; name another with --text-column"
        )

    def joined(row: Sequence[str]) -> str:
        summary = row[second] if second is not None and second < len(row) else None
        return join_title_and_summary(row[lead] if lead < len(row) else "", summary)

    return joined
