"""Scores of predictions against labels, with bootstrap intervals. Pure numpy: no model, no files.

Every interval is the 2.5 and 97.5 percentile over resampled rows; rows are taken as independent, which the splits by
story make nearly true.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.labels import SEVERE_TOPICS, TOPICS

RESAMPLES: Final = 1000
BINS: Final = 15

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def confusion(truth: Ints, found: Ints, classes: int) -> Ints:
    """Counts [classes, classes]: row the true class, column the predicted one."""
    flat = np.bincount(truth * classes + found, minlength=classes * classes)
    return np.asarray(flat.reshape(classes, classes))


def f1_from_confusion(counts: NDArray[Any]) -> Floats:
    """F1 of each class from confusion counts [..., classes, classes]; 0 for a class neither present nor predicted."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1).astype(np.float64)
    total = counts.sum(-1) + counts.sum(-2)
    return np.asarray(2.0 * hits / np.maximum(total, 1))


def macro_f1(truth: Ints, found: Ints, classes: int) -> float:
    """Mean F1 over the classes that occur in the labels; a class that is absent says nothing."""
    counts = confusion(truth, found, classes)
    return float(f1_from_confusion(counts)[counts.sum(1) > 0].mean())


def interval(rows: int, statistic: Callable[[Ints], float], seed: int = 3, resamples: int = RESAMPLES) -> list[float]:
    """95 % bootstrap interval [low, high] of `statistic`, which gets the indices of the resampled rows."""
    if rows < 2:
        return [float("nan"), float("nan")] if rows == 0 else [statistic(np.zeros(1, dtype=np.int64))] * 2
    generator = np.random.default_rng(seed)
    values = [statistic(generator.integers(0, rows, rows)) for _ in range(resamples)]
    return [float(value) for value in np.percentile(values, [2.5, 97.5])]


def expected_calibration_error(confidence: Floats, correct: NDArray[np.bool_], bins: int = BINS) -> float:
    """ECE over bins of equal mass: mean absolute gap between confidence and accuracy, weighted by rows; 0 is best."""
    if not len(confidence):
        return float("nan")
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    gaps = [abs(float(confidence[part].mean()) - float(correct[part].mean())) * len(part) for part in parts]
    return float(sum(gaps) / len(order))


def calibration_curve(confidence: Floats, correct: NDArray[np.bool_], bins: int = BINS) -> list[dict[str, float]]:
    """The bins behind the ECE, least confident first: mean confidence, accuracy and rows of each, for the plot."""
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, min(bins, len(order))) if len(order) else []
    return [
        {"confidence": float(confidence[part].mean()), "accuracy": float(correct[part].mean()), "n": len(part)}
        for part in parts
    ]


def calibration_noise(confidence: Floats, bins: int = BINS, repeats: int = 200, seed: int = 3) -> float:
    """The ECE that perfectly calibrated predictions of these confidences would show on so few rows, on average.

    A measured ECE near this value says no more than that nothing wrong was found.
    """
    generator = np.random.default_rng(seed)
    draws = (generator.random(len(confidence)) < confidence for _ in range(repeats))
    return float(np.mean([expected_calibration_error(confidence, draw, bins) for draw in draws]))


def classes_report(truth: Ints, found: Ints, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and support per class."""
    counts = confusion(truth, found, len(names))
    scores = f1_from_confusion(counts)
    report = {}
    for k, name in enumerate(names):
        hits, predicted, actual = int(counts[k, k]), int(counts[:, k].sum()), int(counts[k].sum())
        report[name] = {
            "precision": hits / predicted if predicted else 0.0,
            "recall": hits / actual if actual else 0.0,
            "f1": float(scores[k]),
            "support": actual,
        }
    return report


def score_classes(truth: Ints, shares: Floats, names: Sequence[str]) -> dict[str, Any]:
    """A softmax head: truth [B], probabilities [B, classes]. Accuracy, macro-F1, ECE with intervals, report."""
    found = shares.argmax(-1)
    confidence = shares.max(-1)
    correct = found == truth
    classes = len(names)
    return {
        "n": len(truth),
        "accuracy": float(correct.mean()),
        "accuracy_ci": interval(len(truth), lambda rows: float(correct[rows].mean())),
        "macro_f1": macro_f1(truth, found, classes),
        "macro_f1_ci": interval(len(truth), lambda rows: macro_f1(truth[rows], found[rows], classes)),
        "ece": expected_calibration_error(confidence, correct),
        "ece_of_perfect_calibration": calibration_noise(confidence),
        "calibration": calibration_curve(confidence, correct),
        "report": classes_report(truth, found, names),
        "confusion": {"labels": list(names), "rows_true": confusion(truth, found, classes).tolist()},
    }


def indicator(chosen: Sequence[Sequence[int]]) -> NDArray[np.bool_]:
    """Lists of topic indices to a [B, 20] table of flags."""
    table = np.zeros((len(chosen), len(TOPICS)), dtype=bool)
    for row, labels in enumerate(chosen):
        table[row, list(labels)] = True
    return table


def micro_f1(truth: NDArray[np.bool_], found: NDArray[np.bool_]) -> float:
    """F1 over all (text, topic) pairs of two flag tables [B, 20]."""
    hits = float((truth & found).sum())
    total = float(truth.sum() + found.sum())
    return 2.0 * hits / total if total else 0.0


def score_topics(truth: Sequence[Sequence[int]], found: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Topics, each row most central first. Micro- and macro-F1, accuracy of the main topic, report per topic."""
    real, given = indicator(truth), indicator(found)
    hits = (real & given).sum(1)
    sizes = real.sum(1) + given.sum(1)
    first = np.asarray([a[0] == b[0] for a, b in zip(truth, found, strict=True)])
    report = {}
    for k, name in enumerate(TOPICS):
        both, predicted, actual = int((real[:, k] & given[:, k]).sum()), int(given[:, k].sum()), int(real[:, k].sum())
        report[name] = {
            "precision": both / predicted if predicted else 0.0,
            "recall": both / actual if actual else 0.0,
            "f1": 2 * both / (predicted + actual) if predicted + actual else 0.0,
            "support": actual,
        }
    present = [name for name in TOPICS if report[name]["support"]]
    return {
        "n": len(real),
        "micro_f1": micro_f1(real, given),
        "micro_f1_ci": interval(len(real), lambda rows: float(2 * hits[rows].sum() / max(1, sizes[rows].sum()))),
        "macro_f1": float(np.mean([report[name]["f1"] for name in present])) if present else 0.0,
        "primary_accuracy": float(first.mean()),
        "primary_accuracy_ci": interval(len(first), lambda rows: float(first[rows].mean())),
        "severe_recall": {name: report[name]["recall"] for name in SEVERE_TOPICS if report[name]["support"]},
        "report": report,
    }


def risk_coverage(confidence: Floats, correct: NDArray[np.bool_], points: int = 20) -> list[dict[str, float]]:
    """Error among the most confident share of texts, for shares from 1/points to 1: how much review would buy."""
    order = np.argsort(-confidence, kind="stable")
    errors = np.cumsum(~correct[order])
    curve = []
    for step in range(1, points + 1):
        kept = max(1, round(len(order) * step / points))
        curve.append(
            {
                "coverage": kept / len(order),
                "error": float(errors[kept - 1] / kept),
                "confidence": float(confidence[order[kept - 1]]),
            }
        )
    return curve
