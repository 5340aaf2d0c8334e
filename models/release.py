"""From a trained network to a checkpoint folder that can be shipped: int8 file, calibration, figures, card, manifest.

Calibration is fitted on the int8 file's own logits, since that is what most users run; figures are taken on parts
that neither the training nor the calibration saw.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from models import evaluate, export
from models.behaviour import run_suite
from models.calibrate import Calibration, softmax
from models.card import model_card
from models.dataset import Example
from models.errors import DataError
from models.fit_calibration import fit
from models.labels import SENTIMENTS, TOPICS
from models.registry import CONFIG, ONNX, WEIGHTS, Manifest, open_classifier, write_manifest
from models.sources import SOURCES

MAX_LENGTH: Final = 128
WINDOW_STRIDE: Final = 32

FOREIGN_ROWS: Final = 600
"""Held-out rows scored per foreign convention: fp32 on a CPU is slow, and the interval is narrow enough."""

ENOUGH_TO_FIT: Final = 600
"""Rows on which the four numbers of the sentiment can be fitted."""

_FILES: Final = (CONFIG, WEIGHTS, "tokenizer.json", "tokenizer_config.json")


def release(
    trained: Path,
    version: str,
    root: Path,
    corpus: Any,
    origin: export.Origin,
    keep: Sequence[str] = (),
    limits: Sequence[str] = (),
) -> Path:
    """Write `root/version` from the folder of a trained network and the corpus it was trained on. Returns it.

    origin: of the network, for manifest and card. keep: see `export.export_int8`.
    """
    development = corpus.part("dev", product_only=True)
    if not any(row.topics for row in development) or not any(row.sentiment is not None for row in development):
        raise DataError("export: the files hold no development rows with sentiment and topics to calibrate on")
    folder = root / version
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        shutil.copyfile(trained / name, folder / name)
    export.export_int8(folder, folder / ONNX, export.calibration_texts(corpus), keep, MAX_LENGTH)
    read = {file["name"] for file in corpus.files}
    manifest: dict[str, Any] = {
        "version": version,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "languages": ["en"],
        "sentiments": list(SENTIMENTS),
        "topics": list(TOPICS),
        "base": origin.base,
        "max_length": MAX_LENGTH,
        "window_stride": WINDOW_STRIDE,
        "text_join": "models.backend.join_title_and_summary",
        **Calibration.identity().to_manifest(),
        "data": corpus.files + [file for file in origin.files if file["name"] not in read],
        "metrics": {},
        "auxiliary_heads": {},
        "files": {},
        "product_onnx": {"inputs": ["input_ids"], "outputs": list(export.OUTPUTS)},
        "training": origin.training,
    }
    write_manifest(folder, Manifest.from_dict(manifest))
    logits = open_classifier(folder, backend="onnx").head_logits([example.joined for example in development])  # type: ignore[attr-defined]
    calibration = fit(
        logits.sentiment,
        logits.topics,
        logits.primary,
        [example.sentiment for example in development],
        [example.topics for example in development],
        natural_rows(development),
    )
    manifest |= calibration.to_manifest()
    write_manifest(folder, Manifest.from_dict(manifest))
    manifest["metrics"], manifest["auxiliary_heads"] = measure_release(folder, corpus, calibration)
    (folder / "MODEL_CARD.md").write_text(model_card(manifest, limits), encoding="utf-8")
    write_manifest(folder, Manifest.from_dict(manifest))
    return folder


def natural_rows(development: Sequence[Example]) -> list[bool]:
    """Which rows have the proportions of the news: those drawn at random; all but those drawn by keyword where the
    former are too few to fit on."""
    drawn = [example.meta.get("set", "general") for example in development]
    at_random = [name == "general" for name in drawn]
    return at_random if sum(at_random) >= ENOUGH_TO_FIT else [name != "risk" for name in drawn]


def measure_release(folder: Path, corpus: Any, calibration: Calibration) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures of every held-out part, and the labels of each auxiliary head."""
    int8: Any = open_classifier(folder, backend="onnx")
    full: Any = open_classifier(folder, backend="torch", device="cpu")
    metrics: dict[str, Any] = {}
    parts = {split: corpus.part(split, product_only=True) for split in ("test", "later", "random")}
    if parts["random"]:
        # Two small samples of the same thing: an error of calibration shows only on as many rows as there are.
        parts["natural"] = [row for row in parts["test"] if row.meta.get("set") == "general"] + parts["random"]
    for split, examples in parts.items():
        if not examples:
            continue
        texts = [example.joined for example in examples]
        low = int8.head_logits(texts)
        answers = evaluate.calibrated(low.sentiment, low.topics, low.primary, calibration)
        metrics[split] = rounded(evaluate.evaluate(examples, folder.name, answers))
        if split == "test":
            high = full.head_logits(texts)
            answers_fp32 = evaluate.calibrated(high.sentiment, high.topics, high.primary, calibration)
            metrics["test fp32"] = rounded(_short(evaluate.evaluate(examples, folder.name, answers_fp32)))
            metrics["int8_agreement"] = export.agreement_dict(export.agreement(high, low, calibration))
    metrics.get("test", {})["behaviour"] = run_suite(lambda texts: evaluate.answers_of(int8, texts).shares)
    heads: dict[str, Any] = {}
    held_out: dict[str, list[Example]] = {}
    for example in corpus.part("test"):
        if example.auxiliary is not None:
            held_out.setdefault(example.source, []).append(example)
    for name, found in sorted(held_out.items()):
        source = SOURCES[name]
        examples = random.Random(9).sample(found, min(FOREIGN_ROWS, len(found)))
        heads[source.head] = {"labels": list(source.head_labels)}
        shares = softmax(full.logits([example.joined for example in examples], source.head))
        metrics[name] = rounded(
            evaluate.convention_figures(examples, source.head_labels, name, folder.name, np.asarray(shares))
        )
    return metrics, heads


def _short(figures: dict[str, Any]) -> dict[str, Any]:
    """Without the parts that would only repeat the int8 figures' length."""
    kept = {key: figures[key] for key in ("n", "model_version")}
    for head in ("sentiment", "topics"):
        if figures[head]:
            kept[head] = {k: v for k, v in figures[head].items() if k not in ("report", "confusion", "severe_recall")}
    return kept


def rounded(value: Any, digits: int = 4) -> Any:
    """Figures with four digits: more would pretend to a precision that the intervals deny."""
    if isinstance(value, dict):
        return {key: rounded(part, digits) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(part, digits) for part in value]
    return round(value, digits) if isinstance(value, float) else value
