"""`python -m models evaluate`: a checkpoint against labelled texts, with intervals, slices and the behaviour suite.

With `--convention NAME` an auxiliary head is measured in its own convention, through torch, since the int8 export
holds the product's heads only.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from models import measure
from models.calibrate import Calibration, softmax
from models.dataset import Example, clean_text, load_file, read_rows, says_nothing
from models.errors import DataError, ModelError
from models.labels import SENTIMENTS, TOPICS
from models.sources import SOURCES

SMALLEST_SLICE: Final = 30
"""Slices with fewer rows are left out: their figures would be noise."""

Floats = measure.Floats


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model says of texts: sentiment probabilities [B, 3] and topic indices per text, most central first."""

    shares: Floats
    topics: list[tuple[int, ...]]


def add_parser(subparsers: Any) -> None:
    """Register `evaluate` and its options; `run` of the answer runs it."""
    parser = subparsers.add_parser("evaluate", help="measure a checkpoint on labelled texts")
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="FILE", help="CSV with text, optional summary, sentiment, topics")
    add("--model", metavar="VERSION|FOLDER", help="default: HEADWIND_MODEL, else the newest shipped version")
    add("--convention", metavar="NAME", help="measure this auxiliary head; labels in column label or sentiment")
    add("--backend", choices=("auto", "onnx", "torch"), default="auto")
    add("--behaviour", action="store_true", help="also run the behaviour suite")
    add("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate; 0 when the figures are printed. Bad data raises DataError, which becomes one line and status 1."""
    model = args.model or os.environ.get("HEADWIND_MODEL") or None
    if args.convention:
        examples, labels = load_convention(args.data, args.convention)
        figures = evaluate_convention(examples, labels, args.convention, model)
    else:
        examples = load_product(args.data)
        classifier = open_model(model, args.backend)
        figures = evaluate(examples, classifier.version, answers_of(classifier, [e.joined for e in examples]))
        if args.behaviour:
            from models.behaviour import run_suite

            figures["behaviour"] = run_suite(lambda texts: answers_of(classifier, texts).shares)
    if args.json:
        args.json.write_text(json.dumps(_plain(figures), indent=1), encoding="utf-8")
    print(render(figures))
    return 0


def open_model(name: str | None, backend: str = "auto") -> Any:
    """The classifier of a version or folder, or the shipped one for None. Raises CheckpointError."""
    from models.registry import open_classifier, resolve

    return open_classifier(resolve(name), backend=backend)


def answers_of(classifier: Any, texts: Sequence[str]) -> Answers:
    """Score texts through the product's own path: what users see is what is measured.

    A text that cannot be scored counts as neutral with no confidence and topic `other`; it must not vanish.
    """
    heads = classifier.head_logits(texts)
    calibration = Calibration.from_manifest(classifier.manifest.to_dict())
    return calibrated(heads.sentiment, heads.topics, heads.primary, calibration)


def calibrated(sentiment: Any, topics: Any, primary: Any, calibration: Calibration) -> Answers:
    """Logits of the three product heads to answers; rows that are not finite become undecided."""
    sound = np.isfinite(sentiment).all(1) & np.isfinite(topics).all(1) & np.isfinite(primary).all(1)
    shares = np.full((len(sentiment), len(SENTIMENTS)), 1 / len(SENTIMENTS))
    shares[:, 1] += 1e-9
    chosen: list[tuple[int, ...]] = [(TOPICS.index("other"),)] * len(sentiment)
    if sound.any():
        shares[sound] = calibration.apply_sentiment(np.asarray(sentiment)[sound])
        _, labels = calibration.apply_topics(np.asarray(topics)[sound], np.asarray(primary)[sound])
        for row, names in zip(np.flatnonzero(sound), labels, strict=True):
            chosen[int(row)] = tuple(TOPICS.index(name) for name in names)
    return Answers(shares, chosen)


def load_product(path: Path) -> list[Example]:
    """Rows in the product's convention. Raises DataError when the file is in another one and says what to do."""
    examples = load_file(path)
    if any(example.auxiliary is not None for example in examples):
        name = examples[0].source
        raise DataError(f"{path}: line 1, column sentiment: missing; to measure its own labels add --convention {name}")
    return examples


def load_convention(path: Path, name: str) -> tuple[list[Example], tuple[str, ...]]:
    """Rows of a file in a foreign convention and the labels of its head, in logit order.

    The file may carry any name; its labels stand in `label` or, failing that, `sentiment`. Raises DataError.
    """
    source = SOURCES.get(name)
    if source is None or source.kind == "product":
        known = ", ".join(other.name for other in SOURCES.values() if other.kind != "product")
        raise ModelError(f"convention {name!r} is unknown; known: {known}")
    rows = list(read_rows(path))
    if not rows:
        raise DataError(f"{path}: line 2: the file has a header but no rows")
    columns = rows[0][1]
    label_column = next((c for c in (source.label_column, "label", "sentiment", "topics") if c in columns), None)
    text_column = next((c for c in (source.text_column, "text") if c in columns), None)
    if text_column is None or label_column is None:
        missing = "text" if text_column is None else "label"
        raise DataError(f"{path}: line 1, column {missing}: missing; the file has {', '.join(columns)}")
    summary_column = source.summary_column if source.summary_column in columns else ""
    found = []
    for line, row in rows:
        text, named = clean_text(row[text_column], name), row[label_column].strip()
        if says_nothing(row[text_column], name):
            continue
        if not text:
            raise DataError(f"{path}: line {line}, column {text_column}: empty")
        if name == "reuters21578":
            known_topics = [topic for topic in named.split("|") if topic in source.labels]
            if len(known_topics) != 1:
                continue
            named = known_topics[0]
        if named not in source.labels:
            raise DataError(
                f"{path}: line {line}, column {label_column}: {named!r} is none of {', '.join(source.labels)}"
            )
        mapped = source.labels[named]
        if mapped is None:
            continue
        summary = clean_text(row[summary_column])[:600] if summary_column else clean_text(row.get("summary", ""))
        meta = {key: value for key, value in row.items() if key in ("agreement", "published", "date", "source", "set")}
        found.append(Example(text, summary, name, line, auxiliary=source.head_labels.index(mapped), meta=meta))
    return found, source.head_labels


def evaluate(examples: Sequence[Example], version: str, answers: Answers) -> dict[str, Any]:
    """All figures of the product's heads on these rows; a head without labels in the data is None."""
    known = [row for row, example in enumerate(examples) if example.sentiment is not None]
    tagged = [row for row, example in enumerate(examples) if example.topics]
    figures: dict[str, Any] = {"n": len(examples), "model_version": version, "sentiment": None, "topics": None}
    if known:
        truth = np.asarray([examples[row].sentiment for row in known], dtype=np.int64)
        shares = answers.shares[known]
        figures["sentiment"] = measure.score_classes(truth, shares, SENTIMENTS)
        natural = [n for n, row in enumerate(known) if examples[row].meta.get("set") == "general"]
        if natural:
            confidence, correct = shares[natural].max(-1), shares[natural].argmax(-1) == truth[natural]
            figures["sentiment"]["ece_natural_mix"] = measure.expected_calibration_error(confidence, correct)
            figures["sentiment"]["ece_natural_mix_of_perfect_calibration"] = measure.calibration_noise(confidence)
        figures["risk_coverage"] = measure.risk_coverage(shares.max(-1), shares.argmax(-1) == truth)
    if tagged:
        figures["topics"] = measure.score_topics(
            [examples[row].topics for row in tagged], [answers.topics[row] for row in tagged]
        )
    figures["slices"] = slices(examples, answers)
    return figures


def slices(examples: Sequence[Example], answers: Answers) -> dict[str, dict[str, dict[str, float]]]:
    """Macro-F1 and micro-F1 by source, year, length and main topic, where the columns exist and rows suffice."""
    by: dict[str, Callable[[Example], str]] = {
        "source": lambda e: e.meta.get("source", ""),
        "corpus": lambda e: e.meta.get("corpus", ""),
        "set": lambda e: e.meta.get("set", ""),
        "year": lambda e: (e.meta.get("published") or e.meta.get("date") or "")[:4],
        "length": lambda e: _length_band(len(e.joined)),
        "topic": lambda e: TOPICS[e.topics[0]] if e.topics else "",
    }
    result: dict[str, dict[str, dict[str, float]]] = {}
    for name, key in by.items():
        groups: dict[str, list[int]] = {}
        for row, example in enumerate(examples):
            groups.setdefault(key(example), []).append(row)
        found = {group: _slice(examples, answers, rows) for group, rows in sorted(groups.items()) if group}
        kept = {group: figures for group, figures in found.items() if figures["n"] >= SMALLEST_SLICE}
        if kept:
            result[name] = kept
    return result


def _length_band(characters: int) -> str:
    for limit in (50, 80, 150, 300):
        if characters < limit:
            return f"under {limit} characters"
    return "300 characters and more"


def _slice(examples: Sequence[Example], answers: Answers, rows: Sequence[int]) -> dict[str, float]:
    known = [row for row in rows if examples[row].sentiment is not None]
    tagged = [row for row in rows if examples[row].topics]
    figures: dict[str, float] = {"n": len(rows)}
    if known:
        truth = np.asarray([examples[row].sentiment for row in known], dtype=np.int64)
        found = answers.shares[known].argmax(-1)
        figures["accuracy"] = float((truth == found).mean())
        figures["macro_f1"] = measure.macro_f1(truth, found, len(SENTIMENTS))
    if tagged:
        figures["micro_f1"] = measure.micro_f1(
            measure.indicator([examples[row].topics for row in tagged]),
            measure.indicator([answers.topics[row] for row in tagged]),
        )
    return figures


def evaluate_convention(
    examples: Sequence[Example], labels: Sequence[str], name: str, model: str | None
) -> dict[str, Any]:
    """Figures of one auxiliary head. A sentiment convention fills `sentiment`, a topic one `auxiliary`."""
    classifier = open_model(model, "torch")
    source = SOURCES[name]
    own = tuple(classifier.head_labels(source.head))
    if own != tuple(labels):
        raise ModelError(f"convention {name!r}: the checkpoint's head has other labels ({', '.join(own)})")
    shares = softmax(classifier.logits([example.joined for example in examples], source.head))
    return convention_figures(examples, labels, name, classifier.version, shares)


def convention_figures(
    examples: Sequence[Example], labels: Sequence[str], name: str, version: str, shares: Floats
) -> dict[str, Any]:
    """The figures of `evaluate_convention` from probabilities [B, labels]."""
    truth = np.asarray([example.auxiliary for example in examples], dtype=np.int64)
    figures: dict[str, Any] = {"n": len(examples), "model_version": version, "convention": name}
    figures |= {"sentiment": None, "topics": None}
    scores = measure.score_classes(truth, shares, labels)
    figures["sentiment" if SOURCES[name].kind == "sentiment" else "auxiliary"] = scores
    levels: dict[str, list[int]] = {}
    for row, example in enumerate(examples):
        levels.setdefault(example.meta.get("agreement", ""), []).append(row)
    if len(levels) > 1:
        figures["slices"] = {
            "agreement": {
                level: measure.score_classes(truth[rows], shares[rows], labels)
                for level, rows in sorted(levels.items())
                if level and len(rows) >= SMALLEST_SLICE
            }
        }
    return figures


def render(figures: Mapping[str, Any]) -> str:
    """The figures as text for a terminal: a classification report per head and the confusion matrix."""
    lines = [f"model {figures['model_version']}, {figures['n']} texts"]
    for head in ("sentiment", "auxiliary", "topics"):
        scores = figures.get(head)
        if scores is None:
            continue
        lines += ["", f"{head} ({scores['n']} labelled)"]
        lines += [f"  {line}" for line in _headline_figures(scores)]
        lines.append(f"  {'':26}{'precision':>10}{'recall':>10}{'f1':>10}{'support':>10}")
        for name, row in scores["report"].items():
            cells = f"{row['precision']:10.3f}{row['recall']:10.3f}{row['f1']:10.3f}{row['support']:10d}"
            lines.append(f"  {name:26}{cells}")
        if "confusion" in scores:
            lines.append("  confusion (row true, column predicted)")
            names = scores["confusion"]["labels"]
            rows: Iterable[tuple[str, list[int]]] = zip(names, scores["confusion"]["rows_true"], strict=True)
            lines += [f"  {name:26}" + "".join(f"{count:8d}" for count in row) for name, row in rows]
    for name, groups in (figures.get("slices") or {}).items():
        lines += ["", f"by {name}"]
        for group, scores in groups.items():
            parts = [f"{k} {v:.3f}" for k, v in scores.items() if isinstance(v, float) and not math.isnan(v)]
            lines.append(f"  {group:26} n {scores['n']:<6} {', '.join(parts)}")
    for capability, found in (figures.get("behaviour") or {}).get("capabilities", {}).items():
        lines.append(f"behaviour {capability:40} {found['passed']}/{found['cases']}")
    return "\n".join(lines)


def _headline_figures(scores: Mapping[str, Any]) -> list[str]:
    lines = []
    for name in ("accuracy", "macro_f1", "micro_f1", "primary_accuracy", "ece", "ece_natural_mix"):
        if name in scores:
            low_high = scores.get(f"{name}_ci")
            span = f" [{low_high[0]:.3f}, {low_high[1]:.3f}]" if low_high else ""
            lines.append(f"{name} {scores[name]:.4f}{span}")
    return lines


def _plain(value: Any) -> Any:
    """JSON without NaN, which many readers refuse."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def main_figures(figures: Mapping[str, Any]) -> str:
    """One line with the figures that matter, for logs."""
    parts = []
    for head in ("sentiment", "topics"):
        if figures.get(head):
            parts += _headline_figures(figures[head])
    return "; ".join(parts)


def report_to_stderr(name: str, figures: Mapping[str, Any]) -> None:
    """Say on standard error what was measured on a split."""
    print(f"{name}: {main_figures(figures)}", file=sys.stderr)
