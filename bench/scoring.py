"""cpu-score: how many texts a second, side by side with what people run today.

    python -m bench.scoring [--quick] [--model V] [--texts N] [--rounds N] [--threads N] [--no-write]

In every round each side scores the same sentences (20 to 200 tokens, from our own word lists, nobody truncates) on
the same pinned cores, one side after the other; the ratio of a round is ours over the peer's, and the median counts.

pipeline, BERT-base   transformers.pipeline(batch_size=32) with a BERT-base classifier of random weights: what users of
                      FinBERT run; the architecture and the tokens take the time, not the values of the weights
pipeline, ours        the same pipeline with our checkpoint in torch
dynamic int8          our network as sentence-transformers would run it: dynamic int8 in ONNX Runtime, sorted by
                      length, batches of 32, padded
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.results import write_section
from bench.sentences import sentences
from models.batching import Encoder
from models.labels import SENTIMENTS
from models.onnx_backend import OnnxClassifier
from models.registry import TOKENIZER, Manifest, resolve, verify

BATCH = 32
WINDOW = 256
"""Tokens; wider than any sentence here, so that both sides read every token."""

Side = Callable[[Sequence[str]], list[str]]
"""Scores texts and returns a sentiment for each."""


@dataclass(frozen=True, slots=True)
class Timing:
    """name: the side; rates: texts a second in each round."""

    name: str
    rates: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rates)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.scoring", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a minute instead of six; writes nothing")
    parser.add_argument("--model", help="version or folder (default: the newest)")
    parser.add_argument("--texts", type=int, default=192, help="sentences a round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="cores, pinned (default: %(default)s)")
    parser.add_argument("--bulk", type=int, default=10_000, help="sentences that only we score (default: %(default)s)")
    parser.add_argument("--no-write", action="store_true", help="print, but leave bench/RESULTS.md as it is")
    arguments = parser.parse_args(argv)
    if arguments.quick:
        arguments.texts, arguments.rounds, arguments.bulk, arguments.no_write = 32, 2, 64, True
    pin(arguments.threads)
    quiet()
    folder = resolve(arguments.model)
    manifest = verify(folder)
    report = measure(folder, manifest, arguments)
    print(report)
    if not arguments.no_write:
        write_section("cpu-score", report)
    return 0


def pin(threads: int) -> None:
    """Keeps this process, and what it starts, on the first cores that it may use."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:threads]))
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    os.environ["OMP_NUM_THREADS"] = str(threads)


def quiet() -> None:
    """No warnings and bars of the peers between our lines: that a pipeline does not know our class is no news here."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity(50)
    transformers_logging.disable_progress_bar()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")


def measure(folder: Path, manifest: Manifest, arguments: argparse.Namespace) -> str:
    """The section of the results, in Markdown."""
    encoder = Encoder.load(folder / TOKENIZER, WINDOW)
    count = max(arguments.texts * arguments.rounds, arguments.bulk)
    texts = sentences(count, lambda text: length_of(encoder, text))
    ours = OnnxClassifier.load(folder, replace(manifest, max_length=WINDOW), threads=arguments.threads)
    with tempfile.TemporaryDirectory() as scratch:
        sides: dict[str, Side] = {
            "Headwind, int8": lambda part: [p.sentiment if p else "" for p in ours.predict(part)],
            "pipeline, ours": pipeline_ours(folder, arguments.threads),
            "dynamic int8": dynamic_int8(folder, encoder, Path(scratch), arguments.threads),
            "pipeline, BERT-base": pipeline_bert(folder, arguments.threads),
        }
        for side in sides.values():
            side(texts[:4])  # what is built at the first call is not counted
        timings, labels = race(sides, texts, arguments.texts, arguments.rounds)
    started = time.perf_counter()
    ours.predict(texts[: arguments.bulk])
    bulk = time.perf_counter() - started
    tokens = sum(length_of(encoder, text) for text in texts[: arguments.bulk])
    # Raw logits on both sides: the calibration of `predict` may move a label, and is no work of the network.
    raw = ours.head_logits(texts[: len(labels["pipeline, ours"])]).sentiment.argmax(axis=1)
    same = np.mean([SENTIMENTS[best] == label for best, label in zip(raw, labels["pipeline, ours"], strict=True)])
    return write_up(manifest, timings, float(same), arguments, bulk, tokens)


def length_of(encoder: Encoder, text: str) -> int:
    [tokens] = encoder.encode([text])
    return len(tokens.ids) if tokens else 0


def race(
    sides: dict[str, Side], texts: Sequence[str], size: int, rounds: int
) -> tuple[list[Timing], dict[str, list[str]]]:
    """Every side on every round's sentences, interleaved; who goes first moves on with each round."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    labels: dict[str, list[str]] = {name: [] for name in sides}
    names = list(sides)
    for number in range(rounds):
        part = texts[number * size : (number + 1) * size]
        for name in names[number % len(names) :] + names[: number % len(names)]:
            started = time.perf_counter()
            answer = sides[name](part)
            rates[name].append(len(part) / (time.perf_counter() - started))
            labels[name].extend(answer)
            print(f"round {number + 1}/{rounds}  {name}: {rates[name][-1]:.1f} texts/s", file=sys.stderr)
    return [Timing(name, tuple(found)) for name, found in rates.items()], labels


def pipeline_bert(folder: Path, threads: int) -> Side:
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(1)
    model = BertForSequenceClassification(BertConfig(num_labels=3))
    return pipeline_of(model, folder, threads)


