"""`python -m bench [NAME ...]`: the benchmarks one after another, each in a process of its own, results in RESULTS.md.

Options after a single name are handed to it: `python -m bench page --pages topics --no-write`.
Timings want a quiet machine. A benchmark that replays a corpus reads HEADWIND_CORPORA.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence

BENCHES = {
    "cpu-score": "bench.scoring",
    "explain": "bench.explanations",
    "poll": "bench.poll",
    "ingest": "bench.ingest",
    "spike": "bench.spike",
    "stories": "bench.stories",
    "mentions": "bench.mentions",
    "query": "bench.query",
    "scale": "bench.scale",
    "page": "bench.page",
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Side by side with their peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(BENCHES)}; default: all")
    given = list(sys.argv[1:] if argv is None else argv)
    first = next((place for place, word in enumerate(given) if word.startswith("-")), len(given))
    # Options after one name are that benchmark's; its own parser knows them.
    options = given[first:] if first == 1 else []
    arguments = parser.parse_args(given[: len(given) - len(options)])
    unknown = [name for name in arguments.names if name not in BENCHES]
    if unknown:
        parser.error(f"unknown benchmark {unknown[0]!r}; known: {', '.join(BENCHES)}")
    failed = []
    for name in arguments.names or BENCHES:
        print(f"── {name}", flush=True)
        if subprocess.run([sys.executable, "-m", BENCHES[name], *options], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"bench: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
