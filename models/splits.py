"""Which rows are trained on, tuned on and tested on: by story across all corpora, and by time.

Stories are near-duplicate titles: candidate pairs from MinHash over word pairs, confirmed by their true Jaccard
similarity, joined transitively. A story's split is a hash of its smallest text, so it is stable when corpora are added.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Literal

from models.dataset import Example, normalise

Split = Literal["train", "dev", "test", "later"]

SAME_STORY: Final = 0.6
"""Jaccard similarity of word pairs from which two titles tell one story."""
TEST_SHARE: Final = 0.10
DEV_SHARE: Final = {"product": 0.08, "auxiliary": 0.03}
"""The product's development part is larger: temperatures, thresholds and the unsure band are fitted on it."""
LATER_SHARE: Final = 0.03
"""Newest share of the dated product headlines, held out as a block: the split by time."""


def _word_pairs(text: str) -> frozenset[bytes]:
    words = normalise(text).split()
    pairs = words if len(words) < 4 else [f"{a} {b}" for a, b in pairwise(words)]
    return frozenset(pair.encode() for pair in pairs)


def story_ids(texts: Sequence[str]) -> list[int]:
    """One story number per text: near-duplicates share it. Numbers are the position of the story's first text."""
    from datasketch import MinHash, MinHashLSH

    unique: dict[frozenset[bytes], int] = {}
    keys = [_word_pairs(text) for text in texts]
    for position, key in enumerate(keys):
        unique.setdefault(key, position)
    distinct = [key for key in unique if key]
    parent = list(range(len(distinct)))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    index = MinHashLSH(threshold=0.5, num_perm=64)
    for number, sketch in enumerate(MinHash.generator(list(distinct), num_perm=64, seed=7)):
        for other in index.query(sketch):
            a, b = distinct[number], distinct[other]
            if len(a & b) >= SAME_STORY * len(a | b):
                parent[root(number)] = root(other)
        index.insert(number, sketch)
    first: dict[int, int] = {}
    story: dict[frozenset[bytes], int] = {}
    for number, key in enumerate(distinct):
        story[key] = first.setdefault(root(number), unique[key])
    return [story.get(key, unique[key]) for key in keys]


def assign_splits(examples: Sequence[Example], product_names: Sequence[str] = ("headlines",)) -> list[Split]:
    """One split per example.

    `later` is the newest LATER_SHARE of the dated product rows; a story that reaches into a held-out part is not
    trained on in any corpus. Undated rows are split by story only.
    """
    stories = story_ids([example.text for example in examples])
    anchors: dict[int, str] = {}
    for example, story in zip(examples, stories, strict=True):
        text = normalise(example.text)
        anchors[story] = min(anchors.get(story, text), text)
    product = set(product_names)
    dates = sorted(e.meta["published"][:10] for e in examples if e.source in product and e.meta.get("published"))
    border = dates[int(len(dates) * (1 - LATER_SHARE))] if dates else "9999"
    later = {
        story
        for example, story in zip(examples, stories, strict=True)
        if example.source in product and example.meta.get("published", "")[:10] > border
    }
    draw = {
        story: int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
        for story, text in anchors.items()
    }
    product_stories = {story for example, story in zip(examples, stories, strict=True) if example.source in product}
    result: list[Split] = []
    for example, story in zip(examples, stories, strict=True):
        share = DEV_SHARE["product" if story in product_stories else "auxiliary"]
        if story in later:
            newest = example.source in product and example.meta.get("published", "")[:10] > border
            result.append("later" if newest else "test")
        elif draw[story] < TEST_SHARE:
            result.append("test")
        elif draw[story] < TEST_SHARE + share:
            result.append("dev")
        else:
            result.append("train")
    return result


def apart_from(rows: Sequence[Example], examples: Sequence[Example]) -> list[Example]:
    """Those of `rows` whose story is told by none of `examples`."""
    stories = story_ids([example.text for example in (*examples, *rows)])
    taken = set(stories[: len(examples)])
    return [row for row, story in zip(rows, stories[len(examples) :], strict=True) if story not in taken]
