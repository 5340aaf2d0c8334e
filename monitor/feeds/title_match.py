"""Whether two titles report the same event: alike in characters and rare words, and not apart in what changes it.

"Acme rises 5 %" and "Acme rises 7 %" are almost the same string and not the same story, so likeness alone does not
decide. Other numbers, weekdays or months on both sides, a negation or an outcome on one side only keep titles apart,
and so does a recurring column. What is left is weighed by a logistic regression over eight measures of likeness,
fitted by bench/stories.py on labelled pairs; docs/feeds.md has the figures.

How rare a word is comes from a fixed table, so that the same two titles always get the same answer.
"""

from __future__ import annotations

import csv
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.74  # probability from which two titles are one story
LOOSE = 0.25  # likeness to the first title of a story that its later articles must keep, so that chains do not drift
WORTH_A_LOOK = 0.26  # gram likeness below which nothing else is computed
_GRAM = 3
_RECURS_AFTER_S = 20 * 3600.0


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# ── what a title is made of ──────────────────────────────────────────────────────────────────────────────────────

_PREFIX = re.compile(
    r"^(?:(?:update|refile|corrected|correction from source|wrapup|exclusive|breaking|breakingviews|brief|rpt|timeline"
    r"|chronology|factbox|analysis|insight|live|instant view|analyst view|view|watch|highlights|explainer|advisory"
    r"|alert)\b[\s\d]*(?:\([^)]*\))?\s*[-:–—|：]+\s*)+",
    re.IGNORECASE,
)
_SUFFIX = re.compile(
    r"\s*(?:[:,|–—]|\s-)\s*(?:[\w.'’ ]{0,30}\b(?:sources?|reports?|officials?|says?|said|website|memo|projects|shows"
    r"|court|lawyer)|more|as it happened|markets wrap|[a-z]+\.com|reuters|bloomberg)\s*$",
    re.IGNORECASE,
)
_MARKED = re.compile("[-:–—|,：]")  # none of these patterns fits a title without one
_PARENTHESIS = re.compile(r"\((?:podcast|update \d|video|audio)\)", re.IGNORECASE)
_BAR = re.compile(r"\s+\|\s+.*$")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_NOT_WORD = re.compile(r"[^\w$.]+|_+|\.(?!\d)|(?<!\d)\.(?=\d)")
_WORD = re.compile(r"[a-z\u00df-\u024f]+|\d+(?:\.\d+)?")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_ZH_NUMBER = re.compile(
    "亚洲|欧洲|美洲|非洲|黄金|国债|第[一二三四五六七八九十]+|[一二三四五六七八九十]+月|周[一二三四五六日]"
)
_CAPITALISED = re.compile(r"[A-Za-z][\w'&.-]*")
_SAME = (("n't", " not"), ("u.s.", "us"), ("u.k.", "uk"), ("'s ", " "), ("pct", "percent"), ("%", " percent"))
_STOP = _words(
    """
    a an the of to in on at for and or as by is are was were be with from that this it its his her their has have had
    after over into amid than says said say will would could may might about more new us u s uk report reports reported
    source sources news how why what who when
    """
)
_COUNTED = {
    word: str(value)
    for words in (
        "zero one two three four five six seven eight nine ten eleven twelve",
        "- first second third fourth fifth sixth seventh eighth ninth tenth",
    )
    for value, word in enumerate(words.split())
}
_DAYS_AND_MONTHS = _words(
    """
    monday mon tuesday tue tues wednesday wed thursday thu thurs friday fri saturday sunday
    january february march april june july august september october november december
    """
)
_OUTCOME = _words("not no never denie deny rejec fail withd aband acqui guilt suspe delay")
_UP = _words("up rise gain highe jump surge climb beat raise upgra incre buy soar rally win profi")
_DOWN = _words("down fall fell loss lower drop slump slide decli miss cut downg decre sell plung tumbl sink lose")


@dataclass(frozen=True, slots=True)
class Title:
    """A title as it is compared. text: folded, without wire prefix, attribution and punctuation."""

    text: str
    tokens: tuple[str, ...]
    numbers: frozenset[str]
    names: frozenset[str] | None  # None where capitals say nothing
    chinese: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """What a title is compared by. Made when it is compared: an index of many thousand titles would need gigabytes to
    keep them. weight: rarity of its words, added up. direction: 1 for words of rising only, -1 of falling only."""

    grams: frozenset[str]
    words: frozenset[str]
    weight: float
    outcome: frozenset[str]
    direction: int


def parts_of(title: Title) -> Parts:
    found = _kept.get(title.text)
    if found is None:
        if len(_kept) >= _KEPT:
            _kept.clear()
        text, words = title.text, frozenset(title.tokens)
        found = _kept[text] = Parts(
            grams=frozenset([text[at : at + _GRAM] for at in range(max(1, len(text) - _GRAM + 1))]),
            words=words,
            weight=sum(map(rarity, words)),
            outcome=words & _OUTCOME,
            direction=(not words.isdisjoint(_UP)) - (not words.isdisjoint(_DOWN)),
        )
    return found


