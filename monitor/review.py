"""Use case: what analysts should look at next, and what their verdicts are good for.

The queue shows the texts on which a verdict teaches most. Verdicts become labelled rows for training and for the gate,
and say how often alerts were right. It writes nothing to the store: a verdict is saved where it is given.
"""

from __future__ import annotations

import csv
import heapq
import io
import math
import os
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

from models.backend import Prediction
from models.labels import SENTIMENTS
from monitor.domain import ArticleQuery, ScoredArticle, Verdict
from monitor.store.base import Store

SPAN: Final = timedelta(days=14)
POOL: Final = 500  # unsure articles looked at, newest first: the queue must not cost more as the store grows
LABEL_COLUMNS: Final = ("text", "summary", "sentiment", "topics")
_ARTICLE: Final = "article:"
_ALERT: Final = "alert:"

# Reasons that speak of the label. The others (wrong company, not material, duplicate, expected) speak of the alert or
# the mention: a verdict "wrong" for one of them does not say that the sentiment was.
_ABOUT_LABEL: Final = ("", "not_negative")

T = TypeVar("T", bound=Hashable)


# ── verdicts become labels ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What the analysts together say of one text. sentiment None or topics empty: they do not say.

    contested: as many say one thing as another, so that nothing holds.
    """

    sentiment: str | None
    topics: tuple[str, ...]
    contested: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRow:
    """One article with the analysts' label, in the words that it had when they judged it."""

    article_id: int
    language: str
    at: datetime  # of the last verdict
    title: str
    summary: str
    sentiment: str | None
    topics: tuple[str, ...]


def settle(verdicts: Sequence[Verdict], shown: Mapping[datetime, Prediction | None]) -> Label:
    """The label on which the analysts agree, by simple majority of each one's last verdict. Pure.

    verdicts: of one text, oldest first. shown: by the verdict's time, the prediction that it was given on; a bare
    "right" confirms that prediction, and says nothing where it is no longer known.
    """
    last = {verdict.actor: verdict for verdict in verdicts}
    sentiments: list[str] = []
    topics: list[tuple[str, ...]] = []
    against = 0
    for verdict in last.values():
        seen = shown.get(verdict.at)
        said = verdict.sentiment or (seen.sentiment if verdict.right and seen else None)
        if verdict.reason == "not_negative" and said == "negative":
            said = None  # the form's preset, left as it was
        if said:
            sentiments.append(said)
        elif not verdict.right and verdict.reason in _ABOUT_LABEL and not verdict.topics:
            against += 1
        named = verdict.topics or (seen.topics if verdict.right and seen else ())
        if named:
            topics.append(named)
    sentiment, split = _majority(sentiments)
    if sentiment is not None and against >= sentiments.count(sentiment):
        sentiment, split = None, True
    chosen, split_topics = _majority(topics)
    if split_topics and len({one[0] for one in topics}) == 1:
        # One main topic, different company: what all of them name is agreed on.
        chosen, split_topics = tuple(t for t in topics[0] if all(t in other for other in topics)), False
    return Label(sentiment=sentiment, topics=chosen or (), contested=split or split_topics)


def labelled_rows(store: Store) -> list[LabelledRow]:
    """Every article on whose label the analysts agree, oldest verdict first. Articles that are gone are left out."""
    switches = _switches(store)
    found = []
    for article_id, verdicts in _by_article(store).items():
        scored = store.article(article_id)
        if scored is None:
            continue
        at = verdicts[-1].at
        title, summary = _text_at(store, scored, at)
        same = [v for v in verdicts if _text_at(store, scored, v.at) == (title, summary)]
        label = settle(same, _shown(scored, same, switches, (title, summary)))
        if label.sentiment or label.topics:
            found.append(
                LabelledRow(
                    article_id=article_id,
                    language=scored.article.language,
                    at=at,
                    title=title,
                    summary=summary,
                    sentiment=label.sentiment,
                    topics=label.topics,
                )
            )
    return sorted(found, key=lambda row: (row.at, row.article_id))


