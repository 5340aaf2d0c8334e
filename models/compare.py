"""`python -m models compare`: fine-tuning methods and baselines on one fixed sample, as the table of docs/model.md.

Each method runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models import baselines, evaluate, measure
from models.calibrate import Calibration
from models.errors import DataError, ModelError
from models.labels import SENTIMENTS
from models.train import METHODS


def add_parser(subparsers: Any) -> None:
    """Register `compare` and its options; `run` of the answer runs it."""
    parser = subparsers.add_parser("compare", help="compare fine-tuning methods on a fixed sample")
    add = parser.add_argument
    add("--data", nargs="+", required=True, type=Path, metavar="FILE", help="labelled CSV files")
    add("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    add("--base", default="all-MiniLM-L6-v2")
    add("--limit", type=int, default=6000, help="rows of each file (default %(default)s)")
    add("--rounds", type=int, default=2)
    add("--rank", type=int, default=16)
    add("--no-baselines", action="store_true", help="only the fine-tuning methods")
    add("--json", type=Path, metavar="FILE", help="also write the figures")
    add("--one", choices=METHODS, help=argparse.SUPPRESS)
    add("--output", type=Path, help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare and print a Markdown table; 0 when every method ran."""
    if args.one:
        args.output.write_text(json.dumps(run_method(args, args.one)), encoding="utf-8")
        return 0
    rows = []
    if not args.no_baselines:
        rows += run_baselines(args)
    for method in args.methods:
        rows.append(_in_own_process(args, method))
        print(f"{method}: done", file=sys.stderr)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print(table(rows))
    return 0


def _in_own_process(args: argparse.Namespace, method: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "figures.json"
        command = [sys.executable, "-m", "models", "compare", "--one", method, "--output", str(out)]
        command += ["--data", *map(str, args.data), "--base", args.base]
        command += ["--limit", str(args.limit), "--rounds", str(args.rounds), "--rank", str(args.rank)]
        done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode or not out.exists():
            last = (done.stderr or "").strip().splitlines()[-1:] or ["no message"]
            raise ModelError(f"compare: method {method} failed: {last[0]}")
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return found


def run_method(args: argparse.Namespace, method: str) -> dict[str, Any]:
    """Train one method on the sample and score the held-out stories in fp32, without calibration."""
    from models.labels import TOPICS
    from models.predict_fp32 import product_logits
    from models.train import add_parser as train_parser
    from models.train import load_corpus, train

    parser = argparse.ArgumentParser()
    train_parser(parser.add_subparsers(dest="command"))
    with tempfile.TemporaryDirectory() as scratch:
        words = ["train", "--data", *map(str, args.data), "--base", args.base, "--method", method]
        words += ["--limit", str(args.limit), "--rounds", str(args.rounds), "--rank", str(args.rank)]
        words += ["--output", scratch, "--batch-size", "32", "--drop-summary", "0.5", "--encoder-dropout", "0"]
        words += ["--save-every", "1000000", "--evaluate-every", "1000000"]
        # Small inserted parts bear, and need, a larger rate than the whole encoder; heads always have it.
        settings = parser.parse_args(words)
        corpus = load_corpus(settings.data, [], settings.limit)
        final = train(settings, corpus)
        described = json.loads((final / "run.json").read_text(encoding="utf-8"))
        held_out = corpus.part("test", product_only=True)
        logits = product_logits(final, [example.joined for example in held_out])
    answers = evaluate.calibrated(*logits, Calibration.identity())
    figures = evaluate.evaluate(held_out, method, answers)
    assert len(TOPICS) == logits[1].shape[1]
    return {
        "method": method,
        "trainable": described["trainable_parameters"],
        "seconds": described["seconds"],
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        **_scores(figures),
    }


def run_baselines(args: argparse.Namespace) -> list[dict[str, Any]]:
    """The lexicon, VADER and TF-IDF on the same held-out stories; one that is not at hand is left out and named."""
    from models.train import load_corpus

    corpus = load_corpus(args.data, [], args.limit)
    held_out = corpus.part("test", product_only=True)
    texts = [example.joined for example in held_out]
    rows = []
    for name in ("Loughran-McDonald", "VADER"):
        try:
            found = (
                baselines.lexicon_sentiment(texts, *baselines.read_lexicon())
                if name == "Loughran-McDonald"
                else baselines.vader_sentiment(texts)
            )
        except (DataError, ModelError) as error:
            print(f"{name} left out: {error}", file=sys.stderr)
            continue
        rows.append({"method": name, **_sentiment_only(held_out, found)})
    sentiment, topics = baselines.tfidf_answers(corpus.part("train", product_only=True), texts)
    shares = np.eye(len(SENTIMENTS))[sentiment]
    figures = evaluate.evaluate(held_out, "TF-IDF", evaluate.Answers(shares, topics))
    rows.append({"method": "TF-IDF and logistic regression", **_scores(figures)})
    return rows


def _sentiment_only(examples: Sequence[Any], found: Any) -> dict[str, Any]:
    known = [row for row, example in enumerate(examples) if example.sentiment is not None]
    truth = np.asarray([examples[row].sentiment for row in known], dtype=np.int64)
    scores = measure.score_classes(truth, np.eye(len(SENTIMENTS))[np.asarray(found)[known]], SENTIMENTS)
    return _scores({"sentiment": scores, "topics": None})


def _scores(figures: dict[str, Any]) -> dict[str, Any]:
    sentiment, topics = figures["sentiment"], figures["topics"]
    return {
        "sentiment": sentiment["macro_f1"] if sentiment else None,
        "sentiment_ci": sentiment["macro_f1_ci"] if sentiment else None,
        "topics": topics["micro_f1"] if topics else None,
        "topics_ci": topics["micro_f1_ci"] if topics else None,
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as a Markdown table."""

    def score(row: dict[str, Any], name: str) -> str:
        if row.get(name) is None:
            return "–"
        low, high = row[f"{name}_ci"]
        return f"{row[name]:.3f} [{low:.3f}, {high:.3f}]"

    lines = [
        "| method | trained parameters | seconds | peak memory, MB | sentiment macro-F1 | topics micro-F1 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        cost = [
            f"{row['trainable']:,}" if "trainable" in row else "–",
            f"{row['seconds']:.0f}" if "seconds" in row else "–",
            f"{row['memory_mb']:.0f}" if "memory_mb" in row else "–",
        ]
        lines.append(f"| {row['method']} | {' | '.join(cost)} | {score(row, 'sentiment')} | {score(row, 'topics')} |")
    return "\n".join(lines)
