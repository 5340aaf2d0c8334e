"""The command line. Exit status 0 done, 1 failed with a one-line reason on standard error, 2 wrong usage."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from models.errors import ModelError
from monitor.cli import admin, desk, feeds, pipeline, run
from monitor.errors import MonitorError


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m monitor", description="Headwind: financial news sentiment and topic monitoring."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for group in (run, pipeline, feeds, desk, admin):
        group.add_parsers(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; every expected failure is one line on standard error and status 1."""
    arguments = build_parser().parse_args(argv)
    try:
        return int(arguments.do(arguments) or 0)
    except (MonitorError, ModelError) as error:
        print(f"headwind: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of our output (head, less) went away: not our failure. Keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            raise  # not a file that the caller named: a fault of ours, to be seen whole
        print(f"headwind: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("headwind: stopped", file=sys.stderr)
        return 130
