"""Labelled files and a base encoder for the tests of training: small, written here, quick to learn."""

from __future__ import annotations

import csv
from pathlib import Path

from transformers import BertModel, PreTrainedTokenizerFast

from tests.models.tiny_checkpoint import tiny_network, tiny_tokenizer

_COMPANIES = ("Acme Steel", "Northwind Bank", "Harbour Foods", "Delta Motors", "Orchard Insurance", "Bluefin Energy")
_ENDINGS = (
    ("warns of a deeper loss", "negative", "earnings_guidance"),
    ("defaults on a bond payment", "negative", "credit_distress"),
    ("names a new finance chief", "neutral", "governance_people"),
    ("holds talks with ministers", "neutral", "geopolitics_trade"),
    ("raises its dividend", "positive", "capital_actions|earnings_guidance"),
    ("jumps on takeover talk", "positive", "market_move|mergers_ownership"),
)
_PLACES = ("in spring", "by summer", "this week", "on Monday", "after talks", "for a second day", "at three sites")


def product_file(folder: Path, name: str = "headlines.csv") -> Path:
    """252 distinct rows in the product's convention, with the columns that slices use."""
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "summary", "sentiment", "topics", "published", "source", "set"])
        number = 0
        for company in _COMPANIES:
            for ending, sentiment, topics in _ENDINGS:
                for place in _PLACES:
                    number += 1
                    part = "risk" if number % 9 == 0 else "general"
                    day = f"20{20 + number % 5}-03-{number % 27 + 1:02d}"
                    lead = f"{company} says more {place}." if number % 2 else ""
                    writer.writerow([f"{company} {ending} {place}", lead, sentiment, topics, day, "Wire", part])
    return path


def foreign_file(folder: Path) -> Path:
    """Some rows in PhraseBank's convention."""
    path = folder / "financial_phrasebank.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label", "agreement"])
        for number, company in enumerate(_COMPANIES * 6):
            ending, label, _ = _ENDINGS[number % len(_ENDINGS)]
            writer.writerow([f"{company} of site {number} {ending}", label, (50, 75, 100)[number % 3]])
    return path


def base_folder(folder: Path) -> Path:
    """A Hugging Face encoder of a few thousand parameters with its tokenizer, as `--base` takes one."""
    tokenizer = tiny_tokenizer()
    encoder = tiny_network(tokenizer.get_vocab_size()).encoder
    assert isinstance(encoder, BertModel)
    encoder.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(folder)
    return folder
