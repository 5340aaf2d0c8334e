"""Versions are found, named and verified; what cannot be trusted is told in one line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models.errors import CheckpointError
from models.labels import SENTIMENTS, TOPICS
from models.registry import (
    CONFIG,
    MANIFEST,
    ONNX,
    WEIGHTS,
    Manifest,
    available,
    open_classifier,
    read_manifest,
    resolve,
    verify,
    write_manifest,
)
from tests.models import tiny_checkpoint


def change(folder: Path, **values: object) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **values}), encoding="utf-8")


def test_a_manifest_survives_writing_and_reading(own: Path) -> None:
    change(own, note="kept as it was")
    before = read_manifest(own)
    write_manifest(own, before)
    assert read_manifest(own) == before
    assert before.extra == {"note": "kept as it was"}
    assert before.sentiments == SENTIMENTS and before.topics == TOPICS
    assert set(before.files) == {"config.json", "model.int8.onnx", "model.safetensors", "tokenizer.json"}


def test_a_sound_checkpoint_verifies(tiny: Path) -> None:
    assert verify(tiny).version == "tiny-1"


def test_the_newest_version_is_the_default(tiny: Path, tmp_path: Path) -> None:
    for version, created in (("b", "2026-03-01T00:00:00+00:00"), ("a", "2026-03-01T01:00:00+02:00")):
        shutil.copytree(tiny, tmp_path / version)
        tiny_checkpoint.seal(tmp_path / version, version, created)
    assert [manifest.version for manifest in available(tmp_path)] == ["b", "a"]
    assert resolve(None, tmp_path) == tmp_path / "b"
    assert resolve("", tmp_path) == tmp_path / "b"
    assert resolve("a", tmp_path) == tmp_path / "a"


def test_a_damaged_version_does_not_hide_the_sound_ones(own: Path) -> None:
    broken = own.parent / "broken"
    broken.mkdir()
    (broken / MANIFEST).write_text("{", encoding="utf-8")
    assert [manifest.version for manifest in available(own.parent)] == ["tiny-1"]


def test_a_folder_can_be_given_instead_of_a_version(tiny: Path) -> None:
    assert resolve(tiny) == tiny
    assert resolve(str(tiny)) == tiny


def test_an_unknown_version_is_answered_with_those_there_are(own: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint called 'nonesuch'.*tiny-1"):
        resolve("nonesuch", own.parent)


def test_no_checkpoint_at_all_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="python -m models train"):
        resolve(None, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"topics": ["sport"]}, "its labels are not the ones"),
        ({"languages": []}, "languages is missing"),
        ({"max_length": "many"}, "max_length is missing or not a number"),
        ({"unsure_below": 7}, "unsure_below is missing or not a number"),
        ({"created": "yesterday"}, "yesterday"),
        ({"version": "../elsewhere"}, "no name for a version"),
        ({"files": {"../secret": "0" * 64}}, "not the name of a file of this folder"),
        ({"files": {"config.json": "short"}}, "not a SHA-256"),
        ({"files": {}}, "no checksums"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(own: Path, values: dict[str, object], reason: str) -> None:
    change(own, **values)
    with pytest.raises(CheckpointError, match=reason) as caught:
        verify(own)
    assert "\n" not in str(caught.value)


def test_a_file_that_the_manifest_names_must_be_there(own: Path) -> None:
    (own / CONFIG).unlink()
    with pytest.raises(CheckpointError, match=r"config\.json: stated by the manifest"):
        verify(own)


def test_a_folder_that_is_no_checkpoint_says_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a checkpoint of Headwind"):
        verify(tmp_path)


def test_the_model_card_may_be_corrected_without_a_new_version(own: Path) -> None:
    (own / "MODEL_CARD.md").write_text("first wording", encoding="utf-8")
    tiny_checkpoint.seal(own)
    (own / "MODEL_CARD.md").write_text("better wording", encoding="utf-8")
    assert verify(own).version == "tiny-1"


def test_a_checkpoint_without_export_opens_with_torch_and_says_how_to_export(own: Path) -> None:
    (own / ONNX).unlink()
    tiny_checkpoint.seal(own)
    assert type(open_classifier(own, device="cpu")).__name__ == "TorchClassifier"
    with pytest.raises(CheckpointError, match="python -m models export"):
        open_classifier(own, backend="onnx")


def test_on_a_cpu_the_export_is_taken(tiny: Path) -> None:
    assert type(open_classifier(tiny, device="cpu")).__name__ == "OnnxClassifier"


def test_an_export_alone_serves_without_the_weights(own: Path) -> None:
    (own / WEIGHTS).unlink()
    tiny_checkpoint.seal(own)
    assert open_classifier(own, backend="onnx").version == "tiny-1"
    with pytest.raises(CheckpointError, match=r"model\.safetensors, which the torch backend needs"):
        open_classifier(own, backend="torch", device="cpu")


@pytest.mark.parametrize("wrong", [{"backend": "tensorflow"}, {"device": "tpu"}, {"threads": 0}])
def test_an_unknown_choice_is_the_callers_mistake(tiny: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"unknown|threads"):
        open_classifier(tiny, **wrong)  # type: ignore[arg-type]


def test_cuda_is_not_the_business_of_onnx(tiny: Path) -> None:
    with pytest.raises(CheckpointError, match="onnx backend is the CPU's"):
        open_classifier(tiny, backend="onnx", device="cuda")


def test_scoring_with_onnx_loads_neither_torch_nor_transformers(tiny: Path) -> None:
    code = (
        "import sys, models.backend, models.labels, models.registry, models.onnx_backend, models.longtext\n"
        "import models.explain, models.__main__\n"
        f"classifier = models.registry.open_classifier({str(tiny)!r}, backend='onnx')\n"
        "assert classifier.predict(['Shares fall'])[0]\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'transformers', 'monitor'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_the_shipped_checkpoint_verifies(shipped: Path) -> None:
    manifest = verify(shipped)
    assert isinstance(manifest, Manifest)
    assert "en" in manifest.languages
    assert {ONNX, WEIGHTS, CONFIG} <= set(manifest.files)
