"""Use case: has the news, or what the model says of it, moved away from what the model started with?

Once a day the worker compares the last 7 days with a reference span of 28 days and keeps one row. It raises no alert:
a row is for the model page, where a person decides whether the news changed or the model is out of its depth.

The distance of two distributions is the population stability index, PSI = Σ (p − q) · ln(p / q) (Siddiqi 2006,
"Credit Risk Scorecards"; it is Jeffreys' divergence). By convention a PSI under 0.1 is stable, from 0.1 to
0.25 worth a look, above that a shift; the convention knows no sample size, so a PSI that two samples of one
distribution would exceed by chance once in twenty is not called a shift (Yurdakul & Naranjo 2020, "Statistical
properties of the population stability index", J. Risk Model Validation 14: PSI ≈ (1/n + 1/m) · χ² with B − 1 degrees
of freedom for B bins).
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

import numpy as np
from scipy.stats import chi2

from models.labels import TOPICS
from monitor.domain import ArticleQuery
from monitor.store.base import Store

REFERENCE: Final = timedelta(days=28)
RECENT: Final = timedelta(days=7)
WATCH: Final = 0.1
SHIFT: Final = 0.25
MIN_STORIES: Final = 200  # fewer cannot fill ten bins
BINS: Final = 10
MAX_TITLES: Final = 50_000  # titles read for the vocabulary; beyond, an even share of them
KEPT_DAYS: Final = 180
BEAT: Final = "drift"

_FLOOR: Final = 0.5  # half a story in an empty bin, so that the logarithm is finite
_CAP: Final = 10_000  # beyond this the store only says "at least"
_CJK: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD: Final = re.compile(rf"[{_CJK}]+|[^\W\d_{_CJK}]{{2,}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a version started with; frozen once it is known, so that retention cannot move it.

    edges: the inner borders of the score bins, each holding an equal share. scores, topics: stories in each bin and
    of each main topic (in the order of `TOPICS`). unsure, unsupported: shares of articles.
    """

    version: str
    start: datetime
    end: datetime
    stories: int
    edges: tuple[float, ...]
    scores: tuple[int, ...]
    topics: tuple[int, ...]
    unsure: float
    unsupported: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """PSI of two samples; noise: what chance alone would exceed once in twenty. level: stable, watch or shift."""

    psi: float
    noise: float

    @property
    def level(self) -> str:
        if self.psi < WATCH or self.psi <= self.noise:
            return "stable"
        return "watch" if self.psi < SHIFT else "shift"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One day's row. Shares from 0 to 1; None where it cannot be told, and `note` says why.

    new_words: share of word occurrences in recent titles that no title of the reference holds. new_words_usual: the
    same of the reference's last 7 days against the days before them: some words are always new.
    """

    day: date
    version: str
    reference_start: datetime | None = None
    reference_end: datetime | None = None
    stories: int = 0
    scores: Distance | None = None
    topics: Distance | None = None
    unsure: float | None = None
    unsure_reference: float | None = None
    unsupported: float | None = None
    unsupported_reference: float | None = None
    new_words: float | None = None
    new_words_usual: float | None = None
    note: str = ""

    @property
    def level(self) -> str:
        """The worse of the two distances; "unknown" where there is none."""
        levels = [one.level for one in (self.scores, self.topics) if one is not None]
        return max(levels, key=("stable", "watch", "shift").index) if levels else "unknown"


# ── pure ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def distance(reference: Sequence[float], recent: Sequence[float]) -> Distance:
    """PSI of counts in the same bins. Bins that are empty in both are left out. Raises ValueError for another number
    of bins or an empty side."""
    p, q = np.asarray(reference, dtype=float), np.asarray(recent, dtype=float)
    if p.shape != q.shape or p.ndim != 1:
        raise ValueError("both sides need the same bins")
    if p.sum() <= 0 or q.sum() <= 0:
        raise ValueError("both sides need at least one count")
    held = (p + q) > 0
    p, q = np.maximum(p[held], _FLOOR), np.maximum(q[held], _FLOOR)
    noise = float(chi2.ppf(0.95, max(len(p) - 1, 1)) * (1 / p.sum() + 1 / q.sum()))
    p, q = p / p.sum(), q / q.sum()
    return Distance(psi=float(np.sum((q - p) * np.log(q / p))), noise=noise)


def equal_bins(values: Sequence[float], bins: int = BINS) -> tuple[float, ...]:
    """Inner borders of bins with equal shares of the values; fewer where values are many times the same, none empty."""
    held = np.asarray(values, dtype=float)
    edges = np.unique(np.quantile(held, np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf"))
    return tuple(float(edge) for edge in edges if edge < held.max())


def binned(values: Sequence[float], edges: Sequence[float]) -> tuple[int, ...]:
    """How many values fall into each of the `len(edges) + 1` bins; a value on a border belongs to the lower one."""
    places = np.searchsorted(np.asarray(edges, dtype=float), np.asarray(values, dtype=float), side="left")
    return tuple(int(count) for count in np.bincount(places, minlength=len(edges) + 1))


def by_topic(main_topics: Iterable[str]) -> tuple[int, ...]:
    counts = dict.fromkeys(TOPICS, 0)
    for topic in main_topics:
        counts[topic] += 1
    return tuple(counts.values())


def words_of(title: str) -> list[str]:
    """Folded words of a title without digits; of Chinese, Japanese and Korean, pairs of characters."""
    words: list[str] = []
    for piece in _WORD.findall(unicodedata.normalize("NFKC", title).casefold()):
        if re.match(f"[{_CJK}]", piece):
            words += [piece[at : at + 2] for at in range(len(piece) - 1)] or [piece]
        else:
            words.append(piece)
    return words


def share_new(titles: Iterable[str], known: set[str]) -> float | None:
    """Share of word occurrences that are not known; None without words."""
    total = new = 0
    for title in titles:
        for word in words_of(title):
            total += 1
            new += word not in known
    return new / total if total else None


def reference_span(live_since: datetime, now: datetime) -> tuple[datetime, datetime]:
    """The 28 days before the version went live, which it scored when it was promoted; never overlapping the last 7
    days, so in a version's first week the span lies that much earlier."""
    end = min(live_since, now - RECENT)
    return end - REFERENCE, end


