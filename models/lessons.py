"""Sentences that teach what news seldom spells out: negation, narrower losses, lowered bars, trouble averted.

In real headlines these turns are rare, and a model learns the loud word instead ("loss", "default", "rises"). The
lessons are minimal pairs that we wrote after the labelling guide: the same words with the other outcome. They carry
no topics, join the training part only (`train --lessons`), and share no sentence with the behaviour suite.
"""

from __future__ import annotations

import random
from typing import Final

from models.dataset import Example
from models.labels import SENTIMENTS

LESSONS: Final = "lessons"
"""Source of these rows."""

_FILLS: Final[dict[str, tuple[str, ...]]] = {
    "firm": (
        "Ashgrove", "Bellmont Energy", "Carrow Bank", "Dunmore", "Elstree Pharma", "Fenwick Steel", "Galloway Air",
        "Hartwell", "Ibex Mining", "Jarrow Retail", "Keswick Insurance", "Larkspur Group", "Montrose Chemicals",
        "Norbury Telecom", "Oakhurst", "Penrith Foods", "Quillon", "Radstock Motors", "Selkirk Holdings", "Thornbury",
    ),
    "lender": ("Carrow Bank", "Selkirk Savings", "Dunmore Trust", "Oakhurst Bank", "Banco Verano", "Ridley Credit"),
    "land": ("Italy", "Canada", "South Korea", "Mexico", "Turkey", "India", "France", "Argentina", "Poland", "Egypt"),
    "n": ("3", "7", "14", "28", "60", "150", "400"),
    "period": ("first quarter", "second quarter", "third quarter", "fourth quarter", "first half", "full year"),
    "who": ("analysts", "the market", "investors", "economists", "Wall Street", "brokers"),
    "saw": ("expected", "forecast", "feared", "predicted", "estimated", "thought"),
    "bad": ("loss", "net loss", "operating loss", "deficit", "pretax loss"),
    "good": ("profit", "revenue", "net income", "sales", "operating profit", "earnings per share"),
    "price": ("inflation", "consumer prices", "producer prices", "wage inflation"),
    "strength": ("retail sales", "exports", "industrial production", "consumer confidence", "new orders", "GDP"),
    "jobless": ("jobless rate", "unemployment", "joblessness", "layoffs", "bankruptcies", "mortgage arrears"),
}  # fmt: skip
_TEMPLATES: Final[dict[str, tuple[str, ...]]] = {
    "positive": (
        # A smaller harm than expected.
        "{firm} cuts {period} {bad} to {n} million from a year ago",
        "{firm} {bad} narrows in {period} as sales recover",
        "{firm}'s {period} {bad} not as deep as {who} {saw}",
        "{firm} reports smaller {bad} than {who} {saw}",
        "{firm} {bad} comes in below forecast",
        "Smaller-than-{saw} {bad} lifts {firm}",
        "{firm} returns to profit after {n} quarters in the red",
        "{land} {strength} drops less than {saw}",
        "{land} recession milder than {who} {saw}",
        "Decline in {land} {strength} slows, beating forecasts",
        "Fewer {lender} loans turn sour than {who} {saw}",
        "{firm} write-down smaller than {who} {saw}",
        "Damage to {firm} plant less severe than first thought",
        # Less of a bad thing.
        "{land} {jobless} falls more than {who} {saw}",
        "{land} {price} eases faster than {who} {saw}",
        "{land} {price} below forecasts, easing pressure on households",
        "{land} {jobless} unexpectedly drops to lowest in {n} years",
        "Fall in {land} {jobless} beats expectations",
        "{firm} debt shrinks for third year running",
        "{lender} bad loans decline, provisions released",
        # A lowered bar that is cleared.
        "{firm} {good} clears a bar that {who} had lowered",
        "{firm} {good} above reduced guidance",
        "{firm} {good} ahead of trimmed forecasts",
        "{firm} delivers more than {who} {saw} despite weak demand",
        "{firm} {period} {good} exceeds estimates that had been cut",
        # Trouble that does not come.
        "{firm} escapes bankruptcy as creditors accept swap",
        "{firm} will not be charged over accounts, prosecutors say",
        "Prosecutors drop bribery case against {firm}",
        "Jury finds {firm} not liable for injuries",
        "Tribunal quashes {n} million fine against {firm}",
        "{firm} dodges delisting after filing overdue report",
        "{firm} pilots cancel walkout after pay agreement",
        "{land} parliament vote averts government shutdown",
        "{land} removes tariffs on imported machinery",
        "{firm} no longer under investigation by watchdog",
        "Investigators find no sign of fraud at {firm}",
        "{firm} repays emergency loan ahead of schedule",
        "{lender} depositors return as fears ease",
        "{lender} not hit by outflows, deposits rise",
        "Outage at {firm} resolved with no data lost",
        "Sanctions on {land} lifted after deal",
        "{firm} never been stronger, order book at record",
        "Storm spares {firm} refineries",
        "{firm} fends off hostile bid fears with record results",
    ),
    "negative": (
        # A larger harm than expected.
        "{firm} {bad} swells to {n} million in {period}",
        "{firm} {bad} deepens despite cost savings",
        "{firm}'s {period} {bad} deeper than {who} {saw}",
        "{firm} reports bigger {bad} than {who} {saw}",
        "{firm} {bad} comes in above forecast",
        "Larger-than-{saw} {bad} weighs on {firm}",
        "{firm} slips into the red after {n} profitable quarters",
        "{land} {strength} drops more than {saw}",
        "{land} {strength} shrinks by more than {who} {saw}",
        "{land} recession deeper than {who} {saw}",
        "{land} economy shrank further than {saw} in {period}",
        "More {lender} loans turn sour than {who} {saw}",
        "{firm} write-down larger than {who} {saw}",
        "Damage to {firm} plant more severe than first thought",
        # More of a bad thing, or of a good thing too little.
        "{land} {jobless} climbs more than {who} {saw}",
        "{land} {jobless} unexpectedly rises to highest in {n} years",
        "Rise in {land} {jobless} exceeds expectations",
        "{land} {jobless} up again, worse than {saw}",
        "{land} {price} accelerates faster than {who} {saw}",
        "{land} {price} tops forecasts, squeezing households",
        "{land} {strength} grows less than {saw}",
        "{land} {strength} misses forecasts",
        "{firm} debt grows for third year running",
        "{lender} bad loans climb, provisions raised",
        # A lowered bar that is missed.
        "{firm} {good} misses even the forecast that it had cut",
        "{firm} {good} below reduced guidance",
        "{firm} {good} behind trimmed forecasts",
        "{firm} delivers less than {who} {saw} despite strong demand",
        "{firm} {period} {good} undershoots estimates that had been cut",
        "{firm} {good} growth disappoints, shares lower",
        # Good things that do not come.
        "{firm} fails to reach agreement with creditors",
        "{firm} unable to publish accounts on time",
        "{firm} does not win backing for rescue plan",
        "{firm} drug shows no benefit over placebo",
        "{firm} vaccine not effective in trial",
        "{firm} turnaround nowhere in sight, {who} say",
        "{firm} no longer sees growth this year",
        "{firm} not able to pay suppliers",
        "Watchdog refuses {firm} permission to reopen plant",
        "{lender} cannot reassure depositors as withdrawals mount",
        "Depositors rush to withdraw money from {lender}",
        "Queues form outside {lender} branches as savers pull deposits",
        "{lender} halts withdrawals after wave of redemptions",
        "{lender} loses a fifth of deposits in a week",
        "{firm} did not disclose losses, auditor says",
        "Talks between {firm} and union end without a deal",
        "{land} fails to agree budget, downgrade looms",
        "Hopes of a rebound at {firm} fade",
        "No relief for {firm} as court upholds {n} million fine",
        "Decline in {land} {strength} shows no sign of ending",
    ),
    "neutral": (
        "{firm} {period} {good} in line with forecasts",
        "{firm} {good} matches what {who} {saw}",
        "{land} {price} unchanged, as {saw}",
        "{land} {jobless} steady in {period}",
        "{firm} denies report of talks with {lender}",
        "{firm} says storm has no impact on production",
        "{land} to publish {strength} figures on Friday",
        "{firm} {good} up but {bad} at unit widens",
        "{firm} says no decision taken on sale of unit",
        "Five things to know about {firm}",
        "{firm} neither confirms nor denies bid for rival",
        "{land} central bank holds rates, as {who} {saw}",
    ),
}


def lessons(copies: int = 6, seed: int = 0) -> list[Example]:
    """`copies` fillings of every sentence, with a sentiment and no topics; the same seed gives the same rows."""
    chance = random.Random(seed)
    rows: dict[str, Example] = {}
    for label, templates in _TEMPLATES.items():
        for template in templates:
            for _ in range(copies):
                text = template.format(**{name: chance.choice(values) for name, values in _FILLS.items()})
                text = text[0].upper() + text[1:]
                rows.setdefault(text, Example(text, "", LESSONS, 0, sentiment=SENTIMENTS.index(label)))
    return list(rows.values())
