"""How well mentions are found: precision and recall on the entity spans of SEntFiN and FinEntity, and on our own cases.

    HEADWIND_CORPORA=… python -m bench.mentions

The watchlist is every company or institution that a corpus labels in at least `LEAST` texts, by the one name the corpus
gives it. SEntFiN also labels markets, sectors, goods, currencies and places ("stocks", "pharma", "India"), which nobody
watches as a company: names that the corpus also writes small, or that hold one of the words of `GENERIC`, are left out.
A mention is right when the corpus labels the entity in that text, or a longer name around it; `strict` counts only the
former. What is wrong by that count can be printed and read: a corpus labels whom a sentence judges, not whom it names.

Beside it stands a precision by reading. Of the half of SEntFiN that nobody looked at while the rules were written, 450
mentions were drawn in two draws from what the matcher found before and after them, and read: does the headline name
that company or institution (its brand, its usual short form or its local arm count), or another company of the group, a
person, a word? bench/labels/mention_verdicts.csv holds hashes of headline and name with the verdict, never a text.
Intervals are Wilson's, 95 %.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from monitor.domain import Entity
from monitor.entities.matcher import Matcher

LEAST = 2
GENERIC = frozenset(
    """
    africa aluminium america american asia asian aussie australia aviation bank bankers banking banks bond bonds bourse
    bourses brazil brent britain bullion capital caps cement chana china chinese coal coffee commodities commodity
    companies consumer copper cotton crude currencies currency d-street dalal diesel discretionary dollar domestic dow
    emerging energy equities equity etf etfs euro europe european eurozone financials forex french fund funds futures fx
    german germany global gold goods government greece healthcare hong hotel india indian indices indonesia
    infrastructure iron it italy ixic japan japanese kong korea korean large lead london major malaysia market markets
    mcap metal metals mid mid-cap midcap midcaps mining mutual nasdaq nbfcs nickel nifty oil omcs pharma philippines
    pound power psbs psu psus re real realty retail ringgit rubber rupee russia russian s&p sector securities sensex
    shares silver singapore small smallcap smallcaps spain spx steel sterling stock stocks street sugar swiss tax-free
    tech telecom textile thai thailand treasuries treasury turkey uk us wall wheat won yen yields yuan zinc 10-year
    """.split()  # noqa: SIM905
)
OWN = Path(__file__).parent / "labels" / "mention_cases.csv"
READ = Path(__file__).parent / "labels" / "mention_verdicts.csv"


def sentfin(folder: Path) -> Iterator[tuple[str, set[str]]]:
    with (folder / "sentfin" / "sentfin.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield row["text"], set(json.loads(row["entities"]))


def finentity(folder: Path) -> Iterator[tuple[str, set[str]]]:
    with (folder / "finentity" / "finentity.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield row["text"], {span["entity"] for span in json.loads(row["entities"])}


def is_name(entity: str, counts: Counter[str]) -> bool:
    words = entity.casefold().split()
    return len(entity) > 1 and entity != entity.lower() and not counts[entity.lower()] and not GENERIC & set(words)


def measure(name: str, texts: list[tuple[str, set[str]]], show: int) -> set[str]:
    """Prints the figures; gives the keys of the mentions."""
    counts = Counter(entity for _, entities in texts for entity in entities)
    watched = sorted(entity for entity, count in counts.items() if count >= LEAST and is_name(entity, counts))
    entities = [Entity(id=number, name=entity) for number, entity in enumerate(watched)]
    matcher = Matcher(entities)
    found = strict = right = wanted = recalled = 0
    wrong: list[tuple[str, str]] = []
    keys: set[str] = set()
    for text, labelled in texts:
        names = {watched[mention.entity_id] for mention in matcher.mentions(text)}
        labelled_lower = {one.casefold() for one in labelled}
        wanted += len(labelled & set(watched))
        recalled += sum(one.casefold() in {n.casefold() for n in names} for one in labelled & set(watched))
        for mentioned in names:
            found += 1
            keys.add(key_of(text, mentioned))
            exact = mentioned.casefold() in labelled_lower
            strict += exact
            part = any(re.search(rf"\b{re.escape(mentioned)}\b", one, re.IGNORECASE) for one in labelled)
            right += exact or part
            if not (exact or part):
                wrong.append((mentioned, text))
    print(
        f"{name}: {len(texts)} texts, {len(watched)} watched names, {found} mentions: "
        f"precision {share(right, found)}, strict {share(strict, found)}, recall {share(recalled, wanted)}"
    )
    for mentioned, text in wrong[:: max(1, len(wrong) // show)][:show] if show else []:
        print(f"   {mentioned} | {text[:150]}")
    return keys


def by_reading(found: set[str]) -> None:
    """Precision over the mentions that were drawn and read, of those that the matcher finds; what it no longer finds
    although it is named is told beside it."""
    with READ.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for title, draws in (("both draws", "12"), ("second draw", "2")):
        verdicts = {row["mention"]: row["named"] == "yes" for row in rows if row["draw"] in draws}
        kept = [named for mention, named in verdicts.items() if mention in found]
        named = sum(verdicts.values())
        print(
            f"   by reading, {title} ({len(verdicts)}): precision {share(sum(kept), len(kept))}, "
            f"of those that name it {share(sum(kept), named)} are found"
        )


def key_of(text: str, name: str) -> str:
    return hashlib.sha1(f"{text}\n{name}".encode()).hexdigest()[:16]


def share(part: int, whole: int) -> str:
    """A share with Wilson's interval."""
    if not whole:
        return "-"
    z, p = 1.959964, part / whole
    middle, root = p + z * z / (2 * whole), z * math.sqrt(p * (1 - p) / whole + z * z / (4 * whole * whole))
    low, high = ((middle + sign * root) / (1 + z * z / whole) for sign in (-1, 1))
    return f"{p:.3f} ({low:.3f} to {high:.3f})"


def own_cases(show: int) -> None:
    """Hand-written headlines with names that are words too. Columns: name, aliases, ticker, text, named (yes or no)."""
    with OWN.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    hits = misses = false = 0
    for row in rows:
        entity = Entity(
            id=1, name=row["name"], aliases=tuple(filter(None, row["aliases"].split("|"))), ticker=row["ticker"] or None
        )
        named, expected = bool(Matcher([entity]).mentions(row["text"])), row["named"] == "yes"
        hits += named and expected
        misses += expected and not named
        false += named and not expected
        if show and named != expected:
            print(f"   {row['name']} | {row['text']} | named: {row['named']}")
    print(
        f"ambiguous names, {len(rows)} hand-written cases: precision {share(hits, hits + false)}, "
        f"recall {share(hits, hits + misses)}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print N of the wrong mentions")
    arguments = parser.parse_args()
    own_cases(arguments.show)
    corpora = os.environ.get("HEADWIND_CORPORA")
    if not corpora:
        print("HEADWIND_CORPORA names no folder of corpora: only the hand-written cases were measured", file=sys.stderr)
        return 0
    rows = list(sentfin(Path(corpora)))
    found = measure("SEntFiN", rows, arguments.show)
    by_reading(found)
    measure("FinEntity", list(finentity(Path(corpora))), arguments.show)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