# ── doing ────────────────────────────────────────────────────────────────────────────────────────────────────────


def measure_drift(store: Store, now: datetime) -> Drift | None:
    """Measure today and keep the row; gives it, or None without a live model. Measuring twice a day replaces the row.

    The reference is the 28 days before the version went live, or, where these hold too few stories (a new
    installation), its first 28 days.
    """
    live = store.live_model()
    if live is None:
        return None
    version, languages = live
    kept = _kept(store)
    since = min((at for at, served, _, _ in store.model_history() if served == version), default=now)
    reference = _reference_of(kept, version)
    fresh = reference is None
    if reference is None:
        reference = _find_reference(store, version, languages, since, now)
    row = _row(store, now, version, languages, reference, since)
    days = {**kept.get("days", {}), row.day.isoformat(): _plain(row)}
    detail: dict[str, Any] = {"days": dict(sorted(days.items())[-KEPT_DAYS:])}
    if reference is not None and (not fresh or _settled(store, reference, since)):
        detail["reference"] = _plain(reference)
    store.beat(BEAT, now, detail)
    return row


def drift_history(store: Store) -> list[Drift]:
    """The kept rows, oldest first, at most 180 days."""
    return [_drift(plain) for _, plain in sorted(_kept(store).get("days", {}).items())]


def _row(
    store: Store,
    now: datetime,
    version: str,
    languages: Sequence[str],
    reference: Reference | None,
    since: datetime,
) -> Drift:
    start = now - RECENT
    scores, topics = _stories(store, start, now)
    unsure, unsupported = _shares(store, start, now, languages)
    row = Drift(day=now.date(), version=version, stories=len(scores), unsure=unsure, unsupported=unsupported)
    if reference is None:
        first = (since + REFERENCE + RECENT).date().isoformat()
        return replace(
            row, note=f"no reference yet: {MIN_STORIES} scored stories are needed; the next chance is {first}"
        )
    new, usual = _vocabulary(store, reference, start, now)
    row = replace(
        row,
        reference_start=reference.start,
        reference_end=reference.end,
        unsure_reference=reference.unsure,
        unsupported_reference=reference.unsupported,
        new_words=new,
        new_words_usual=usual,
    )
    if len(scores) < MIN_STORIES:
        return replace(row, note=f"only {len(scores)} scored stories in the last 7 days; {MIN_STORIES} are needed")
    return replace(
        row,
        scores=distance(reference.scores, binned(scores, reference.edges)),
        topics=distance(reference.topics, by_topic(topics)),
    )


