"""The folder of a training run: what is refused before anything is trained, what is kept, what came before."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from models.errors import ModelError
from models.registry import MANIFEST

RUN: Final = "run.json"
"""Arguments, files and earlier phases; from the start, and with the figures beside the final network."""
PROGRESS: Final = "progress.json"
"""Seconds and steps so far, written with each checkpoint."""

_AT_LEAST_ONE: Final = ("rounds", "limit", "batch_size", "accumulate", "max_length", "save_every", "evaluate_every")
_MAY_CHANGE: Final = {"resume", "minutes", "save_every", "evaluate_every", "early_stopping"}
"""Options that a resumed run may give anew: they do not move a batch."""


def check_options(args: argparse.Namespace, has_gpu: bool) -> None:
    """Raise ModelError for numbers that make no run, and for options that would not do what they say."""
    for name in _AT_LEAST_ONE:
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ModelError(f"--{name.replace('_', '-')} {value}: give 1 or more")
    if args.minutes is not None and args.minutes <= 0:
        raise ModelError(f"--minutes {args.minutes:g}: give more than 0, or leave it out for no limit")
    if args.fgm and args.method != "full":
        raise ModelError(f"--fgm with --method {args.method}: its step is on the embeddings, which only full trains")
    if args.quantise_aware and args.method in ("prefix", "lora", "adalora"):
        raise ModelError(f"--quantise-aware with --method {args.method}: use full, frozen or adapter")
    if args.precision == "fp16" and not has_gpu:
        raise ModelError("--precision fp16: needs a GPU; give bf16 or fp32 here")
    if args.unlabelled and not (args.mlm or args.distil_from):
        raise ModelError("--unlabelled: nothing reads these texts; give --mlm or --distil-from too")
    if args.resume and args.method == "adalora":
        raise ModelError("--resume with --method adalora: the ranks found so far are not kept; train again")


def checkpoint_to_resume(args: argparse.Namespace, told: Mapping[str, Any]) -> str | None:
    """The newest whole checkpoint of the run in `args.output`; None for a new run.

    told: what this run would say of itself. Raises ModelError for a folder in use without --resume, and with it for
    one that holds no checkpoint, or a run with other arguments, whose batches would be others.
    """
    output: Path = args.output
    found = {int(path.name.rpartition("-")[2]): path for path in output.glob("checkpoint-*")}
    if not args.resume:
        if found or (output / PROGRESS).is_file():
            raise ModelError(f"--output {output}: holds a run already; --resume continues it, or name another folder")
        return None
    # The trainer's state is written last: a checkpoint without it was being written when the run was killed.
    whole = [path for _, path in sorted(found.items()) if (path / "trainer_state.json").is_file()]
    if not whole:
        raise ModelError(f"--resume: {output} holds no checkpoint")
    if (output / RUN).is_file():
        before, now = json.loads((output / RUN).read_text(encoding="utf-8"))["arguments"], told["arguments"]
        other = sorted(name for name in now if name not in _MAY_CHANGE and before.get(name) != now[name])
        if other:
            raise ModelError(f"--resume: the run in {output} had another {', '.join(other)}; its batches were others")
    return str(whole[-1])


def run_of(network: str | Path) -> dict[str, Any] | None:
    """What the run that made a network says of itself: arguments, files, seconds and the runs before it.

    network: its folder, a checkpoint of a run that was stopped, or a shipped one. None where nothing is written down:
    a pretrained encoder. A card names all that was seen, so a run that begins with a network keeps this.
    """
    folder = Path(network)
    path, shipped = folder / RUN, folder / MANIFEST
    stopped, progress = folder.parent / RUN, folder.parent / PROGRESS
    if path.is_file():
        said = json.loads(path.read_text(encoding="utf-8"))
        return {key: said.get(key) for key in ("arguments", "files", "seconds", "trainable_parameters", "before")}
    if stopped.is_file() and progress.is_file():
        said = json.loads(stopped.read_text(encoding="utf-8"))
        seconds = json.loads(progress.read_text(encoding="utf-8"))["elapsed"]
        return {**{key: said.get(key) for key in ("arguments", "files", "before")}, "seconds": seconds}
    if not shipped.is_file():
        return None
    manifest = json.loads(shipped.read_text(encoding="utf-8"))
    before: dict[str, Any] | None = None
    phases = [manifest["training"], *manifest["training"].get("before", [])]
    for number, phase in reversed(list(enumerate(p for p in phases if p.get("arguments")))):
        files = [] if number else manifest["data"]  # a checkpoint names what all its phases read
        before = {"arguments": phase["arguments"], "files": files, "seconds": phase["seconds"], "before": before}
    return before


def phases(run: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """A run and those before it, the last one first."""
    found = []
    while run:
        found.append(run)
        run = run.get("before")
    return found


def files_seen(run: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Every file that any phase of a run read, by name; a later phase's description wins."""
    return {file["name"]: file for one in reversed(phases(run)) for file in one["files"] or []}


def plain(value: Any) -> Any:
    """A command-line value for JSON; of paths only the last part, so no description names a machine's folders."""
    if isinstance(value, Path):
        return value.name
    if isinstance(value, list):
        return [plain(part) for part in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def write(path: Path, content: Any) -> None:
    """As JSON, beside and renamed: a kill leaves the old file or the new one."""
    partial = path.with_name(f"{path.name}.tmp")
    partial.write_text(json.dumps(content, indent=1), encoding="utf-8")
    partial.replace(path)
