"""Every text is scored once, in its place, beside texts of its own width."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.batching import CHARS_PER_TOKEN, Encoder, in_chunks, padded, plan, readable, stream
from tests.models import tiny_checkpoint

LENGTHS = st.lists(st.integers(1, 60), max_size=80)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(tiny_checkpoint.tiny_tokenizer(), max_length=16)


@given(LENGTHS, st.integers(1, 300), st.sampled_from([1, 8]), st.sampled_from([0, 1]), st.booleans())
def test_a_plan_places_every_text_once_and_keeps_the_budget(
    lengths: list[int], budget: int, multiple: int, spare: int, fixed: bool
) -> None:
    batches = list(plan(lengths, budget, width_multiple=multiple, spare=spare, fixed_height=fixed))
    assert sorted(int(row) for batch in batches for row in batch.rows) == list(range(len(lengths)))
    for batch in batches:
        assert all(lengths[row] + spare <= batch.width for row in batch.rows)
        assert len(batch.rows) <= batch.height
        assert batch.height == 1 or batch.height * batch.width <= budget
    assert [batch.width for batch in batches] == sorted((batch.width for batch in batches), reverse=True)


@given(LENGTHS, st.integers(1, 300))
def test_on_the_cpu_nothing_is_padded(lengths: list[int], budget: int) -> None:
    for batch in plan(lengths, budget):
        assert batch.height == len(batch.rows)
        assert {lengths[row] for row in batch.rows} == {batch.width}


@given(LENGTHS, st.integers(0, 79))
def test_on_a_gpu_the_shape_of_a_texts_batch_follows_from_the_text_alone(lengths: list[int], pick: int) -> None:
    def shape_of(row: int, all_lengths: list[int]) -> tuple[int, int]:
        batches = plan(all_lengths, 256, width_multiple=8, spare=1, fixed_height=True)
        return next((batch.height, batch.width) for batch in batches if row in batch.rows)

    if lengths:
        row = pick % len(lengths)
        assert shape_of(row, lengths) == shape_of(0, [lengths[row]])


def test_no_batch_is_wider_than_the_networks_positions() -> None:
    [batch] = plan([63], 1000, width_multiple=8, spare=1, max_width=63)
    assert batch.width == 63


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="token_budget"):
        list(plan([1], 0))


def test_padding_is_masked_and_padding_rows_are_never_empty() -> None:
    [batch] = plan([2, 3], 32, width_multiple=8, fixed_height=True)
    tokens, mask = padded([[5, 6], [7, 8, 9]], batch, pad_id=1)
    assert tokens.shape == mask.shape == (4, 8)
    assert mask.sum(axis=1).tolist() == [2, 3, 2, 2]
    assert np.all(tokens[mask == 0] == 1)


def test_tokens_are_those_of_the_window_with_its_closing_mark(encoder: Encoder) -> None:
    short, long = encoder.encode(["shares fall", "loss " * 40])
    assert short is not None and long is not None
    assert not short.truncated and long.truncated
    assert len(long.ids) == 16
    assert (long.ids[0], long.ids[-1]) == (short.ids[0], short.ids[-1])


def test_a_text_that_just_fits_is_not_truncated(encoder: Encoder) -> None:
    fits, over = encoder.encode(["loss " * 14, "loss " * 15])
    assert fits is not None and over is not None
    assert (len(fits.ids), fits.truncated) == (16, False)
    assert (len(over.ids), over.truncated) == (16, True)


def test_a_text_cut_before_tokenising_says_so(encoder: Encoder) -> None:
    [tokens] = encoder.encode(["x" * (16 * CHARS_PER_TOKEN + 1)])
    assert tokens is not None and tokens.truncated


@pytest.mark.parametrize("text", ["", "   ", "\x00\x01\x1f", "\n\t\r", "\u200b\u200e\ufeff", "\ud800", "\x7f\x85"])
def test_nothing_visible_is_nothing_to_score(encoder: Encoder, text: str) -> None:
    assert readable(text) is None
    assert encoder.encode([text]) == [None]


@pytest.mark.parametrize("text", ["Shares fall 3.5%", "央行降息", "مصرف", "🚀", "$", "a\nb\tc", "naïve — “x”"])
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    assert readable(text) == text


def test_control_characters_and_half_surrogates_are_parted_from_the_text() -> None:
    assert readable("a\x00b\ud800c") == "a b c"


def test_a_stream_reads_no_further_ahead_than_one_chunk() -> None:
    read = 0

    def numbers() -> Iterator[int]:
        nonlocal read
        for number in range(1000):
            read += 1
            yield number

    results = stream(lambda part: [2 * number for number in part], numbers(), chunk=10)
    assert [next(results) for _ in range(11)] == [2 * number for number in range(11)]
    assert read == 20
    assert list(results) == [2 * number for number in range(11, 1000)]


def test_chunks_end_with_what_is_left() -> None:
    assert list(in_chunks(range(5), 2)) == [[0, 1], [2, 3], [4]]
