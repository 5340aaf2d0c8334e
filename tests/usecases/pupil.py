"""Versions for the tests of the gate: they know the frozen set, but for what they are told to get wrong."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from models.backend import Classifier, Prediction
from models.errors import CheckpointError
from models.gate import LabelledText
from models.labels import SENTIMENTS
from monitor.promotion import frozen_rows
from monitor.store.base import Store
from tests.usecases.newsroom import prediction

ROWS = frozen_rows()
GOLD = {row.text: row for row in ROWS}


class Pupil:
    """Knows the frozen set by heart, but for what it is told to get wrong. Any other text is neutral and `other`.

    blind: topics that it never names. misses: share of sentiments that it gets wrong, drawn by `seed`.
    """

    def __init__(
        self,
        version: str,
        *,
        blind: Sequence[str] = (),
        misses: float = 0.0,
        seed: int = 1,
        languages: Sequence[str] = ("en",),
        silent: Sequence[str] = (),
    ) -> None:
        self._version = version
        self._languages = tuple(languages)
        self._blind = set(blind)
        self._silent = set(silent)
        draw = random.Random(seed)
        self._wrong = {text for text in GOLD if draw.random() < misses}

    @property
    def version(self) -> str:
        return self._version

    @property
    def languages(self) -> tuple[str, ...]:
        return self._languages

    def predict(self, texts: Sequence[str]) -> list[Prediction | None]:
        return [None if text in self._silent else self._one(text) for text in texts]

    def _one(self, text: str) -> Prediction:
        row = GOLD.get(text) or LabelledText(text=text, sentiment="neutral", topics=("other",))
        sentiment = row.sentiment or "neutral"
        if text in self._wrong:
            sentiment = SENTIMENTS[(SENTIMENTS.index(sentiment) + 1) % 3]
        topics = tuple(topic for topic in row.topics if topic not in self._blind) or ("other",)
        return prediction(sentiment, topics, version=self._version)


def shelf(*classifiers: Classifier) -> Callable[[str], Classifier]:
    """Opens these versions, and refuses any other as the registry does."""
    there = {one.version: one for one in classifiers}

    def open_classifier(version: str) -> Classifier:
        if version not in there:
            raise CheckpointError(f"no checkpoint called {version!r}")
        return there[version]

    return open_classifier


def live(store: Store) -> str | None:
    found = store.live_model()
    return found[0] if found else None
