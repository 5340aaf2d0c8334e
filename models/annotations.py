"""Labels of our own for texts that are not ours to pass on: `python -m models annotations`.

`annotations.csv.gz` keeps a label by the hash of its title. Whoever has the archives joins the two to labelled files,
`train` for `train --further`, and two of random draws that no training saw, `dev` for `export --calibrate-on` and
`test` for `export --measure-on`.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from models.dataset import clean_text, read_rows
from models.errors import DataError

LABELS: Final = Path(__file__).with_name("annotations.csv.gz")
PARTS: Final = ("train", "dev", "test")
COLUMNS: Final = ("id", "corpus", "source", "published", "text", "summary", "sentiment", "topics", "set")


@dataclass(frozen=True, slots=True)
class Annotation:
    """Sentiment and topics (labels joined by a vertical bar) of one title.

    part: train, or dev or test for a random draw whose story stands in no training part.
    """

    sentiment: str
    topics: str
    part: str


def add_parser(subparsers: Any) -> None:
    """Register `annotations` and its options; `run` of the answer runs it."""
    parser = subparsers.add_parser("annotations", help="join our labels with the texts of the archives")
    add = parser.add_argument
    add("--corpora", type=Path, required=True, metavar="FOLDER", help="folder with the archives, one folder each")
    add("--out", type=Path, required=True, metavar="FOLDER", help="where annotations_train.csv, _dev and _test go")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the labelled files; 0 when at least one label found its text."""
    labels = read_annotations()
    found = list(joined(labels, archives(args.corpora)))
    if not found:
        raise DataError(f"{args.corpora}: none of the {len(labels)} labelled titles stands in these archives")
    args.out.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        path = args.out / f"annotations_{part}.csv"
        wanted = [row for row in found if labels[row["id"]].part == part]
        _write(path, wanted)
        print(f"{path}: {len(wanted)} texts", file=sys.stderr)
    print(f"{len(found)} of {len(labels)} labels found their text", file=sys.stderr)
    return 0


def _write(path: Path, rows: Iterable[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def title_id(title: str) -> str:
    """First ten hex digits of the SHA-1 of a title, white space collapsed."""
    return hashlib.sha1(clean_text(title).encode("utf-8", "surrogatepass")).hexdigest()[:10]


def read_annotations(path: Path = LABELS) -> dict[str, Annotation]:
    """The labels by title id. Raises DataError for a file that cannot be read."""
    return {row["id"]: Annotation(row["sentiment"], row["topics"], row["part"]) for _, row in read_rows(path)}


def archives(folder: Path) -> list[Path]:
    """The CSV files of a folder and of the folders in it, in the order of their names. Raises DataError for none."""
    found = sorted(path for path in folder.glob("*/*") if path.name.endswith((".csv", ".csv.gz")))
    if not found:
        raise DataError(f"{folder}: no CSV file in the folders here; name the folder that holds the archives' folders")
    return found


def joined(labels: dict[str, Annotation], files: Iterable[Path]) -> Iterator[dict[str, str]]:
    """Rows in the columns of the labelled headlines, one for each label whose title stands in one of the files."""
    open_labels = dict(labels)
    for path in files:
        corpus = path.name.split(".")[0]
        for _, row in read_rows(path):
            title = clean_text(row.get("title") or row.get("text") or "", corpus)
            label = open_labels.pop(title_id(title), None)
            if label is not None:
                yield {
                    "id": title_id(title),
                    "corpus": corpus,
                    "source": row.get("source") or corpus,
                    "published": row.get("published") or row.get("date") or "",
                    "text": title,
                    "summary": clean_text(row.get("summary") or ""),
                    "sentiment": label.sentiment,
                    "topics": label.topics,
                    # Draws at random have the proportions of the news, the others were chosen for being hard.
                    "set": "annotations" if label.part == "train" else "general",
                }
