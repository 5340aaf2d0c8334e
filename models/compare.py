"""`python -m models compare`: fine-tuning methods and baselines on one fixed sample, as the table of docs/model.md.

The splits are those of a training on the same files; of the training part a fixed random sample is learnt from, of the
held-out stories a fixed random sample is scored. Each method runs in a process of its own, so that its peak memory is
its own, and its row is kept in the output folder as soon as it is there: the same command goes on after a kill.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from models import baselines, evaluate, measure
from models.calibrate import Calibration
from models.corpus import Corpus
from models.dataset import Example, file_sha256
from models.errors import DataError, ModelError
from models.labels import SENTIMENTS
from models.runs import RUN, check_options, write
from models.train import METHODS

BASELINES: Final = ("Loughran-McDonald", "VADER", "TF-IDF and logistic regression")
SAMPLE: Final = "sample.jsonl"
ROWS: Final = "rows.json"


def add_parser(subparsers: Any) -> None:
    """Register `compare` and its options; `run` of the answer runs it."""
    parser = subparsers.add_parser("compare", help="compare fine-tuning methods on a fixed sample")
    add = parser.add_argument
    add("--data", nargs="+", required=True, type=Path, metavar="FILE", help="labelled CSV files")
    add("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    add("--base", default="all-MiniLM-L6-v2")
    add("--limit", type=int, default=6000, help="training rows of each file (default %(default)s)")
    add("--test-rows", type=int, default=1000, help="held-out rows that are scored (default %(default)s)")
    add("--rounds", type=int, default=2)
    add("--rank", type=int, default=16)
    add("--train", default="", metavar="OPTIONS", help="further options of `models train`, for example '--minutes 2'")
    add("--no-baselines", action="store_true", help="only the fine-tuning methods")
    add("--output", type=Path, default=Path("runs/compare"), metavar="FOLDER", help="sample and finished rows")
    add("--json", type=Path, metavar="FILE", help="also write the figures")
    add("--one", choices=METHODS, help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare and print a Markdown table; 0 when every method ran."""
    train_settings(args, args.methods[0], args.output)
    if args.one:
        print(json.dumps(run_method(args, args.one)))
        return 0
    rows = _kept_rows(args)
    wanted = [] if args.no_baselines else list(BASELINES)
    corpus = _sample(args)
    for name in [*wanted, *args.methods]:
        if name in rows:
            print(f"{name}: done before", file=sys.stderr)
            continue
        row = run_baseline(corpus, name) if name in BASELINES else _in_own_process(args, name)
        if row is not None:
            rows[name] = row
            write(args.output / ROWS, {"settings": _settings(args), "rows": rows})
            print(f"{name}: done", file=sys.stderr)
    shown = [rows[name] for name in [*wanted, *args.methods] if name in rows]
    if args.json:
        write(args.json, shown)
    print(table(shown))
    return 0


def train_settings(args: argparse.Namespace, method: str, output: Path) -> argparse.Namespace:
    """The options of `models train` for one method. Raises ModelError when --train holds one that it does not know."""
    from models.train import add_parser as train_parser

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> Any:
            raise ModelError(f"compare: --train {args.train!r}: {message}; see: python -m models train --help")

    parser = Parser(add_help=False)
    train_parser(parser.add_subparsers(dest="command", parser_class=Parser))
    words = ["train", "--data", *map(str, args.data), "--base", args.base, "--method", method]
    words += ["--rounds", str(args.rounds), "--rank", str(args.rank), "--output", str(output)]
    words += ["--batch-size", "32", "--drop-summary", "0.5", "--encoder-dropout", "0"]
    words += ["--save-every", "1000000", "--evaluate-every", "1000000", *shlex.split(args.train)]
    settings = parser.parse_args(words)
    for option in ("exclude", "further", "limit", "resume"):
        if getattr(settings, option):
            raise ModelError(f"compare: --train '--{option}': the sample is drawn from --data as it is; leave it out")
    check_options(settings, has_gpu=True)
    return settings


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    """What must be equal for two rows to stand in one table."""
    names = ("base", "limit", "test_rows", "rounds", "rank", "train")
    return {
        "data": {path.name: file_sha256(path) for path in sorted(args.data)},
        **{name: getattr(args, name) for name in names},
    }


