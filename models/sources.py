"""What each labelled corpus means, and how its labels reach a head.

The product's heads follow one guide (sentiment for a risk officer, twenty topics). Published corpora mean other things
by the same words: PhraseBank takes the investor's side, SEntFiN judges each entity, the gold corpus the price of gold,
tweets call much bad news neutral. Pouring them into one head would bend the product's meaning, so each convention gets
an auxiliary head of its own and teaches only the encoder. What a corpus does not label is masked, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from models.labels import SENTIMENTS

Kind = Literal["product", "sentiment", "topic"]


@dataclass(frozen=True, slots=True)
class Source:
    """One corpus, known by the stem of its file.

    head: name of the auxiliary head its labels train; empty for files in the product's own convention.
    labels: label in the file -> label of the head; a label mapped to None is dropped on purpose, one that is not
    here is an error in the file.
    share: rows drawn per round of training as a share of the corpus; corpora that are large, repetitive or far from
    the product's news get less.
    """

    name: str
    licence: str
    kind: Kind
    head: str = ""
    labels: Mapping[str, str | None] = field(default_factory=dict)
    text_column: str = "text"
    summary_column: str = ""
    label_column: str = "label"
    share: float = 1.0
    commercial: bool = False

    @property
    def head_labels(self) -> tuple[str, ...]:
        """The labels of this source's head in the order of its logits."""
        return tuple(dict.fromkeys(label for label in self.labels.values() if label is not None))


_THREE: Final[Mapping[str, str | None]] = {label: label for label in SENTIMENTS}
_THREE_UNMIXED: Final[Mapping[str, str | None]] = {**_THREE, "mixed": None}

_TWITTER_TOPICS: Final = (
    "Analyst Update",
    "Fed | Central Banks",
    "Company | Product News",
    "Treasuries | Corporate Debt",
    "Dividend",
    "Earnings",
    "Energy | Oil",
    "Financials",
    "Currencies",
    "General News | Opinion",
    "Gold | Metals | Materials",
    "IPO",
    "Legal | Regulation",
    "M&A | Investments",
    "Macro",
    "Markets",
    "Politics",
    "Personnel Change",
    "Stock Commentary",
    "Stock Movement",
)

REUTERS_TOPICS: Final = (
    "earn",
    "acq",
    "money-fx",
    "grain",
    "crude",
    "trade",
    "interest",
    "ship",
    "money-supply",
    "sugar",
    "gnp",
    "coffee",
    "veg-oil",
    "gold",
    "nat-gas",
    "cpi",
    "jobs",
    "bop",
)
"""Topics of Reuters-21578 with enough single-topic stories to learn from; the rest of the 135 are masked."""

PRODUCT: Final = Source("headlines", "labels free within the project; texts of their publishers", "product")

SOURCES: Final[Mapping[str, Source]] = {
    source.name: source
    for source in (
        PRODUCT,
        Source("financial_phrasebank", "CC BY-NC-SA 3.0", "sentiment", "financial_phrasebank", _THREE, share=1.0),
        Source("sentfin", "MIT", "sentiment", "sentfin", _THREE_UNMIXED, share=0.4, commercial=True),
        Source("fiqa_2018_task1", "unknown", "sentiment", "fiqa_2018_task1", _THREE),
        # The same annotators and the same score in [-1, 1]: one head for both challenges.
        Source("semeval2017_task5_headlines", "unknown", "sentiment", "fiqa_2018_task1", _THREE),
        Source(
            "twitter_financial_news_sentiment",
            "MIT",
            "sentiment",
            "twitter_financial_news_sentiment",
            _THREE,
            share=0.25,
            commercial=True,
        ),
        Source("finentity", "unknown", "sentiment", "finentity", _THREE_UNMIXED),
        Source(
            "gold_commodity_news", "unknown", "sentiment", "gold_commodity_news", {**_THREE, "none": "none"}, share=0.1
        ),
        Source(
            "twitter_financial_news_topic",
            "MIT",
            "topic",
            "twitter_financial_news_topic",
            {label: label for label in _TWITTER_TOPICS},
            share=0.15,
            commercial=True,
        ),
        Source(
            "reuters21578",
            "free for research use",
            "topic",
            "reuters21578",
            {label: label for label in REUTERS_TOPICS},
            text_column="title",
            summary_column="body",
            label_column="topics",
            share=0.1,
        ),
    )
}


def heads_of(sources: list[Source]) -> dict[str, tuple[str, ...]]:
    """The auxiliary heads these sources train: head name -> its labels in logit order."""
    return {source.head: source.head_labels for source in sources if source.kind != "product"}
