"""The gate: is a candidate worse than the live model on the same labelled texts, beyond what chance explains?

Both versions answer every text, so each question is a paired one and asks only about the texts on which they differ.

- Shares of right answers (sentiment; negative texts found; a severe topic found, or flagged where it is not):
  McNemar's test in its exact binomial form, one-sided (McNemar 1947, "Note on the sampling error of the difference
  between correlated proportions", Psychometrika 12; recommended for two classifiers on one test set by Dietterich
  1998, "Approximate statistical tests for comparing supervised classification learning algorithms").
- Topics micro-F1, which is no share: bootstrap of the paired difference over texts (Efron & Tibshirani 1993, "An
  Introduction to the Bootstrap", ch. 16; for paired systems Koehn 2004, "Statistical significance tests for machine
  translation evaluation").

Each question stands at one-sided 2.5 % by itself and is not corrected for the others: a correction would let a
version pass that has lost a third of one severe topic. The price is that an equal version is now and then refused and
then needs a reason in words; a test keeps the share of such refusals under one in six. Passing does not prove that
two versions are equally good: with a few hundred texts only clear losses show.

Pure: it opens no model and reads no file. It does not decide what happens to a refused candidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from models.backend import Prediction
from models.labels import SEVERE_TOPICS

ALPHA = 0.025
RESAMPLES = 4000
_SEED = 20260312  # the same two versions always get the same answer


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledText:
    """A text with its right answer. sentiment None or topics empty: this head is not asked about it."""

    text: str
    sentiment: str | None = None
    topics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One question of the gate. live, candidate: shares of right answers, or micro-F1, from 0 to 1, over n texts.

    p_value: chance of so bad a difference if the candidate were as good; worse: it is under `ALPHA`.
    """

    name: str
    n: int
    live: float
    candidate: float
    p_value: float

    @property
    def worse(self) -> bool:
        return self.p_value < ALPHA

    def __str__(self) -> str:
        return f"{self.name} {self.candidate:.3f} against {self.live:.3f} (n={self.n}, p={self.p_value:.3f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All questions of one set of texts, in a fixed order."""

    slices: tuple[Slice, ...]

    @property
    def worse(self) -> tuple[Slice, ...]:
        return tuple(one for one in self.slices if one.worse)


def compare(
    rows: Sequence[LabelledText],
    live: Sequence[Prediction | None],
    candidate: Sequence[Prediction | None],
    prefix: str = "",
) -> Comparison:
    """Compare answers given to the same rows, in their order. A missing answer is wrong wherever it is asked for.

    prefix leads the names of the slices. Questions without texts are left out. Raises ValueError when the three
    differ in length.
    """
    answered = list(zip(rows, live, candidate, strict=True))
    judged = [(r.sentiment, _sentiment(a), _sentiment(b)) for r, a, b in answered if r.sentiment is not None]
    asked: list[Slice | None] = [
        _share(f"{prefix}sentiment: right", [(a == gold, b == gold) for gold, a, b in judged]),
        _share(
            f"{prefix}sentiment: negative found",
            [(a == gold, b == gold) for gold, a, b in judged if gold == "negative"],
        ),
        _micro_f1(f"{prefix}topics: micro-F1", rows, live, candidate),
    ]
    for topic in SEVERE_TOPICS:
        flags = [(topic in r.topics, _has(a, topic), _has(b, topic)) for r, a, b in answered if r.topics]
        found = [(a, b) for gold, a, b in flags if gold]
        spared = [(not a, not b) for gold, a, b in flags if not gold]
        asked += [_share(f"{prefix}{topic}: found", found), _share(f"{prefix}{topic}: no false flag", spared)]
    return Comparison(slices=tuple(one for one in asked if one is not None))


def figures(rows: Sequence[LabelledText], answers: Sequence[Prediction | None]) -> tuple[float | None, float | None]:
    """(sentiment accuracy, topics micro-F1) of one version; None for a head without labels."""
    judged = [_sentiment(a) == r.sentiment for r, a in zip(rows, answers, strict=True) if r.sentiment is not None]
    counts = _counts(rows, answers)
    return (sum(judged) / len(judged) if judged else None, float(_f1(counts.sum(axis=0))) if len(counts) else None)


def mcnemar_worse(lost: int, gained: int) -> float:
    """One-sided exact p-value that `lost` of the `lost + gained` texts on which the two differ is no chance."""
    return float(binom.sf(lost - 1, lost + gained, 0.5)) if lost + gained else 1.0


def _share(name: str, pairs: Sequence[tuple[bool, bool]]) -> Slice | None:
    """pairs: (live right, candidate right) for each text that is asked about."""
    if not pairs:
        return None
    lost = sum(a and not b for a, b in pairs)
    gained = sum(b and not a for a, b in pairs)
    n = len(pairs)
    before, after = sum(a for a, _ in pairs) / n, sum(b for _, b in pairs) / n
    return Slice(name=name, n=n, live=before, candidate=after, p_value=mcnemar_worse(lost, gained))


def _micro_f1(
    name: str,
    rows: Sequence[LabelledText],
    live: Sequence[Prediction | None],
    candidate: Sequence[Prediction | None],
) -> Slice | None:
    a, b = _counts(rows, live), _counts(rows, candidate)
    n = len(a)
    if not n:
        return None
    before, after = float(_f1(a.sum(axis=0))), float(_f1(b.sum(axis=0)))
    if np.array_equal(a, b):
        return Slice(name=name, n=n, live=before, candidate=after, p_value=1.0)
    weights = np.random.default_rng(_SEED).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    p_value = float(np.mean(_f1(weights @ b) >= _f1(weights @ a)))
    return Slice(name=name, n=n, live=before, candidate=after, p_value=p_value)


def _counts(rows: Sequence[LabelledText], answers: Sequence[Prediction | None]) -> np.ndarray:
    """[texts with topics, 3]: true positives, false positives, false negatives of each."""
    found = []
    for row, answer in zip(rows, answers, strict=True):
        if row.topics:
            said = set(answer.topics) if answer else set()
            right = len(said & set(row.topics))
            found.append((right, len(said) - right, len(set(row.topics)) - right))
    return np.array(found, dtype=np.int64).reshape(-1, 3)


def _f1(counts: np.ndarray) -> np.ndarray:
    """Micro-F1 of summed counts [..., 3]."""
    right, false, missed = counts[..., 0], counts[..., 1], counts[..., 2]
    return 2 * right / np.maximum(2 * right + false + missed, 1)


def _sentiment(answer: Prediction | None) -> str:
    return answer.sentiment if answer else ""


def _has(answer: Prediction | None, topic: str) -> bool:
    return answer is not None and topic in answer.topics