def pipeline_ours(folder: Path, threads: int) -> Side:
    import torch
    from transformers.modeling_outputs import SequenceClassifierOutput

    from models.network import HeadwindModel

    class Adapted(HeadwindModel):
        """Our network with the answer that a text-classification pipeline reads."""

        def forward(self, input_ids: Any = None, attention_mask: Any = None, **unused: Any) -> Any:
            output = super().forward(input_ids=input_ids, attention_mask=attention_mask)
            return SequenceClassifierOutput(logits=output.sentiment_logits)

    model = Adapted.from_pretrained(folder, dtype=torch.float32, use_safetensors=True, local_files_only=True)
    model.config.id2label = dict(enumerate(SENTIMENTS))
    model.config.num_labels = len(SENTIMENTS)
    return pipeline_of(model, folder, threads)


def pipeline_of(model: Any, folder: Path, threads: int) -> Side:
    import torch
    from transformers import PreTrainedTokenizerFast, pipeline

    torch.set_num_threads(threads)
    # One tokenizer for all, so that every side reads the same tokens.
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / TOKENIZER), pad_token="[PAD]", unk_token="[UNK]", model_max_length=512
    )
    classify = pipeline("text-classification", model=model.eval(), tokenizer=tokenizer, batch_size=BATCH, device="cpu")
    return lambda part: [str(answer["label"]) for answer in classify(list(part))]


def dynamic_int8(folder: Path, encoder: Encoder, scratch: Path, threads: int) -> Side:
    import onnxruntime
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from models.export import export_fp32

    full, small = scratch / "full.onnx", scratch / "small.onnx"
    export_fp32(folder, full)
    quantize_dynamic(
        str(full),
        str(small),
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        extra_options={"DefaultTensorType": TensorProto.FLOAT, "MatMulConstBOnly": True},
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(small), options, providers=["CPUExecutionProvider"])

    def score(part: Sequence[str]) -> list[str]:
        rows = [item.ids if item else [] for item in encoder.encode(part)]
        order = sorted(range(len(rows)), key=lambda row: -len(rows[row]))
        labels = [""] * len(rows)
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            ids = np.zeros((len(chosen), len(rows[chosen[0]])), dtype=np.int64)
            mask = np.zeros_like(ids)
            for place, row in enumerate(chosen):
                ids[place, : len(rows[row])], mask[place, : len(rows[row])] = rows[row], 1
            [logits] = session.run(["sentiment_logits"], {"input_ids": ids, "attention_mask": mask})
            for row, best in zip(chosen, logits.argmax(axis=1), strict=True):
                labels[row] = SENTIMENTS[best]
        return labels

    return score


def write_up(
    manifest: Manifest,
    timings: Sequence[Timing],
    same: float,
    arguments: argparse.Namespace,
    bulk: float,
    tokens: int,
) -> str:
    first = timings[0]
    longest = max(timing.median for timing in timings)
    lines = [
        "## cpu-score",
        "",
        f"{arguments.rounds} rounds of {arguments.texts} sentences of 20 to 200 tokens, {arguments.threads} threads "
        f"pinned, interleaved, medians. Checkpoint {manifest.version}. {machine()}.",
        "",
        "| side | texts/s | Headwind is faster by | |",
        "|---|---:|---:|---|",
    ]
    for timing in timings:
        ratios = [mine / theirs for mine, theirs in zip(first.rates, timing.rates, strict=True)]
        ratio = f"{statistics.median(ratios):.1f}× ({min(ratios):.1f} to {max(ratios):.1f})" if timing != first else ""
        bar = "█" * max(1, round(30 * timing.median / longest))
        lines.append(f"| {timing.name} | {timing.median:.1f} | {ratio} | `{bar}` |")
    lines += [
        "",
        f"In bulk: {arguments.bulk} sentences in {bulk:.1f} s, {arguments.bulk / bulk:.0f} texts/s, "
        f"{tokens / bulk:.0f} real tokens/s.",
        f"Same sentiment as the fp32 network in the pipeline: {same:.1%}. {int8_cost(manifest)}",
        f"Load while measuring (1 minute): {os.getloadavg()[0]:.1f}.",
    ]
    return "\n".join(lines)


def int8_cost(manifest: Manifest) -> str:
    """What int8 costs in macro-F1 on the held-out headlines, as the manifest states it."""
    try:
        low = manifest.metrics["test"]["sentiment"]["macro_f1"]
        full = manifest.metrics["test fp32"]["sentiment"]["macro_f1"]
    except (KeyError, TypeError):
        return "The manifest does not state macro-F1 for both int8 and fp32."
    lost = 100 * (full - low)
    return f"Macro-F1 on held-out headlines: {low:.4f} in int8, {full:.4f} in fp32 (lost: {lost:.2f} points)."


def machine() -> str:
    """Processor, cores and the instructions that decide about int8."""
    name, flags = platform.processor() or platform.machine(), ""
    info = Path("/proc/cpuinfo")
    if info.exists():
        fields = dict(line.split(":", 1) for line in info.read_text(encoding="utf-8").splitlines() if ":" in line)
        stated = {key.strip(): value.strip() for key, value in fields.items()}
        name = stated.get("model name", name)
        has = set(stated.get("flags", "").split())
        flags = ", ".join(flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8") if flag in has)
    return f"{name}, {os.cpu_count()} cores ({flags or 'no vector flags known'}), {platform.system()}"


if __name__ == "__main__":
    sys.exit(main())
