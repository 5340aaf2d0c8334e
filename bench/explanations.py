"""explain: how long the words' contributions to an answer take, and whether those words carry it, beside SHAP.

    HEADWIND_CORPORA=… python -m bench.explanations [--model V] [--headlines N] [--threads N] [--no-write]

Held-out headlines with the leads they have, one after another as on the page. Each side explains the same network's
predicted sentiment; SHAP is its Partition explainer over the words, with its defaults. Deletion test: the three words
that a side puts first are taken out together, and the predicted sentiment loses so many points of probability; beside
it three words drawn at random, mean of five draws, never all words of a text.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.machine import machine, pin
from bench.results import write_section
from models.backend import Classifier
from models.corpus import load_corpus
from models.explain import explain, without, words
from models.labels import SENTIMENTS
from models.registry import open_classifier, resolve, verify

TOP = 3
RANDOM_DRAWS = 5

Side = Callable[[str], list[float]]
"""Gives the contribution of each word of a text, in the order of `models.explain.words`."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.explanations", description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="version or folder (default: the newest)")
    parser.add_argument("--headlines", type=int, default=200, help="explained by each side (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="cores, pinned (default: %(default)s)")
    parser.add_argument("--no-write", action="store_true", help="print, but leave bench/RESULTS.md as it is")
    arguments = parser.parse_args(argv)
    corpora = os.environ.get("HEADWIND_CORPORA")
    if not corpora:
        print("explain: set HEADWIND_CORPORA to the folder with the labelled corpora", file=sys.stderr)
        return 1
    cores = pin(arguments.threads)
    folder = resolve(arguments.model)
    texts = held_out(Path(corpora), arguments.headlines)
    int8 = open_classifier(folder, backend="onnx", threads=cores)
    torch = open_classifier(folder, backend="torch", device="cpu", threads=cores)
    sides: dict[str, tuple[Side, Classifier]] = {
        "Headwind, int8": (ours(int8), int8),
        "Headwind, torch": (ours(torch), torch),
        "SHAP, int8": (shap_of(int8), int8),
    }
    seconds, drops = race(sides, texts)
    report = write_up(verify(folder).version, texts, seconds, drops, machine(cores))
    print(report)
    if not arguments.no_write:
        write_section("explain", report)
    return 0


def held_out(corpora: Path, count: int) -> list[str]:
    """Titles of the test part with the leads they have, of words enough to take some out; always the same ones."""
    corpus = load_corpus([corpora / "headlines" / "headlines.csv"], [])
    texts = [example.joined for example in corpus.part("test") if len(words(example.joined)) >= 2 * TOP]
    return random.Random(3).sample(texts, min(count, len(texts)))


def ours(classifier: Classifier) -> Side:
    return lambda text: [word.contribution for word in explain(classifier, text)]


def shap_of(classifier: Classifier) -> Side:
    """SHAP's values for the predicted sentiment; a token of SHAP that spans signs around a word counts for it."""
    import shap

    def score(texts: Any) -> np.ndarray:
        # Everything hidden is an empty text, which has no answer: all sentiments alike, as in `models.explain`.
        return np.array([shares(answer) for answer in classifier.predict([str(text) for text in texts])])

    explainer = shap.Explainer(score, shap.maskers.Text(r"\s+"), output_names=list(SENTIMENTS))

    def side(text: str) -> list[float]:
        found = explainer([text], silent=True)
        tokens, values = [str(token) for token in found.data[0]], np.asarray(found.values[0])
        place = int(score([text])[0].argmax())
        ends = np.cumsum([len(token) for token in tokens])
        starts = ends - [len(token) for token in tokens]
        return [float(values[(starts < end) & (ends > start), place].sum()) for start, end in words(text)]

    return side


def shares(answer: Any) -> tuple[float, float, float]:
    if answer is None:
        return (1 / 3, 1 / 3, 1 / 3)
    return answer.p_negative, answer.p_neutral, answer.p_positive


def race(
    sides: dict[str, tuple[Side, Classifier]], texts: Sequence[str]
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds of each side on each text, interleaved, and the points of probability that its words carry."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    drops: dict[str, list[float]] = {name: [] for name in (*sides, "random words")}
    draw = random.Random(5)
    for side, _ in sides.values():
        side(texts[0])  # what is built at the first call is not counted
    for number, text in enumerate(texts, start=1):
        spans = words(text)
        for name, (side, classifier) in sides.items():
            started = time.perf_counter()
            contributions = side(text)
            seconds[name].append(time.perf_counter() - started)
            top = sorted(range(len(spans)), key=lambda word: -contributions[word])[:TOP]
            drops[name].append(lost(classifier, text, [[spans[word] for word in top]]))
        chosen = [draw.sample(spans, TOP) for _ in range(RANDOM_DRAWS)]
        drops["random words"].append(lost(next(iter(sides.values()))[1], text, chosen))
        if number % 25 == 0:
            print(f"{number}/{len(texts)} headlines", file=sys.stderr)
    return seconds, drops


def lost(classifier: Classifier, text: str, choices: Sequence[list[tuple[int, int]]]) -> float:
    """Mean loss of the predicted sentiment's probability, in points, over the choices of words to take out."""
    answers = [shares(answer) for answer in classifier.predict([text, *(without(text, spans) for spans in choices)])]
    place = int(np.argmax(answers[0]))
    return 100 * statistics.mean(answers[0][place] - other[place] for other in answers[1:])


def write_up(
    version: str, texts: Sequence[str], seconds: dict[str, list[float]], drops: dict[str, list[float]], where: str
) -> str:
    first = next(iter(seconds))
    count = statistics.median(len(words(text)) for text in texts)
    lines = [
        "## explain",
        "",
        f"{len(texts)} held-out headlines with the leads they have (median {count:.0f} words), one after another. "
        f"Checkpoint {version}. {where}.",
        "",
        f"| side | ms a headline, median | 95th percentile | slower than ours | points lost without its {TOP} words |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, lost_points in drops.items():
        cells = ["–"] * 3
        if name in seconds:
            ratio = statistics.median(theirs / mine for theirs, mine in zip(seconds[name], seconds[first], strict=True))
            middle, high = (1000 * float(np.quantile(seconds[name], q)) for q in (0.5, 0.95))
            cells = [f"{middle:.0f}", f"{high:.0f}", "" if name == first else f"{ratio:.1f}×"]
        error = 1.96 * statistics.stdev(lost_points) / len(lost_points) ** 0.5
        lines.append(f"| {name} | {' | '.join(cells)} | {statistics.mean(lost_points):.1f} ± {error:.1f} |")
    better = statistics.mean(a > b for a, b in zip(drops[first], drops["random words"], strict=True))
    lines += ["", f"Ours carry more than random words in {better:.0%} of the headlines."]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
