"""Texts to token ids to batches, so that no time goes into padding and no text's numbers depend on its neighbours.

Texts are tokenised once, sorted by length, cut into batches of similar length under a budget of tokens, and the
results put back in order. Each batch holds texts of one width only, and the width follows from the text alone: on the
CPU it is the text's own length, so nothing is ever padded; on a GPU it is rounded up, so that a few shapes recur.
That is what makes a score independent of its batch (fault M4) rather than nearly so.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models.errors import CheckpointError

T = TypeVar("T")
R = TypeVar("R")

CHUNK: Final = 16_384
"""Texts held as tokens at one time; what a million texts need beyond this is their results."""

CHARS_PER_TOKEN: Final = 64
"""A text is cut at this many characters for each token of the window before it is tokenised. English needs five, and
the longest word of any dictionary under fifty; what is cut could not have been read by the model anyway."""

# Control characters other than tab and line ends, and lone surrogates, which no tokenizer can encode.
_UNREADABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_VISIBLE: Final = re.compile(r"\w")


def readable(text: str) -> str | None:
    """The text without characters that say nothing to a model; None when nothing visible is left.

    Ordinary text comes back unchanged, so training and scoring see the same.
    """
    cleaned = _UNREADABLE.sub(" ", text) if _UNREADABLE.search(text) else text
    if _VISIBLE.search(cleaned):
        return cleaned
    # Symbols (an emoji, a currency sign) can be scored; separators, controls and invisible format marks cannot.
    return cleaned if any(unicodedata.category(char)[0] not in "CZ" for char in cleaned) else None


@dataclass(frozen=True, slots=True)
class Tokens:
    """One text as the model reads it. ids: token ids with special tokens; truncated: its end was left out."""

    ids: tuple[int, ...] | list[int]
    truncated: bool


class Encoder:
    """The checkpoint's tokenizer, without padding, cut to the window. Not for training: offsets are not kept."""

    def __init__(self, tokenizer: Tokenizer, max_length: int) -> None:
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._max_chars = max_length * CHARS_PER_TOKEN
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._special = tokenizer.num_special_tokens_to_add(is_pair=False)
        # Truncation is set one beyond the window: what fills it was too long, and nothing longer need be built.
        tokenizer.enable_truncation(max_length + 1)

    @classmethod
    def load(cls, path: Path, max_length: int) -> Encoder:
        """Reads tokenizer.json; CheckpointError when it is not one."""
        try:
            return cls(Tokenizer.from_file(str(path)), max_length)
        # The binding raises bare Exception for whatever its parser dislikes; there is nothing narrower to name.
        except Exception as error:
            raise CheckpointError(f"{path}: cannot be read as a tokenizer ({str(error)[:200]})") from error

    @property
    def max_length(self) -> int:
        """Tokens of the window, special tokens included."""
        return self._max_length

    def encode(self, texts: Sequence[str]) -> list[Tokens | None]:
        """Token ids of each text; None for a text in which there is nothing to read. Runs on several threads."""
        cleaned = [readable(text[: self._max_chars]) for text in texts]
        present = [index for index, text in enumerate(cleaned) if text is not None]
        encodings = self._tokenizer.encode_batch_fast([cleaned[index] for index in present])
        result: list[Tokens | None] = [None] * len(texts)
        for index, encoding in zip(present, encodings, strict=True):
            ids = encoding.ids
            cut = len(texts[index]) > self._max_chars
            if len(ids) > self._max_length:
                ids, cut = self._shortened(ids), True
            if len(ids) > self._special:
                result[index] = Tokens(ids, cut)
        return result

    def _shortened(self, ids: list[int]) -> list[int]:
        """Drops the last token of the text itself and keeps what the tokenizer puts behind it (such as [SEP])."""
        trailing = self._trailing()
        end = len(ids) - trailing
        return ids[: end - 1] + ids[end:]

    def _trailing(self) -> int:
        """Special tokens at the end of a text, as this tokenizer's template has them."""
        mask = self._tokenizer.encode("a").special_tokens_mask
        return next((count for count, special in enumerate(reversed(mask)) if not special), 0)


@dataclass(frozen=True, slots=True)
class Batch:
    """rows: indices of the texts, all at most `width` tokens long. height: rows to compute, padding rows included."""

    rows: NDArray[np.int64]
    width: int
    height: int


def plan(
    lengths: Sequence[int],
    token_budget: int,
    width_multiple: int = 1,
    spare: int = 0,
    max_width: int | None = None,
    fixed_height: bool = False,
) -> Iterator[Batch]:
    """Batches of texts of one width, longest first so that memory peaks at once and not after an hour.

    lengths: tokens of each text. token_budget: tokens of one batch, padding included; a longer text goes alone.
    width_multiple: widths are rounded up to this, after `spare` padded positions have been added to each text,
        but not beyond `max_width`, the positions that the network has.
    fixed_height: every batch of a width has the same height, whatever came with it. A GPU library picks its kernel by
        shape, and kernels differ in the last digits: a fixed shape gives a text the same numbers in every batch.
    """
    if token_budget < 1 or width_multiple < 1:
        raise ValueError("token_budget and width_multiple must be 1 or more")
    exact = np.asarray(lengths, dtype=np.int64)
    widths = -(-(exact + spare) // width_multiple) * width_multiple
    if max_width is not None:
        widths = np.maximum(np.minimum(widths, max_width), exact)
    order = np.argsort(-widths, kind="stable")
    ordered = widths[order]
    ends = [*(np.flatnonzero(np.diff(ordered)) + 1).tolist(), len(ordered)] if len(ordered) else []
    start = 0
    for end in ends:
        width = int(ordered[start])
        height = max(1, token_budget // max(1, width))
        for first in range(start, end, height):
            rows = order[first : min(first + height, end)]
            yield Batch(rows, width, height if fixed_height else len(rows))
        start = end


def padded(ids: Sequence[Sequence[int]], batch: Batch, pad_id: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(input_ids, attention_mask), both int64 [height, width]. ids: the tokens of every text, by index.

    A padding row repeats the first row, so that no row is ever empty: attention over nothing is not a number.
    """
    tokens = np.full((batch.height, batch.width), pad_id, dtype=np.int64)
    mask = np.zeros((batch.height, batch.width), dtype=np.int64)
    for place, row in enumerate(batch.rows):
        length = len(ids[row])
        tokens[place, :length] = ids[row]
        mask[place, :length] = 1
    filled = len(batch.rows)
    tokens[filled:], mask[filled:] = tokens[0], mask[0]
    return tokens, mask


def in_chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Lists of up to `size` items, in order; reads no further ahead than one chunk."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def stream(predict: Callable[[Sequence[T]], list[R]], items: Iterable[T], chunk: int = CHUNK) -> Iterator[R]:
    """Results of any number of items in order, in the memory of one chunk: `stream(classifier.predict, texts)`."""
    for part in in_chunks(items, chunk):
        yield from predict(part)
