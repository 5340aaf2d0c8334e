"""Quantisation-aware training: what is rounded in training is what the export rounds, and nothing of it is saved."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models import quantise
from models.errors import ModelError
from models.export import export_int8, token_ids
from models.network import HeadwindModel
from tests.models.test_export import scores
from tests.models.tiny_checkpoint import SENTENCES


def batches(tiny: Path) -> list[dict[str, torch.Tensor]]:
    """Each sentence as a batch of its own."""
    ids = [torch.tensor([row]) for row in token_ids(tiny, SENTENCES, 48)]
    return [{"input_ids": row, "attention_mask": torch.ones_like(row)} for row in ids]


def network(tiny: Path) -> HeadwindModel:
    return HeadwindModel.from_pretrained(tiny, dtype=torch.float32, attn_implementation="eager").eval()


def answers(model: HeadwindModel, tiny: Path) -> np.ndarray:
    with torch.no_grad():
        found = [model(**batch) for batch in batches(tiny)]
    parts = [torch.cat([o.sentiment_logits, o.topic_logits, o.primary_logits], dim=1) for o in found]
    return torch.cat(parts).numpy()


def test_values_are_rounded_to_256_levels_and_zero_stays_zero() -> None:
    values = torch.cat([torch.linspace(-2, 3, 5001), torch.zeros(1)])
    found = quantise.fake_quantise_activation(values, torch.tensor(-1.0), torch.tensor(2.0))
    assert len(found.unique()) == 256
    assert found[-1] == 0
    assert float((found - values.clamp(-1, 2)).abs().max()) <= 3 / 255 * 0.51 + 1e-6


def test_gradients_pass_inside_the_range_and_stop_outside() -> None:
    values = torch.tensor([-5.0, 0.3, 0.4, 9.0], requires_grad=True)
    quantise.fake_quantise_activation(values, torch.tensor(-1.0), torch.tensor(2.0)).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [0.0, 1.0, 1.0, 0.0]


def test_a_weight_is_rounded_by_row_and_its_gradient_is_whole() -> None:
    weight = torch.tensor([[0.1, -1.0], [30.0, 64.0]], requires_grad=True)
    rounded = quantise.fake_quantise_weight(weight)
    rounded.sum().backward()
    assert torch.allclose(rounded, torch.tensor([[6 / 64, -1.0], [30.0, 64.0]]))
    assert weight.grad is not None
    assert weight.grad.eq(1).all()


def test_a_long_tail_is_cut_where_that_costs_less_than_coarse_levels() -> None:
    values = torch.randn(50_000, generator=torch.Generator().manual_seed(1)) ** 3
    low, high = quantise.choose_range(values)
    assert 5 < high < float(values.max())

    def error(bottom: float, top: float) -> float:
        found = quantise.fake_quantise_activation(values, torch.tensor(bottom), torch.tensor(top))
        return float((found - values).square().mean())

    assert error(low, high) < error(float(values.min()), float(values.max()))


def test_query_key_and_value_share_the_range_of_what_they_read(tiny: Path) -> None:
    ranges = quantise.observe_ranges(network(tiny), batches(tiny))
    assert len(ranges) == 12
    layer = "encoder.layer.1.attention.self."
    assert ranges[layer + "query"] == ranges[layer + "key"] == ranges[layer + "value"]
    assert ranges[layer + "query"] != ranges["encoder.layer.1.output.dense"]


def test_the_export_computes_what_training_rounded(tiny: Path, tmp_path: Path) -> None:
    model = network(tiny)
    plain = answers(model, tiny)
    quantise.prepare(model, quantise.observe_ranges(model, batches(tiny)))
    rounded = answers(model, tiny)
    quantise.plain(model).save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes((tiny / "tokenizer.json").read_bytes())
    export_int8(tmp_path, tmp_path / "int8.onnx", SENTENCES, max_length=48)
    int8 = np.stack(scores(tmp_path / "int8.onnx", token_ids(tiny, SENTENCES, 48)))
    to_rounded, to_plain = np.abs(int8 - rounded).mean(), np.abs(int8 - plain).mean()
    assert to_rounded < 0.5 * to_plain


def test_the_saved_network_is_the_plain_one_with_its_ranges(tiny: Path) -> None:
    model = network(tiny)
    before, names = answers(model, tiny), list(model.state_dict())
    quantise.prepare(model, quantise.observe_ranges(model, batches(tiny)))
    assert not np.array_equal(answers(model, tiny), before)
    after = quantise.plain(copy.deepcopy(model))
    assert list(after.state_dict()) == names
    assert np.array_equal(answers(after, tiny), before)
    assert len(json.loads(after.config.to_json_string())["activation_ranges"]) == 12


def test_an_encoder_without_numbered_blocks_is_refused() -> None:
    bare = torch.nn.Module()
    bare.encoder = torch.nn.Linear(2, 2)
    with pytest.raises(ModelError, match="no dense layers"):
        quantise.dense_layers(bare)
