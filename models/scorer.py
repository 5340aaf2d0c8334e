"""What both backends share: from texts to tokens to logits to calibrated predictions.

A backend only says how one batch of tokens becomes logits. Everything that could make two backends disagree in
meaning (cleaning, truncation, calibration, choice of labels, what happens to a number that is not finite) is here once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.backend import Prediction
from models.batching import CHUNK, Batch, Encoder, Tokens, in_chunks, padded, plan
from models.calibrate import Calibration
from models.errors import CheckpointError
from models.labels import SENTIMENTS, TOPICS
from models.registry import Manifest

Floats = NDArray[np.float32]

PROBE: Final = "Shares of the bank fell after it warned of losses."
"""Scored once on loading: a network that answers this with NaN is refused before it replaces one that works."""


@dataclass(frozen=True, slots=True)
class Heads:
    """Raw logits of the product's heads: sentiment float32 [B, 3], topics and primary float32 [B, 20]."""

    sentiment: Floats
    topics: Floats
    primary: Floats


@dataclass(frozen=True, slots=True)
class Shapes:
    """How batches are cut: see `models.batching.plan`."""

    token_budget: int
    width_multiple: int = 1
    spare: int = 0
    max_width: int | None = None
    fixed_height: bool = False
    chunk: int = CHUNK


class Scorer(ABC):
    """A `Classifier` on top of `_run`. Not thread-safe unless the backend says so."""

    shapes: Shapes

    def __init__(self, manifest: Manifest, encoder: Encoder, calibration: Calibration, pad_id: int) -> None:
        self._manifest = manifest
        self._encoder = encoder
        self._calibration = calibration
        self._pad_id = pad_id

    @property
    def version(self) -> str:
        return self._manifest.version

    @property
    def languages(self) -> tuple[str, ...]:
        return self._manifest.languages

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    def predict(self, texts: Sequence[str]) -> list[Prediction | None]:
        """One prediction a text, in order; None where there is nothing to score or the network gave no number."""
        result: list[Prediction | None] = []
        for chunk in in_chunks(texts, self.shapes.chunk):
            tokens = self._encoder.encode(chunk)
            result.extend(self._predictions(tokens, self._heads(tokens)))
        return result

    def head_logits(self, texts: Sequence[str]) -> Heads:
        """Uncalibrated logits of the product's heads, NaN in the rows of texts that cannot be scored.

        For evaluation, calibration and the comparison of backends; a trend must be built on `predict`.
        """
        parts = [self._heads(self._encoder.encode(chunk)) for chunk in in_chunks(texts, self.shapes.chunk)]
        parts = parts or [self._empty(0)]
        return Heads(
            np.concatenate([part.sentiment for part in parts]),
            np.concatenate([part.topics for part in parts]),
            np.concatenate([part.primary for part in parts]),
        )

    @abstractmethod
    def _run(self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64]) -> Heads:
        """Logits of one batch; both arrays int64 [B, T]."""

    def _probe(self, where: str) -> None:
        """Raises CheckpointError unless the network answers a plain sentence with numbers."""
        heads = self.head_logits([PROBE])
        widths = (heads.sentiment.shape[1], heads.topics.shape[1], heads.primary.shape[1])
        if widths != (len(SENTIMENTS), len(TOPICS), len(TOPICS)):
            raise CheckpointError(f"{where}: its outputs have the sizes {widths}, not those of the labels")
        if not all(np.isfinite(part).all() for part in (heads.sentiment, heads.topics, heads.primary)):
            raise CheckpointError(f"{where}: answers a plain sentence with values that are not finite")

    def _heads(self, tokens: Sequence[Tokens | None]) -> Heads:
        present = [index for index, item in enumerate(tokens) if item is not None]
        ids = [item.ids for item in tokens if item is not None]
        result = self._empty(len(tokens))
        batches = self._plan([len(row) for row in ids])
        for batch, answer in zip(batches, self._answers(ids, batches), strict=True):
            places = np.asarray(present, dtype=np.int64)[batch.rows]
            filled = len(batch.rows)
            result.sentiment[places] = answer.sentiment[:filled]
            result.topics[places] = answer.topics[:filled]
            result.primary[places] = answer.primary[:filled]
        return result

    def _answers(self, ids: Sequence[Sequence[int]], batches: Sequence[Batch]) -> Iterable[Heads]:
        """Logits of each batch, in the order of the batches."""
        return (self._run(*padded(ids, batch, self._pad_id)) for batch in batches)

    def _plan(self, lengths: Sequence[int]) -> list[Batch]:
        shapes = self.shapes
        return list(plan(lengths, shapes.token_budget, shapes.width_multiple, shapes.spare, shapes.fixed_height))

    @staticmethod
    def _empty(count: int) -> Heads:
        def nothing(width: int) -> Floats:
            return np.full((count, width), np.nan, dtype=np.float32)

        return Heads(nothing(len(SENTIMENTS)), nothing(len(TOPICS)), nothing(len(TOPICS)))

    def _predictions(self, tokens: Sequence[Tokens | None], heads: Heads) -> list[Prediction | None]:
        """Rows that are not finite become None: a NaN must never enter a trend (fault M6)."""
        sound = np.flatnonzero(
            np.isfinite(heads.sentiment).all(axis=1)
            & np.isfinite(heads.topics).all(axis=1)
            & np.isfinite(heads.primary).all(axis=1)
        )
        result: list[Prediction | None] = [None] * len(tokens)
        if not sound.size:
            return result
        shares = self._calibration.apply_sentiment(heads.sentiment[sound])
        scores, chosen = self._calibration.apply_topics(heads.topics[sound], heads.primary[sound])
        for index, share, score, topics in zip(sound.tolist(), shares.tolist(), scores.tolist(), chosen, strict=True):
            item = tokens[index]
            confidence = max(share)
            result[index] = Prediction(
                p_negative=share[0],
                p_neutral=share[1],
                p_positive=share[2],
                topics=topics,
                topic_scores=tuple(score),
                confidence=confidence,
                unsure=confidence < self._calibration.unsure_below,
                truncated=item is not None and item.truncated,
                model_version=self._manifest.version,
            )
        return result
