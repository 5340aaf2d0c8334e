"""`python -m models export`: the int8 ONNX file of a checkpoint, and how far its answers stay those of fp32.

The product's heads only; auxiliary heads stay in the safetensors file. Steps: trace in fp32 with eager attention, let
ONNX Runtime's optimizer fuse attention, norms and GELU, quantise MatMul and Gemm statically (QDQ), and store the word
embeddings as int8 rows. Activation ranges are constants of the graph, so a text's scores do not depend on its batch.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.errors import CheckpointError, DataError
from models.graph import channel_ranges, lean, reads, smooth
from models.registry import CHECKPOINTS, CONFIG
from models.runs import files_seen, phases, run_of

OPSET: Final = 18
OUTPUTS: Final = ("sentiment_logits", "topic_logits", "primary_logits")
CALIBRATION_TEXTS: Final = 384
"""Enough that the widest ranges are seen; more only takes longer (measured: the ranges no longer move)."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Int8 against fp32 on the same texts: share of equal sentiment labels and of equal sets of topics, largest and
    mean difference of a sentiment probability."""

    texts: int
    sentiment: float
    topics: float
    main_topic: float
    largest_difference: float
    mean_difference: float


def add_parser(subparsers: Any) -> None:
    """Register `export` and its options; `run` of the answer runs it."""
    parser = subparsers.add_parser("export", help="make the int8 ONNX file of a checkpoint")
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="FOLDER", help="folder with model.safetensors and tokenizer.json")
    add("--data", type=Path, nargs="+", required=True, metavar="FILE", help="labelled files: activation ranges")
    add("--out", type=Path, metavar="FILE", help="default: model.int8.onnx in the folder")
    add("--fp32", action="store_true", help="write the fused fp32 graph instead (for comparison)")
    add("--keep", nargs="*", default=[], metavar="PART", help="parts of node names that stay in fp32")
    add("--max-length", type=int, default=128, help="tokens of a calibration text")
    add("--exclude", action="append", default=[], metavar="NAME", help="sources the network was trained without")
    add("--further", nargs="+", type=Path, default=[], metavar="FILE", help="what `train --further` learnt from")
    add("--calibrate-on", nargs="+", type=Path, default=[], metavar="FILE", help="labelled rows beside the dev part")
    add("--measure-on", nargs="+", type=Path, default=[], metavar="FILE", help="labelled random draws, measured apart")
    add("--version", metavar="NAME", help="also calibrate, measure and write a checkpoint folder of this name")
    add("--root", type=Path, default=CHECKPOINTS, metavar="FOLDER", help="where that folder goes")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Export; 0 when the file is written."""
    from models.corpus import load_corpus

    made_by = run_of(args.model)
    further = {"train": args.further, "dev": args.calibrate_on, "random": args.measure_on}
    corpus = load_corpus(args.data, args.exclude, made_by["arguments"].get("limit") if made_by else None, further)
    if args.version and made_by:
        check_files(made_by["files"], corpus.files)
    if args.version:
        from models.release import release

        origin = origin_of(args.model)
        folder = release(args.model, args.version, args.root, corpus, origin, args.keep)
        print(f"checkpoint {args.version}: {len(list(folder.iterdir()))} files", file=sys.stderr)
        return 0
    texts = calibration_texts(corpus)
    if args.fp32:
        out = args.out or args.model / "model.fp32.onnx"
        export_fp32(args.model, out)
    else:
        out = args.out or args.model / "model.int8.onnx"
        export_int8(args.model, out, texts, keep=args.keep, max_length=args.max_length)
    print(json.dumps({"file": out.name, "bytes": out.stat().st_size}), file=sys.stderr)
    return 0


def check_files(learnt: Sequence[Mapping[str, Any]], given: Sequence[Mapping[str, Any]]) -> None:
    """Raise DataError when an export reads other labelled files than the training did.

    What is held out depends on all of them: with others, rows that were learnt from would count as held out.
    """
    from models.corpus import LEARNT_ONLY, is_labelled

    there = {file["name"]: file["sha256"] for file in given}
    for file in learnt:
        option = "--further" if file["used_for"] == LEARNT_ONLY else "--data"
        if is_labelled(file["used_for"]) and there.get(file["name"]) != file["sha256"]:
            what = "is another file than" if file["name"] in there else "is missing; it is among"
            raise DataError(
                f"{option}: {file['name']} {what} what the network learnt from; it decides what is held out"
            )


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a network comes from. base: what its first phase began with. training: what the manifest states of the
    last phase, with the arguments of those before. files: every file that any phase read."""

    base: str
    training: dict[str, Any]
    files: list[dict[str, Any]]


def origin_of(folder: Path) -> Origin:
    """What is written down of the run that made the network, see `run_of`; little for one that came without it."""
    described = run_of(folder)
    if described is None:
        return Origin("unknown", {}, [])
    told = ("arguments", "seconds", "trainable_parameters")
    training = {key: described[key] for key in told if described.get(key) is not None}
    training["before"] = [{key: one[key] for key in ("arguments", "seconds")} for one in phases(described)[1:]]
    return Origin(str(phases(described)[-1]["arguments"]["base"]), training, list(files_seen(described).values()))


def calibration_texts(corpus: Any, count: int = CALIBRATION_TEXTS) -> list[str]:
    """Training texts of the natural mix for the activation ranges; never a held-out one."""
    import random

    pool = [e for e in corpus.part("train", product_only=True) if e.meta.get("set", "general") == "general"]
    pool = pool or corpus.part("train")
    chosen = random.Random(5).sample(pool, min(count, len(pool)))
    return [example.joined if number % 2 else example.text for number, example in enumerate(chosen)]


def export_fp32(folder: Path, out: Path) -> None:
    """Trace the product's network of a checkpoint folder and write the fused fp32 graph to `out`."""
    import torch
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    from models.network import HeadwindModel

    model = HeadwindModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    encoder = model.config.encoder
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch) / "raw.onnx"
        _trace(model, raw)
        options = FusionOptions("bert")
        # Separate projections stay MatMul nodes, which the quantiser knows; a fused Attention node would stay fp32.
        options.use_multi_head_attention = True
        options.enable_embed_layer_norm = False
        fused = optimizer.optimize_model(
            str(raw),
            model_type="bert",
            num_heads=int(encoder["num_attention_heads"]),
            hidden_size=int(encoder["hidden_size"]),
            optimization_options=options,
            opt_level=0,
        )
        fused.save_model_to_file(str(out))


