"""Product logits straight from a trained network's folder, without a manifest: for trials that are never shipped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.export import token_ids
from models.network import HeadwindModel

Floats = NDArray[np.float32]


def product_logits(folder: Path, texts: Sequence[str], max_length: int = 128) -> tuple[Floats, Floats, Floats]:
    """Sentiment [B, 3], topic and main-topic logits [B, 20] of the network in `folder`, in fp32."""
    model = HeadwindModel.from_pretrained(folder, dtype=torch.float32).eval()
    return logits_of(model, token_ids(folder, texts, max_length))


def logits_of(model: Any, ids: Sequence[Sequence[int]], batch_size: int = 64) -> tuple[Floats, Floats, Floats]:
    """As `product_logits`, for a network at hand and token ids; rows of one length are scored together, unpadded."""
    by_length: dict[int, list[int]] = {}
    for row, found in enumerate(ids):
        by_length.setdefault(len(found), []).append(row)
    parts: list[Floats] = []
    order: list[int] = []
    with torch.no_grad():
        for rows in by_length.values():
            for start in range(0, len(rows), batch_size):
                chosen = rows[start : start + batch_size]
                batch = torch.tensor([list(ids[row]) for row in chosen], dtype=torch.long)
                found = model(batch, torch.ones_like(batch))
                parts.append(
                    torch.cat([found.sentiment_logits, found.topic_logits, found.primary_logits], dim=1).numpy()
                )
                order += chosen
    joined = np.empty((len(ids), parts[0].shape[1]), dtype=np.float32)
    joined[np.asarray(order)] = np.concatenate(parts)
    return joined[:, :3], joined[:, 3:23], joined[:, 23:]
