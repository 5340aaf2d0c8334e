"""Faults M1 to M6 of the scorer: refused checkpoints, hostile texts, batches, lack of memory, values that are none.

What M6 asks of the pipeline is in test_m_quarantine.py.
"""

from __future__ import annotations

import json
import math
import pickle
import random
import shutil
import statistics
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.sentences import OBJECTS, SUBJECTS, VERBS
from models.errors import CheckpointError
from models.onnx_backend import OnnxClassifier
from models.registry import CONFIG, MANIFEST, ONNX, WEIGHTS, open_classifier
from models.torch_backend import TorchClassifier
from tests.models import tiny_checkpoint
from tests.models.tiny_checkpoint import SENTENCES


@pytest.fixture(scope="module")
def tiny() -> Path:
    return tiny_checkpoint.shared()


@pytest.fixture
def own(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / tiny.name))


def refused(folder: Path, reason: str, backend: str = "auto") -> None:
    with pytest.raises(CheckpointError, match=reason) as caught:
        open_classifier(folder, backend=backend, device="cpu")
    assert "\n" not in str(caught.value)


class Trap:
    """A pickle that would write a file if anything opened it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pkl", "weights.ckpt", "PYTORCH_MODEL.BIN"])
def test_M1_a_pickle_in_the_folder_refuses_it_unopened(own: Path, tmp_path: Path, name: str) -> None:
    mark = tmp_path / "was-run"
    (own / name).write_bytes(pickle.dumps(Trap(mark)))
    tiny_checkpoint.seal(own)
    refused(own, "a pickle can run code")
    assert not mark.exists()


def test_M1_a_pickle_under_the_name_of_the_weights_is_refused_unopened(own: Path, tmp_path: Path) -> None:
    mark = tmp_path / "was-run"
    (own / WEIGHTS).write_bytes(pickle.dumps(Trap(mark)))
    tiny_checkpoint.seal(own)
    refused(own, "not a safetensors file")
    assert not mark.exists()


def test_M1_no_code_of_a_checkpoint_is_run(own: Path) -> None:
    config = json.loads((own / CONFIG).read_text("utf-8"))
    (own / CONFIG).write_text(json.dumps({**config, "auto_map": {"AutoModel": "evil.Model"}}), encoding="utf-8")
    (own / "evil.py").write_text("raise SystemExit('was run')", encoding="utf-8")
    tiny_checkpoint.seal(own)
    refused(own, "no remote code is run")


@pytest.mark.parametrize("name", [WEIGHTS, ONNX, "tokenizer.json", CONFIG])
def test_M2_a_changed_byte_is_found(own: Path, name: str) -> None:
    content = bytearray((own / name).read_bytes())
    content[len(content) // 2] ^= 1
    (own / name).write_bytes(content)
    refused(own, "damaged or tampered with")


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_M2_truncated_weights_are_refused_even_with_a_new_checksum(own: Path, keep: int) -> None:
    (own / WEIGHTS).write_bytes((own / WEIGHTS).read_bytes()[:keep])
    tiny_checkpoint.seal(own)
    refused(own, "not a safetensors file|cut short")


def test_M2_a_truncated_export_is_refused_even_with_a_new_checksum(own: Path) -> None:
    (own / ONNX).write_bytes((own / ONNX).read_bytes()[:5000])
    tiny_checkpoint.seal(own)
    refused(own, "ONNX Runtime refuses it", backend="onnx")


def header(entries: object, length: int | None = None, data: bytes = b"\x00" * 8) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


ENTRY = {"dtype": "F16", "shape": [4], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "content",
    [
        header({"a": ENTRY}, length=2**63),
        header({"a": ENTRY}, length=10**9),
        header([1, 2]),
        header({}),
        header({"a": {**ENTRY, "shape": [10**12]}}),
        header({"a": {**ENTRY, "shape": [-4]}}),
        header({"a": {**ENTRY, "dtype": "F7"}}),
        header({"a": {**ENTRY, "data_offsets": [0, 10**9], "shape": [5 * 10**8]}}),
        header({"a": {**ENTRY, "data_offsets": [8, 0]}}),
        header({"a": ENTRY, "b": ENTRY}),
        header({"a": {"dtype": "F16"}}),
        struct.pack("<Q", 200_000) + b"[" * 200_000,
    ],
)
def test_M2_an_absurd_header_is_refused(own: Path, content: bytes) -> None:
    (own / WEIGHTS).write_bytes(content)
    tiny_checkpoint.seal(own)
    refused(own, r"model\.safetensors")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32])
def test_M2_weights_that_are_no_numbers_are_refused(own: Path, bad: float, kind: torch.dtype) -> None:
    from safetensors.torch import load_file, save_file

    weights = {name: value.to(kind) for name, value in load_file(own / WEIGHTS).items()}
    weights["topic_head.weight"][3, 5] = bad
    save_file(weights, own / WEIGHTS, metadata={"format": "pt"})
    tiny_checkpoint.seal(own)
    refused(own, r"topic_head\.weight holds a value that is not finite")


def test_M2_an_export_that_answers_with_nan_is_refused(own: Path) -> None:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(own / ONNX)
    for tensor in graph.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and tensor.dims:
            values = np.full(tuple(tensor.dims), np.nan, dtype=np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(graph, own / ONNX)
    tiny_checkpoint.seal(own)
    refused(own, "not finite", backend="onnx")


def test_M2_the_old_model_serves_on_when_the_new_one_is_refused(tiny: Path, own: Path) -> None:
    old = open_classifier(tiny, backend="onnx", threads=1)
    before = old.predict(SENTENCES)
    (own / WEIGHTS).write_bytes(b"")
    refused(own, "damaged or tampered with")
    assert old.predict(SENTENCES) == before


def test_M2_damaged_calibration_refuses_the_checkpoint(own: Path) -> None:
    manifest = json.loads((own / MANIFEST).read_text("utf-8"))
    manifest["calibration"]["topics"]["slope"][2] = "steep"
    (own / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    refused(own, "calibration")


HOSTILE = {
    "empty": "",
    "blank": " \t\r\n ",
    "NUL": "\x00",
    "NUL inside": "loss\x00es at\x00 Acme",
    "control": "\x1b[31m\x07\x08",
    "right to left": "‮مصرف يعلن خسائر كبيرة‬",
    "emoji": "🚀📉🔥" * 50,
    "joined emoji": "👩‍👩‍👧‍👦🏴‍☠️",
    "combining": "Z" + "\u0301" * 5000,
    "half a surrogate": "\ud83d loss",
    "one word of a megabyte": "x" * 1_000_000,
    "a megabyte of words": "loss " * 200_000,
    "a megabyte of Chinese": "跌" * 350_000,
    "a megabyte of spaces": " " * 1_000_000,
    "special tokens": "[CLS] [SEP] [PAD] [MASK] [UNK]",
    "private use": "\ue000\uf8ff\U0010fffd",
    "not a character": "\uffff\ufffe\U0001ffff loss",
}


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_M3_hostile_texts_get_a_label_or_are_unscored(tiny: Path, backend: str) -> None:
    classifier = open_classifier(tiny, backend=backend, device="cpu", threads=1)
    together = dict(zip(HOSTILE, classifier.predict(list(HOSTILE.values())), strict=True))
    for name in ("empty", "blank", "NUL", "a megabyte of spaces"):
        assert together[name] is None, name
    for name in ("NUL inside", "right to left", "emoji", "half a surrogate", "one word of a megabyte"):
        assert together[name] is not None, name
    for name, prediction in together.items():
        if prediction is not None:
            numbers = (prediction.p_negative, prediction.p_neutral, prediction.p_positive, *prediction.topic_scores)
            assert all(math.isfinite(number) for number in numbers), name
    for name in ("one word of a megabyte", "a megabyte of words", "a megabyte of Chinese"):
        prediction = together[name]
        assert prediction is not None and prediction.truncated, name
    emoji = classifier.predict(["🚀"])[0]
    assert emoji is not None and not emoji.truncated


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_M4_alone_or_in_a_mixed_batch_the_probabilities_stay(tiny: Path, backend: str) -> None:
    check_batch_independence(open_classifier(tiny, backend=backend, device="cpu"))


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_M4_holds_for_the_shipped_checkpoint(backend: str) -> None:
    from models.registry import available

    if not available():
        pytest.skip("no checkpoint is shipped yet")
    check_batch_independence(open_classifier(backend=backend, device="cpu"))


def test_M4_int8_answers_like_fp32_on_the_shipped_checkpoint() -> None:
    from models.registry import available

    if not available():
        pytest.skip("no checkpoint is shipped yet")
    draw = random.Random(3)
    texts = [f"{draw.choice(SUBJECTS)} {draw.choice(VERBS)} {draw.choice(OBJECTS)}" for _ in range(120)]
    low = open_classifier(backend="onnx").predict(texts)
    full = open_classifier(backend="torch", device="cpu").predict(texts)
    pairs = [(mine, theirs) for mine, theirs in zip(low, full, strict=True) if mine and theirs]
    assert len(pairs) == len(texts)
    # Word salad sits nearer the borders than news does; the manifest's figures below are those of the requirement.
    assert statistics.mean(mine.sentiment == theirs.sentiment for mine, theirs in pairs) >= 0.9
    assert statistics.mean(abs(mine.p_negative - theirs.p_negative) for mine, theirs in pairs) <= 0.04


def test_M4_int8_costs_little_on_the_held_out_headlines_of_the_shipped_checkpoint() -> None:
    from models.registry import available

    metrics = next((manifest.metrics for manifest in available()), {})
    if "int8_agreement" not in metrics or "test fp32" not in metrics:
        pytest.skip("the shipped manifest does not compare int8 with fp32")
    assert metrics["int8_agreement"]["sentiment"] >= 0.97
    # Each head by the measure it is judged by: with topics of forty texts, their macro-F1 moves by a point by chance.
    for head, measure in (("sentiment", "macro_f1"), ("topics", "micro_f1")):
        lost = metrics["test fp32"][head][measure] - metrics["test"][head][measure]
        assert lost <= 0.005, f"{head}: {lost:.4f} of {measure}"


def check_batch_independence(classifier: Any) -> None:
    texts = [*SENTENCES, *(f"{a}. {b}" for a, b in zip(SENTENCES, SENTENCES[5:], strict=False)), "Loss", "x" * 5000]
    mixed = classifier.predict(texts)
    for text, expected in zip(texts, mixed, strict=True):
        [alone] = classifier.predict([text])
        [_, among, _] = classifier.predict(["Rates", text, "loss " * 400])
        for other in (alone, among):
            for name in ("p_negative", "p_neutral", "p_positive"):
                assert getattr(other, name) == pytest.approx(getattr(expected, name), abs=1e-4)
            assert other.topic_scores == pytest.approx(expected.topic_scores, abs=1e-4)


class SmallMemory:
    """Stands for a device: the network answers batches of up to `most` tokens and runs out of memory beyond."""

    def __init__(self, classifier: TorchClassifier, most: int, error: Exception) -> None:
        self.classifier = classifier
        self.most = most
        self.error = error
        self.sizes: list[int] = []
        self._forward = classifier._forward

    def __call__(self, input_ids: Any, attention_mask: Any, head: str | None) -> Any:
        if self.classifier.device == "cuda" or self.most < input_ids.size:
            self.sizes.append(-input_ids.size)
            raise self.error
        self.sizes.append(input_ids.size)
        return self._forward(input_ids, attention_mask, head)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] . DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_M5_out_of_memory_halves_the_batch_and_loses_nothing(tiny: Path, error: Exception) -> None:
    texts = [f"{text} {number}" for number in range(20) for text in SENTENCES]
    classifier = open_torch(tiny)
    expected = classifier.predict(texts)
    device = SmallMemory(classifier, most=100, error=error)
    classifier._forward = device  # type: ignore[method-assign]
    check_equal(classifier.predict(texts), expected)
    assert any(size < 0 for size in device.sizes)
    failures = sum(size < 0 for size in device.sizes)
    check_equal(classifier.predict(texts), expected)
    assert sum(size < 0 for size in device.sizes) == failures, "what does not fit is not tried again"


def test_M5_a_device_without_any_memory_hands_over_to_the_cpu(tiny: Path) -> None:
    classifier = open_torch(tiny)
    expected = classifier.predict(SENTENCES)
    device = SmallMemory(classifier, most=10**9, error=torch.OutOfMemoryError("CUDA out of memory"))
    classifier._forward = device  # type: ignore[method-assign]
    classifier._device = "cuda"  # the fake is the device; the network itself never leaves the CPU
    check_equal(classifier.predict(SENTENCES), expected)
    assert classifier.device == "cpu"


def test_M5_a_cpu_without_memory_for_one_text_says_so(tiny: Path) -> None:
    classifier = open_torch(tiny)
    classifier._forward = SmallMemory(classifier, most=0, error=torch.OutOfMemoryError("none"))  # type: ignore[method-assign]
    with pytest.raises(torch.OutOfMemoryError):
        classifier.predict(SENTENCES[:1])


def test_M5_another_error_of_torch_is_not_taken_for_lack_of_memory(tiny: Path) -> None:
    classifier = open_torch(tiny)
    classifier._forward = SmallMemory(classifier, most=0, error=RuntimeError("shapes differ"))  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="shapes differ"):
        classifier.predict(SENTENCES)


def open_torch(folder: Path) -> TorchClassifier:
    classifier = open_classifier(folder, backend="torch", device="cpu")
    assert isinstance(classifier, TorchClassifier)
    return classifier


def check_equal(found: list[Any], expected: list[Any]) -> None:
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.p_negative == pytest.approx(theirs.p_negative, abs=1e-5)
        assert mine.topics == theirs.topics


class _Session:
    """An ONNX session that answers NaN or infinity for every text that starts with the given token."""

    def __init__(self, session: Any, token: int, value: float) -> None:
        self._session, self._token, self._value = session, token, value

    def run(self, outputs: list[str], feeds: dict[str, Any]) -> list[Any]:
        answers = self._session.run(outputs, feeds)
        hit = feeds["input_ids"][:, 1] == self._token
        for answer in answers:
            answer[hit, 0] = self._value
        return list(answers)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_M6_a_value_that_is_no_number_becomes_unscored_for_that_text_alone(tiny: Path, value: float) -> None:
    classifier = open_classifier(tiny, backend="onnx", threads=1)
    assert isinstance(classifier, OnnxClassifier)
    texts = ["union calls a strike", "shares jump", "union names a chief", "copper slips"]
    expected = classifier.predict(texts)
    token = tiny_checkpoint.tiny_tokenizer().token_to_id("union")
    classifier._session = _Session(classifier._session, token, value)  # type: ignore[assignment]
    found = classifier.predict(texts)
    assert found == [None, expected[1], None, expected[3]]
