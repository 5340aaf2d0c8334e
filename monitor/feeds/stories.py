"""Which articles report the same event: near-duplicate titles within 72 hours, in any language.

Titles are cut into overlapping character n-grams; MinHash signatures (Broder 1997) in bands (locality-sensitive
hashing, Indyk and Motwani 1998) find candidates, and each candidate is then judged on the titles themselves, in
title_match.py. Signatures are computed for many titles at once in numpy, because an archive brings 100,000 of them.

What this does not do: recognise an event told in quite different words. Two stories of one event are then counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from monitor.domain import Article
from monitor.feeds.title_match import LOOSE, Title, gram_likeness, normalise, same_story, worth_comparing

WINDOW = timedelta(hours=72)
REMEMBERED = WINDOW + timedelta(hours=12)
"""How far back an index is kept: a late copy finds the first article of a story that is still open."""
BANDS, ROWS = 28, 3
GRAM = 3
_BUCKET = 12  # newest looked at per band: a headline template fills buckets with thousands that do not match
_CANDIDATES = 120  # and in all; a true copy shares most bands, so it is among them
_SEED = 20_260_101


@dataclass(frozen=True, slots=True)
class Item:
    """What the index needs to know of an article."""

    identity: str
    title: str
    published: datetime
    feed_id: int | None = None


@dataclass(slots=True, eq=False)
class _Entry:
    title: Title
    published: float
    story: str
    first: _Entry | None  # first article of its story; None when it is that itself
    bands: tuple[int, ...]
    feed_id: int | None


class StoryIndex:
    """Articles of a sliding window by story. Not thread-safe: one owner at a time."""

    def __init__(self, window: timedelta = WINDOW) -> None:
        self._window_s = window.total_seconds()
        self._buckets: defaultdict[int, list[_Entry]] = defaultdict(list)
        self._stories: dict[str, _Entry] = {}  # by identity of the article
        self._by_text: dict[str, _Entry] = {}  # the newest article of each title
        self.newest = 0
        """Id of the newest article of the store that this index has heard of: see `monitor.ingest.catch_up`."""

    def __len__(self) -> int:
        return len(self._stories)

    def story_of(self, identity: str) -> str | None:
        entry = self._stories.get(identity)
        return entry.story if entry else None

    def feed_of(self, identity: str) -> int | None:
        """The feed that brought an article of the window; None when it is not known."""
        entry = self._stories.get(identity)
        return entry.feed_id if entry else None

    def prime(self, articles: Iterable[Article]) -> None:
        """Take in stored articles with the stories they have: for a start, and what other processes brought."""
        block: list[Article] = []
        for article in articles:
            if article.identity in self._stories:
                continue
            block.append(article)
            if len(block) == 5_000:
                self._take(block)
                block = []
        self._take(block)

    def assign(self, items: Sequence[Item]) -> list[str]:
        """The story id of each item, in order: of the story it joins, or its own identity for a new one.

        An item that is already there keeps its story, also with another title.
        """
        titles = [normalise(item.title) for item in items]
        found = []
        for item, title, bands in zip(items, titles, _bands(titles), strict=True):
            known = self._stories.get(item.identity)
            found.append(known.story if known else self._place(item, title, bands))
        return found

    def forget_before(self, moment: datetime) -> None:
        """Drop articles published before `moment`."""
        limit = moment.timestamp()
        gone = [identity for identity, entry in self._stories.items() if entry.published < limit]
        if not gone:
            return
        for identity in gone:
            del self._stories[identity]
        self._by_text = {text: entry for text, entry in self._by_text.items() if entry.published >= limit}
        for key in list(self._buckets):
            kept = [entry for entry in self._buckets[key] if entry.published >= limit]
            if kept:
                self._buckets[key] = kept
            else:
                del self._buckets[key]

    def _take(self, articles: Sequence[Article]) -> None:
        titles = [normalise(article.title) for article in articles]
        for article, title, bands in zip(articles, titles, _bands(titles), strict=True):
            if article.identity not in self._stories:
                first = self._stories.get(article.story_id)
                published = article.published.timestamp()
                entry = _Entry(title, published, article.story_id, first, bands, article.feed_id)
                self._add(article.identity, entry)

    def _place(self, item: Item, title: Title, bands: tuple[int, ...]) -> str:
        published = item.published.timestamp()
        best = self._best(title, published, bands) if title.text else None
        if best is None:  # a new story
            entry = _Entry(title, published, item.identity, None, bands, item.feed_id)
        else:
            entry = _Entry(title, published, best.story, best.first or best, bands, item.feed_id)
        self._add(item.identity, entry)
        return entry.story

    def _best(self, title: Title, published: float, bands: tuple[int, ...]) -> _Entry | None:
        """The article that is most surely the same story, within the window of that story's first article."""
        candidates: dict[_Entry, None] = {}  # a set that keeps its order
        equal = self._by_text.get(title.text)
        if equal is not None:
            candidates[equal] = None
        for band in bands:
            if len(candidates) >= _CANDIDATES:
                break
            bucket = self._buckets.get(band)
            if bucket:
                candidates.update(dict.fromkeys(bucket[-_BUCKET:]))
        inside = [entry for entry in candidates if abs(published - (entry.first or entry).published) <= self._window_s]
        apart = [published - entry.published for entry in inside]
        best, best_score = None, 0.0
        for place, common, highest in worth_comparing(title, [entry.title for entry in inside], apart):
            if highest <= best_score:
                continue
            entry = inside[place]
            score = same_story(title, entry.title, apart[place], common)
            if score > best_score and (entry.first is None or gram_likeness(title, entry.first.title) >= LOOSE):
                best, best_score = entry, score
        return best

    def _add(self, identity: str, entry: _Entry) -> None:
        self._stories[identity] = entry
        self._by_text[entry.title.text] = entry
        for band in entry.bands:
            self._buckets[band].append(entry)


