"""From logits to calibrated probabilities and chosen topics. Pure numpy: every backend and the evaluation share it.

The parameters are fitted by `models.fit_calibration` on held-out texts of the natural mix and travel in the manifest,
so a score can be recomputed from the stored logits to the last digit. Nothing here reads files or knows a network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import CheckpointError
from models.labels import MAX_TOPICS, SENTIMENTS, TOPICS

Array = NDArray[np.float64]

_OTHER = TOPICS.index("other")


def softmax(logits: NDArray[Any]) -> Array:
    """Softmax over the last axis in float64; finite for any finite input."""
    shifted = np.asarray(logits, dtype=np.float64)
    shifted = shifted - shifted.max(axis=-1, keepdims=True)
    exponent = np.exp(shifted)
    return np.asarray(exponent / exponent.sum(axis=-1, keepdims=True))


def sigmoid(logits: NDArray[Any]) -> Array:
    """Logistic function in float64, without overflow at either end."""
    values = np.asarray(logits, dtype=np.float64)
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)))


def log_softmax(logits: NDArray[Any]) -> Array:
    """Logarithm of the softmax over the last axis, in float64."""
    values = np.asarray(logits, dtype=np.float64)
    shifted = values - values.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


@dataclass(frozen=True, slots=True)
class Calibration:
    """The fitted numbers of one checkpoint.

    temperature, power, bias: the sentiment probabilities are softmax(-(gap / temperature) ** power + bias), where gap
    is how far a logit lies below the largest one; bias has 3 entries. With power 1 this is
    softmax(logits / temperature + bias). Label smoothing in training squeezes large gaps, which no temperature
    undoes; a power above 1 does.
    slope, intercept, primary_slope: the probability of topic k is
    sigmoid(slope[k] * topic_logit[k] + primary_slope[k] * log_softmax(primary_logits)[k] + intercept[k]).
    primary_weight: share of the main-topic softmax in the order of centrality, 0 to 1; the rest is the topic score.
    thresholds: a topic is given when its probability reaches this, one per label of `TOPICS`.
    unsure_below: a sentiment probability under this sends the text to review.
    """

    temperature: float
    bias: Array
    slope: Array
    intercept: Array
    primary_slope: Array
    primary_weight: float
    thresholds: Array
    unsure_below: float
    power: float = 1.0

    @classmethod
    def identity(cls) -> Calibration:
        """No correction and thresholds of one half: what an uncalibrated checkpoint uses while it is being fitted."""
        count = len(TOPICS)
        return cls(
            temperature=1.0,
            bias=np.zeros(len(SENTIMENTS)),
            slope=np.ones(count),
            intercept=np.zeros(count),
            primary_slope=np.zeros(count),
            primary_weight=0.5,
            thresholds=np.full(count, 0.5),
            unsure_below=0.0,
        )

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> Calibration:
        """Read `calibration`, `thresholds` and `unsure_below` of a manifest.

        Raises CheckpointError when a part is missing, has the wrong length or is not a finite number: a checkpoint
        with damaged calibration must be refused whole, since its probabilities would silently mean something else.
        """
        try:
            parts = manifest["calibration"]
            sentiment, topics = parts["sentiment"], parts["topics"]
            primary = parts.get("primary", {})
            thresholds = manifest["thresholds"]
            count = len(TOPICS)
            result = cls(
                temperature=float(sentiment.get("temperature", 1.0)),
                bias=np.asarray(sentiment.get("bias", [0.0] * len(SENTIMENTS)), dtype=np.float64),
                slope=np.asarray(topics["slope"], dtype=np.float64),
                intercept=np.asarray(topics["intercept"], dtype=np.float64),
                primary_slope=np.asarray(topics.get("primary_slope", [0.0] * count), dtype=np.float64),
                primary_weight=float(primary.get("weight", 0.5)),
                thresholds=np.asarray([thresholds[label] for label in TOPICS], dtype=np.float64),
                unsure_below=float(manifest["unsure_below"]),
                power=float(sentiment.get("power", 1.0)),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"manifest: the calibration cannot be read ({error!r})") from error
        result.check()
        return result

    def check(self) -> None:
        """Raise CheckpointError unless every array has its length and every number is finite and in range."""
        expected = {"bias": len(SENTIMENTS)} | dict.fromkeys(
            ("slope", "intercept", "primary_slope", "thresholds"), len(TOPICS)
        )
        for name, length in expected.items():
            values: Array = getattr(self, name)
            if values.shape != (length,) or not np.isfinite(values).all():
                raise CheckpointError(f"manifest: calibration {name} must be {length} finite numbers")
        for name in ("temperature", "power"):
            value = float(getattr(self, name))
            if not (np.isfinite(value) and value > 0):
                raise CheckpointError(f"manifest: calibration {name} must be a positive number")
        if not (0.0 <= self.primary_weight <= 1.0 and 0.0 <= self.unsure_below <= 1.0):
            raise CheckpointError("manifest: primary weight and unsure_below must lie between 0 and 1")

    def to_manifest(self) -> dict[str, Any]:
        """The three manifest entries that `from_manifest` reads back to the same numbers."""
        return {
            "calibration": {
                "sentiment": {
                    "method": "power" if self.power != 1.0 else "vector" if np.any(self.bias) else "temperature",
                    "temperature": float(self.temperature),
                    "power": float(self.power),
                    "bias": [float(value) for value in self.bias],
                },
                "topics": {
                    "slope": [float(value) for value in self.slope],
                    "intercept": [float(value) for value in self.intercept],
                    "primary_slope": [float(value) for value in self.primary_slope],
                },
                "primary": {"weight": float(self.primary_weight)},
            },
            "thresholds": {label: float(value) for label, value in zip(TOPICS, self.thresholds, strict=True)},
            "unsure_below": float(self.unsure_below),
        }

    def apply_sentiment(self, logits: NDArray[Any]) -> Array:
        """Sentiment logits [B, 3] to calibrated probabilities [B, 3] in the order of `SENTIMENTS`; rows sum to 1."""
        values = np.asarray(logits, dtype=np.float64)
        gaps = values.max(axis=-1, keepdims=True) - values
        return softmax(self.bias - (gaps / self.temperature) ** self.power)

    def topic_scores(self, topic_logits: NDArray[Any], primary_logits: NDArray[Any]) -> Array:
        """Topic and main-topic logits, both [B, 20], to one calibrated probability per label, [B, 20]."""
        topics = np.asarray(topic_logits, dtype=np.float64)
        return sigmoid(self.slope * topics + self.primary_slope * log_softmax(primary_logits) + self.intercept)

    def apply_topics(
        self, topic_logits: NDArray[Any], primary_logits: NDArray[Any]
    ) -> tuple[Array, list[tuple[str, ...]]]:
        """Topic and main-topic logits, both [B, 20], to scores [B, 20] and the chosen labels of each text.

        The labels come most central first, one to three of them; `other` stands alone and no text goes without.
        """
        scores = self.topic_scores(topic_logits, primary_logits)
        given, order = self.given_topics(scores, primary_logits)
        chosen = [tuple(TOPICS[int(k)] for k in row[flags]) for row, flags in zip(order, given, strict=True)]
        return scores, chosen

    def given_topics(self, scores: Array, primary_logits: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which labels are given: scores and main-topic logits, both [B, 20], to flags [B, 20] along the order
        [B, 20] of label indices, most central first."""
        centrality = self.primary_weight * softmax(primary_logits) + (1.0 - self.primary_weight) * scores
        order = np.argsort(-centrality, axis=1, kind="stable")
        ranked = np.take_along_axis(scores, order, axis=1)
        given = (ranked >= self.thresholds[order]) & (order != _OTHER)
        given[order[:, 0] == _OTHER] = False
        given[:, 0] = True
        given &= np.cumsum(given, axis=1) <= MAX_TOPICS
        return given, order

    def is_unsure(self, probabilities: NDArray[Any]) -> NDArray[np.bool_]:
        """Calibrated sentiment probabilities [B, 3] to [B] flags: the best one lies under the unsure band."""
        return np.asarray(np.asarray(probabilities).max(axis=-1) < self.unsure_below)
