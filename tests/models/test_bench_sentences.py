"""The sentences of the scoring benchmark have the lengths that it promises, and are the same in every run."""

from __future__ import annotations

import statistics

from bench.sentences import sentences


def length(text: str) -> int:
    return len(text.split()) + 2


def test_lengths_are_spread_over_the_promised_range() -> None:
    lengths = [length(text) for text in sentences(400, length)]
    assert min(lengths) >= 20 and max(lengths) <= 200
    assert 95 <= statistics.mean(lengths) <= 125


def test_two_runs_measure_the_same_texts() -> None:
    assert sentences(50, length) == sentences(50, length)
    assert len(set(sentences(50, length))) == 50
