"""What of the network is trained: everything, the upper layers, or a small part added to a frozen encoder.

peft serves LoRA and AdaLoRA. Its prefix tuning hands prefixes over as past keys and values, which encoders such as
BERT do not take in transformers 5; the nearest kin stands in its place: trained virtual tokens before the text (prompt
tuning), part of `HeadwindModel`. It has no bottleneck adapters (Houlsby et al., 2019) either: those are written here.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from models.errors import ModelError


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


def apply(model: Any, method: str, rank: int = 16, frozen_layers: int = 4, steps: int = 1000) -> Any:
    """Freeze and extend `model` in place for the method and return it. Heads are always trained.

    rank: of LoRA and AdaLoRA (prompts and adapters were sized when the model was built). steps: optimizer steps of
    the run, which AdaLoRA spreads its budget over. Raises ModelError for an encoder that the method does not fit.
    """
    if method == "full":
        return model
    if method == "frozen":
        layers = [int(name.split("layer.")[1].split(".")[0]) for name in _layer_names(model)]
        if not layers or frozen_layers > max(layers):
            raise ModelError(f"--frozen-layers {frozen_layers}: the encoder has {max(layers, default=-1) + 1} layers")
        for name, parameter in model.encoder.named_parameters():
            layer = int(name.split("layer.")[1].split(".")[0]) if "layer." in name else -1
            parameter.requires_grad_(layer >= frozen_layers)
        return model
    if method in ("adapter", "prefix"):
        for name, parameter in model.encoder.named_parameters():
            parameter.requires_grad_(method == "adapter" and (".adapter." in name or "LayerNorm" in name))
        return model
    if method in ("lora", "adalora"):
        return _low_rank(model, method, rank, steps)
    raise ModelError(f"method {method!r} is unknown")


def _layer_names(model: Any) -> list[str]:
    return [name for name, _ in model.encoder.named_parameters() if "layer." in name]


def _low_rank(model: Any, method: str, rank: int, steps: int) -> Any:
    """Wrap the encoder's linear layers by peft; the heads outside stay as they are."""
    from peft import AdaLoraConfig, LoraConfig, get_peft_model

    # The pooler is left out: nothing reads it, so its updates would get no gradient.
    targets = [
        name for name, module in model.encoder.named_modules() if isinstance(module, nn.Linear) and "pooler" not in name
    ]
    common: dict[str, Any] = {"lora_alpha": 2 * rank, "lora_dropout": 0.05, "target_modules": targets}
    if method == "lora":
        config = LoraConfig(r=rank, **common)
    else:
        # The ranks start half as large again and are cut to the asked ones between a tenth and two thirds of the run.
        config = AdaLoraConfig(
            init_r=rank + rank // 2,
            target_r=rank,
            tinit=max(1, steps // 10),
            tfinal=max(1, steps // 3),
            deltaT=max(1, steps // 100),
            total_step=max(4, steps),
            **common,
        )
    model.encoder = get_peft_model(model.encoder, config)
    return model


def callbacks(model: Any, method: str) -> list[Any]:
    """Trainer callbacks that the method needs: AdaLoRA moves its rank budget after each step."""
    if method != "adalora":
        return []
    from transformers import TrainerCallback

    class Allocate(TrainerCallback):
        def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            model.encoder.base_model.update_and_allocate(state.global_step)

    return [Allocate()]


def merged(model: Any) -> Any:
    """A plain HeadwindModel: low-rank updates are added into the weights, which is exact. In place."""
    if hasattr(model.encoder, "merge_and_unload"):
        model.encoder = model.encoder.merge_and_unload()
    return model
