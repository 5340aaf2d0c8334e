"""`python -m models average`: one network whose weights are the mean of several of one lineage.

Networks that were fine-tuned on from one another lie in one basin, and their mean does better than the last of them
where that one has gone too far (Wortsman et al. 2022, Model soups; and Robust fine-tuning of zero-shot models).
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from models.errors import ModelError
from models.registry import MANIFEST
from models.runs import RUN, files_seen, run_of, write


def add_parser(subparsers: Any) -> None:
    """Register `average` and its options; `run` of the answer runs it."""
    parser = subparsers.add_parser("average", help="the weighted mean of networks of one lineage")
    add = parser.add_argument
    add("--models", nargs="+", type=Path, required=True, metavar="FOLDER", help="networks; the first one's run is told")
    add("--weights", nargs="+", type=float, required=True, metavar="WEIGHT", help="one each, in all 1")
    add("--output", type=Path, required=True, metavar="FOLDER", help="folder to write, for export")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Average; 0 when the folder is written."""
    average(args.models, args.weights, args.output)
    return 0


def average(folders: list[Path], weights: list[float], output: Path) -> None:
    """Write the mean network, the first one's tokenizer and settings, and what it was made of.

    Raises ModelError for weights that do not fit, or networks of other shapes.
    """
    import torch
    from safetensors.torch import load_file, save_file

    if len(weights) != len(folders) or abs(sum(weights) - 1.0) > 1e-6 or min(weights) <= 0:
        raise ModelError("average: give each network a weight above 0; together they make 1")
    parts = [load_file(folder / "model.safetensors") for folder in folders]
    shapes = [{name: tensor.shape for name, tensor in part.items()} for part in parts]
    other = next((folder for folder, shape in zip(folders, shapes, strict=True) if shape != shapes[0]), None)
    if other is not None:
        raise ModelError(f"average: {other} is a network of another shape than {folders[0]}")
    mean = {
        name: torch.stack([w * part[name].float() for w, part in zip(weights, parts, strict=True)]).sum(0).half()
        for name in parts[0]
    }
    output.mkdir(parents=True, exist_ok=True)
    for path in folders[0].iterdir():
        # A shipped folder's manifest is of other weights than these.
        if path.suffix == ".json" and path.name not in (RUN, MANIFEST):
            shutil.copyfile(path, output / path.name)
    save_file(mean, output / "model.safetensors", metadata={"format": "pt"})
    told = [run for run in (run_of(folder) for folder in folders) if run is not None]
    if told:
        described = told[0]
        described["arguments"]["averaged"] = [
            f"{weight:g} of {_name(f)}" for weight, f in zip(weights, folders, strict=True)
        ]
        seen = {name: file for run in reversed(told) for name, file in files_seen(run).items()}
        write(output / RUN, {**described, "files": list(seen.values())})


def _name(folder: Path) -> str:
    """A run by its own folder, a checkpoint by its version."""
    return folder.parent.name if folder.name == "final" else folder.name
