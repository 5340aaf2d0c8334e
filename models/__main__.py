"""Command line of the classifier: `python -m models` with score, evaluate, train, export, compare, average, annotations
or list.

Exit status 0 done, 1 failed with one line on standard error, 2 wrong usage. `score` and `list` load neither torch nor
transformers: the other commands are imported only when they are the one that was asked for.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from models.errors import ModelError
from models.registry import BACKENDS, DEVICES, available, resolve

# Command -> (module with add_parser, what the overview says).
ELSEWHERE: Final = {
    "evaluate": ("models.evaluate", "measure a checkpoint on labelled texts"),
    "train": ("models.train", "fine-tune an encoder on labelled headlines"),
    "compare": ("models.compare", "compare fine-tuning methods on a fixed sample"),
    "export": ("models.export", "make the int8 ONNX file of a checkpoint"),
    "average": ("models.average", "the weighted mean of networks of one lineage"),
    "annotations": ("models.annotations", "join our labels with the texts of the archives"),
}


def parser_for(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The parser with the options of the command that `argv` asks for; the others are named but not loaded."""
    parser = argparse.ArgumentParser(prog="python -m models", description="Headwind's classifier of financial news.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_score(commands)
    _add_list(commands)
    wanted = next((word for word in argv if not word.startswith("-")), None)
    for name, (module, summary) in ELSEWHERE.items():
        if name == wanted:
            importlib.import_module(module).add_parser(commands)
        else:
            commands.add_parser(name, help=summary)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; wrong usage exits with 2 as argparse does."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        arguments = parser_for(words).parse_args(words)
        return int(arguments.run(arguments) or 0)
    except ModuleNotFoundError as error:
        return _failed(f"{error.name} is not installed; run: make setup")
    except (ModelError, OSError) as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        return _failed("interrupted")


def _add_score(commands: Any) -> None:
    parser = commands.add_parser("score", help="add sentiment and topics to the rows of a CSV file")
    parser.add_argument("--in", dest="source", type=Path, required=True, metavar="FILE", help="CSV file in UTF-8")
    parser.add_argument("--out", dest="target", type=Path, required=True, metavar="FILE", help="CSV file to write")
    parser.add_argument("--backend", choices=BACKENDS, help="what computes (default: HEADWIND_BACKEND, else auto)")
    parser.add_argument("--model", metavar="V", help="version or folder (default: HEADWIND_MODEL, else the newest)")
    parser.add_argument(
        "--device", choices=DEVICES, default=None, help="default: HEADWIND_DEVICE, else CUDA where there is one"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: the cores of this process)")
    parser.add_argument(
        "--text-column", metavar="NAME", help="column with the text (default: text, else title with summary)"
    )
    parser.set_defaults(run=_score)


def _score(arguments: argparse.Namespace) -> int:
    from models.score import score_file

    device = arguments.device or _from_environment("HEADWIND_DEVICE", DEVICES)
    backend = arguments.backend or _from_environment("HEADWIND_BACKEND", BACKENDS)
    if arguments.threads is not None and arguments.threads < 1:
        raise ModelError("--threads must be 1 or more")
    outcome = score_file(
        arguments.source,
        arguments.target,
        model=arguments.model or os.environ.get("HEADWIND_MODEL") or None,
        backend=backend,
        device=device,
        threads=arguments.threads,
        text_column=arguments.text_column,
    )
    print(f"{arguments.target}: {outcome.rows} rows, {outcome.unscored} without a text to score")
    return 0


def _from_environment(name: str, choices: Sequence[str]) -> str:
    """A setting of the environment, "auto" by default. Raises `ModelError` when it is none of the choices."""
    value = os.environ.get(name) or "auto"
    if value not in choices:
        raise ModelError(f"{name} is {value!r}; it must be one of {', '.join(choices)}")
    return value


def _add_list(commands: Any) -> None:
    parser = commands.add_parser("list", help="print the shipped versions, the one in use marked")
    parser.set_defaults(run=_list)


def _list(arguments: argparse.Namespace) -> int:
    asked = os.environ.get("HEADWIND_MODEL") or None
    shipped = available()
    if not shipped:
        print("no checkpoint is shipped; train one with: python -m models train --help")
        return 0
    used = resolve(asked).name
    for manifest in shipped:
        mark = "*" if manifest.version == used else " "
        print(f"{mark} {manifest.version}\t{manifest.created}\t{','.join(manifest.languages)}\t{manifest.base}")
    return 0


def _failed(reason: str) -> int:
    print(f"error: {' '.join(reason.split())}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
