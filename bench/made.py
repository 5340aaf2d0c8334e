"""Made news for benchmarks at size: texts from our own word lists, and an endless stream of stories about them.

Nothing of it is news. Everything is drawn with fixed seeds, so that two stores filled with the same numbers are equal.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.sentences import OBJECTS, SUBJECTS, TAILS, VERBS, sentence
from models.labels import TOPICS
from monitor.rollups import HOUR_US, OTHER
from monitor.store.values import us

BLOCK: Final = 300_000  # stories whose rows are made and written at a time
TEXTS: Final = 20_000
CHINESE: Final = 400  # of these texts
GROUP: Final = 6  # stories in a group; the last of them has three articles, so a group has eight
Ints = NDArray[np.int64]

_FIRST = ("Alder", "Brack", "Corren", "Dunmore", "Elswick", "Farrow", "Galder", "Hexham")
_LAST = ("Bank", "Holdings", "Energy", "Motors", "Insurance")
COMPANIES: Final = tuple(f"{first} {last}" for last in _LAST for first in _FIRST)
PUBLISHERS: Final = tuple(
    f"{place} {kind}"
    for kind in ("Wire", "Courier", "Markets Daily", "Ledger", "Review", "Post")
    for place in ("Northgate", "Eastmoor", "Southwell", "Westbrook", "Highfield", "Lowther", "Midvale", "Overton",
                  "Underhill", "Fairhaven")
)  # fmt: skip
FAMILIES: Final = tuple(f"{name.split()[0]} Group" if n < 20 else name for n, name in enumerate(PUBLISHERS))
FOREIGN: Final = 2  # the last publishers write Chinese
_CHINESE = (
    ("某银行", "某券商", "某车企", "监管机构", "央行"),
    ("公布", "否认", "推迟", "确认"),
    ("季度亏损", "债券发行", "收购计划", "裁员"),
)


@dataclass(frozen=True, slots=True)
class Text:
    """One made text with all that a model could say of it."""

    title: str
    summary: str
    language: str
    entity: int | None  # place in COMPANIES
    thousandths: tuple[int, int, int]  # negative, neutral, positive, in 1/1024
    topics: tuple[str, ...]


def texts(seed: int = 17) -> list[Text]:
    """TEXTS made texts, the last CHINESE of them Chinese; always the same for a seed."""
    draw = random.Random(seed)
    made = []
    labels = [topic for topic in TOPICS if topic != OTHER]
    for number in range(TEXTS):
        entity = draw.randrange(len(COMPANIES)) if draw.random() < 0.2 else None
        if number >= TEXTS - CHINESE:
            title, summary, language = "".join(draw.choice(part) for part in _CHINESE), "据公司公告。", "zh"
            entity = None
        else:
            who = COMPANIES[entity] if entity is not None else draw.choice(SUBJECTS).capitalize()
            title = f"{who} {draw.choice(VERBS)} {draw.choice(OBJECTS)} {draw.choice(TAILS)}"
            summary, language = sentence(draw, draw.randint(12, 30)), "en"
        main = draw.choice(labels) if draw.random() > 0.1 else OTHER
        others = [] if main == OTHER else draw.sample([one for one in labels if one != main], draw.choice((0, 0, 1, 2)))
        most = draw.randint(520, 1000)
        rest = draw.randint(0, 1024 - most)
        shares = [rest, 1024 - most - rest]
        top = draw.choices((0, 1, 2), (30, 45, 25))[0]
        shares.insert(top, most)
        made.append(Text(title, summary, language, entity, (shares[0], shares[1], shares[2]), (main, *others)))
    return made


@dataclass(frozen=True, slots=True)
class Block:
    """Rows as columns, oldest first. Stories: `story` (id), `text`, `first` (id of its first article), `published`
    (µs), `size` (1 or 3), `publisher` (place of the first article's). Articles: `article` (id), `of` (index of the
    story in this block), `at` (µs), `by` (publisher)."""

    story: Ints
    text: Ints
    first: Ints
    published: Ints
    size: Ints
    publisher: Ints
    article: Ints
    of: Ints
    at: Ints
    by: Ints


def blocks(articles: int, start: datetime, end: datetime, size: int = BLOCK) -> Iterator[Block]:
    """The made stream, a block of stories at a time; cut between hours, so that a block's hours are its own."""
    groups = max(1, articles // 8)
    first_us, step = us(start), (us(end) - us(start)) / (groups * 8)
    begun = 0
    while begun < groups:
        done = min(groups, begun + max(1, size // GROUP))
        # A group belongs to the block in which its hour begins: move the cut forward to the next hour.
        while done < groups and _hour(first_us, step, done * 8) == _hour(first_us, step, done * 8 - 1):
            done += 1
        yield _block(begun, done, first_us, step)
        begun = done


def _hour(first_us: int, step: float, article: int) -> int:
    return int(first_us + step * article) // HOUR_US


def _block(begun: int, done: int, first_us: int, step: float) -> Block:
    groups = np.arange(begun, done, dtype=np.int64)
    article = (groups[:, None] * 8 + np.arange(8)).ravel()
    within = np.tile(np.array([0, 1, 2, 3, 4, 5, 5, 5]), len(groups))
    of = np.repeat(np.arange(len(groups)) * GROUP, 8) + within
    at = first_us + (step * article).astype(np.int64)
    story = (groups[:, None] * GROUP + np.arange(GROUP)).ravel()
    size = np.tile(np.array([1, 1, 1, 1, 1, 3]), len(groups))
    first = (groups[:, None] * 8 + np.arange(GROUP)).ravel()
    drawn = mixed(story)
    foreign = drawn % 33 == 0
    own, chinese = TEXTS - CHINESE, CHINESE
    which = np.where(foreign, own + (drawn >> 8) % chinese, (drawn >> 8) % own)
    home = len(PUBLISHERS) - FOREIGN
    publisher = np.where(foreign, home + (drawn >> 30) % FOREIGN, (drawn >> 30) % home)
    copy = np.tile(np.array([0, 0, 0, 0, 0, 0, 7, 19]), len(groups))
    by = np.where(foreign[of], publisher[of], (publisher[of] + copy) % home)
    published = at[(groups[:, None] - begun) * 8 + np.arange(GROUP)].ravel()
    return Block(story + 1, which, first + 1, published, size, publisher, article + 1, of, at, by)


def mixed(numbers: Ints) -> Ints:
    """SplitMix64, cut to 62 bits: the same pseudo-random numbers each time."""
    z = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0xD1B54A32D192ED03)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(2)).astype(np.int64)