def _kept_rows(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Rows that an earlier call finished. Raises ModelError when they are of other settings."""
    path = args.output / ROWS
    if not path.is_file():
        return {}
    kept = json.loads(path.read_text(encoding="utf-8"))
    if kept["settings"] != _settings(args):
        different = [name for name, value in _settings(args).items() if kept["settings"].get(name) != value]
        raise ModelError(
            f"compare: {path} holds rows of another comparison (other {', '.join(different)}); "
            "give another --output or delete the folder"
        )
    rows: dict[str, dict[str, Any]] = kept["rows"]
    return rows


def _sample(args: argparse.Namespace) -> Corpus:
    """The fixed sample, drawn once and then read from the output folder."""
    path = args.output / SAMPLE
    if not path.is_file() or not (args.output / ROWS).is_file():
        from models.corpus import load_corpus

        whole = load_corpus(args.data, [])
        args.output.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps([split, asdict(example)]) for split, example in draw(whole, args.limit, args.test_rows)]
        path.with_suffix(".tmp").write_text("\n".join([json.dumps(whole.files), *lines]) + "\n", encoding="utf-8")
        path.with_suffix(".tmp").replace(path)
        write(args.output / ROWS, {"settings": _settings(args), "rows": {}})
    return read_sample(path)


def draw(corpus: Corpus, limit: int, test_rows: int) -> list[tuple[str, Example]]:
    """At most `limit` training rows of each source and `test_rows` of the product's held-out ones, always the same."""
    by_source: dict[str, list[Example]] = {}
    for example in corpus.part("train"):
        by_source.setdefault(example.source, []).append(example)
    held_out = corpus.part("test", product_only=True)
    if not held_out:
        raise DataError("compare: the files hold no rows in the product's convention to score")
    chosen = random.Random(0)
    learnt = [chosen.sample(found, min(limit, len(found))) for _, found in sorted(by_source.items())]
    scored = chosen.sample(held_out, min(test_rows, len(held_out)))
    return [("train", example) for found in learnt for example in found] + [("test", example) for example in scored]


def read_sample(path: Path) -> Corpus:
    """The corpus that `compare` drew: no development part, so nothing is chosen on the way."""
    files, *rows = path.read_text(encoding="utf-8").splitlines()
    pairs = [json.loads(row) for row in rows]
    # JSON knows lists only; a topic list is a tuple everywhere else.
    examples = [Example(**{**fields, "topics": tuple(fields["topics"])}) for _, fields in pairs]
    return Corpus(examples, [split for split, _ in pairs], json.loads(files))


def _in_own_process(args: argparse.Namespace, method: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "models", "compare", "--one", method, "--output", str(args.output)]
    command += ["--data", *map(str, args.data), "--base", args.base, f"--train={args.train}"]
    command += ["--rounds", str(args.rounds), "--rank", str(args.rank)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    answer = done.stdout.strip().splitlines()
    if done.returncode or not answer:
        last = (done.stderr or "").strip().splitlines()[-1:] or ["no message"]
        raise ModelError(
            f"compare: method {method} failed: {last[0].removeprefix('error: ')}; the rows before it are kept"
        )
    found: dict[str, Any] = json.loads(answer[-1])
    return found


def run_method(args: argparse.Namespace, method: str) -> dict[str, Any]:
    """Train one method on the sample and score the held-out rows in fp32, without calibration."""
    from models.predict_fp32 import product_logits
    from models.train import train

    corpus = read_sample(args.output / SAMPLE)
    with tempfile.TemporaryDirectory() as scratch:
        final = train(train_settings(args, method, Path(scratch)), corpus)
        described = json.loads((final / RUN).read_text(encoding="utf-8"))
        held_out = corpus.part("test", product_only=True)
        logits = product_logits(final, [example.joined for example in held_out])
    answers = evaluate.calibrated(*logits, Calibration.identity())
    return {
        "method": method,
        "trainable": described["trainable_parameters"],
        "seconds": described["seconds"],
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        **_scores(evaluate.evaluate(held_out, method, answers)),
    }


def run_baseline(corpus: Corpus, name: str) -> dict[str, Any] | None:
    """One of `BASELINES` on the same held-out rows; None, and a line that says why, when it is not at hand."""
    held_out = corpus.part("test", product_only=True)
    texts = [example.joined for example in held_out]
    if name == BASELINES[2]:
        sentiment, topics = baselines.tfidf_answers(corpus.part("train", product_only=True), texts)
        shares = np.eye(len(SENTIMENTS))[sentiment]
        return {"method": name, **_scores(evaluate.evaluate(held_out, name, evaluate.Answers(shares, topics)))}
    try:
        found = (
            baselines.lexicon_sentiment(texts, *baselines.read_lexicon())
            if name == BASELINES[0]
            else baselines.vader_sentiment(texts)
        )
    except (DataError, ModelError) as error:
        print(f"{name} left out: {error}", file=sys.stderr)
        return None
    known = [row for row, example in enumerate(held_out) if example.sentiment is not None]
    truth = np.asarray([held_out[row].sentiment for row in known], dtype=np.int64)
    scores = measure.score_classes(truth, np.eye(len(SENTIMENTS))[np.asarray(found)[known]], SENTIMENTS)
    return {"method": name, **_scores({"sentiment": scores, "topics": None})}


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
