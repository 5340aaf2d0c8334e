"""What is particular to each backend; what they share is in tests/contracts/test_classifier.py."""

from __future__ import annotations

import dataclasses
import logging
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from models.batching import stream
from models.errors import CheckpointError, ModelError
from models.onnx_backend import OnnxClassifier
from models.registry import TOKENIZER, open_classifier
from models.torch_backend import CUDA_SHAPES, TorchClassifier
from tests.models.tiny_checkpoint import SENTENCES, seal


@pytest.fixture(scope="module")
def onnx(tiny: Path) -> OnnxClassifier:
    classifier = open_classifier(tiny, backend="onnx", threads=1)
    assert isinstance(classifier, OnnxClassifier)
    return classifier


@pytest.fixture
def on_torch(tiny: Path) -> TorchClassifier:
    classifier = open_classifier(tiny, backend="torch", device="cpu")
    assert isinstance(classifier, TorchClassifier)
    return classifier


def test_the_backends_agree_on_every_logit(onnx: OnnxClassifier, on_torch: TorchClassifier) -> None:
    for mine, theirs in zip(
        dataclasses.astuple(onnx.head_logits(SENTENCES)),
        dataclasses.astuple(on_torch.head_logits(SENTENCES)),
        strict=True,
    ):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)


def test_logits_of_a_text_without_words_are_not_numbers(onnx: OnnxClassifier) -> None:
    heads = onnx.head_logits(["", SENTENCES[0]])
    assert np.isnan(heads.sentiment[0]).all() and np.isfinite(heads.sentiment[1]).all()
    assert onnx.head_logits([]).topics.shape == (0, 20)


def test_an_auxiliary_head_answers_in_its_own_labels(on_torch: TorchClassifier) -> None:
    assert on_torch.conventions == ("tone",)
    assert on_torch.head_labels("tone") == ("bad", "good")
    logits = on_torch.logits([*SENTENCES, ""], head="tone")
    assert logits.shape == (len(SENTENCES) + 1, 2)
    assert np.isfinite(logits[:-1]).all() and np.isnan(logits[-1]).all()
    alone = on_torch.logits([SENTENCES[3]], head="tone")
    np.testing.assert_allclose(logits[3], alone[0], atol=1e-5)


def test_the_products_heads_can_be_asked_for_by_name(on_torch: TorchClassifier) -> None:
    heads = on_torch.head_logits(SENTENCES)
    np.testing.assert_array_equal(on_torch.logits(SENTENCES, head="topics"), heads.topics)


def test_an_unknown_head_is_answered_with_those_there_are(on_torch: TorchClassifier) -> None:
    with pytest.raises(ModelError, match=r"no head called 'mood'.*tone"):
        on_torch.logits(SENTENCES, head="mood")


def test_padded_positions_change_nothing(on_torch: TorchClassifier) -> None:
    plain = on_torch.head_logits(SENTENCES)
    on_torch.shapes = dataclasses.replace(CUDA_SHAPES, token_budget=256)
    wide = on_torch.head_logits(SENTENCES)
    np.testing.assert_allclose(plain.sentiment, wide.sentiment, atol=2e-5)
    np.testing.assert_allclose(plain.topics, wide.topics, atol=2e-5)


def test_the_shapes_of_a_gpu_give_a_text_the_same_numbers_in_every_batch(on_torch: TorchClassifier) -> None:
    on_torch.shapes = dataclasses.replace(CUDA_SHAPES, token_budget=256)
    together = on_torch.head_logits(SENTENCES)
    alone = np.concatenate([on_torch.head_logits([text]).sentiment for text in SENTENCES])
    np.testing.assert_allclose(together.sentiment, alone, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_bf16_stays_near_the_export_and_apart_from_the_batch(tiny: Path, onnx: OnnxClassifier) -> None:
    on_gpu = open_classifier(tiny, backend="torch", device="cuda")
    assert isinstance(on_gpu, TorchClassifier)
    together = on_gpu.head_logits(SENTENCES).sentiment
    alone = np.concatenate([on_gpu.head_logits([text]).sentiment for text in SENTENCES])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(together, onnx.head_logits(SENTENCES).sentiment, atol=0.15)


def test_the_answer_follows_the_text_and_not_its_place(onnx: OnnxClassifier) -> None:
    forward = onnx.predict(SENTENCES)
    assert onnx.predict(SENTENCES[::-1]) == forward[::-1]
    assert len({prediction.p_negative for prediction in forward if prediction}) == len(SENTENCES)


def test_a_missing_device_is_said(tiny: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(CheckpointError, match="finds no CUDA device"):
        open_classifier(tiny, backend="torch", device="cuda")


def test_an_export_that_is_no_network_is_refused(own: Path) -> None:
    (own / "model.int8.onnx").write_bytes(b"not a network")
    seal(own)
    with pytest.raises(CheckpointError, match="ONNX Runtime refuses it"):
        open_classifier(own, backend="onnx")


def test_a_tokenizer_that_is_none_is_refused(own: Path) -> None:
    (own / TOKENIZER).write_text("{}", encoding="utf-8")
    seal(own)
    with pytest.raises(CheckpointError, match="cannot be read as a tokenizer"):
        open_classifier(own, backend="onnx")


def test_weights_that_are_missing_are_not_made_up(own: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(own / "model.safetensors")
    del weights["sentiment_head.weight"]
    save_file(weights, own / "model.safetensors", metadata={"format": "pt"})
    seal(own)
    with pytest.raises(CheckpointError, match=r"disagree, first in sentiment_head\.weight"):
        open_classifier(own, backend="torch", device="cpu")


def test_loading_says_nothing_on_standard_error(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("transformers").setLevel(logging.ERROR)
    open_classifier(tiny, backend="torch", device="cpu")
    assert capfd.readouterr().err == ""


def test_a_long_stream_of_texts_is_scored_in_bounded_memory(onnx: OnnxClassifier) -> None:
    def texts(count: int) -> object:
        return (f"{SENTENCES[number % 12]} {number}" for number in range(count))

    def peak(count: int) -> int:
        tracemalloc.start()
        scored = sum(prediction is not None for prediction in stream(onnx.predict, texts(count), chunk=256))  # type: ignore[arg-type]
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert scored == count
        return size

    # A chunk of predictions is a third of a megabyte; all of them, if they were kept, would be five.
    assert peak(4096) < 2 * 1024 * 1024
