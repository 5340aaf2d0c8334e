"""A real news stream for the benchmarks of alerts: a dated corpus as story facts with sentiment, topics and companies.

The corpus comes from the folder named by HEADWIND_CORPORA. Sentiment and topics come from the live checkpoint where
one is shipped (scored once, kept in bench/.work/), else from the Loughran-McDonald word list and a few topic words;
which of the two is part of every result.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from monitor.domain import DateQuality, StoryFact

WORK = Path(__file__).parent / ".work"

WATCHLIST = {
    "AIG": "AIG|American International Group",
    "Alcoa": "Alcoa",
    "Amazon": "Amazon",
    "Apple": "Apple",
    "Bank of America": "Bank of America|BofA",
    "Bear Stearns": "Bear Stearns",
    "BHP": "BHP",
    "Boeing": "Boeing",
    "BP": "BP",
    "Chrysler": "Chrysler|Fiat",
    "Citigroup": "Citigroup|Citi",
    "China": "China|Chinese",
    "Dell": "Dell",
    "Deutsche Bank": "Deutsche Bank",
    "Exxon": "Exxon",
    "Facebook": "Facebook",
    "Fannie Mae": "Fannie Mae|Fannie|Freddie Mac|Freddie",
    "Ford": "Ford",
    "General Electric": "General Electric|GE",
    "General Motors": "General Motors|GM",
    "Goldman Sachs": "Goldman Sachs|Goldman",
    "Google": "Google",
    "Greece": "Greece|Greek",
    "HSBC": "HSBC",
    "Hewlett-Packard": "Hewlett-Packard|HP",
    "Intel": "Intel",
    "Ireland": "Ireland|Irish",
    "Italy": "Italy|Italian",
    "Japan": "Japan|Japanese",
    "JPMorgan": "JPMorgan|JP Morgan",
    "Knight Capital": "Knight Capital",
    "Lehman": "Lehman",
    "Merrill Lynch": "Merrill",
    "MF Global": "MF Global",
    "Microsoft": "Microsoft",
    "Morgan Stanley": "Morgan Stanley",
    "Olympus": "Olympus",
    "Spain": "Spain|Spanish",
    "Toyota": "Toyota",
    "UBS": "UBS",
}
"""Companies and countries that the corpora of 2006 to 2020 write about; matched on word boundaries in the title."""

_TOPIC_WORDS = {
    "market_move": "stocks shares wall street dow nasdaq index futures rally dollar yen euro markets",
    "macro_policy": "fed ecb boe rates inflation economy gdp unemployment central bernanke budget tax",
    "credit_distress": "bankruptcy default insolvency lehman bailout restructuring debt bankrupt",
    "credit_rating": "rating downgrade moody's fitch downgrades",
    "earnings_guidance": "profit earnings quarter results forecast outlook revenue profits loss",
    "mergers_ownership": "merger deal bid takeover stake buy acquire unit",
    "commodities_property": "oil gold crude opec housing home copper grain",
    "geopolitics_trade": "trade tariff iran war sanctions election talks brexit",
    "regulation_enforcement": "sec regulator probe fine antitrust rules",
    "litigation": "lawsuit sues court judge sued",
    "labour_environment": "strike layoffs jobs virus coronavirus outbreak quake spill",
    "analyst_opinion": "analyst analysts upgrade",
    "capital_actions": "ipo dividend buyback bond bonds offering",
    "governance_people": "ceo board chairman cfo",
    "business_operations": "plant launch sales product contract recall",
    "liquidity_funding": "liquidity funding credit repo",
    "fraud_crime": "fraud bribery madoff laundering insider",
    "cyber_resilience": "hackers outage cyber breach",
    "conduct_customers": "customers privacy complaints",
}
_FALLS = (
    "fall falls fell drop drops plunge plunges slump slumps tumble tumbles sink sinks slide slides fears fear cuts cut "
    "lower weak woes hit hits probe slashes crisis worst warns virus coronavirus"
)


def stories(
    corpora: Path,
    corpus: str,
    sentiment: str = "auto",
    limit: int | None = None,
    span: tuple[str, str] = ("", "9"),
) -> tuple[list[StoryFact], str]:
    """(story facts oldest first, what scored them). sentiment: model, lexicon, or auto. span: ISO dates."""
    rows = list(_rows(corpora / corpus / f"{corpus}.csv.gz", span))[: limit or None]
    classifier = _classifier() if sentiment in ("auto", "model") else None
    if classifier is None and sentiment == "model":
        raise SystemExit("bench: no checkpoint is shipped yet; use --sentiment lexicon")
    if classifier is None:
        scored, scorer = by_words(corpora, rows), "word list"
    else:
        scored, scorer = _by_model(classifier, f"{corpus}.{span[0]}.{span[1]}", rows), classifier.version
    who = {name: re.compile(rf"\b(?:{pattern})\b") for name, pattern in WATCHLIST.items()}
    facts = []
    for number, ((row, at, quality), (p_negative, p_positive, topics)) in enumerate(zip(rows, scored, strict=True)):
        sentiments = {"negative": p_negative, "positive": p_positive, "neutral": 1 - p_negative - p_positive}
        facts.append(
            StoryFact(
                story_id=str(number),
                hour=at.replace(minute=0, second=0, microsecond=0),
                published=at,
                sentiment=max(sentiments, key=sentiments.__getitem__),
                score=p_positive - p_negative,
                p_negative=p_negative,
                confidence=max(sentiments.values()),
                main_topic=topics[0],
                topics=topics,
                entities=tuple(name for name, pattern in who.items() if pattern.search(row["title"])),
                publishers=(row["source"],),
                families=(row["source"],),
                languages=("en",),
                articles=1,
                counts=True,
                date_quality=quality,
                title=row["title"],
                first_seen=at,
            )
        )
    facts.sort(key=lambda fact: fact.published)
    return facts, scorer


def _rows(path: Path, span: tuple[str, str]) -> Iterator[tuple[dict[str, str], datetime, DateQuality]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if not span[0] <= row["published"] < span[1]:
                continue
            at = datetime.fromisoformat(row["published"])
            exact = "T" in row["published"]
            moment = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
            yield row, moment, DateQuality.EXACT if exact else DateQuality.DAY


def _classifier() -> Any | None:
    from models import registry

    if not registry.available():
        return None
    return registry.open_classifier(None, threads=1)


Scored = tuple[float, float, tuple[str, ...]]


def _by_model(classifier: Any, name: str, rows: Sequence[Any]) -> list[Scored]:
    """Titles through the checkpoint, in blocks that are kept: a stopped run goes on where it was. Titles only, since
    the corpora cut their summaries at different lengths."""
    WORK.mkdir(exist_ok=True)
    found: list[Scored] = []
    size = 2000
    for start in range(0, len(rows), size):
        kept = WORK / f"{name}.{classifier.version}.{start}.npz"
        if not kept.exists():
            said = classifier.predict([row["title"] for row, _, _ in rows[start : start + size]])
            np.savez(
                kept,
                p=np.array([(s.p_negative, s.p_positive) if s else (0.0, 0.0) for s in said], dtype=np.float32),
                topics=np.array(["|".join(s.topics) if s else "other" for s in said]),
            )
        with np.load(kept) as block:
            found += [
                (float(p[0]), float(p[1]), tuple(str(topics).split("|")))
                for p, topics in zip(block["p"], block["topics"], strict=True)
            ]
    return found


def by_words(corpora: Path, rows: Sequence[Any]) -> list[Scored]:
    negative, positive = set(_FALLS.split()), set()
    with (corpora / "loughran_mcdonald" / "lm_1993_2021_negative_positive.csv").open(encoding="utf-8") as lines:
        for entry in csv.DictReader(lines):
            if int(entry["negative"]) > 0:
                negative.add(entry["word"])
            if int(entry["positive"]) > 0:
                positive.add(entry["word"])
    topic_words = {topic: set(words.split()) for topic, words in _TOPIC_WORDS.items()}
    found: list[Scored] = []
    for row, _, _ in rows:
        words = re.findall(r"[a-z']+", row["title"].lower())
        bad, good = sum(w in negative for w in words), sum(w in positive for w in words)
        topics = tuple(t for t, own in topic_words.items() if own.intersection(words))[:3] or ("other",)
        found.append((0.9, 0.05, topics) if bad > good else (0.05, 0.9, topics) if good > bad else (0.1, 0.1, topics))
    return found
