"""What every `Classifier` promises, whoever implements it: one suite for both backends and the tests' own fake."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.backend import Classifier, Prediction
from models.labels import MAX_TOPICS, SENTIMENTS, TOPICS
from models.process_backend import ProcessClassifier
from models.registry import open_classifier
from tests.models import tiny_checkpoint
from tests.scripted_classifier import ScriptedClassifier

TEXTS = (
    *tiny_checkpoint.SENTENCES,
    "Loss",
    "Fraud",
    "央行降息，银行股上涨",
    "شركة تعلن خسائر",
    "🚀🚀 to the moon",
    "profit\x00warning\x07 at Acme",
    "\ud800 half a surrogate",
    "loss " * 3000,
    "x" * 1_000_000,
)
NOTHING = ("", " ", "\x00", "\n\t\r\n", "\u200b\u200f", "\x1b\x07\x7f")


@pytest.fixture(scope="module")
def tiny() -> Path:
    return tiny_checkpoint.shared()


@pytest.fixture(scope="module", params=["scripted", "onnx", "torch", "process"])
def classifier(request: pytest.FixtureRequest, tiny: Path) -> Iterator[Classifier]:
    if request.param == "scripted":
        yield ScriptedClassifier()
    elif request.param == "process":
        apart = ProcessClassifier(tiny, backend="onnx", device="cpu", threads=1)
        yield apart
        apart.close()
    else:
        yield open_classifier(tiny, backend=request.param, device="cpu", threads=1)


def scored(classifier: Classifier, texts: tuple[str, ...]) -> list[Prediction]:
    predictions = classifier.predict(texts)
    assert len(predictions) == len(texts)
    assert all(prediction is not None for prediction in predictions)
    return [prediction for prediction in predictions if prediction is not None]


def test_it_is_a_classifier_with_a_version_and_languages(classifier: Classifier) -> None:
    assert isinstance(classifier, Classifier)
    assert classifier.version
    assert classifier.languages and all(len(code) == 2 for code in classifier.languages)


def test_every_number_is_finite_and_the_three_sum_to_one(classifier: Classifier) -> None:
    for prediction in scored(classifier, TEXTS):
        shares = (prediction.p_negative, prediction.p_neutral, prediction.p_positive)
        assert all(0 <= share <= 1 for share in (*shares, *prediction.topic_scores))
        assert all(type(number) is float for number in (*shares, prediction.confidence, *prediction.topic_scores))
        assert math.isclose(sum(shares), 1, abs_tol=1e-6)
        assert prediction.confidence == max(shares) == shares[SENTIMENTS.index(prediction.sentiment)]
        assert -1 <= prediction.score <= 1


def test_topics_are_one_to_three_and_other_stands_alone(classifier: Classifier) -> None:
    for prediction in scored(classifier, TEXTS):
        assert 1 <= len(prediction.topics) <= MAX_TOPICS
        assert len(set(prediction.topics)) == len(prediction.topics)
        assert set(prediction.topics) <= set(TOPICS)
        assert "other" not in prediction.topics or prediction.topics == ("other",)
        assert len(prediction.topic_scores) == len(TOPICS)


def test_it_says_which_version_spoke(classifier: Classifier) -> None:
    assert {prediction.model_version for prediction in scored(classifier, TEXTS)} == {classifier.version}


def test_a_texts_numbers_do_not_depend_on_its_batch(classifier: Classifier) -> None:
    together = scored(classifier, TEXTS)
    backwards = scored(classifier, TEXTS[::-1])[::-1]
    for text, first, second in zip(TEXTS, together, backwards, strict=True):
        [alone] = scored(classifier, (text,))
        for other in (second, alone):
            assert numbers(other) == pytest.approx(numbers(first), abs=1e-4)
            assert (other.topics, other.truncated) == (first.topics, first.truncated)


def numbers(prediction: Prediction) -> tuple[float, ...]:
    return (prediction.p_negative, prediction.p_neutral, prediction.p_positive, *prediction.topic_scores)


def test_asking_twice_gives_the_same_answer(classifier: Classifier) -> None:
    assert classifier.predict(TEXTS) == classifier.predict(TEXTS)


def test_nothing_to_score_is_none_in_its_place(classifier: Classifier) -> None:
    mixed = [NOTHING[0], TEXTS[0], *NOTHING[1:], TEXTS[1]]
    predictions = classifier.predict(mixed)
    assert [prediction is None for prediction in predictions] == [text in NOTHING for text in mixed]
    assert classifier.predict(NOTHING) == [None] * len(NOTHING)


def test_no_texts_give_no_predictions(classifier: Classifier) -> None:
    assert classifier.predict([]) == []


def test_a_text_that_was_not_read_to_its_end_says_so(classifier: Classifier) -> None:
    short, word, long = scored(classifier, ("Shares fall", "x" * 1_000_000, "loss " * 5000))
    assert (short.truncated, word.truncated, long.truncated) == (False, True, True)


def test_the_real_backends_agree(tiny: Path) -> None:
    onnx = scored(open_classifier(tiny, backend="onnx", threads=1), TEXTS)
    torch = scored(open_classifier(tiny, backend="torch", device="cpu"), TEXTS)
    for mine, theirs in zip(onnx, torch, strict=True):
        assert numbers(mine) == pytest.approx(numbers(theirs), abs=1e-4)
        assert mine.topics == theirs.topics
