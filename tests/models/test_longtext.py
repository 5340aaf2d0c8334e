"""Long texts: where sentences end, what windows hold, what the whole is said to be."""

from __future__ import annotations

import time
import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.longtext import WINDOW_CHARS, score_document, score_whole
from models.registry import open_classifier
from models.sentences import LONGEST, split_sentences
from tests.models.tiny_checkpoint import SENTENCES
from tests.scripted_classifier import ScriptedClassifier

CLASSIFIER = ScriptedClassifier()


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Margins fell. Cash rose!", ["Margins fell.", "Cash rose!"]),
        ("Rates rose 3.5 percent. Yields fell.", ["Rates rose 3.5 percent.", "Yields fell."]),
        ("The U.S. Treasury sold bills. It paid 4.1%.", ["The U.S. Treasury sold bills.", "It paid 4.1%."]),
        ("Acme sells in the U.S. The firm is small.", ["Acme sells in the U.S.", "The firm is small."]),
        ("Mr. Hale of Acme Inc. spoke. He left.", ["Mr. Hale of Acme Inc. spoke.", "He left."]),
        ("Acme sued Bolt Corp. The court agreed.", ["Acme sued Bolt Corp.", "The court agreed."]),
        ("Plant No. 4 reopened on Nov. 3. Staff came back.", ["Plant No. 4 reopened on Nov. 3.", "Staff came back."]),
        ("J. P. Reed quit. Why? Nobody knows.", ["J. P. Reed quit.", "Why?", "Nobody knows."]),
        ('"We lost." She nodded.', ['"We lost."', "She nodded."]),
        ("See acme.com. Then e.g. Bolt.", ["See acme.com.", "Then e.g. Bolt."]),
        ("Sales fell... and then rose. Ok.", ["Sales fell... and then rose.", "Ok."]),
        ("央行降息。银行股上涨！为什么？", ["央行降息。", "银行股上涨！", "为什么？"]),
        ("他说：“违约。”市场下跌。", ["他说：“违约。”", "市场下跌。"]),
        ("Title without a stop\nThe lead follows.", ["Title without a stop", "The lead follows."]),
        ("1. Risks\n2. Outlook", ["1. Risks", "2. Outlook"]),
        ("Heading\n\nBody text here", ["Heading", "Body text here"]),
        ("Items:\n- loans\n- bonds", ["Items:", "- loans", "- bonds"]),
        ("", []),
        (" \n\t ", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, sentences: list[str]) -> None:
    assert split(text) == sentences


def test_wrapped_lines_of_a_document_are_one_sentence() -> None:
    text = (
        "Report\n\nThe group's liquidity position weakened in the third quarter as several large\n"
        "customers moved their deposits to other banks. Capital held."
    )
    assert [part.replace("\n", " ") for part in split(text)] == [
        "Report",
        "The group's liquidity position weakened in the third quarter as several large "
        "customers moved their deposits to other banks.",
        "Capital held.",
    ]


@given(st.text(alphabet="aB.!? 3\n。“”\t,-", max_size=300))
def test_no_visible_character_is_lost_and_none_is_read_twice(text: str) -> None:
    spans = list(split_sentences(text))
    assert "".join(text[start:end] for start, end in spans).split() != [] or not text.strip()
    assert [text[start:end] for start, end in spans if not text[start:end].strip()] == []
    assert "".join("".join(split(text)).split()) == "".join(text.split())
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


@pytest.mark.parametrize("unit", ["x", ".", "\n", " ", "a.\n", "Mr. ", "。", "U.S. "])
def test_hostile_repetition_is_split_in_linear_time(unit: str) -> None:
    started = time.perf_counter()
    assert all(end - start <= LONGEST for start, end in split_sentences(unit * 100_000 + "end"))
    assert time.perf_counter() - started < 10


def test_each_sentence_has_its_own_score_and_place() -> None:
    text = "Acme posts a profit. Bolt files for bankruptcy. The weather was fine."
    document = score_document(CLASSIFIER, text)
    assert [sentence.prediction and sentence.prediction.sentiment for sentence in document.sentences] == [
        "positive",
        "negative",
        "neutral",
    ]
    assert all(text[sentence.start : sentence.end] == sentence.text for sentence in document.sentences)


def test_a_short_text_is_scored_as_it_is() -> None:
    for text in ("Acme nears default", "Acme nears default. The bank denies it."):
        document = score_document(CLASSIFIER, text)
        assert [document.aggregate] == CLASSIFIER.predict([text])
        assert score_whole(CLASSIFIER, text) == document.aggregate


def test_a_text_with_nothing_to_score_has_no_aggregate() -> None:
    for text in ("", "\x00\x01", " \n "):
        assert score_document(CLASSIFIER, text).aggregate is None


def test_boilerplate_does_not_drown_the_paragraph_that_tells() -> None:
    filler = "The meeting took place in the main hall of the building on the river. " * 60
    text = f"{filler}The company is in default on its bonds. {'Fraud was found in two units. ' * 30}{filler}"
    document = score_document(CLASSIFIER, text)
    assert document.aggregate is not None
    assert document.windows > 10
    assert {"fraud_crime"} <= set(document.aggregate.topics) or document.aggregate.topics == ("other",)
    plain = score_document(CLASSIFIER, filler * 2)
    assert plain.aggregate is not None and plain.aggregate.sentiment == "neutral"
    assert document.aggregate.p_negative > 3 * plain.aggregate.p_negative


def test_bad_news_all_through_makes_the_whole_bad_news() -> None:
    text = "Acme nears default after a loss. Creditors met on Monday in the capital. " * 80
    document = score_document(CLASSIFIER, text)
    assert document.aggregate is not None
    assert document.aggregate.sentiment == "negative"
    assert document.aggregate.topics[0] == "credit_distress"
    assert not document.aggregate.truncated
    shares = (document.aggregate.p_negative, document.aggregate.p_neutral, document.aggregate.p_positive)
    assert sum(shares) == pytest.approx(1)


def test_a_window_that_the_model_could_not_read_is_read_in_halves(tiny: Path) -> None:
    classifier = open_classifier(tiny, backend="onnx", threads=1)
    text = " ".join(f"{sentence}." for sentence in SENTENCES * 4)
    document = score_document(classifier, text)
    assert document.aggregate is not None and not document.aggregate.truncated
    assert document.windows > len(text) / WINDOW_CHARS


def test_what_is_beyond_the_limit_is_left_out_and_said() -> None:
    document = score_document(CLASSIFIER, "Acme posts a profit. " * 400, max_chars=4000)
    assert document.aggregate is not None and document.aggregate.truncated
    assert document.sentences[-1].end <= 4000


def test_a_report_of_fifty_pages_is_scored_in_bounded_memory(tiny: Path) -> None:
    classifier = open_classifier(tiny, backend="onnx", threads=1)
    page = " ".join(f"{sentence}." for sentence in SENTENCES) * 4  # some 2,800 characters
    tracemalloc.start()
    document = score_document(classifier, f"{page}\n\n" * 50)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(document.sentences) > 2000
    assert document.aggregate is not None and not document.aggregate.truncated
    assert peak < 32 * 1024 * 1024
