"""The child process of an extraction: name and bytes on standard input, JSON on standard output, limits from the start.

Its memory, processor time and file size are bounded by the kernel before a byte of the file is looked at.
"""

from __future__ import annotations

import json
import resource
import sys

from monitor.errors import UploadError


def main(arguments: list[str]) -> int:
    """Arguments: seconds, bytes of memory, bytes of output. First line of the input: the name as JSON."""
    seconds, memory, output = (int(argument) for argument in arguments)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (output, output))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    name = json.loads(sys.stdin.buffer.readline())
    data = sys.stdin.buffer.read()
    real, sys.stdout = sys.stdout, sys.stderr  # a library that prints must not garble the answer
    try:
        from monitor.text.readers import read

        answer = read(name, data)
    except UploadError as error:
        answer = {"error": str(error)}
    except (MemoryError, RecursionError) as error:
        answer = {"error": "refused: reading it needs too much memory" if isinstance(error, MemoryError)
                  else "refused: it is nested too deeply"}  # fmt: skip
    except Exception as error:  # the libraries raise what they like on a damaged file; the parent says one line
        answer = {"error": f"it is damaged or not what it says ({type(error).__name__})"}
    real.write(json.dumps(answer))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