_KEPT = 20_000
_kept: dict[str, Parts] = {}  # a pure function's answers: threads may both work one out


@lru_cache(maxsize=_KEPT)
def _codes(text: str) -> NDArray[np.uint64]:
    """The n-grams as numbers, rising, each once. A character takes 21 bits, so that they are no hashes."""
    points = np.frombuffer(text.ljust(_GRAM, "\0").encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    wide = points.astype(np.uint64)
    joined: NDArray[np.uint64] = (wide[:-2] << np.uint64(42)) | (wide[1:-1] << np.uint64(21)) | wide[2:]
    joined.sort()
    return joined[np.concatenate(([True], joined[1:] != joined[:-1]))]


def normalise(title: str) -> Title:
    wide = title if title.isascii() else unicodedata.normalize("NFKC", title).replace("’", "'").replace("‘", "'")
    shown = _trimmed(wide)
    folded = shown.casefold()
    if "," in folded:
        folded = _THOUSANDS.sub("", folded)
    for old, new in _SAME:
        folded = folded.replace(old, new)
    text = " ".join(_NOT_WORD.sub(" ", folded).split())
    return Title(
        text=text,
        tokens=tuple(_tokens(text)),
        numbers=_numbers(text),
        names=_names(shown),
        chinese=_CJK.search(text) is not None,
    )


def _trimmed(title: str) -> str:
    """Without what a desk puts around a headline: UPDATE 1-, FACTBOX:, (Podcast), ": source"."""
    text = (_PARENTHESIS.sub("", title) if "(" in title else title).strip()
    if _MARKED.search(text) is None:
        return text
    for pattern, least in ((_BAR, 15), (_PREFIX, 8), (_SUFFIX, 12)):
        cut = pattern.sub("", text).strip()
        text = cut if len(cut) >= least else text
    return text


@lru_cache(maxsize=50_000)
def _stem(word: str) -> str:
    """The first five letters: enough to make one of suspend, suspends and suspended."""
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    return word[:5]


def _tokens(text: str) -> list[str]:
    found = [word if word[0].isdigit() else _stem(word) for word in _WORD.findall(text) if word not in _STOP]
    for run in _CJK.findall(text):
        found += [run[at : at + 2] for at in range(max(1, len(run) - 1))]
    return found


def _numbers(text: str) -> frozenset[str]:
    found = set(_NUMBER.findall(text)) | set(_ZH_NUMBER.findall(text))
    words = _WORD.findall(text)
    found.update(_COUNTED[word] for word in words if word in _COUNTED)
    found.update(word[:3] for word in words if word in _DAYS_AND_MONTHS)
    return frozenset(found)


def _names(shown: str) -> frozenset[str] | None:
    """Stems of capitalised words, where the title is in sentence case and capitals therefore mean names."""
    words = _CAPITALISED.findall(shown)
    if sum(word.islower() and len(word) > 3 for word in words[1:]) < 2:
        return None
    return frozenset(
        _stem(word.lower().removesuffix("'s").replace(".", ""))
        for at, word in enumerate(words)
        if word[0].isupper() and (at > 0 or (word.isupper() and len(word) > 1))
    )


# ── how rare a word is ───────────────────────────────────────────────────────────────────────────────────────────

_UNSEEN = 1e-4  # share of titles that a word outside the table is taken to stand in


def _read_rarity() -> dict[str, float]:
    with Path(__file__).with_name("word_rarity.csv").open(encoding="utf-8", newline="") as file:
        return {row["token"]: math.log(1.0 / (int(row["per_million"]) / 1e6 + _UNSEEN)) for row in csv.DictReader(file)}


_RARITY = _read_rarity()
_RAREST = math.log(1.0 / _UNSEEN)


def rarity(token: str) -> float:
    """Inverse document frequency over news titles (Sparck Jones 1972), from about 3 to 9.2."""
    return _RARITY.get(token, _RAREST)


# ── the judgement ────────────────────────────────────────────────────────────────────────────────────────────────

FEATURES = (
    "grams", "contained", "words", "words_contained", "shared", "other_start", "other_names", "apart_in_time", "chinese"
)  # fmt: skip
WEIGHTS = (4.41, 2.9, 2.14, 1.54, 0.35, -2.58, -1.16, -2.33, 2.28)
BIAS = -7.37


_LOGIT = math.log(THRESHOLD / (1.0 - THRESHOLD))
_BY_WORDS = WEIGHTS[2] + WEIGHTS[3] + 4.0 * WEIGHTS[4]  # the most that words can add


_MANY = 12


def worth_comparing(
    title: Title, others: Sequence[Title], seconds_apart: Sequence[float]
) -> list[tuple[int, int | None, float]]:
    """(place, how many n-grams are common, what `same_story` can give at most) of those titles that n-grams and time
    alone do not rule out, in order: the others would come out below THRESHOLD however alike their words are. One pass
    over all, in numpy; a few are quicker looked at one by one, and come back as they are."""
    if len(others) < _MANY:
        return [(place, None, 1.0) for place in range(len(others))]
    mine, theirs = _codes(title.text), [_codes(other.text) for other in others]
    sizes = np.fromiter(map(len, theirs), dtype=np.int64, count=len(theirs))
    codes = np.concatenate(theirs)
    at = np.searchsorted(mine, codes)
    at[at == len(mine)] = 0
    common = np.add.reduceat(mine[at] == codes, np.cumsum(sizes) - sizes, dtype=np.int64)
    few = np.minimum(sizes, len(mine))
    late = np.minimum(np.abs(seconds_apart) / 3600.0, 72.0) / 72.0
    most = BIAS + WEIGHTS[0] * common / (sizes + len(mine) - common) + WEIGHTS[1] * common / few + _BY_WORDS
    most += WEIGHTS[7] * late
    if title.chinese:
        most += WEIGHTS[8]
    elif any(other.chinese for other in others):
        most += WEIGHTS[8] * np.array([other.chinese for other in others])
    kept = np.flatnonzero(most >= _LOGIT - 1e-9)
    highest = 1.0 / (1.0 + np.exp(-most[kept])) + 1e-9
    return list(zip(kept.tolist(), common[kept].tolist(), highest.tolist(), strict=True))


def same_story(one: Title, other: Title, seconds_apart: float = 0.0, common: int | None = None) -> float:
    """Probability from THRESHOLD to 1 that two titles are one story, else 0. common: see `measure`."""
    if not one.text or not other.text:
        return 0.0
    measures = measure(one, other, seconds_apart, common)
    if measures is None:
        return 0.0
    probability = 1.0 / (1.0 + math.exp(-BIAS - sum(w * x for w, x in zip(WEIGHTS, measures, strict=True))))
    return probability if probability >= THRESHOLD else 0.0


def gram_likeness(one: Title, other: Title) -> float:
    """Jaccard similarity of the character n-grams, from 0 to 1."""
    mine, yours = parts_of(one).grams, parts_of(other).grams
    common = len(mine & yours)
    return common / (len(mine) + len(yours) - common)


def measure(one: Title, other: Title, seconds_apart: float, common: int | None = None) -> tuple[float, ...] | None:
    """The measures named in FEATURES; None when the titles are too unlike, or apart whatever the likeness.

    common: how many n-grams both have, where that is known already."""
    if one.numbers != other.numbers and (one.numbers - other.numbers) and (other.numbers - one.numbers):
        return None
    mine, yours = parts_of(one), parts_of(other)
    if _apart(mine, yours):
        return None
    few, many = sorted((len(mine.grams), len(yours.grams)))
    if few < WORTH_A_LOOK * many:
        return None
    if common is None:
        common = len(mine.grams & yours.grams)
    grams = common / (few + many - common)
    if grams < WORTH_A_LOOK or _recurs(one, other, grams, seconds_apart):
        return None
    shared, a, b = sum(map(rarity, mine.words & yours.words)), mine.weight, yours.weight
    named = one.names is not None and other.names is not None
    other_names = named and bool(one.names - yours.words) and bool(other.names - mine.words)  # type: ignore[operator]
    chinese = one.chinese or other.chinese
    return (
        grams,
        common / few,
        shared / math.sqrt(a * b) if a and b else 0.0,
        shared / min(a, b) if a and b else 0.0,
        min(shared, 40.0) / 10.0 * (0.5 if chinese else 1.0),  # a Chinese word is several bigrams
        float(_differ(one.tokens[:1], other.tokens[:1], mine.words, yours.words)),
        float(other_names),
        min(abs(seconds_apart) / 3600.0, 72.0) / 72.0,
        float(chinese),
    )


def _differ(a: tuple[str, ...], b: tuple[str, ...], mine: frozenset[str], yours: frozenset[str]) -> bool:
    """Whether each title has at this place a word that the other does not have at all."""
    return bool(a and b) and a[0] not in yours and b[0] not in mine


def _apart(mine: Parts, yours: Parts) -> bool:
    """One says that it came about and the other does not, or one says up and the other down."""
    if mine.outcome != yours.outcome and not (mine.outcome and yours.outcome):
        return True
    return mine.direction * yours.direction < 0


def _recurs(one: Title, other: Title, grams: float, seconds_apart: float) -> bool:
    """A short title that comes again the next day is a column ("Stocks hitting 52-week highs"), not a story."""
    short = min(len(one.tokens), len(other.tokens)) <= (16 if one.chinese else 5)
    return short and grams > 0.6 and abs(seconds_apart) >= _RECURS_AFTER_S
