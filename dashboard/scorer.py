"""Scores documents in a process of its own: `python -m dashboard.scorer IN OUT [--model M] [--threads N]`.

IN: a JSON list of texts. OUT: a JSON list of their scores, in order, as `read_scores` reads them. The share that is
done goes to standard error, one `NN%|` a step, as `python -m models score` does it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from models.backend import Classifier, Prediction
from models.errors import ModelError
from models.longtext import DocumentScore, SentenceScore, score_document
from models.process_backend import from_plain
from models.registry import open_classifier
from models.sentences import split_sentences


class _Counted:
    """A classifier that tells how far the work has come: each text is read once by sentence and once by window."""

    def __init__(self, classifier: Classifier, total: int) -> None:
        self._inner = classifier
        self._total = max(1, total)
        self._done = 0
        self.version = classifier.version
        self.languages = classifier.languages

    def predict(self, texts: Sequence[str]) -> list[Prediction | None]:
        found = self._inner.predict(texts)
        self._done += len(texts)
        print(f"{min(99, 100 * self._done // self._total)}%|", file=sys.stderr, flush=True)
        return found


def write_scores(scores: Sequence[DocumentScore]) -> str:
    return json.dumps([asdict(score) for score in scores], ensure_ascii=False)


def read_scores(text: str) -> list[DocumentScore]:
    return [
        DocumentScore(
            sentences=tuple(
                SentenceScore(one["start"], one["end"], one["text"], from_plain(one["prediction"]))
                for one in score["sentences"]
            ),
            aggregate=from_plain(score["aggregate"]),
            windows=score["windows"],
        )
        for score in json.loads(text)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m dashboard.scorer")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--threads", type=int)
    given = parser.parse_args(arguments)
    texts: list[str] = json.loads(given.source.read_text(encoding="utf-8"))
    total = sum(2 * sum(1 for _ in split_sentences(text)) for text in texts)
    try:
        classifier = _Counted(open_classifier(given.model, threads=given.threads), total)
        scores = [score_document(classifier, text) for text in texts]
    except ModelError as error:
        print(f"headwind: {error}", file=sys.stderr)
        return 1
    given.target.write_text(write_scores(scores), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