# ── signatures ───────────────────────────────────────────────────────────────────────────────────────────────────

_random = np.random.default_rng(_SEED)
# 64-bit odd factors, so that products wrap: without it the smallest hash would win under every function.
_MULTIPLY = _random.integers(1, 2**63, BANDS * ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_ADD = _random.integers(0, 2**63, BANDS * ROWS, dtype=np.uint64)
_BAND_KEY = _random.integers(1, 2**62, (BANDS, ROWS), dtype=np.uint64) | np.uint64(1)
_SHIFT = np.uint64(32)


def _bands(titles: Sequence[Title]) -> list[tuple[int, ...]]:
    """Band keys of each title: two titles of Jaccard similarity s share one with probability 1 - (1 - s^ROWS)^BANDS."""
    found: list[tuple[int, ...]] = []
    for start in range(0, len(titles), 2_000):
        block = [title.text for title in titles[start : start + 2_000]]
        found.extend(_bands_of_block(block))
    return found


def _functions_at_once(hashes: int) -> Iterator[slice]:
    """Hash functions in parts, so that what is worked out at once stays in the processor's cache."""
    step = max(1, min(BANDS * ROWS, 60_000 // max(1, hashes)))
    yield from (slice(start, min(start + step, BANDS * ROWS)) for start in range(0, BANDS * ROWS, step))


def _bands_of_block(texts: Sequence[str]) -> list[tuple[int, ...]]:
    padded = [text if len(text) >= GRAM else text.ljust(GRAM) for text in texts]
    points = np.frombuffer("".join(padded).encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    lengths = np.array([len(text) for text in padded])
    ends = np.cumsum(lengths)
    starts = ends - lengths
    grams = points[: len(points) - GRAM + 1].copy()
    for offset in range(1, GRAM):
        grams = grams * np.uint64(1_000_003) + points[offset : len(points) - GRAM + 1 + offset]
    grams ^= grams >> np.uint64(29)
    grams *= np.uint64(0xBF58476D1CE4E5B9)  # splitmix64's finaliser: near-equal codes must not give near-equal hashes
    grams ^= grams >> _SHIFT
    # A title's own grams only: those that reach into the next title are left out.
    own = np.concatenate([np.arange(s, e - GRAM + 1) for s, e in zip(starts, ends, strict=True)])
    hashes = grams[own]
    offsets = np.concatenate(([0], np.cumsum(lengths - GRAM + 1)[:-1]))
    signature: NDArray[np.uint64] = np.empty((BANDS * ROWS, len(texts)), dtype=np.uint64)
    for part in _functions_at_once(len(hashes)):
        hashed = hashes * _MULTIPLY[part, None]
        hashed += _ADD[part, None]
        hashed >>= _SHIFT
        np.minimum.reduceat(hashed, offsets, axis=1, out=signature[part])
    keyed = signature.T.reshape(len(texts), BANDS, ROWS) * _BAND_KEY
    bands = keyed.sum(axis=2, dtype=np.uint64) ^ np.arange(BANDS, dtype=np.uint64)
    return [tuple(row) for row in bands.tolist()]
