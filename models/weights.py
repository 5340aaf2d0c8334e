"""Looks into a safetensors file before anything is built from it. Never executes, never imports torch.

The format: eight bytes with the length N of the header, N bytes of JSON, then the tensors' bytes.
Source: the safetensors format description, https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Final

import numpy as np

from models.errors import CheckpointError

_HEADER_LIMIT: Final = 16 * 1024 * 1024
"""Bytes; a network of a thousand tensors needs a tenth of a megabyte."""

# Bits of the exponent by type: all set means infinite or not a number, in every IEEE format and in bfloat16.
_EXPONENT: Final[dict[str, tuple[str, int]]] = {
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
    "F32": ("<u4", 0x7F80_0000),
    "F64": ("<u8", 0x7FF0_0000_0000_0000),
}
_ITEM_BYTES: Final = {
    **dict.fromkeys(("BOOL", "U8", "I8"), 1),
    **dict.fromkeys(("I16", "F16", "BF16"), 2),
    **dict.fromkeys(("I32", "F32"), 4),
    **dict.fromkeys(("I64", "F64"), 8),
}

_PIECE: Final = 4 * 1024 * 1024
"""Items looked at together, so that a large tensor needs no large scratch."""


def check_safetensors(path: Path) -> None:
    """Raises CheckpointError when the file is cut short, has an absurd header, or holds a weight that is not finite."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > _HEADER_LIMIT or length + 8 > size:
                raise CheckpointError(f"{path}: not a safetensors file (header of {length} bytes in a file of {size})")
            header = json.loads(file.read(length))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a safetensors file (its header is not JSON)") from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{path}: not a safetensors file (its header is not an object)")
    header.pop("__metadata__", None)
    spans = [_span(path, name, entry) for name, entry in header.items()]
    if not spans:
        raise CheckpointError(f"{path}: holds no weights")
    reached = 0
    for start, end, _, _ in sorted(spans):
        if start != reached:
            raise CheckpointError(f"{path}: its tensors overlap or leave gaps; refused")
        reached = end
    if 8 + length + reached != size:
        raise CheckpointError(f"{path}: {size} bytes where its header promises {8 + length + reached}; cut short?")
    data = np.memmap(path, dtype=np.uint8, mode="r", offset=8 + length)
    for start, end, kind, name in spans:
        if kind in _EXPONENT and not _finite(data[start:end], *_EXPONENT[kind]):
            raise CheckpointError(f"{path}: {name} holds a value that is not finite (NaN or infinite)")


def _span(path: Path, name: str, entry: Any) -> tuple[int, int, str, str]:
    """(start, end, type, name) of one tensor, once its header entry adds up."""
    try:
        kind, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        whole = all(isinstance(value, int) and value >= 0 for value in (*shape, start, end))
        if whole and end - start == math.prod(shape) * _ITEM_BYTES[kind]:
            return start, end, kind, name
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: the header entry of {name[:80]!r} cannot be used") from error
    raise CheckpointError(f"{path}: shape and size of {name[:80]!r} disagree")


def _finite(data: np.ndarray, layout: str, exponent: int) -> bool:
    """data: uint8 [N]. Tests bits rather than numbers, because numpy has no bfloat16 and is slow with halves."""
    # A tensor may begin at an odd byte, which a view would refuse; the copy is one piece at most.
    width = np.dtype(layout).itemsize * _PIECE
    for start in range(0, data.size, width):
        items = np.frombuffer(data[start : start + width].tobytes(), dtype=layout)
        if np.any((items & exponent) == exponent):
            return False
    return True


def pad_token(config: Path) -> int:
    """The id that pads a batch, from the encoder's config.json; 0 when it does not say. CheckpointError if unusable."""
    try:
        raw = json.loads(config.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return 0
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{config}: cannot be read as JSON ({error})") from error
    # Headwind's own configuration keeps the encoder's inside.
    places = [raw, raw.get("encoder")] if isinstance(raw, dict) else []
    values = [place.get("pad_token_id") for place in places if isinstance(place, dict)]
    return next((value for value in values if isinstance(value, int) and value >= 0), 0)
