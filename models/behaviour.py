"""Behaviour suite: what a sentiment model must get right whatever its averages say (after CheckList, ACL 2020).

Two kinds of case: texts with a sentiment that the labelling guide fixes, and pairs whose answer must not change
(a typo, capitals, another company, another country, another number). All texts were written for this suite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.labels import SENTIMENTS

Score = Callable[[list[str]], NDArray[np.float64]]
"""Texts to probabilities [B, 3] in the order of `SENTIMENTS`."""

SAME_WITHIN: Final = 0.25
"""An unchanged answer: the same sentiment, or both undecided within this much of the probability of that sentiment."""

EXPECTED: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "plain direction": {
        "positive": (
            "Halden Motors profit surges on record orders",
            "Kestrel Bank shares jump after strong results",
            "Meridian Foods wins 300 million dollar supply contract",
            "Regulator approves Tavira's new heart drug",
            "Orlanda Airlines raises dividend after best year in its history",
            "Factory output grows faster than expected in March",
        ),
        "negative": (
            "Halden Motors profit plunges as orders dry up",
            "Kestrel Bank shares slump after loss warning",
            "Meridian Foods recalls baby formula after contamination",
            "Regulator fines Tavira 40 million dollars over safety lapses",
            "Orlanda Airlines files for bankruptcy protection",
            "Factory output shrinks at fastest pace in a decade",
        ),
        "neutral": (
            "Halden Motors to hold annual meeting on May 12",
            "Kestrel Bank names new head of communications",
            "What to watch in markets this week",
            "Meridian Foods to present at industry conference",
            "Central bank leaves interest rates unchanged as expected",
            "Tavira to report first-quarter results on Thursday",
        ),
    },
    "negation": {
        "negative": (
            "Wexley fails to win approval for its merger",
            "No recovery in sight for struggling retailer Northwind",
            "Lender Halden unable to repay bonds due on Friday",
            "Court refuses to lift freeze on Orlanda's accounts",
            "Halden cannot meet interest payment, seeks emergency loan",
            "Talks fail to avert strike at Delta Motors plants",
            "Tavira drug does not slow disease in late-stage trial",
            "Kestrel no longer expects to make a profit this year",
            "Investors not reassured as Meridian shares keep sliding",
            "Auditor declines to sign off Orlanda's accounts",
            "Regulator rejects Wexley's application for a banking licence",
            "Factory orders show no let-up in decline",
        ),
        "positive": (
            "Wexley avoids default after lenders agree new terms",
            "Northwind escapes fine as regulator closes probe",
            "Judge throws out fraud lawsuit against Halden",
            "Strike at Orlanda ports called off after wage deal",
            "Kestrel cleared of wrongdoing in rate-rigging case",
            "Tavira recall scare ends as tests find no contamination",
            "Meridian avoids bankruptcy with last-minute rescue deal",
            "Wexley wins appeal as court overturns 90 million dollar fine",
            "Threatened tariffs on steel dropped after talks",
            "Delta Motors averts trial with settlement over faulty brakes",
        ),
    },
    "narrower loss": {
        "positive": (
            "Kestrel posts narrower loss than feared, shares rise",
            "Tavira narrows quarterly loss, beating forecasts",
            "Loss at Wexley shrinks more than analysts expected",
            "Sales at Northwind fall less than feared",
            "Halden loss smaller than forecast as costs come down",
            "Orlanda halves its annual loss, tops expectations",
            "Meridian trims losses by more than expected, stock jumps",
            "Delta Motors reports smaller-than-expected quarterly loss",
            "Economy contracts less than economists had feared",
            "Bad loans at Kestrel rise less than feared, shares gain",
        ),
        "negative": (
            "Kestrel's loss widens as costs climb",
            "Tavira posts wider quarterly loss than forecast",
            "Loss at Wexley deepens for third straight quarter",
            "Halden loss larger than forecast as orders slump",
            "Orlanda doubles its annual loss, misses expectations",
            "Delta Motors reports bigger-than-expected quarterly loss",
            "Economy contracts more than economists had feared",
            "Bad loans at Kestrel rise more than feared, shares fall",
        ),
    },
    "against expectations": {
        "positive": (
            "Meridian beats lowered profit estimate",
            "Orlanda quarterly revenue tops analysts' estimates",
            "Inflation cools more than economists had forecast",
            "Halden beats analysts' reduced forecasts, shares climb",
            "Kestrel earnings top lowered expectations",
            "Tavira profit ahead of downgraded consensus",
            "Delta Motors deliveries exceed cut forecast",
            "Jobless claims fall more than expected",
            "Northwind holiday sales better than expected",
        ),
        "negative": (
            "Meridian misses profit estimate despite higher sales",
            "Orlanda quarterly revenue falls short of expectations",
            "Unemployment rises more than economists had forecast",
            "Halden misses even analysts' reduced forecasts, shares drop",
            "Kestrel earnings short of lowered expectations",
            "Tavira profit growth slower than expected, stock falls",
            "Delta Motors deliveries below already cut forecast",
            "Retail sales unexpectedly fall in May",
            "Northwind holiday sales worse than expected",
        ),
    },
    "the guide's own lines": {
        "positive": (
            "Broker lifts price target on Halden to 80 dollars",
            "Kestrel settles long-running tax dispute with ministry",
            "Two countries agree ceasefire after talks",
            "Gold rises to three-month high",
        ),
        "negative": (
            "Broker cuts price target on Halden to 30 dollars",
            "Kestrel to cut 2,000 jobs to lower costs",
            "Missile attack hits port city, killing five",
            "Oil slumps as demand fears grow",
            "Customers sue Tavira over faulty pacemakers",
        ),
        "neutral": (
            "Northwind to buy logistics firm Wexley for 2 billion dollars",
            "Foreign minister to visit neighbouring capital next week",
            "Wexley considers sale of its packaging unit",
        ),
    },
}

_SEEDS: Final = (
    "{company} shares slump after profit warning",
    "{company} raises full-year forecast as demand grows",
    "{company} fined {number} million dollars over money laundering",
    "{company} to open {number} new stores next year",
    "Profit at {company} climbs {number} percent on strong sales",
    "{company} cuts {number} jobs as orders weaken",
    "{country} economy shrinks for second straight quarter",
    "{country} factory output rises {number} percent, beating forecasts",
    "Floods kill {number} in northern {country}",
    "{country} central bank to meet on Thursday",
    "{company} recalls {number} thousand cars over brake defect",
    "{company} wins {number} million dollar contract from {country}",
    "Ransomware attack halts production at {company}",
    "{company} to publish results on Thursday",
    "Shares in {company} hit record high after upgrade",
    "{company} defaults on {number} million dollar bond payment",
    "{country} bonds tumble after rating downgrade",
    "{country} lifts growth forecast as exports surge",
)
_COMPANIES: Final = ("Halden Motors", "Kestrel Bank", "Orlanda", "Wexley Group")
_COUNTRIES: Final = ("Germany", "Brazil", "Japan", "Nigeria")
_NUMBERS: Final = ("12", "25", "40", "85")


def run_suite(score: Score) -> dict[str, Any]:
    """Run every case. Per capability: cases, passed, rate and the texts that failed; and the totals."""
    capabilities: dict[str, Any] = {}
    for capability, groups in EXPECTED.items():
        texts = [(text, label) for label, group in groups.items() for text in group]
        found = score([text for text, _ in texts]).argmax(-1)
        failed = [text for (text, label), k in zip(texts, found, strict=True) if SENTIMENTS[int(k)] != label]
        capabilities[capability] = _row(len(texts), failed)
    pairs: dict[str, list[tuple[str, str]]] = {}
    for capability, before, after in invariant_pairs():
        pairs.setdefault(capability, []).append((before, after))
    for capability, group in pairs.items():
        first = score([before for before, _ in group])
        second = score([after for _, after in group])
        failed = [after for (_, after), a, b in zip(group, first, second, strict=True) if not unchanged(a, b)]
        capabilities[capability] = _row(len(group), failed)
    cases = sum(row["cases"] for row in capabilities.values())
    passed = sum(row["passed"] for row in capabilities.values())
    return {"cases": cases, "passed": passed, "rate": round(passed / cases, 4), "capabilities": capabilities}


def unchanged(before: NDArray[np.float64], after: NDArray[np.float64]) -> bool:
    """Whether two answers [3] count as the same: see SAME_WITHIN."""
    best = int(before.argmax())
    return int(after.argmax()) == best or bool(
        abs(before[best] - after[best]) < SAME_WITHIN and before.max() < 0.6 and after.max() < 0.6
    )


def invariant_pairs() -> Iterator[tuple[str, str, str]]:
    """Yield (capability, text, changed text) of the pairs whose answer must stay."""
    for number, seed in enumerate(_SEEDS):
        plain = _fill(seed, 0, 0, 0)
        yield "case", plain, plain.upper()
        yield "case", plain, plain.lower()
        yield "typos", plain, _slip(plain, number)
        yield "typos", plain, _drop_letter(plain, number)
        if "{company}" in seed:
            for k in range(1, len(_COMPANIES)):
                yield "company names", plain, _fill(seed, k, 0, 0)
        if "{country}" in seed:
            for k in range(1, len(_COUNTRIES)):
                yield "countries", plain, _fill(seed, 0, k, 0)
        if "{number}" in seed:
            for k in range(1, len(_NUMBERS)):
                yield "numbers", plain, _fill(seed, 0, 0, k)


def _fill(seed: str, company: int, country: int, number: int) -> str:
    return seed.format(company=_COMPANIES[company], country=_COUNTRIES[country], number=_NUMBERS[number])


def _slip(text: str, salt: int) -> str:
    """Two neighbouring letters swapped inside one long word."""
    words = text.split()
    long = [k for k, word in enumerate(words) if len(word) >= 6 and word.isalpha()]
    k = long[salt % len(long)]
    # The first pair that differs: swapping two equal letters would be no typo.
    at = next(i for i in range(2, len(words[k]) - 1) if words[k][i] != words[k][i + 1])
    words[k] = words[k][:at] + words[k][at + 1] + words[k][at] + words[k][at + 2 :]
    return " ".join(words)


def _drop_letter(text: str, salt: int) -> str:
    """One letter missing inside one long word."""
    words = text.split()
    long = [k for k, word in enumerate(words) if len(word) >= 6 and word.isalpha()]
    k = long[(salt + 1) % len(long)]
    words[k] = words[k][:3] + words[k][4:]
    return " ".join(words)


def _row(cases: int, failed: list[str]) -> dict[str, Any]:
    passed = cases - len(failed)
    return {"cases": cases, "passed": passed, "rate": round(passed / cases, 4), "failed": failed}
