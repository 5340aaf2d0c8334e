"""Quantisation-aware training: the encoder learns with the rounding that the int8 export will do to it.

Every dense layer inside the encoder's blocks rounds its input to 8 bits over a fixed range and its weights to 7 bits a
row (the export's choice, see `export.export_int8`), forward only: gradients pass as if nothing had been rounded (the
straight-through estimator of Jacob et al., 2018). The ranges are chosen once, on texts of the training part, where the
squared error of rounding and cutting together is smallest; they travel in the checkpoint's config, and the export uses
the same ones. Heads and pooling are not rounded. Knows nothing of ONNX.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError

ACTIVATION_LEVELS: Final = 255
WEIGHT_LEVEL: Final = 64
"""Largest whole number of a weight: seven bits, as the export writes them."""
_SAMPLES: Final = 4096
"""Values of an input kept from each batch for choosing its range, beside its smallest and largest."""
_SHARES: Final = tuple(0.30 + 0.02 * step for step in range(36))


def fake_quantise_activation(values: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Values of any shape, cut to [low, high] and rounded to 256 levels of which one is zero; gradients pass inside.

    low is zero or less, high zero or more, both scalars.
    """
    scale = ((high - low) / ACTIVATION_LEVELS).clamp(min=1e-8)
    zero = torch.round(-low / scale)
    cut = values.clamp(-zero * scale, (ACTIVATION_LEVELS - zero) * scale)
    return cut + (torch.round(cut / scale) * scale - cut).detach()


def fake_quantise_weight(weight: Tensor) -> Tensor:
    """A matrix [out, in] with each row rounded to whole multiples of a 64th of its largest value."""
    scale = weight.detach().abs().amax(dim=1, keepdim=True).clamp(min=1e-8) / WEIGHT_LEVEL
    return weight + (torch.round(weight / scale) * scale - weight).detach()


class RoundedLinear(nn.Linear):
    """A dense layer that computes as the int8 export does. Shapes, weights and their names are those of the layer."""

    low: Tensor
    high: Tensor

    def __init__(self, inner: nn.Linear, low: Tensor, high: Tensor) -> None:
        super().__init__(inner.in_features, inner.out_features, bias=inner.bias is not None)
        self.weight, self.bias = inner.weight, inner.bias
        # Not persistent: a checkpoint of such a run is one of the plain network, ranges stand in its config.
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("high", high, persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        # Rounding in half precision would itself be coarser than the levels that are imitated.
        rounded = fake_quantise_activation(input.float(), self.low, self.high)
        return functional.linear(rounded.to(input.dtype), fake_quantise_weight(self.weight).to(input.dtype), self.bias)


def dense_layers(model: Any) -> dict[str, nn.Linear]:
    """The layers that are rounded, by their name inside the encoder. Raises ModelError where there are none."""
    found = {
        name: module
        for name, module in model.encoder.named_modules()
        if isinstance(module, nn.Linear) and ".layer." in f".{name}"
    }
    if not found:
        raise ModelError("quantisation-aware training: the encoder has no dense layers inside numbered blocks")
    return found


def choose_range(values: Tensor) -> tuple[float, float]:
    """(low, high) around zero with the smallest squared error of 256 levels over a sample of values, any shape."""
    sample = values.detach().float().flatten()
    widest_low, widest_high = min(0.0, float(sample.min())), max(0.0, float(sample.max()))

    def error(low: float, high: float) -> float:
        rounded = fake_quantise_activation(sample, torch.tensor(low), torch.tensor(high))
        return float((rounded - sample).square().mean())

    high = min((widest_high * share for share in _SHARES), key=lambda bound: error(widest_low, bound))
    low = min((widest_low * share for share in _SHARES), key=lambda bound: error(bound, high))
    return low, high


def observe_ranges(model: Any, batches: Iterable[dict[str, Tensor]]) -> dict[str, tuple[float, float]]:
    """Run the network over batches (`input_ids` and `attention_mask`, both [B, T]) and choose each layer's range.

    Padding is left out: its states mean nothing, and they would widen the ranges. Layers that read the same states
    (query, key and value) get the same range: the export rounds a tensor once for all its readers.
    """
    seen: dict[str, list[Tensor]] = {}
    shares: dict[str, str] = {}
    last: tuple[str, Tensor | None] = ("", None)
    generator = torch.Generator().manual_seed(3)
    mask: Tensor | None = None

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            nonlocal last
            assert mask is not None
            if inputs[0] is last[1]:
                shares[name] = last[0]
                return
            last = (name, inputs[0])
            states = inputs[0].detach().float()[mask.bool()].flatten()
            drawn = torch.randint(0, states.numel(), (_SAMPLES,), generator=generator)
            seen.setdefault(name, []).append(torch.cat([states[drawn], states.min()[None], states.max()[None]]))

        return hook

    handles = [module.register_forward_pre_hook(keep(name)) for name, module in dense_layers(model).items()]
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for batch in batches:
                mask = batch["attention_mask"]
                model.pooled(batch["input_ids"], mask)
    finally:
        for handle in handles:
            handle.remove()
        model.train(training)
    chosen = {name: choose_range(torch.cat(values)) for name, values in seen.items()}
    return chosen | {name: chosen[first] for name, first in shares.items()}


def prepare(model: Any, ranges: dict[str, tuple[float, float]]) -> None:
    """Let every dense layer of the encoder round as the export will; in place. The ranges go into the config."""
    bounds = {pair: (torch.tensor(pair[0]), torch.tensor(pair[1])) for pair in ranges.values()}
    for name in dense_layers(model):
        parent = model.encoder.get_submodule(name.rpartition(".")[0])
        leaf = name.rpartition(".")[2]
        setattr(parent, leaf, RoundedLinear(getattr(parent, leaf), *bounds[ranges[name]]))
    model.config.activation_ranges = {name: [low, high] for name, (low, high) in ranges.items()}


def plain(model: Any) -> Any:
    """The same network with ordinary dense layers again, for saving; in place. The config keeps the ranges."""
    for name, module in list(model.encoder.named_modules()):
        if isinstance(module, RoundedLinear):
            inner = nn.Linear(module.in_features, module.out_features, bias=module.bias is not None)
            inner.weight, inner.bias = module.weight, module.bias
            setattr(model.encoder.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2], inner)
    return model
