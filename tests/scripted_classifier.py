"""A classifier for tests that says what it was told to say. Deterministic, no model, no files.

    classifier = ScriptedClassifier(rules={"default": ("negative", "credit_distress"), "profit": "positive"})
    [prediction] = classifier.predict(["Acme nears default"])
    prediction.sentiment   # "negative"

It keeps the contract of tests/contracts/test_classifier.py, like the real backends.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from models.backend import Prediction
from models.labels import MAX_TOPICS, SENTIMENTS, TOPICS

Rule = str | Sequence[str]
"""A sentiment, a topic, or several of them: "negative", "litigation", ("negative", "fraud_crime", "litigation")."""

DEFAULT_RULES: Mapping[str, Rule] = {
    "default": ("negative", "credit_distress"),
    "bankruptcy": ("negative", "credit_distress"),
    "downgrade": ("negative", "credit_rating"),
    "bank run": ("negative", "liquidity_funding"),
    "fraud": ("negative", "fraud_crime"),
    "probe": ("negative", "regulation_enforcement"),
    "fined": ("negative", "regulation_enforcement"),
    "ransomware": ("negative", "cyber_resilience"),
    "layoffs": ("negative", "labour_environment"),
    "lawsuit": ("negative", "litigation"),
    "plunge": ("negative", "market_move"),
    "loss": ("negative", "earnings_guidance"),
    "profit": ("positive", "earnings_guidance"),
    "wins": ("positive", "business_operations"),
    "upgrade": ("positive", "credit_rating"),
    "rally": ("positive", "market_move"),
}

_MAX_CHARS = 20_000
"""Beyond this a text is flagged as truncated, as a real model would."""


class ScriptedClassifier:
    """Implements the seam `models.backend.Classifier` by rules.

    rules: word or phrase (matched on word boundaries, any case; anywhere in Chinese) to a sentiment, topics, or both.
        The first sentiment that a matching rule gives counts, in the order of the rules; topics add up to three.
    sure: probability of the predicted sentiment; the two others share the rest.
    unsure_words: texts with one of these words are predicted with a confidence of 0.4 and flagged unsure.
    crash_words: a text with one of these words makes `predict` raise RuntimeError, as a scorer that dies on an item.
    calls: the texts of every call, in order.
    """

    def __init__(
        self,
        version: str = "scripted-1",
        rules: Mapping[str, Rule] | None = None,
        languages: Sequence[str] = ("en",),
        sure: float = 0.9,
        unsure_words: Sequence[str] = (),
        crash_words: Sequence[str] = (),
    ) -> None:
        if not 0.34 < sure < 1:
            raise ValueError("sure must lie between 0.34 and 1, so that the predicted sentiment is the likeliest")
        self._version = version
        self._languages = tuple(languages)
        self._rules = {word: _labels(rule) for word, rule in (DEFAULT_RULES if rules is None else rules).items()}
        self._sure = sure
        self._unsure_words = tuple(unsure_words)
        self._crash_words = tuple(crash_words)
        self.calls: list[list[str]] = []

    @property
    def version(self) -> str:
        return self._version

    @property
    def languages(self) -> tuple[str, ...]:
        return self._languages

    def predict(self, texts: Sequence[str]) -> list[Prediction | None]:
        self.calls.append(list(texts))
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> Prediction | None:
        truncated, text = len(text) > _MAX_CHARS, text[:_MAX_CHARS]
        if not any(unicodedata.category(char)[0] not in "CZ" for char in text):
            return None
        if any(_has(text, word) for word in self._crash_words):
            raise RuntimeError("the scripted classifier was told to fail on this text")
        matched = [labels for word, labels in self._rules.items() if _has(text, word)]
        sentiment = next((label for labels in matched for label in labels if label in SENTIMENTS), "neutral")
        found = [label for labels in matched for label in labels if label in TOPICS]
        topics = tuple(dict.fromkeys(found))[:MAX_TOPICS] or ("other",)
        unsure = any(_has(text, word) for word in self._unsure_words)
        sure = 0.4 if unsure else self._sure
        shares = [sure if label == sentiment else (1 - sure) / 2 for label in SENTIMENTS]
        # Descending with the order of the topics, so that "most central first" can be read off the scores too.
        scores = tuple(0.9 - 0.1 * topics.index(label) if label in topics else 0.02 for label in TOPICS)
        return Prediction(
            p_negative=shares[0],
            p_neutral=shares[1],
            p_positive=shares[2],
            topics=topics,
            topic_scores=scores,
            confidence=sure,
            unsure=unsure,
            truncated=truncated,
            model_version=self._version,
        )


def _labels(rule: Rule) -> tuple[str, ...]:
    labels = (rule,) if isinstance(rule, str) else tuple(rule)
    unknown = [label for label in labels if label not in SENTIMENTS and label not in TOPICS]
    if unknown:
        raise ValueError(f"not a sentiment or topic: {', '.join(unknown)}")
    return labels


def _has(text: str, word: str) -> bool:
    if not word.isascii():
        return word in text
    return re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) is not None
