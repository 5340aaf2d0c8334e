"""From labelled examples to batches: tokenised once, drawn in rounds, grouped by length, padded to the longest.

The whole order of a run is drawn up front from the seed. A resumed run therefore sees exactly the batches that the
killed one had not reached.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils.data import Dataset

from models.backend import join_title_and_summary
from models.dataset import Example
from models.labels import TOPICS
from models.network import IGNORE
from models.sources import SOURCES

_GROUP = 24
"""Batches sorted by length together: enough to save most padding, few enough to keep the order random."""


class TrainingRows(Dataset[dict[str, Any]]):
    """Examples in the order of training; item i is a dict of token ids and targets.

    order: index of the example per position. heads: number of each auxiliary head. max_length: tokens, including
    the special ones. drop_summary: share of the draws that show the title alone, since half of all feeds give no
    summary; other draws show the summary's first `summary_cuts` characters, one of them at random.
    """

    summary_cuts = (130, 130, 130, 240)

    def __init__(
        self,
        examples: Sequence[Example],
        order: Sequence[int],
        tokenizer: Any,
        heads: Mapping[str, int],
        max_length: int,
        drop_summary: float = 0.3,
        augmenter: Any = None,
        seed: int = 0,
    ) -> None:
        self.examples = examples
        self.order = list(order)
        self.tokenizer = tokenizer
        self.heads = heads
        self.max_length = max_length
        self.drop_summary = drop_summary
        self.augmenter = augmenter
        self.seed = seed

    def __len__(self) -> int:
        return len(self.order)

    def text_at(self, position: int) -> str:
        """The text shown at a position: title, and as much of the summary as this position's draw gives."""
        example = self.examples[self.order[position]]
        chance = random.Random(f"{self.seed}/{position}")
        text, summary = example.text, example.summary
        if self.augmenter is not None:
            text = self.augmenter(text, chance)
        if not summary or chance.random() < self.drop_summary:
            return text
        return join_title_and_summary(text, summary[: chance.choice(self.summary_cuts)])

    def __getitem__(self, position: int) -> dict[str, Any]:
        example = self.examples[self.order[position]]
        encoded = self.tokenizer(self.text_at(position), truncation=True, max_length=self.max_length)
        return {"input_ids": encoded["input_ids"], **targets_of(example, self.heads)}


class EvaluationRows(Dataset[dict[str, Any]]):
    """Examples in their own order with full summaries and product targets: what the development score is taken on."""

    def __init__(self, examples: Sequence[Example], tokenizer: Any, max_length: int) -> None:
        texts = [example.joined for example in examples]
        self.ids = tokenizer(texts, truncation=True, max_length=max_length)["input_ids"] if texts else []
        self.targets = [targets_of(example, {}) for example in examples]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, position: int) -> dict[str, Any]:
        return {"input_ids": self.ids[position], **self.targets[position]}


def targets_of(example: Example, heads: Mapping[str, int]) -> dict[str, Any]:
    """Targets of one example for `HeadwindModel.forward`; what its source does not label is masked."""
    topics = [-1.0] * len(TOPICS)
    if example.topics:
        topics = [1.0 if k in example.topics else 0.0 for k in range(len(TOPICS))]
    head = SOURCES[example.source].head if example.source in SOURCES else ""
    known = example.auxiliary is not None and head in heads
    return {
        "sentiment": IGNORE if example.sentiment is None else example.sentiment,
        "topics": topics,
        "primary": example.topics[0] if example.topics else IGNORE,
        "auxiliary_head": heads[head] if known else -1,
        "auxiliary_label": example.auxiliary if known else IGNORE,
    }


class Collator:
    """Pads a list of rows to tensors: ids and mask [B, T], targets as `HeadwindModel.forward` takes them."""

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        longest = max(len(row["input_ids"]) for row in rows)
        ids = torch.full((len(rows), longest), self.pad_id, dtype=torch.long)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for number, row in enumerate(rows):
            length = len(row["input_ids"])
            ids[number, :length] = torch.tensor(row["input_ids"], dtype=torch.long)
            mask[number, :length] = 1
        batch = {"input_ids": ids, "attention_mask": mask}
        for name in ("sentiment", "primary", "auxiliary_head", "auxiliary_label"):
            batch[name] = torch.tensor([row[name] for row in rows], dtype=torch.long)
        batch["topics"] = torch.tensor([row["topics"] for row in rows], dtype=torch.float32)
        return batch


def draw_rounds(
    examples: Sequence[Example],
    rounds: int,
    seed: int,
    shares: Mapping[str, float] | None = None,
    later_share: float = 1.0,
) -> list[list[int]]:
    """The rows of each round, shuffled: all of the product's, and each source's share of its own.

    Consecutive rounds continue through a source, so shares under one still reach every row in time. later_share
    multiplies the auxiliary shares in the second half of the rounds: the product has the last word.
    """
    by_source: dict[str, list[int]] = {}
    for index, example in enumerate(examples):
        by_source.setdefault(example.source, []).append(index)
    chance = random.Random(seed)
    for rows in by_source.values():
        chance.shuffle(rows)
    position = dict.fromkeys(by_source, 0)
    result = []
    for number in range(rounds):
        drawn: list[int] = []
        for name, rows in sorted(by_source.items()):
            source = SOURCES.get(name)
            share = (shares or {}).get(name, 1.0 if source is None else source.share)
            if source is not None and source.kind != "product" and number >= rounds / 2:
                share *= later_share
            for _ in range(round(share * len(rows))):
                drawn.append(rows[position[name] % len(rows)])
                position[name] += 1
        chance.shuffle(drawn)
        result.append(drawn)
    return result


def order_by_length(rounds: Sequence[Sequence[int]], lengths: Sequence[int], batch_size: int, seed: int) -> list[int]:
    """One order for the whole run: within a window of batches sorted by length, the windows' batches shuffled."""
    chance = random.Random(seed + 1)
    order: list[int] = []
    tail: list[int] = []
    for round_ in rounds:
        # What fills no batch opens the next round: in between it would move the borders of all batches after it.
        drawn = [*tail, *round_]
        window = batch_size * _GROUP
        for start in range(0, len(drawn), window):
            part = sorted(drawn[start : start + window], key=lengths.__getitem__)
            batches = [part[i : i + batch_size] for i in range(0, len(part), batch_size)]
            tail = batches.pop() if len(batches[-1]) < batch_size else []
            chance.shuffle(batches)
            order += [row for batch in batches for row in batch]
    return order + tail
