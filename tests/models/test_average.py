"""The mean of networks of one lineage: weights, shapes, and what the run says of itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.__main__ import main
from models.network import HeadwindModel


@pytest.fixture
def two(tiny: Path, tmp_path: Path) -> list[Path]:
    """The tiny checkpoint as a run, and one whose weights are all larger by one."""
    folders = [tmp_path / name / "final" for name in ("first", "second")]
    for folder in folders:
        shutil.copytree(tiny, folder)
        read = [{"name": name, "sha256": "0"} for name in ("headlines", f"read by {folder.parent.name}")]
        (folder / "run.json").write_text(json.dumps({"arguments": {"base": "tiny"}, "files": read}), "utf-8")
        (folder / "manifest.json").write_text("{}", "utf-8")
    moved = {name: tensor + 1 for name, tensor in load_file(folders[1] / "model.safetensors").items()}
    save_file(moved, folders[1] / "model.safetensors", metadata={"format": "pt"})
    return folders


def test_the_mean_lies_between_and_is_a_network_that_opens(two: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "mean"
    words = ["average", "--models", *map(str, two), "--weights", "0.75", "0.25", "--output", str(out)]
    assert main(words) == 0
    before, after = load_file(two[0] / "model.safetensors"), load_file(out / "model.safetensors")
    for name, tensor in before.items():
        assert torch.allclose(after[name].float(), tensor.float() + 0.25, atol=2e-3), name
    HeadwindModel.from_pretrained(out)
    said = json.loads((out / "run.json").read_text("utf-8"))
    assert said["arguments"]["averaged"] == ["0.75 of first", "0.25 of second"]
    assert {file["name"] for file in said["files"]} == {"headlines", "read by first", "read by second"}
    assert (out / "config.json").is_file()
    assert not (out / "manifest.json").exists(), "a manifest is of the weights that it was written with"


def test_weights_that_do_not_make_one_and_other_shapes_are_refused(
    two: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mean"
    words = ["average", "--models", *map(str, two), "--output", str(out), "--weights"]
    assert main([*words, "0.5", "0.4"]) == 1
    assert "together they make 1" in capsys.readouterr().err
    other = load_file(two[1] / "model.safetensors")
    name = next(iter(other))
    other[name] = torch.zeros(3)
    save_file(other, two[1] / "model.safetensors", metadata={"format": "pt"})
    assert main([*words, "0.5", "0.5"]) == 1
    assert "another shape" in capsys.readouterr().err and not out.exists()
