"""A checkpoint of a few thousand parameters, made in a second: the real format, a network that has learnt nothing.

Its weights are drawn wide, so that texts get clearly different answers and a mix-up of rows shows.
"""

from __future__ import annotations

import tempfile
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig

from models.calibrate import Calibration
from models.network import HeadwindConfig, HeadwindModel
from models.registry import ONNX, TOKENIZER, Manifest, write_manifest

MAX_LENGTH = 48

SENTENCES = (
    "Acme Steel warns of a deeper loss after two plants flood",
    "Regulator fines Northwind Bank over weak laundering checks",
    "Harbour Foods raises its dividend as sales beat forecasts",
    "Union calls a strike at three Delta Motors sites",
    "Central bank holds rates and sees inflation easing by spring",
    "Ransomware stops payments at Orchard Insurance for a second day",
    "Shares of Bluefin Energy jump 3.5% on takeover talk",
    "Copper slips as traders weigh new tariffs",
    "Board of Quarry Holdings names a new finance chief",
    "Talks between the two ministers end without a statement",
    "Analyst lifts price target for Maple Retail, cites margins",
    "Landlord group Vista defaults on a bond payment",
)
"""Written for the tests; every word of them is in the vocabulary of the tiny tokenizer."""


@cache
def _shared() -> tuple[Path, tempfile.TemporaryDirectory[str]]:
    holder = tempfile.TemporaryDirectory(prefix="headwind-tiny-")
    return build(Path(holder.name) / "tiny-1"), holder


def shared() -> Path:
    """The one tiny checkpoint of this test process, built at the first call and removed at exit; read only."""
    return _shared()[0]


def build(folder: Path, version: str = "tiny-1", created: str = "2026-01-02T03:04:05+00:00", seed: int = 7) -> Path:
    """Writes a whole checkpoint (weights, config, tokenizer, ONNX export, manifest) into `folder` and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tiny_tokenizer()
    tokenizer.save(str(folder / TOKENIZER))
    model = tiny_network(tokenizer.get_vocab_size(), seed)
    export(model, folder / ONNX)
    model.half().save_pretrained(folder)
    return seal(folder, version, created)


def seal(folder: Path, version: str = "tiny-1", created: str = "2026-01-02T03:04:05+00:00") -> Path:
    """Writes the manifest for the files as they now are: what an honest maker of this checkpoint would have done."""
    calibration = Calibration.identity().to_manifest()
    manifest = Manifest(
        version=version,
        created=created,
        languages=("en",),
        base="tiny-bert",
        max_length=MAX_LENGTH,
        window_stride=8,
        unsure_below=0.4,
        calibration=calibration["calibration"],
        thresholds=calibration["thresholds"],
        auxiliary_heads={"tone": ["bad", "good"]},
    )
    write_manifest(folder, manifest)
    return folder


def tiny_tokenizer() -> Tokenizer:
    """WordPiece over the words of `SENTENCES`, single letters and digits, put together as BERT's is."""
    words = sorted({word.strip(".,%").lower() for sentence in SENTENCES for word in sentence.split()})
    signs = list("abcdefghijklmnopqrstuvwxyz0123456789.,%$!?'\"-")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *signs, *(f"##{sign}" for sign in signs)]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys([*pieces, *words]))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    return tokenizer


def tiny_network(vocabulary: int, seed: int = 7) -> HeadwindModel:
    encoder = BertConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        pad_token_id=0,
        initializer_range=0.3,
    )
    torch.manual_seed(seed)
    model = HeadwindModel(HeadwindConfig(encoder=encoder.to_dict(), auxiliary_sentiment={"tone": ["bad", "good"]}))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2 and "embeddings" not in name:
                parameter.normal_(std=0.3)
        # As the shipped weights are: rounded to halves, so that both backends start from the same numbers.
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())
    return model.eval()


class _Graph(torch.nn.Module):
    """The three outputs of an export, in its order."""

    def __init__(self, model: HeadwindModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
        output = self.model(input_ids=input_ids, attention_mask=attention_mask)
        return output.sentiment_logits, output.topic_logits, output.primary_logits


def export(model: HeadwindModel, path: Path) -> None:
    """The network as an ONNX file in fp32: quantising four thousand weights would only measure rounding."""
    model.encoder.config._attn_implementation = "eager"
    ids = torch.from_numpy(np.array([[2, 5, 6, 3], [2, 7, 3, 0]], dtype=np.int64))
    mask = torch.from_numpy(np.array([[1, 1, 1, 1], [1, 1, 1, 0]], dtype=np.int64))
    axes = {0: "batch", 1: "tokens"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Graph(model),
            (ids, mask),
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=["sentiment_logits", "topic_logits", "primary_logits"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes},
            dynamo=False,
        )
