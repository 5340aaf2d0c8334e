"""Predictions for all texts of a corpus, made once and kept in one file, so that replays need no model.

    HEADWIND_CORPORA=… python -m bench.scored CORPUS --out FILE.npz [--model VERSION|FOLDER] [--threads N]
        [--from ISO] [--to ISO]

Each row of the corpus is scored as the worker would score it: title and the beginning of its summary, read by the same
reader. A stopped run goes on where it was (FILE.npz.parts/). The file is compressed: 64 bits of the text's SHA-1, three
probabilities, confidence and topics a text.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench.stream import by_words
from models.backend import Prediction, join_title_and_summary
from models.labels import TOPICS
from monitor.feeds.archive import ArchiveRow, read_archive

BLOCK = 2000
WORDS = "words"


def key_of(text: str) -> int:
    """64 bits that stand for a text."""
    return int.from_bytes(hashlib.sha1(text.encode("utf-8", "surrogatepass")).digest()[:8], "big")


def corpus_rows(corpora: Path, corpus: str, start: datetime, end: datetime) -> Iterator[ArchiveRow]:
    """The good rows of a corpus in a span, in the order of the file."""
    [path] = [one for one in (corpora / corpus).iterdir() if one.name.startswith(f"{corpus}.csv")]
    for row in read_archive(path):
        if isinstance(row, ArchiveRow) and start <= row.published < end:
            yield row


class KeptScores:
    """Implements `Classifier` from kept predictions. A text that was never scored is an error, not a guess."""

    def __init__(self, version: str, languages: tuple[str, ...], found: dict[int, Prediction]) -> None:
        self.version = version
        self.languages = languages
        self._found = found

    def __contains__(self, text: str) -> bool:
        return key_of(text) in self._found

    def predict(self, texts: Sequence[str]) -> list[Prediction | None]:
        return [self._found[key_of(text)] for text in texts]


def read_scores(path: Path) -> KeptScores:
    with np.load(path) as kept:
        version, languages = str(kept["version"]), tuple(str(one) for one in kept["languages"])
        rows = zip(kept["key"].tolist(), kept["p"].tolist(), kept["confidence"].tolist(), kept["topics"], strict=True)
        found = {key: _prediction(*p, confidence, str(topics), version) for key, p, confidence, topics in rows}
    return KeptScores(version, languages, found)


def word_list_scores(corpora: Path, rows: Sequence[ArchiveRow]) -> KeptScores:
    """The Loughran-McDonald word list and a few topic words, for trials."""
    scored = by_words(corpora, [({"title": row.title}, None, None) for row in rows])
    found = {}
    for row, (negative, positive, topics) in zip(rows, scored, strict=True):
        rest = max(0.0, 1 - negative - positive)
        best = max(negative, positive, rest)
        text = join_title_and_summary(row.title, row.summary)
        found[key_of(text)] = _prediction(negative, rest, positive, best, "|".join(topics), WORDS)
    return KeptScores(WORDS, ("en",), found)


def _prediction(
    negative: float, neutral: float, positive: float, confidence: float, topics: str, version: str
) -> Prediction:
    labels = tuple(topics.split("|"))
    return Prediction(
        p_negative=negative,
        p_neutral=neutral,
        p_positive=positive,
        topics=labels,
        topic_scores=tuple(float(topic in labels) for topic in TOPICS),
        confidence=confidence,
        unsure=False,
        truncated=False,
        model_version=version,
    )


def labelled_titles(corpora: Path) -> frozenset[str]:
    """Titles of the labelled headlines: the model was trained on some and measured on the others."""
    with (corpora / "headlines" / "headlines.csv").open(encoding="utf-8", newline="") as file:
        return frozenset(" ".join(row["text"].split()) for row in csv.DictReader(file))


def make_scores(
    corpora: Path, corpus: str, out: Path, model: str | None, threads: int, span: Sequence[datetime]
) -> int:
    """Score the corpus in blocks that are kept; gives how many texts."""
    from models import registry

    classifier = registry.open_classifier(model, threads=threads or None)
    rows = corpus_rows(corpora, corpus, *span)
    texts = list(dict.fromkeys(join_title_and_summary(row.title, row.summary) for row in rows))
    parts = out.parent / f"{out.name}.parts"
    parts.mkdir(parents=True, exist_ok=True)
    blocks = []
    for start in range(0, len(texts), BLOCK):
        block = texts[start : start + BLOCK]
        mark = key_of("\x1f".join((classifier.version, *block)))
        part = parts / f"{mark:016x}.npz"
        if not part.exists():
            _score_block(classifier.predict(block), block, part)
            print(f"{min(start + BLOCK, len(texts)):,} of {len(texts):,}", flush=True)
        blocks.append(part)
    merged: dict[str, list[np.ndarray]] = {name: [] for name in ("key", "p", "confidence", "topics")}
    for part in blocks:
        with np.load(part) as kept:
            for name, arrays in merged.items():
                arrays.append(kept[name])
    np.savez_compressed(
        out,
        version=np.array(classifier.version),
        languages=np.array(classifier.languages),
        **{name: np.concatenate(arrays) for name, arrays in merged.items()},
    )
    shutil.rmtree(parts)
    return len(texts)


def _score_block(said: Sequence[Prediction | None], texts: Sequence[str], part: Path) -> None:
    known = [(key_of(text), one) for text, one in zip(texts, said, strict=True) if one is not None]
    partial = part.with_suffix(".partial.npz")
    np.savez(
        partial,
        key=np.array([key for key, _ in known], dtype=np.uint64),
        p=np.array([(one.p_negative, one.p_neutral, one.p_positive) for _, one in known], dtype=np.float64),
        confidence=np.array([one.confidence for _, one in known], dtype=np.float64),
        topics=np.array(["|".join(one.topics) for _, one in known]),
    )
    partial.replace(part)


def moment(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def corpora_or_exit() -> Path:
    named = os.environ.get("HEADWIND_CORPORA")
    if not named or not Path(named).is_dir():
        print("HEADWIND_CORPORA names no folder of corpora", file=sys.stderr)
        raise SystemExit(1)
    return Path(named)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.scored", description=__doc__.splitlines()[0])
    parser.add_argument("corpus")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    parser.add_argument("--model", default=None, metavar="VERSION|FOLDER")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--from", dest="start", type=moment, default=moment("1990-01-01"), metavar="ISO")
    parser.add_argument("--to", dest="end", type=moment, default=moment("2100-01-01"), metavar="ISO")
    asked = parser.parse_args()
    span = (asked.start, asked.end)
    count = make_scores(corpora_or_exit(), asked.corpus, asked.out, asked.model, asked.threads, span)
    print(f"{count:,} texts in {asked.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
