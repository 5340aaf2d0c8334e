"""How well stories are told apart: precision and recall on labelled pairs of real headlines.

    HEADWIND_CORPORA=… python -m bench.stories          figures of the shipped weights
    HEADWIND_CORPORA=… python -m bench.stories --fit    new weights, by cross-validation

bench/labels/story_pairs.csv holds hashes of title and time, never a text. Pairs were drawn from six dated corpora, from
all pairs within 72 h that share a quarter of their 3-grams or have a word cosine of 0.45, in strata of likeness;
`stands_for` is how many candidate pairs a sampled one stands for. Labels, by reading: `same` (the same report carried
again: edited, retitled, attributed, translated anew), `paraphrase` (the same news in independent words) and `other`.
Pairs on which a reader could argue either way were left out.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from monitor.feeds import title_match
from monitor.feeds.stories import Item, StoryIndex
from monitor.feeds.title_match import FEATURES, THRESHOLD, measure, normalise, same_story

LABELS = Path(__file__).parent / "labels" / "story_pairs.csv"


@dataclass(frozen=True, slots=True)
class Pair:
    corpus: str
    one: tuple[str, float]  # title, seconds since the epoch
    other: tuple[str, float]
    label: str
    stands_for: float


def key_of(title: str, published: str) -> str:
    return hashlib.sha1(f"{title}\n{published}".encode()).hexdigest()[:16]


def rows_of(folder: Path) -> list[tuple[str, str, float]]:
    """(key, title, seconds) of every row of a corpus."""
    path = next(iter(sorted(folder.glob("*.csv*"))))
    opener = gzip.open if path.suffix == ".gz" else open
    found = []
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            moment = datetime.fromisoformat(row["published"])
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            found.append((key_of(row["title"], row["published"]), row["title"], moment.timestamp()))
    return found


def read_pairs(corpora: Path) -> list[Pair]:
    with LABELS.open(encoding="utf-8", newline="") as file:
        labels = list(csv.DictReader(file))
    known: dict[str, tuple[str, float]] = {}
    wanted = {row[side] for row in labels for side in ("first", "second")}
    for corpus in sorted({row["corpus"] for row in labels}):
        known |= {key: (title, at) for key, title, at in rows_of(corpora / corpus) if key in wanted}
    return [
        Pair(row["corpus"], known[row["first"]], known[row["second"]], row["label"], float(row["stands_for"]))
        for row in labels
        if row["first"] in known and row["second"] in known
    ]


def report(name: str, pairs: list[Pair], joined: list[bool]) -> None:
    def share(part: list[float], whole: list[float]) -> float:
        return sum(part) / sum(whole) if sum(whole) else float("nan")

    for weighted in (False, True):
        weights = [pair.stands_for if weighted else 1.0 for pair in pairs]
        found = [w for w, j in zip(weights, joined, strict=True) if j]
        right = [w for w, j, p in zip(weights, joined, pairs, strict=True) if j and p.label != "other"]
        line = f"{name}, {'weighted to the streams' if weighted else 'as sampled'}: precision {share(right, found):.3f}"
        for label in ("same", "paraphrase"):
            of = [(w, j) for w, j, p in zip(weights, joined, pairs, strict=True) if p.label == label]
            line += f", recall of {label} {share([w for w, j in of if j], [w for w, _ in of]):.3f} ({len(of)})"
        print(line)


def judged(pairs: list[Pair]) -> list[bool]:
    return [
        same_story(normalise(p.one[0]), normalise(p.other[0]), abs(p.one[1] - p.other[1])) >= THRESHOLD for p in pairs
    ]


def indexed(pairs: list[Pair]) -> list[bool]:
    """Whether each pair shares candidates: each in an index of its own, as a stream would bring it."""
    joined = []
    for pair in pairs:
        index = StoryIndex()
        first, second = sorted((pair.one, pair.other), key=lambda one: one[1])
        a = index.assign([Item("a", first[0], datetime.fromtimestamp(first[1], UTC))])
        b = index.assign([Item("b", second[0], datetime.fromtimestamp(second[1], UTC))])
        joined.append(a == b)
    return joined


def fit(pairs: list[Pair]) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    kept, x = [], []
    for pair in pairs:
        measures = measure(normalise(pair.one[0]), normalise(pair.other[0]), pair.one[1] - pair.other[1])
        if measures is not None:
            kept.append(pair)
            x.append(measures)
    features, truth = np.array(x), np.array([pair.label != "other" for pair in kept])
    learnt = np.array([pair.label != "paraphrase" for pair in kept])
    model = LogisticRegression(C=3.0, max_iter=10_000)
    scores = np.zeros(len(kept))
    scores[learnt] = cross_val_predict(model, features[learnt], truth[learnt], cv=10, method="predict_proba")[:, 1]
    model.fit(features[learnt], truth[learnt])
    scores[~learnt] = model.predict_proba(features[~learnt])[:, 1]
    same = sum(pair.label == "same" for pair in pairs)
    for threshold in np.arange(0.5, 0.95, 0.03):
        found = scores >= threshold
        hits = sum(f and p.label == "same" for f, p in zip(found, kept, strict=True))
        print(f"{threshold:.2f} precision {truth[found].mean():.3f} recall of same {hits / same:.3f}")
    print(dict(zip(FEATURES, model.coef_[0].round(2).tolist(), strict=True)), "bias", model.intercept_.round(2))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--errors", action="store_true", help="print the pairs that are judged wrongly")
    arguments = parser.parse_args()
    corpora = os.environ.get("HEADWIND_CORPORA")
    if not corpora:
        print("HEADWIND_CORPORA names no folder of corpora", file=sys.stderr)
        return 1
    pairs = read_pairs(Path(corpora))
    print(f"{len(pairs)} labelled pairs, threshold {title_match.THRESHOLD}")
    if arguments.fit:
        fit(pairs)
    joined = judged(pairs)
    report("judged as pairs", pairs, joined)
    report("through the index", pairs, indexed(pairs))
    if arguments.errors:
        for pair, found in zip(pairs, joined, strict=True):
            if found != (pair.label != "other"):
                print(pair.label, f"{abs(pair.one[1] - pair.other[1]) / 3600:.0f}h", pair.one[0], "##", pair.other[0])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
