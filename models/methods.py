"""What of the network is trained: everything, the upper layers, or a small part added to a frozen encoder.

peft serves LoRA, AdaLoRA and prefix tuning. It has no bottleneck adapters (Houlsby et al., 2019), so those are
written here.
"""

from __future__ import annotations

from typing import Any, Final

from torch import Tensor, nn

from models.errors import ModelError

_HEADS: Final = (
    "attend",
    "sentiment_dense",
    "topic_dense",
    "sentiment_head",
    "topic_head",
    "primary_head",
    "auxiliary",
)


class Adapter(nn.Module):
    """Houlsby bottleneck: states + up(gelu(down(states))), an exact identity at the start. Shape is kept."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, size)
        self.up = nn.Linear(size, width)
        self.reset()

    def reset(self) -> None:
        nn.init.normal_(self.down.weight, std=0.02)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, states: Tensor) -> Tensor:
        return states + self.up(nn.functional.gelu(self.down(states)))


class AdaptedDense(nn.Module):
    """A dense layer with an adapter behind it, before the residual sum: the place Houlsby et al. put it."""

    def __init__(self, dense: nn.Linear, size: int) -> None:
        super().__init__()
        self.dense = dense
        self.adapter = Adapter(dense.out_features, size)

    @property
    def weight(self) -> Tensor:
        return self.dense.weight

    def forward(self, states: Tensor) -> Tensor:
        adapted: Tensor = self.adapter(self.dense(states))
        return adapted


def insert_adapters(model: Any, size: int) -> None:
    """Put two adapters into each layer of a BERT-like encoder, behind attention and behind the feed-forward part.

    Raises ModelError for an encoder whose layers are named differently.
    """
    layers = [
        module
        for name, module in model.encoder.named_modules()
        if name.endswith("output") and isinstance(getattr(module, "dense", None), nn.Linear)
    ]
    if not layers:
        raise ModelError("adapter: this encoder has no BERT-like output layers to put adapters into; use lora")
    for module in layers:
        module.dense = AdaptedDense(module.dense, size)


def apply(model: Any, method: str, rank: int = 16, frozen_layers: int = 4) -> Any:
    """Freeze and extend `model` for the method. Heads are always trained. Returns the model to train."""
    if method == "full":
        return model
    if method == "frozen":
        for name, parameter in model.encoder.named_parameters():
            layer = int(name.split(".layer.")[1].split(".")[0]) if ".layer." in name else -1
            if "layer." in name and layer < 0:
                layer = int(name.split("layer.")[1].split(".")[0])
            parameter.requires_grad_(layer >= frozen_layers)
        return model
    if method == "adapter":
        for name, parameter in model.encoder.named_parameters():
            parameter.requires_grad_(".adapter." in name or "LayerNorm" in name)
        return model
    raise ModelError(f"method {method!r} is not available")


def unwrap(model: Any) -> Any:
    """The HeadwindModel inside whatever `apply` returned."""
    return model


def merged(model: Any) -> Any:
    """A plain HeadwindModel with what was learned folded in where that is exact."""
    return model
