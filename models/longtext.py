"""Texts longer than the model's window: scored sentence by sentence for the page, and in windows for the whole.

Works with any `Classifier` and knows no tokens: a window is a run of whole sentences, and one that the model says it
could not read to its end is halved until it can. Windows end where sentences end, so they need no overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from models.backend import Classifier, Prediction
from models.batching import in_chunks
from models.labels import MAX_TOPICS, TOPICS
from models.sentences import split_sentences

MAX_CHARS: Final = 1_000_000
"""Characters of a document that are read, some 300 pages; the rest is left out and the aggregate says truncated."""

WINDOW_CHARS: Final = 300
"""Characters of one window: what a headline with its lead has, as in training. More would fit the network, but texts
longer than it was trained on are what it is worse at (docs/model.md)."""

_MAY_FIT: Final = 2000
"""Characters beyond which no text fits a model's window in one piece, so that it need not be tried."""

_AT_ONCE: Final = 512
_LEAD_WEIGHT: Final = 2.0
_NEUTRAL_WEIGHT: Final = 0.25
_CENTRALITY: Final = (1.0, 0.6, 0.4)
_TOPIC_SHARE: Final = 0.2

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class SentenceScore:
    """One sentence. start, end: characters of the document; prediction: None when there is nothing to score."""

    start: int
    end: int
    text: str
    prediction: Prediction | None


@dataclass(frozen=True, slots=True)
class DocumentScore:
    """A document, whole and in parts.

    aggregate: the document as one prediction; None when nothing of it can be scored. For a text that fits the
        model's window it is that text's own prediction.
    windows: how many windows the aggregate rests on.
    """

    sentences: tuple[SentenceScore, ...]
    aggregate: Prediction | None
    windows: int


def score_document(
    classifier: Classifier, text: str, max_chars: int = MAX_CHARS, window_chars: int = WINDOW_CHARS
) -> DocumentScore:
    """Scores a text of any length. Memory grows with the number of sentences, not with what the network needs."""
    cut = len(text) > max_chars
    text = text[:max_chars]
    spans = list(split_sentences(text))
    sentences = tuple(_sentences(classifier, text, spans))
    if len(sentences) == 1 and sentences[0].prediction is not None and not sentences[0].prediction.truncated:
        only = sentences[0].prediction
        return DocumentScore(sentences, replace(only, truncated=cut), 1)
    aggregate, windows = _whole(classifier, text, spans, window_chars)
    if aggregate is not None:
        aggregate = replace(aggregate, truncated=cut)
    return DocumentScore(sentences, aggregate, windows)


def score_whole(classifier: Classifier, text: str, max_chars: int = MAX_CHARS) -> Prediction | None:
    """Only the aggregate of `score_document`, at half its cost."""
    aggregate, _ = _whole(classifier, text[:max_chars], list(split_sentences(text[:max_chars])), WINDOW_CHARS)
    return replace(aggregate, truncated=True) if aggregate is not None and len(text) > max_chars else aggregate


def _sentences(classifier: Classifier, text: str, spans: Sequence[Span]) -> Iterator[SentenceScore]:
    for chunk in in_chunks(spans, _AT_ONCE):
        parts = [text[start:end] for start, end in chunk]
        for (start, end), part, prediction in zip(chunk, parts, classifier.predict(parts), strict=True):
            yield SentenceScore(start, end, part, prediction)


def _whole(
    classifier: Classifier, text: str, spans: Sequence[Span], window_chars: int
) -> tuple[Prediction | None, int]:
    if not spans:
        return None, 0
    # A text that fits the window is read as it is: the page and the pipeline then show the same numbers for it.
    if spans[-1][1] - spans[0][0] <= _MAY_FIT:
        [prediction] = classifier.predict([text])
        if prediction is None or not prediction.truncated:
            return prediction, 1 if prediction else 0
    total = _Sum()
    for chunk in in_chunks(_windows(spans, window_chars), _AT_ONCE):
        for span, prediction in _read(classifier, text, chunk):
            if prediction is not None:
                total.add(span, prediction)
    return total.prediction(), total.windows


def _windows(spans: Iterable[Span], window_chars: int) -> Iterator[Span]:
    """Runs of sentences of at most `window_chars`; a longer sentence is a window of its own."""
    start, end = -1, -1
    for first, last in spans:
        if start >= 0 and last - start > window_chars:
            yield start, end
            start = first
        elif start < 0:
            start = first
        end = last
    if start >= 0:
        yield start, end


def _read(classifier: Classifier, text: str, windows: Sequence[Span]) -> Iterator[tuple[Span, Prediction | None]]:
    """Predictions of windows in order; a window that was truncated is read again in halves."""
    predictions = classifier.predict([text[start:end] for start, end in windows])
    for window, prediction in zip(windows, predictions, strict=True):
        halves = _halves(text, window) if prediction is not None and prediction.truncated else ()
        if halves:
            yield from _read(classifier, text, halves)
        else:
            yield window, prediction


def _halves(text: str, window: Span) -> tuple[Span, ...]:
    """Two halves parted at a sentence or else a space; none when the window is too small to be parted sensibly."""
    start, end = window
    if end - start < 32:
        return ()
    middle = (start + end) // 2
    inner = [start + stop for _, stop in split_sentences(text[start:end])][:-1]
    if inner:
        part = min(inner, key=lambda stop: abs(stop - middle))
    else:
        space = text.rfind(" ", start + 1, middle)
        part = space if space > start else middle
    return (start, part), (part, end)


class _Sum:
    """The running aggregate, so that windows need not be kept.

    A window weighs by its length, the first one twice (news leads with what matters), and a neutral one a fifth of a
    telling one: boilerplate is most of a report and must not drown the paragraph on the default.
    """

    def __init__(self) -> None:
        self.windows = 0
        self._weight = 0.0
        self._shares = [0.0, 0.0, 0.0]
        self._scores = [0.0] * len(TOPICS)
        self._central = dict.fromkeys(TOPICS, 0.0)
        self._unsure = 0.0
        self._version = ""

    def add(self, span: Span, prediction: Prediction) -> None:
        weight = (span[1] - span[0]) * (1 + _NEUTRAL_WEIGHT - prediction.p_neutral)
        if self.windows == 0:
            weight *= _LEAD_WEIGHT
        self.windows += 1
        self._weight += weight
        for index, share in enumerate((prediction.p_negative, prediction.p_neutral, prediction.p_positive)):
            self._shares[index] += weight * share
        for index, score in enumerate(prediction.topic_scores):
            self._scores[index] += weight * score
        for label, central in zip(prediction.topics, _CENTRALITY, strict=False):
            self._central[label] += weight * central
        self._unsure += weight * prediction.unsure
        self._version = prediction.model_version

    def prediction(self) -> Prediction | None:
        if not self._weight:
            return None
        shares = [share / self._weight for share in self._shares]
        ranked = sorted(TOPICS, key=lambda label: -self._central[label])
        if ranked[0] == "other":
            topics: tuple[str, ...] = ("other",)
        else:
            rest = [
                label
                for label in ranked[1:]
                if label != "other" and self._central[label] >= _TOPIC_SHARE * self._weight
            ]
            topics = (ranked[0], *rest[: MAX_TOPICS - 1])
        return Prediction(
            p_negative=shares[0],
            p_neutral=shares[1],
            p_positive=shares[2],
            topics=topics,
            topic_scores=tuple(score / self._weight for score in self._scores),
            confidence=max(shares),
            unsure=self._unsure > self._weight / 2,
            truncated=False,
            model_version=self._version,
        )