def _find_reference(
    store: Store, version: str, languages: Sequence[str], since: datetime, now: datetime
) -> Reference | None:
    spans = [reference_span(since, now)]
    if since + REFERENCE <= now - RECENT:
        spans.append((since, since + REFERENCE))
    for start, end in spans:
        scores, topics = _stories(store, start, end)
        if len(scores) < MIN_STORIES:
            continue
        unsure, unsupported = _shares(store, start, end, languages)
        edges = equal_bins(scores)
        return Reference(
            version=version,
            start=start,
            end=end,
            stories=len(scores),
            edges=edges,
            scores=binned(scores, edges),
            topics=by_topic(topics),
            unsure=unsure or 0.0,
            unsupported=unsupported or 0.0,
        )
    return None


def _settled(store: Store, reference: Reference, since: datetime) -> bool:
    """Whether the reference may be frozen: it lies where it belongs, and next to nothing of it still waits."""
    in_place = reference.end == since or reference.start == since
    return in_place and store.unscored_count() * 100 <= reference.stories


def _stories(store: Store, start: datetime, end: datetime) -> tuple[list[float], list[str]]:
    """(scores, main topics) of the span's stories."""
    scores, topics = [], []
    for fact in store.iter_story_facts(start, end):
        scores.append(fact.score)
        topics.append(fact.main_topic)
    return scores, topics


def _shares(
    store: Store, start: datetime, end: datetime, languages: Sequence[str]
) -> tuple[float | None, float | None]:
    """(share unsure among the articles in the model's languages, share in other languages)."""
    total = spoken = 0
    for article in store.recent_articles(start, end):
        total += 1
        spoken += article.language in languages
    unsure = _unsure(store, start, end) / spoken if spoken else None
    return unsure, (total - spoken) / total if total else None


def _unsure(store: Store, start: datetime, end: datetime) -> int:
    """Unsure articles of the span, counted in halves where the store stops counting."""
    _, count = store.search_articles(ArticleQuery(start=start, end=end, unsure_only=True, limit=1, count_to=_CAP))
    if count < _CAP or end - start < timedelta(seconds=2):
        return count
    middle = start + (end - start) / 2
    return _unsure(store, start, middle) + _unsure(store, middle, end)


def _vocabulary(
    store: Store, reference: Reference, start: datetime, end: datetime
) -> tuple[float | None, float | None]:
    """(share of new words now, the same within the reference); None where its articles are no longer kept."""
    turn = reference.end - RECENT
    known = {word for title in _titles(store, reference.start, turn) for word in words_of(title)}
    if not known:
        return None, None
    last = list(_titles(store, turn, reference.end))
    usual = share_new(last, known)
    known.update(word for title in last for word in words_of(title))
    return share_new(_titles(store, start, end), known), usual


def _titles(store: Store, start: datetime, end: datetime) -> Iterable[str]:
    """Titles of the span, an even share of them where there are more than `MAX_TITLES`."""
    _, count = store.search_articles(ArticleQuery(start=start, end=end, limit=1, count_to=_CAP))
    every = 1
    if count >= _CAP:
        every = math.ceil(sum(1 for _ in store.recent_articles(start, end)) / MAX_TITLES)
    for place, article in enumerate(store.recent_articles(start, end)):
        if place % every == 0:
            yield article.title


# ── keeping ──────────────────────────────────────────────────────────────────────────────────────────────────────
# One sign of life named "drift" holds the reference and the days: small (some 400 bytes a day), bounded, unaudited.


def _kept(store: Store) -> dict[str, Any]:
    found = store.beats().get(BEAT)
    return found[1] if found else {}


def _reference_of(kept: Mapping[str, Any], version: str) -> Reference | None:
    plain = kept.get("reference")
    if not plain or plain["version"] != version:
        return None
    times = {name: datetime.fromisoformat(plain[name]) for name in ("start", "end")}
    lists = {name: tuple(plain[name]) for name in ("edges", "scores", "topics")}
    return Reference(**{**plain, **times, **lists})


def _drift(plain: Mapping[str, Any]) -> Drift:
    values = dict(plain)
    values["day"] = date.fromisoformat(values["day"])
    for name in ("reference_start", "reference_end"):
        values[name] = datetime.fromisoformat(values[name]) if values.get(name) else None
    for name in ("scores", "topics"):
        values[name] = Distance(**values[name]) if values.get(name) else None
    return Drift(**values)


def _plain(value: Reference | Drift) -> dict[str, Any]:
    """JSON types; what says nothing is left out."""
    found = {}
    for name, one in asdict(value).items():
        if one is None or one == "":
            continue
        found[name] = one.isoformat() if isinstance(one, date) else list(one) if isinstance(one, tuple) else one
    return found