def labels_csv(rows: Iterable[LabelledRow]) -> str:
    """The rows as training and evaluation read them: columns text, summary, sentiment, topics (joined by |)."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(LABEL_COLUMNS)
    writer.writerows((row.title, row.summary, row.sentiment or "", "|".join(row.topics)) for row in rows)
    return text.getvalue()


def export_verdicts(store: Store, path: Path | str) -> int:
    """Write the labelled rows as a CSV file that training and evaluation read; gives how many rows.

    Columns text, summary, sentiment, topics (joined by |), UTF-8. The file appears whole or not at all. Raises OSError
    when the place cannot be written to.
    """
    target = Path(path)
    rows = labelled_rows(store)
    partial = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        partial.write_text(labels_csv(rows), encoding="utf-8", newline="")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return len(rows)


# ── the queue ────────────────────────────────────────────────────────────────────────────────────────────────────


class Doubt(StrEnum):
    VERDICTS = "verdicts"  # analysts contradict each other
    STORY = "story"  # copies of one story were given different sentiments
    UNSURE = "unsure"  # the model says so itself


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewItem:
    """One text to look at. amount: how doubtful, from 0 to 1, for the order; says: the sentiments that compete."""

    scored: ScoredArticle
    doubt: Doubt
    amount: float
    says: tuple[str, ...]


def review_queue(store: Store, now: datetime, limit: int = 50, *, span: timedelta = SPAN) -> list[ReviewItem]:
    """Contradicting verdicts first, then the least sure and most disputed texts of the span, one for each story.

    The doubt of an unsure text is 1 minus the lead of its first sentiment over its second (margin sampling, Settles
    2009, "Active Learning Literature Survey"); that of a disputed story is half the distance of its outermost scores.
    A text with a verdict is done, unless verdicts contradict. Looks at the newest 500 unsure articles and at the
    stories with the least sure mean.
    """
    judged = _by_article(store)
    items = _contested(store, judged)
    taken = {item.scored.article.story_id for item in items}
    pool = [*_disputed(store, now, judged, limit, span), *_unsure(store, now, judged, span)]
    for item in sorted(pool, key=lambda one: (-one.amount, one.scored.article.id)):
        if item.scored.article.story_id not in taken:
            taken.add(item.scored.article.story_id)
            items.append(item)
    return items[:limit]


def _contested(store: Store, judged: Mapping[int, Sequence[Verdict]]) -> list[ReviewItem]:
    switches = _switches(store)
    items = []
    for article_id, verdicts in judged.items():
        if len({verdict.actor for verdict in verdicts}) < 2:
            continue
        scored = store.article(article_id)
        if scored is None:
            continue
        now = (scored.article.title, scored.article.summary)
        same = [v for v in verdicts if _text_at(store, scored, v.at) == now]
        if settle(same, _shown(scored, same, switches, now)).contested:
            says = tuple(sorted({v.sentiment for v in same if v.sentiment}, key=SENTIMENTS.index))
            items.append(ReviewItem(scored=scored, doubt=Doubt.VERDICTS, amount=1.0, says=says))
    return items


def _disputed(
    store: Store, now: datetime, judged: Mapping[int, Sequence[Verdict]], limit: int, span: timedelta
) -> list[ReviewItem]:
    several = (fact for fact in store.iter_story_facts(now - span, now) if fact.articles > 1)
    items = []
    # Copies that disagree pull the story's mean probabilities together, so its confidence is low.
    for fact in heapq.nsmallest(4 * limit, several, key=lambda fact: fact.confidence):
        copies = [one for one in store.story_articles(fact.story_id) if one.prediction is not None]
        said = {one.prediction.sentiment for one in copies if one.prediction}
        scores = [one.prediction.score for one in copies if one.prediction]
        unjudged = [one for one in copies if one.article.id not in judged]
        if len(said) < 2 or not unjudged:
            continue
        least = min(unjudged, key=lambda one: one.prediction.confidence if one.prediction else 1.0)
        amount = (max(scores) - min(scores)) / 2
        says = tuple(sorted(said, key=SENTIMENTS.index))
        items.append(ReviewItem(scored=least, doubt=Doubt.STORY, amount=amount, says=says))
    return items


def _unsure(store: Store, now: datetime, judged: Mapping[int, Sequence[Verdict]], span: timedelta) -> list[ReviewItem]:
    query = ArticleQuery(start=now - span, end=now, unsure_only=True, limit=POOL, count_to=0)
    items = []
    for scored in store.search_articles(query)[0]:
        prediction = scored.prediction
        if prediction is None or scored.article.id in judged:
            continue
        triple = dict(
            zip(SENTIMENTS, (prediction.p_negative, prediction.p_neutral, prediction.p_positive), strict=True)
        )
        first, second = sorted(SENTIMENTS, key=lambda name: -triple[name])[:2]
        amount = 1 - (triple[first] - triple[second])
        items.append(ReviewItem(scored=scored, doubt=Doubt.UNSURE, amount=amount, says=(first, second)))
    return items


# ── how often alerts were right ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertWeek:
    """Alerts opened in the seven days from `start` (a Monday, UTC). right of judged; the interval is 95 %."""

    start: datetime
    alerts: int
    judged: int
    right: int
    low: float | None
    high: float | None

    @property
    def precision(self) -> float | None:
        return self.right / self.judged if self.judged else None


def alert_precision(store: Store, now: datetime, *, weeks: int = 12, rule: str | None = None) -> list[AlertWeek]:
    """Week by week, oldest first and without gaps, the present week last; precision is None in a week without verdicts.
    rule: only the alerts of that rule that were told, none that another one explains.

    A verdict holds by majority of each analyst's last one; where they are even it does not count. Judged alerts are no
    random sample (people judge what annoyed them), so this is what the desk found, not an unbiased estimate.
    """
    this_week = _monday(now)
    first = this_week - timedelta(weeks=weeks - 1)
    by_alert: dict[int, dict[str, bool]] = {}
    for verdict in store.verdicts(_ALERT):
        number = verdict.subject.removeprefix(_ALERT)
        if number.isdecimal():
            by_alert.setdefault(int(number), {})[verdict.actor] = verdict.right
    counts = {first + timedelta(weeks=k): [0, 0, 0] for k in range(weeks)}
    for alert in store.alerts(since=first, limit=100_000):
        week = counts.get(_monday(alert.opened_at))
        if week is None or (rule is not None and (alert.rule != rule or alert.inhibited_by is not None)):
            continue
        votes = list(by_alert.get(alert.id, {}).values()) or ([alert.verdict == "right"] if alert.verdict else [])
        right, _ = _majority(votes)
        week[0] += 1
        week[1] += right is not None
        week[2] += right is True
    return [
        AlertWeek(start=start, alerts=n, judged=judged, right=right, low=low, high=high)
        for start, (n, judged, right) in counts.items()
        for low, high in [wilson(right, judged)]
    ]


def wilson(right: int, n: int) -> tuple[float | None, float | None]:
    """95 % interval of a share (Wilson 1927, "Probable inference", J. Am. Stat. Assoc. 22); (None, None) without n."""
    if not n:
        return None, None
    z = 1.959963984540054
    share, spread = right / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _by_article(store: Store) -> dict[int, list[Verdict]]:
    """Article id → its verdicts, oldest first."""
    found: dict[int, list[Verdict]] = {}
    for verdict in store.verdicts(_ARTICLE):
        number = verdict.subject.removeprefix(_ARTICLE)
        if number.isdecimal():
            found.setdefault(int(number), []).append(verdict)
    return found


def _text_at(store: Store, scored: ScoredArticle, at: datetime) -> tuple[str, str]:
    """Title and summary as they stood at a time: a feed may have changed them since."""
    text = (scored.article.title, scored.article.summary)
    for replaced, title, summary in store.revisions(scored.article.id):  # newest first
        if replaced <= at:
            break
        text = (title, summary)
    return text


def _switches(store: Store) -> list[tuple[datetime, str]]:
    """(from when, version) of the live model, newest first."""
    return [(at, version) for at, version, _, _ in store.model_history()]


def _shown(
    scored: ScoredArticle,
    verdicts: Iterable[Verdict],
    switches: Sequence[tuple[datetime, str]],
    text: tuple[str, str],
) -> dict[datetime, Prediction | None]:
    """The predictions that verdicts were given on. The store keeps the live one: for a verdict from another version's
    time, or on an earlier wording, it is not known."""
    prediction = scored.prediction
    if prediction is None or text != (scored.article.title, scored.article.summary):
        return {}
    known: dict[datetime, Prediction | None] = {}
    for verdict in verdicts:
        live = next((version for since, version in switches if since <= verdict.at), None)
        known[verdict.at] = prediction if live == prediction.model_version else None
    return known


def _majority(votes: Sequence[T]) -> tuple[T | None, bool]:
    """(what most say, False), (None, True) when two lead together, (None, False) without votes."""
    ranked = Counter(votes).most_common(2)
    if not ranked:
        return None, False
    if len(ranked) > 1 and ranked[0][1] == ranked[1][1]:
        return None, True
    return ranked[0][0], False


def _monday(moment: datetime) -> datetime:
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday())
