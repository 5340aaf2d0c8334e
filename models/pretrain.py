"""Masked-language pre-training of an encoder on unlabelled texts, before the heads are trained (`train --mlm`).

A plain version of Gururangan et al. (2020), "Don't stop pretraining": fifteen per cent of the tokens are hidden, and
the output layer shares the word embeddings. It changes the encoder in place and writes nothing.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.batches import order_by_length
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


def draw_order(texts: Sequence[str], rounds: float, batch_size: int, seed: int) -> list[int]:
    """Index of the text at each position: every round shuffled, texts of like length together to save padding."""
    chance = random.Random(seed)
    order: list[int] = []
    for _ in range(math.ceil(rounds)):
        drawn = list(range(len(texts)))
        chance.shuffle(drawn)
        order += drawn
    order = order[: int(rounds * len(texts))]
    return order_by_length([order], [len(text) for text in texts], batch_size, seed)


def masked_language_rounds(model: Any, tokenizer: Any, texts: Sequence[str], args: Any) -> float:
    """Train the encoder of `model` for `args.mlm` rounds over `texts`; returns the last batch's loss.

    The learning rate warms up over 3 % of the batches and falls linearly to zero; precision and compilation as in
    the training that follows.
    """
    embeddings = model.encoder.get_input_embeddings()
    width, vocabulary = embeddings.embedding_dim, embeddings.num_embeddings
    device = embeddings.weight.device
    head = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width)).to(device)
    bias = nn.Parameter(torch.zeros(vocabulary, device=device))
    trained = [p for p in model.encoder.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW([*trained, *head.parameters(), bias], lr=args.rate, weight_decay=args.weight_decay)
    generator = torch.Generator().manual_seed(args.seed)
    order = draw_order(texts, args.mlm, args.batch_size, args.seed)
    batches = -(-len(order) // args.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / max(1, 0.03 * batches), 1 - step / max(1, batches))
    )
    encoder = torch.compile(model.encoder, dynamic=True) if args.compile else model.encoder
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
        places = targets != IGNORE
        if not places.any():
            continue
        with torch.autocast(device.type, torch.bfloat16, enabled=args.precision == "bf16"):
            states = encoder(
                input_ids=inputs.to(device), attention_mask=encoded["attention_mask"].to(device)
            ).last_hidden_state
            logits = head(states[places.to(device)]) @ embeddings.weight.T + bias
        value = functional.cross_entropy(logits.float(), targets[places].to(device))
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        loss = float(value.detach())
        if start // args.batch_size % 50 == 0:
            print(f"masked language: {start}/{len(order)} texts, loss {loss:.3f}", file=sys.stderr)
    return loss
