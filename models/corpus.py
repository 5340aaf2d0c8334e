"""What a training run reads: labelled files, checked and split, and what is learnt from beside them.

Which rows are held out depends on all labelled files of a run together: a story that stands in two of them stands in
one part.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from models.annotations import read_annotations, title_id
from models.dataset import Example, check_classes, file_sha256, load_file, normalise, source_of
from models.errors import DataError
from models.lessons import lessons
from models.sources import Source
from models.splits import apart_from, assign_splits

LABELLED: Final = "sentiment and topics"
LEARNT_ONLY: Final = "sentiment and topics, training only"
OWN_HEAD: Final = "auxiliary head"


@dataclass(frozen=True, slots=True)
class Corpus:
    """Checked examples of a run with their splits and, per file, name, licence, rows and hash."""

    examples: list[Example]
    splits: list[str]
    files: list[dict[str, Any]]

    def part(self, split: str, product_only: bool = False) -> list[Example]:
        return [
            example
            for example, where in zip(self.examples, self.splits, strict=True)
            if where == split and (not product_only or example.auxiliary is None)
        ]

    def apart(self, split: str) -> list[Example]:
        """What stands in any other part."""
        return [example for example, where in zip(self.examples, self.splits, strict=True) if where != split]

    def held_out(self) -> list[Example]:
        return self.apart("train")


def load_corpus(
    paths: list[Path],
    exclude: list[str],
    limit: int | None = None,
    further: Mapping[str, Sequence[Path]] | None = None,
) -> Corpus:
    """Read, check and split every file. Raises DataError before anything is used.

    further: part -> files in the product's convention that join this part whole, without the rows whose story stands
    in another part (for train: a held-out one). They move no row of the others.
    """
    known = {path.name.split(".")[0] for path in paths}
    unknown = [name for name in exclude if name not in known]
    if unknown:
        raise DataError(f"--exclude {unknown[0]}: no such file among --data ({', '.join(sorted(known))})")
    examples: list[Example] = []
    files = []
    product_names = []
    for path in paths:
        name = path.name.split(".")[0]
        if name in exclude:
            continue
        found = load_file(path)
        if not found:
            raise DataError(f"{path}: no row of the file can be used")
        check_classes(path, found)
        if limit is not None and limit < len(found):
            # Files are often sorted by label: a trial takes a random part, always the same one.
            found = random.Random(0).sample(found, limit)
        auxiliary = found[0].auxiliary is not None
        if not auxiliary:
            product_names.append(name)
        source = source_of(path, ("label", "topics"))
        used_for = f"{OWN_HEAD} {source.head}" if auxiliary else LABELLED
        files.append(_described(path, source, len(found), used_for))
        examples += found
    if not examples:
        raise DataError("--exclude leaves no data")
    corpus = Corpus(examples, list(assign_splits(examples, product_names)), files)
    for part, more in (further or {}).items():
        for path in more:
            found = load_file(path)
            check_classes(path, found)
            rows = apart_from(found, corpus.held_out() if part == "train" else corpus.apart(part))
            corpus.examples.extend(rows)
            corpus.splits.extend([part] * len(rows))
            used_for = LEARNT_ONLY if part == "train" else f"{LABELLED}, {part} only"
            files.append(_described(path, source_of(path, ("label", "topics")), len(rows), used_for))
    return corpus


def is_labelled(used_for: str) -> bool:
    """Whether a file of a run's description decides what that run held out, or was learnt from beside that."""
    return used_for in (LABELLED, LEARNT_ONLY) or used_for.startswith(OWN_HEAD)


def _described(path: Path, source: Source, rows: int, used_for: str) -> dict[str, Any]:
    name = path.name.split(".")[0]
    return {
        "name": name,
        "licence": source.licence,
        "rows": rows,
        "sha256": file_sha256(path),
        "used_for": used_for,
    }


def unlabelled_rows(files: Mapping[Path, list[Example]], corpus: Corpus) -> list[Example]:
    """Rows of these files without the stories that are held out in `corpus`, or the texts labelled there already."""
    if not files:
        return []
    labelled = {normalise(example.text) for example in corpus.examples}
    # Some titles of the archives are what checkpoints are calibrated and measured on.
    measured = {title for title, label in read_annotations().items() if label.part != "train"}
    rows = {normalise(row.text): row for read in files.values() for row in read}
    fresh = [row for text, row in rows.items() if text not in labelled and title_id(row.text) not in measured]
    return apart_from(fresh, corpus.held_out())


def further_files(archives: Mapping[Path, list[Example]], with_lessons: bool) -> list[dict[str, Any]]:
    """What a run read beside the labelled files, as `Corpus.files` says it."""
    found = [
        {
            "name": path.name.split(".")[0],
            "licence": "of its publishers",
            "rows": len(rows),
            "sha256": file_sha256(path),
            "used_for": "texts without labels",
        }
        for path, rows in archives.items()
    ]
    if with_lessons:
        path = Path(__file__).with_name("lessons.py")
        said = {"name": "lessons", "licence": "of this project", "rows": len(lessons()), "sha256": file_sha256(path)}
        found.append({**said, "used_for": "sentiment"})
    return found
