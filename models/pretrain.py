"""Masked-language pre-training of an encoder on unlabelled texts, before the heads are trained (`train --mlm`).

A plain version of Gururangan et al. (2020), "Don't stop pretraining": fifteen per cent of the tokens are hidden, and
the output layer shares the word embeddings. It changes the encoder in place and writes nothing.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.network import IGNORE


def mask_tokens(
    ids: Tensor, special: Tensor, mask_id: int, vocabulary: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Hide 15 % of the tokens of ids [B, T]; special is true where a token must stay. Returns inputs and targets.

    Of the hidden ones 80 % become the mask token, 10 % a random token, 10 % stay (Devlin et al., 2019).
    """
    chance = torch.rand(ids.shape, generator=generator)
    hidden = (chance < 0.15) & ~special
    targets = torch.where(hidden, ids, torch.full_like(ids, IGNORE))
    kind = torch.rand(ids.shape, generator=generator)
    inputs = torch.where(hidden & (kind < 0.8), torch.full_like(ids, mask_id), ids)
    noise = torch.randint(0, vocabulary, ids.shape, generator=generator)
    return torch.where(hidden & (kind >= 0.9), noise, inputs), targets


def masked_language_rounds(model: Any, tokenizer: Any, texts: Sequence[str], args: Any) -> float:
    """Train the encoder of `model` for `args.mlm` rounds over `texts`; returns the last batch's loss."""
    embeddings = model.encoder.get_input_embeddings()
    width, vocabulary = embeddings.embedding_dim, embeddings.num_embeddings
    head = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width)).to(embeddings.weight.device)
    trained = [p for p in model.encoder.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW([*trained, *head.parameters()], lr=args.rate, weight_decay=args.weight_decay)
    generator = torch.Generator().manual_seed(args.seed)
    order = [k for _ in range(int(-(-args.mlm // 1))) for k in range(len(texts))][: int(args.mlm * len(texts))]
    random.Random(args.seed).shuffle(order)
    loss = float("nan")
    model.train()
    for start in range(0, len(order), args.batch_size):
        chosen = [texts[k] for k in order[start : start + args.batch_size]]
        encoded = tokenizer(
            chosen,
            truncation=True,
            max_length=args.max_length,
            padding=True,
            return_tensors="pt",
            return_special_tokens_mask=True,
        )
        special = encoded["special_tokens_mask"].bool() | (encoded["attention_mask"] == 0)
        inputs, targets = mask_tokens(encoded["input_ids"], special, tokenizer.mask_token_id, vocabulary, generator)
        device = embeddings.weight.device
        states = model.encoder(
            input_ids=inputs.to(device), attention_mask=encoded["attention_mask"].to(device)
        ).last_hidden_state
        places = targets != IGNORE
        if not places.any():
            continue
        logits = head(states[places.to(device)]) @ embeddings.weight.T
        value = functional.cross_entropy(logits, targets[places].to(device))
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        loss = float(value.detach())
        if start // args.batch_size % 50 == 0:
            print(f"masked language: {start}/{len(order)} texts, loss {loss:.3f}", file=sys.stderr)
    return loss
