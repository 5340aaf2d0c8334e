"""Which words carried a prediction: each word is left out in turn, and the change of the answer is its contribution.

Occlusion asks the model itself and nothing else, so it explains the int8 network that wrote the evidence as well as
the torch one. It does not see words that matter only together; a contribution is what one word adds to the rest.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from models.backend import Classifier, Prediction
from models.labels import SENTIMENTS

MAX_PARTS: Final = 48
"""Questions asked of the model at most. A headline has some 12 words; a longer text is occluded in runs of words."""

MAX_CHARS: Final = 4000
"""Characters that are explained, beyond what any window reads; later words get no entry."""

# Chinese has no spaces: each character stands for itself. Elsewhere a word keeps its inner signs: U.S., 3.5%, AT&T.
_CJK: Final = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3040-\u30ff\uac00-\ud7af"
_SPACED: Final = rf"(?![{_CJK}—–…])"
_WORD: Final = re.compile(rf"[{_CJK}]|{_SPACED}\w(?:(?:{_SPACED}\S)*{_SPACED}[\w%])?")


class WordContribution(NamedTuple):
    """start, end: characters of the text; contribution: probability of the predicted sentiment that the word adds.

    Positive words speak for the answer, negative ones against it; from -1 to 1.
    """

    start: int
    end: int
    word: str
    contribution: float


def words(text: str) -> list[tuple[int, int]]:
    """(start, end) of each word of the text in characters; punctuation around words is left out."""
    return [match.span() for match in _WORD.finditer(text)]


def explain(classifier: Classifier, text: str, max_parts: int = MAX_PARTS) -> list[WordContribution]:
    """Contributions of the words of a text to its predicted sentiment, in the order of the text.

    All occlusions go to the model in one call. Where a text has more than `max_parts` words, neighbours are left out
    together and share what they add. Empty for a text that cannot be scored or has no words.
    """
    spans = words(text[:MAX_CHARS])
    if not spans:
        return []
    parts = _runs(spans, max_parts)
    whole, *occluded = classifier.predict([text, *(without(text, part) for part in parts)])
    if whole is None:
        return []
    place = SENTIMENTS.index(whole.sentiment)
    base = _shares(whole)[place]
    result: list[WordContribution] = []
    for part, prediction in zip(parts, occluded, strict=True):
        # Nothing left to read is no evidence for anything: all sentiments alike.
        rest = _shares(prediction)[place] if prediction is not None else 1 / len(SENTIMENTS)
        share = (base - rest) / len(part)
        result.extend(WordContribution(start, end, text[start:end], share) for start, end in part)
    return result


def without(text: str, spans: list[tuple[int, int]]) -> str:
    """The text with some spans left out and the space around them closed; the line ends stay."""
    pieces, reached = [], 0
    for start, end in sorted(spans):
        pieces.append(text[reached:start])
        reached = end
    pieces.append(text[reached:])
    return re.sub(r"[ \t]{2,}", " ", "".join(pieces)).strip()


def _runs(spans: list[tuple[int, int]], count: int) -> list[list[tuple[int, int]]]:
    """At most `count` runs of neighbouring words, as even as can be."""
    size = -(-len(spans) // max(1, count))
    return [spans[start : start + size] for start in range(0, len(spans), size)]


def _shares(prediction: Prediction) -> tuple[float, float, float]:
    return prediction.p_negative, prediction.p_neutral, prediction.p_positive
