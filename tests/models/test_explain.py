"""Explanations point at the words that made the answer."""

from __future__ import annotations

import random
import statistics
from pathlib import Path

import pytest

from models.explain import explain, without, words
from models.labels import SENTIMENTS
from models.registry import open_classifier
from tests.models.tiny_checkpoint import SENTENCES
from tests.scripted_classifier import ScriptedClassifier

HEADLINES = (
    "Regional lender halts withdrawals as depositors queue outside its branches",
    "Shipbuilder cuts full-year forecast and warns of deeper losses",
    "Chipmaker lifts outlook after record quarterly sales",
    "Prosecutors charge former treasurer of energy trader with fraud",
    "Ransomware attack shuts hospital group's booking system",
    "Airline wins approval for new transatlantic routes, shares climb",
    "Retailer files for bankruptcy protection after weak holiday season",
    "Steel group signs ten-year supply contract worth 2 billion euros",
    "Regulator fines insurer over mis-sold pension products",
    "Drugmaker's profit jumps as demand for its vaccine grows",
    "Mining company suspends dividend and lays off 4,000 workers",
    "Brewer beats estimates and raises its dividend",
)
"""Written for this test."""


def test_the_word_that_decides_gets_the_largest_share() -> None:
    text = "Acme nears default, says its bank"
    contributions = explain(ScriptedClassifier(), text)
    assert [word.word for word in contributions] == ["Acme", "nears", "default", "says", "its", "bank"]
    assert all(text[word.start : word.end] == word.word for word in contributions)
    best = max(contributions, key=lambda word: word.contribution)
    assert best.word == "default"
    assert best.contribution == pytest.approx(0.85)
    assert all(word.contribution == 0 for word in contributions if word is not best)


def test_all_occlusions_go_to_the_model_in_one_call() -> None:
    classifier = ScriptedClassifier()
    explain(classifier, "Acme nears default")
    assert classifier.calls == [["Acme nears default", "nears default", "Acme default", "Acme nears"]]


@pytest.mark.parametrize("text", ["", "   ", "\x00", "?!", "..."])
def test_a_text_without_words_has_no_contributions(text: str) -> None:
    assert explain(ScriptedClassifier(), text) == []


def test_a_single_word_is_explained_against_knowing_nothing() -> None:
    [word] = explain(ScriptedClassifier(), "Default")
    assert word.contribution == pytest.approx(0.9 - 1 / 3)


def test_a_long_text_is_occluded_in_runs_that_share_what_they_add() -> None:
    classifier = ScriptedClassifier()
    text = "Acme says " * 60 + "it is in default"
    contributions = explain(classifier, text, max_parts=10)
    assert len(classifier.calls[0]) <= 11
    assert len(contributions) == 124
    carrying = [word.word for word in contributions if word.contribution > 0]
    assert "default" in carrying and len(carrying) <= 13
    assert sum(word.contribution for word in contributions) == pytest.approx(0.85)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("U.S. oil falls 3.5% to $70.", ["U.S", "oil", "falls", "3.5%", "to", "70"]),
        ("AT&T's (profit)—down", ["AT&T's", "profit", "down"]),
        ("央行降息 ok", ["央", "行", "降", "息", "ok"]),
        ("profit-warning", ["profit-warning"]),
    ],
)
def test_words_keep_their_inner_signs(text: str, found: list[str]) -> None:
    assert [text[start:end] for start, end in words(text)] == found


def test_leaving_words_out_closes_the_gap() -> None:
    assert without("a bad loss\nfor Acme", [(2, 5)]) == "a loss\nfor Acme"


def test_both_backends_explain_alike(tiny: Path) -> None:
    onnx = explain(open_classifier(tiny, backend="onnx", threads=1), SENTENCES[0])
    torch = explain(open_classifier(tiny, backend="torch", device="cpu"), SENTENCES[0])
    assert [word.contribution for word in onnx] == pytest.approx([word.contribution for word in torch], abs=1e-4)


def test_deleting_the_top_words_changes_the_answer_more_than_deleting_random_ones(shipped: Path) -> None:
    classifier = open_classifier(shipped, backend="onnx", device="cpu")
    draw = random.Random(5)
    top_drops, random_drops = [], []
    for text in HEADLINES:
        contributions = explain(classifier, text)
        ranked = sorted(contributions, key=lambda word: -word.contribution)
        kept = [[(word.start, word.end) for word in ranked[:2]]]
        kept += [[(word.start, word.end) for word in draw.sample(contributions, 2)] for _ in range(6)]
        whole, top, *others = classifier.predict([text, *(without(text, spans) for spans in kept)])
        assert whole is not None
        place = SENTIMENTS.index(whole.sentiment)

        def share(prediction: object, place: int = place) -> float:
            return (prediction.p_negative, prediction.p_neutral, prediction.p_positive)[place]  # type: ignore[attr-defined]

        top_drops.append(share(whole) - share(top))
        random_drops.append(statistics.mean(share(whole) - share(other) for other in others))
    assert statistics.mean(top_drops) > statistics.mean(random_drops) + 0.05
    better = sum(top > other for top, other in zip(top_drops, random_drops, strict=True))
    # Two words taken out together are not the sum of each alone, so a single headline may go the other way.
    assert better >= 2 * len(HEADLINES) / 3
