"""Whether two titles report the same event: alike in their characters, and not apart in what changes the event.

"Acme rises 5 %" and "Acme rises 7 %" are almost the same string and not the same story. So likeness alone does not
decide: other numbers, a negation on one side only, or the opposite direction keep two titles apart.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ALIKE = 0.50  # Jaccard of character 3-grams from which two titles are one story
CONTAINED = 0.80  # share of the shorter title that the longer one holds, for a title with a lead attached
CHAINED = 0.30  # likeness to the first title of the story, so that chains do not drift
_CONTAINED_LENGTH = 25  # characters below which containment says nothing
_GRAM = 3

_WIRE_PREFIX = re.compile(
    r"^(?:(?:update|refile|corrected|wrapup|exclusive|breaking|breakingviews|brief|rpt|timeline|factbox|analysis"
    r"|insight|live|just in|watch|correction|advisory|alert|fixed)\b[\s\d]*(?:\([^)]*\))?\s*[-:–—|]+\s*)+",
    re.IGNORECASE,
)
_SOURCE_SUFFIX = re.compile(r"\s+[-–—|]\s+[^-–—|]{2,30}$")
_NOT_WORD = re.compile(r"[^\w%$€£¥.]+|_+|\.(?!\d)|(?<!\d)\.(?=\d)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_NEGATION = _words(
    """
    no not never none without cannot fails failed denies denied deny rejects rejected n't
    """
)
_ZH_NEGATION = re.compile("[不未没無无否非]")
_UP = _words(
    """
    up rise rises rose rising gain gains gained higher jump jumps surge surges surged climb climbs
    climbed beat beats raise raises raised upgrade upgrades upgraded increase increases increased buy
    soar soars rally rallies wins win profit growth tops outperform hike hikes hiked
    """
)
_DOWN = _words(
    """
    down fall falls fell falling loss losses lost lower drop drops dropped slump slumps slide slides
    slid decline declines declined miss misses missed cut cuts lowers lowered downgrade downgrades
    downgraded decrease decreases decreased sell plunge plunges plunged tumble tumbles sink sinks sank
    loses lose contraction underperform
    """
)
_ZH_UP = re.compile("[涨升增盈]|上调|走高|利好|买入")
_ZH_DOWN = re.compile("[跌降减亏]|下调|走低|利空|卖出|下挫")


@dataclass(frozen=True, slots=True)
class Title:
    """A title as it is compared. text: folded, without wire prefix, source suffix and punctuation."""

    text: str
    words: frozenset[str]
    grams: frozenset[str]
    numbers: frozenset[str]
    negated: bool
    direction: int  # 1 up, -1 down, 0 neither or both


def normalise(title: str) -> Title:
    text = unicodedata.normalize("NFKC", title)
    text = _WIRE_PREFIX.sub("", text) or text
    cut = _SOURCE_SUFFIX.sub("", text)
    text = cut if len(cut) >= 20 else text
    text = _THOUSANDS.sub("", text.casefold().replace("’", "'").replace("n't", " not"))
    text = _NOT_WORD.sub(" ", text.replace("'s ", " ")).strip()
    words = frozenset(text.split())
    up = bool(words & _UP) or _ZH_UP.search(text) is not None
    down = bool(words & _DOWN) or _ZH_DOWN.search(text) is not None
    return Title(
        text=text,
        words=words,
        grams=frozenset(text[at : at + _GRAM] for at in range(max(1, len(text) - _GRAM + 1))),
        numbers=frozenset(_NUMBER.findall(text)),
        negated=bool(words & _NEGATION) or _ZH_NEGATION.search(text) is not None,
        direction=int(up) - int(down),
    )


def same_story(one: Title, other: Title, *, chained: bool = False) -> float:
    """How alike two titles are, from 0 (apart) to 1 (equal). `chained` asks only for loose likeness."""
    if not one.text or not other.text:
        return 0.0
    if one.text == other.text:
        return 1.0
    common = len(one.grams & other.grams)
    alike = common / (len(one.grams) + len(other.grams) - common)
    if chained:
        return alike if alike >= CHAINED else 0.0
    shorter = min(len(one.grams), len(other.grams))
    contained = common / shorter if shorter >= _CONTAINED_LENGTH else 0.0
    if alike < ALIKE and contained < CONTAINED:
        return 0.0
    if _apart(one, other):
        return 0.0
    return max(alike, 0.9 * contained)


def _apart(one: Title, other: Title) -> bool:
    if one.negated != other.negated or one.direction * other.direction < 0:
        return True
    return bool(one.numbers and other.numbers) and not (one.numbers <= other.numbers or other.numbers <= one.numbers)
