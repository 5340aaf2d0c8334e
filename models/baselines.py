"""What a classifier of this kind must beat: a finance lexicon, VADER, and TF-IDF with logistic regression.

Sentiment only for the lexicons; TF-IDF also gives topics. None of these is shipped or served.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.dataset import Example
from models.errors import DataError, ModelError
from models.labels import SENTIMENTS, TOPICS

_WORD: Final = re.compile(r"[A-Za-z]+")
_NEGATIVE, _NEUTRAL, _POSITIVE = range(len(SENTIMENTS))


def read_lexicon(corpora: Path | None = None) -> tuple[frozenset[str], frozenset[str]]:
    """Negative and positive words of Loughran and McDonald, upper case, from HEADWIND_CORPORA/loughran_mcdonald.

    The lists are free for academic research only, so they are read and never shipped. Raises DataError.
    """
    root = corpora or (Path(os.environ["HEADWIND_CORPORA"]) if os.environ.get("HEADWIND_CORPORA") else None)
    if root is None:
        raise DataError("HEADWIND_CORPORA is not set; it names the folder with loughran_mcdonald")
    folder = root / "loughran_mcdonald"
    words: dict[str, set[str]] = {"negative": set(), "positive": set()}
    for path in sorted(folder.glob("lm_*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for row in csv.DictReader(stream):
                lowered = {key.lower(): (value or "").strip() for key, value in row.items() if key}
                for tone, found in words.items():
                    if lowered.get(tone, "0") not in ("", "0") or lowered.get("category", "").lower() == tone:
                        found.add(lowered.get("word", "").upper())
    if not words["negative"] or not words["positive"]:
        raise DataError(f"{folder}: no CSV with the columns word and negative, positive (or category)")
    return frozenset(words["negative"]), frozenset(words["positive"])


def lexicon_sentiment(texts: Sequence[str], negative: frozenset[str], positive: frozenset[str]) -> NDArray[np.int64]:
    """Class index per text: the sign of positive minus negative words, neutral at zero."""
    found = []
    for text in texts:
        words = [word.upper() for word in _WORD.findall(text)]
        balance = sum(word in positive for word in words) - sum(word in negative for word in words)
        found.append(_POSITIVE if balance > 0 else _NEGATIVE if balance < 0 else _NEUTRAL)
    return np.asarray(found, dtype=np.int64)


def vader_sentiment(texts: Sequence[str]) -> NDArray[np.int64]:
    """Class index per text by VADER's compound score and its authors' bounds of 0.05. Raises ModelError."""
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

        analyser = SentimentIntensityAnalyzer()
    except ModuleNotFoundError:
        try:
            from nltk.sentiment.vader import SentimentIntensityAnalyzer as NltkAnalyser

            analyser = NltkAnalyser()
        except (ModuleNotFoundError, LookupError) as error:
            raise ModelError("VADER is not installed: pip install vaderSentiment") from error
    scores = np.asarray([analyser.polarity_scores(text)["compound"] for text in texts])
    return np.where(scores >= 0.05, _POSITIVE, np.where(scores <= -0.05, _NEGATIVE, _NEUTRAL)).astype(np.int64)


def tfidf_answers(
    training: Sequence[Example], texts: Sequence[str], seed: int = 17
) -> tuple[NDArray[np.int64], list[tuple[int, ...]]]:
    """Sentiment index and topics, most central first, of `texts` after fitting on `training`."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    vectoriser = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, strip_accents="unicode")
    features = vectoriser.fit_transform([example.joined for example in training])
    asked = vectoriser.transform(list(texts))
    toned = [row for row, example in enumerate(training) if example.sentiment is not None]
    sentiment = LogisticRegression(C=4.0, max_iter=1000, random_state=seed)
    sentiment.fit(features[toned], [training[row].sentiment for row in toned])
    tagged = [row for row, example in enumerate(training) if example.topics]
    flags = np.zeros((len(tagged), len(TOPICS)), dtype=np.int64)
    for number, row in enumerate(tagged):
        flags[number, list(training[row].topics)] = 1
    topics: Any = OneVsRestClassifier(LogisticRegression(C=8.0, solver="liblinear", random_state=seed))
    topics.fit(features[tagged], flags)
    return np.asarray(sentiment.predict(asked), dtype=np.int64), _choose(np.asarray(topics.predict_proba(asked)))


def _choose(scores: NDArray[np.float64], threshold: float = 0.3) -> list[tuple[int, ...]]:
    """The best topic, and up to two more above the threshold; `other` alone."""
    other = TOPICS.index("other")
    chosen = []
    for row in scores:
        order = np.argsort(-row)
        first = int(order[0])
        rest = [int(k) for k in order[1:] if row[k] >= threshold and int(k) != other]
        chosen.append((first,) if first == other else (first, *rest[:2]))
    return chosen
