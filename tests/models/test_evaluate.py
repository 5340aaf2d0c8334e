"""Evaluation: the shape of its answer, foreign conventions, bad files, and the behaviour suite itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from models.__main__ import main
from models.behaviour import invariant_pairs, run_suite, unchanged
from models.calibrate import Calibration
from models.errors import DataError, ModelError
from models.evaluate import Answers, calibrated, convention_figures, evaluate, load_convention, load_product, render
from models.labels import SENTIMENTS, TOPICS
from tests.models.tiny_data import foreign_file, product_file


def test_the_answer_has_the_agreed_shape(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = product_file(tmp_path), tmp_path / "figures.json"
    status = main(["evaluate", "--data", str(data), "--model", str(tiny), "--json", str(out), "--behaviour"])
    assert status == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["n"] == 252 and found["model_version"] == "tiny-1"
    assert {"accuracy", "macro_f1", "ece", "report", "macro_f1_ci", "confusion"} <= set(found["sentiment"])
    assert {"micro_f1", "macro_f1", "primary_accuracy", "report"} <= set(found["topics"])
    assert set(found["sentiment"]["report"]) == set(SENTIMENTS) and set(found["topics"]["report"]) == set(TOPICS)
    assert set(found["slices"]) >= {"source", "year", "length", "topic", "set"}
    assert found["behaviour"]["cases"] > 100
    printed = capsys.readouterr().out
    assert "confusion" in printed and "credit_distress" in printed and "behaviour negation" in printed


def test_a_head_without_labels_is_null(tiny: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "news.csv", tmp_path / "figures.json"
    data.write_text("text,topics\nAcme Steel warns,earnings_guidance\nShares jump,market_move\n", encoding="utf-8")
    assert main(["evaluate", "--data", str(data), "--model", str(tiny), "--json", str(out)]) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["sentiment"] is None and found["topics"]["n"] == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("text,sentiment\nAcme warns,bad\n", "line 2, column sentiment"),
        ("headline,sentiment\nAcme warns,negative\n", "line 1, column text"),
        ("text,label\nAcme warns,negative\n", "line 1, column sentiment"),
        ("text,sentiment\n", "line 2"),
    ],
)
def test_a_bad_file_is_one_line_and_status_one(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, says: str
) -> None:
    data = tmp_path / "news.csv"
    data.write_text(content, encoding="utf-8")
    assert main(["evaluate", "--data", str(data), "--model", str(tiny)]) == 1
    error = capsys.readouterr().err
    assert says in error and len(error.splitlines()) == 1


def test_a_corpus_in_its_own_convention_is_pointed_out(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--convention financial_phrasebank"):
        load_product(foreign_file(tmp_path))


def test_a_convention_is_read_from_a_file_of_any_name(tmp_path: Path) -> None:
    path = tmp_path / "held_out.csv"
    path.write_text("text,sentiment\nA rises,positive\nB,mixed\n", encoding="utf-8")
    examples, labels = load_convention(path, "sentfin")
    assert labels == SENTIMENTS and [example.auxiliary for example in examples] == [2]
    with pytest.raises(DataError, match="line 3, column sentiment: 'mixed'"):
        load_convention(path, "financial_phrasebank")
    with pytest.raises(ModelError, match=r"known: .*gold_commodity_news"):
        load_convention(path, "silver")


def test_a_post_of_links_alone_is_passed_over_and_an_empty_one_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "posts.csv"
    path.write_text("text,label\n$ACME rises,positive\nhttps://t.co/abc,neutral\n", encoding="utf-8")
    examples, _ = load_convention(path, "twitter_financial_news_sentiment")
    assert [example.text for example in examples] == ["$ACME rises"]
    path.write_text("text,label\n$ACME rises,positive\n ,neutral\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 3, column text: empty"):
        load_convention(path, "twitter_financial_news_sentiment")


def test_a_convention_is_sliced_by_agreement(tmp_path: Path) -> None:
    examples, labels = load_convention(foreign_file(tmp_path), "financial_phrasebank")
    shares = np.eye(3)[[example.auxiliary for example in examples for _ in range(4)]]
    figures = convention_figures([e for e in examples for _ in range(4)], labels, "financial_phrasebank", "v", shares)
    assert figures["sentiment"]["accuracy"] == 1.0 and figures["topics"] is None
    assert set(figures["slices"]["agreement"]) == {"50", "75", "100"}


def test_a_convention_that_the_checkpoint_lacks_is_said(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--data", str(foreign_file(tmp_path)), "--model", str(tiny)]
    assert main([*words, "--convention", "financial_phrasebank"]) == 1
    assert "financial_phrasebank" in capsys.readouterr().err


def test_perfect_answers_get_perfect_scores(tmp_path: Path) -> None:
    examples = load_product(product_file(tmp_path))
    answers = Answers(np.eye(3)[[e.sentiment for e in examples]], [e.topics for e in examples])
    figures = evaluate(examples, "oracle", answers)
    assert figures["sentiment"]["macro_f1"] == figures["topics"]["micro_f1"] == 1.0
    assert figures["sentiment"]["ece"] == pytest.approx(0.0)
    assert "oracle" in render(figures)


def test_an_answer_that_is_no_number_counts_as_undecided() -> None:
    sentiment, other = np.array([[9.0, 0, 0], [np.nan, 0, 0]]), np.zeros((2, 20))
    answers = calibrated(sentiment, other, other, Calibration.identity())
    assert answers.shares[0].argmax() == 0 and answers.shares[1].max() < 0.34
    assert answers.topics[1] == (TOPICS.index("other"),)


def test_the_suite_tells_a_good_model_from_a_fixed_answer() -> None:
    always_neutral = run_suite(lambda texts: np.tile([0.1, 0.8, 0.1], (len(texts), 1)))
    assert always_neutral["capabilities"]["case"]["rate"] == 1.0
    assert always_neutral["capabilities"]["negation"]["passed"] == 0
    assert all(before != after for _, before, after in invariant_pairs())
    assert not unchanged(np.array([0.9, 0.05, 0.05]), np.array([0.1, 0.1, 0.8]))
