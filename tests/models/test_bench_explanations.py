"""The benchmark of explanations counts what the words that a side names carry, and by whose clock they were found."""

from __future__ import annotations

from bench.explanations import lost, ours, race, shares, write_up
from models.explain import words
from tests.scripted_classifier import ScriptedClassifier

TEXTS = [
    "Acme nears default, says its bank of forty years",
    "The port reopens and default looms over Acme again",
]


def blind(text: str) -> list[float]:
    """A side that thinks most of the first words."""
    return [-float(place) for place in range(len(words(text)))]


def test_taking_out_what_decides_costs_the_answer_and_the_rest_costs_nothing() -> None:
    classifier = ScriptedClassifier()
    spans = words(TEXTS[0])
    before, after = (shares(answer) for answer in classifier.predict([TEXTS[0], TEXTS[0].replace(" default", "")]))
    assert lost(classifier, TEXTS[0], [[spans[2]]]) == 100 * (before[0] - after[0]) > 0
    assert lost(classifier, TEXTS[0], [[spans[2]], [spans[0]]]) == 50 * (before[0] - after[0])


def test_a_side_that_names_other_words_loses_less_and_the_table_says_so() -> None:
    classifier = ScriptedClassifier()
    seconds, drops = race({"ours": (ours(classifier), classifier), "blind": (blind, classifier)}, TEXTS)
    assert {name: len(found) for name, found in seconds.items()} == {"ours": 2, "blind": 2}
    assert sum(drops["ours"]) > sum(drops["random words"]) and sum(drops["ours"]) > sum(drops["blind"])
    table = write_up("trial-1", TEXTS, seconds, drops, "a machine")
    assert "| ours |" in table and "| random words | – | – | – |" in table
