"""The seam between whoever needs a text scored and whatever scores it.

A `Classifier` is loaded once and asked many times. It is not a trainer, and it does not know articles, feeds or
stores. Both backends (ONNX Runtime int8 and torch) keep the contract of tests/contracts/test_classifier.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from models.labels import SENTIMENTS, TOPICS


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says of one text. Probabilities are calibrated and sum to 1; every number is finite.

    topics: labels above their thresholds, most central first, one to three, `other` alone; never empty.
    topic_scores: one calibrated probability per label of `TOPICS`, in that order.
    confidence: probability of the predicted sentiment.
    unsure: the confidence is below the model's unsure band; the text belongs in the review queue.
    truncated: the text was longer than the model's window and only its beginning was read.
    """

    p_negative: float
    p_neutral: float
    p_positive: float
    topics: tuple[str, ...]
    topic_scores: tuple[float, ...]
    confidence: float
    unsure: bool
    truncated: bool
    model_version: str

    @property
    def sentiment(self) -> str:
        triple = (self.p_negative, self.p_neutral, self.p_positive)
        return SENTIMENTS[max(range(3), key=triple.__getitem__)]

    @property
    def score(self) -> float:
        """Positive minus negative probability, from -1 (bad news) to 1 (good news)."""
        return self.p_positive - self.p_negative

    @property
    def main_topic(self) -> str:
        return self.topics[0]

    def topic_score(self, label: str) -> float:
        return self.topic_scores[TOPICS.index(label)]


@runtime_checkable
class Classifier(Protocol):
    """Scores texts. `predict` keeps order and length; a text's numbers do not depend on its batch.

    A text that cannot be scored (empty, only control characters) comes back as None, never as NaN.
    """

    @property
    def version(self) -> str: ...

    @property
    def languages(self) -> tuple[str, ...]:
        """ISO 639-1 codes of the languages the model was trained and measured on."""
        ...

    def predict(self, texts: Sequence[str]) -> list[Prediction | None]: ...


LEAD_LENGTH: Final = 160
"""Characters of a summary that are read. The labels of the training data were given after a title and the first 130
characters of its lead; reading 400 cost three points of sentiment macro-F1 on held-out rows (docs/model.md)."""


def join_title_and_summary(title: str, summary: str | None) -> str:
    """The one way a headline and its lead become a text: training and scoring must not differ in it.

    Of the summary the first `LEAD_LENGTH` characters are kept, up to the end of a word.
    """
    title = title.strip()
    summary = (summary or "").strip()
    if len(summary) > LEAD_LENGTH:
        cut = summary.rfind(" ", LEAD_LENGTH // 2, LEAD_LENGTH + 1)
        summary = summary[: cut if cut > 0 else LEAD_LENGTH].rstrip()
    if not summary or summary == title:
        return title
    return f"{title}\n{summary}"