def _trace(model: Any, out: Path) -> None:
    """Export to plain ONNX with free batch and length."""
    import torch
    from torch import nn

    class Product(nn.Module):
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
            found = self.inner(input_ids=input_ids, attention_mask=attention_mask)
            return found.sentiment_logits, found.topic_logits, found.primary_logits

    ids = torch.randint(5, 90, (3, 17))
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0
    axes = {0: "batch", 1: "length"}
    with torch.no_grad():
        torch.onnx.export(
            Product(model).eval(),
            (ids, mask),
            str(out),
            input_names=["input_ids", "attention_mask"],
            output_names=list(OUTPUTS),
            dynamic_axes={"input_ids": axes, "attention_mask": axes, **{name: {0: "batch"} for name in OUTPUTS}},
            opset_version=OPSET,
            dynamo=False,
        )


def export_int8(
    folder: Path,
    out: Path,
    texts: Sequence[str],
    keep: Sequence[str] = (),
    max_length: int = 128,
    reduce_range: bool = True,
) -> None:
    """Write the static int8 graph of a checkpoint folder to `out`.

    texts: what the activation ranges are taken on, where the network was not trained with ranges of its own.
    keep: parts of names of nodes that stay in fp32, beside the heads.
    reduce_range: seven bits for weights. On AVX2 without VNNI the product of two bytes is summed in 16 bits, which
    eight-bit weights overflow.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as scratch:
        fused, prepared = Path(scratch) / "fused.onnx", Path(scratch) / "prepared.onnx"
        export_fp32(folder, fused)
        quant_pre_process(str(fused), str(prepared), skip_symbolic_shape=True, skip_optimization=True)
        typed = onnx.load(prepared)
        graph = typed.graph
        trained = _trained_ranges(folder, graph, QuantType.QUInt8)
        if not trained:
            # Ranges fixed in training hold for the channels as they are; they cannot be evened out any more.
            smooth(typed, channel_ranges(typed, reads(typed, keep), _Reader(folder, texts, max_length).feeds), keep)
        _state_types(graph)
        onnx.save(typed, str(prepared))
        excluded = [node.name for node in graph.node if _stays(node, graph, keep)]
        quantize_static(
            str(prepared),
            str(out),
            _Reader(folder, texts, max_length),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["MatMul", "Gemm"],
            nodes_to_exclude=excluded,
            per_channel=True,
            reduce_range=reduce_range,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            # Products go on in fp32: rounding them again would cost accuracy and save nothing.
            extra_options={
                "OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"],
                # Shape inference does not know the fused operators; their outputs are float.
                "DefaultTensorType": onnx.TensorProto.FLOAT,
                "TensorQuantOverrides": trained,
            },
        )
    model = onnx.load(out)
    _check_activations(model.graph)
    _shrink_embeddings(model)
    lean(model)
    onnx.checker.check_model(model)
    onnx.save(model, str(out))


def _trained_ranges(folder: Path, graph: Any, kind: Any) -> dict[str, list[dict[str, Any]]]:
    """Range of each tensor that a dense layer reads, as `models.quantise` fixed it in training; none is no override."""
    ranges = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("activation_ranges") or {}
    found = {}
    for node in graph.node:
        name = node.name.removeprefix("/inner/encoder/").rpartition("/")[0].replace("/", ".")
        if node.op_type in ("MatMul", "Gemm") and name in ranges:
            low, high = ranges[name]
            # Of the same type as the range that the calibration measures: the quantiser mixes them.
            found[node.input[0]] = [{"quant_type": kind, "rmin": np.float32(low), "rmax": np.float32(high)}]
    return found


def _state_types(graph: Any) -> None:
    """Say that what the fused operators give out is float32.

    Shape inference does not know ONNX Runtime's own operators, and the quantiser passes over, with a mere warning, an
    activation whose type is not stated: only the weights would be int8, unpacked again on every call, which is slower
    than fp32.
    """
    from onnx import TensorProto, helper

    stated = {item.name for item in graph.value_info}
    for node in graph.node:
        # Further outputs of these operators are optional and not used in scoring.
        if node.domain == "com.microsoft" and node.output[0] not in stated:
            graph.value_info.append(helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, None))


def _check_activations(graph: Any) -> None:
    """Raise CheckpointError when a product with an int8 matrix has an activation that was left in fp32."""
    unpacked = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    constants = {item.name for item in graph.initializer}
    for node in graph.node:
        if node.op_type in ("MatMul", "Gemm") and node.input[1] in unpacked:
            weight = unpacked[node.input[1]].input[0] in constants
            if weight and node.input[0] not in unpacked:
                raise CheckpointError(f"export: the input of {node.name} was not quantised; its type is not known")


def _stays(node: Any, graph: Any, keep: Sequence[str]) -> bool:
    """Heads and pooling stay fp32: they are a thousandth of the work and decide the last digits."""
    if node.op_type not in ("MatMul", "Gemm"):
        return False
    constants = {item.name for item in graph.initializer}
    if not any(name in constants for name in node.input):
        return True
    return "encoder" not in node.name or any(part in node.name for part in keep)


class _Reader:
    """Feeds the calibration: texts of one length together, so that no range comes from padding."""

    def __init__(self, folder: Path, texts: Sequence[str], max_length: int, batch: int = 16) -> None:
        self.feeds = self._batches(folder, texts, max_length, batch)

    @staticmethod
    def _batches(
        folder: Path, texts: Sequence[str], max_length: int, batch: int
    ) -> Iterator[dict[str, NDArray[np.int64]]]:
        by_length: dict[int, list[list[int]]] = {}
        for ids in token_ids(folder, texts, max_length):
            by_length.setdefault(len(ids), []).append(ids)
        for rows in by_length.values():
            for start in range(0, len(rows), batch):
                ids_array = np.asarray(rows[start : start + batch], dtype=np.int64)
                yield {"input_ids": ids_array, "attention_mask": np.ones_like(ids_array)}

    def get_next(self) -> dict[str, NDArray[np.int64]] | None:
        return next(self.feeds, None)


def token_ids(folder: Path, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Token ids of each text, special tokens included, cut to `max_length`."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    return [encoded.ids for encoded in tokenizer.encode_batch(list(texts))]


def _shrink_embeddings(model: Any) -> None:
    """Store the word embeddings as int8 with one scale a row: a quarter of the file, and the rows keep their own range.

    Raises CheckpointError when the graph has no such table.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    table = max(graph.initializer, key=lambda item: int(np.prod(item.dims)))
    gather = next((node for node in graph.node if node.op_type == "Gather" and node.input[0] == table.name), None)
    if gather is None:
        raise CheckpointError("export: the largest tensor of the graph is not a table of embeddings")
    rows = numpy_helper.to_array(table).astype(np.float32)
    scales = np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-8) / 127.0
    packed = np.clip(np.rint(rows / scales), -127, 127).astype(np.int8)
    position = list(graph.node).index(gather)
    output, indices = gather.output[0], gather.input[1]
    graph.node.remove(gather)
    graph.initializer.remove(table)
    graph.initializer.extend(
        [numpy_helper.from_array(packed, "words_int8"), numpy_helper.from_array(scales, "words_scale")]
    )
    parts = [
        helper.make_node("Gather", ["words_int8", indices], ["words_rows"], name="words_gather", axis=0),
        helper.make_node("Cast", ["words_rows"], ["words_float"], name="words_cast", to=TensorProto.FLOAT),
        helper.make_node("Gather", ["words_scale", indices], ["words_size"], name="words_scale_gather", axis=0),
        helper.make_node("Mul", ["words_float", "words_size"], [output], name="words_unpack"),
    ]
    for offset, node in enumerate(parts):
        graph.node.insert(position + offset, node)


def agreement(fp32: Any, int8: Any, calibration: Any) -> Agreement:
    """Compare two answers for the same texts; both have sentiment [B, 3], topics and primary [B, 20] logits."""
    first = calibration.apply_sentiment(fp32.sentiment)
    second = calibration.apply_sentiment(int8.sentiment)
    _, topics_first = calibration.apply_topics(fp32.topics, fp32.primary)
    _, topics_second = calibration.apply_topics(int8.topics, int8.primary)
    pairs = list(zip(topics_first, topics_second, strict=True))
    return Agreement(
        texts=len(first),
        sentiment=float((first.argmax(-1) == second.argmax(-1)).mean()),
        topics=float(np.mean([set(a) == set(b) for a, b in pairs])),
        main_topic=float(np.mean([a[0] == b[0] for a, b in pairs])),
        largest_difference=float(np.abs(first - second).max()),
        mean_difference=float(np.abs(first - second).mean()),
    )


def agreement_dict(found: Agreement) -> dict[str, float]:
    """The figures rounded for the manifest."""
    return {key: round(float(value), 4) for key, value in asdict(found).items()}
