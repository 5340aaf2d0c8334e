"""The table of methods: one fixed sample, rows that survive a kill, options handed on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from models.__main__ import main
from models.compare import ROWS, SAMPLE, draw, read_sample
from models.corpus import load_corpus
from tests.models.tiny_data import base_folder, foreign_file, product_file

Compare = Callable[..., int]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    base_folder(folder / "base")
    product_file(folder)
    foreign_file(folder)
    return folder


@pytest.fixture
def compare(ground: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compare:
    monkeypatch.delenv("HEADWIND_CORPORA", raising=False)

    def call(*more: str) -> int:
        words = ["compare", "--data", str(ground / "headlines.csv"), "--base", str(ground / "base")]
        words += ["--limit", "80", "--test-rows", "15", "--rounds", "1", "--rank", "2", "--output", str(tmp_path)]
        return main([*words, *more])

    return call


def test_methods_and_baselines_stand_in_one_table(
    compare: Compare, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare("--methods", "lora", "--json", str(tmp_path / "out.json"), "--train", "--precision fp32") == 0
    said = capsys.readouterr()
    rows = {row["method"]: row for row in json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))}
    assert list(rows) == ["VADER", "TF-IDF and logistic regression", "lora"]
    assert "Loughran-McDonald left out: HEADWIND_CORPORA is not set" in said.err
    assert rows["lora"]["trainable"] > 0 and rows["lora"]["seconds"] > 0 and rows["lora"]["memory_mb"] > 50
    for row in rows.values():
        assert row["sentiment_ci"][0] <= row["sentiment"] <= row["sentiment_ci"][1]
        assert f"| {row['method']} |" in said.out
    assert rows["VADER"]["topics"] is None and rows["lora"]["topics"] is not None


def test_finished_rows_are_kept_and_not_run_again(
    ground: Path, compare: Compare, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare("--methods", "prefix", "--no-baselines") == 0
    corpus = read_sample(tmp_path / SAMPLE)
    drawn = draw(load_corpus([ground / "headlines.csv"], []), 80, 15)
    assert list(zip(corpus.splits, corpus.examples, strict=True)) == drawn
    # As a kill in the second method leaves it: the first row is there, and it is not computed anew.
    kept = json.loads((tmp_path / ROWS).read_text(encoding="utf-8"))
    kept["rows"]["prefix"]["seconds"] = 4711
    (tmp_path / ROWS).write_text(json.dumps(kept), encoding="utf-8")
    sample = (tmp_path / SAMPLE).read_bytes()
    capsys.readouterr()
    assert compare("--methods", "prefix", "--no-baselines") == 0
    said = capsys.readouterr()
    assert "prefix: done before" in said.err and "| 4711 |" in said.out
    assert (tmp_path / SAMPLE).read_bytes() == sample
    assert compare("--methods", "prefix", "--rank", "3") == 1
    assert "rows of another comparison (other rank)" in capsys.readouterr().err


def test_an_option_that_training_does_not_know_is_named(compare: Compare, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare("--train", "--presicion bf16") == 1
    assert "--presicion" in capsys.readouterr().err


def test_the_sample_is_fixed_and_no_scored_story_is_learnt(ground: Path) -> None:
    corpus = load_corpus([ground / "headlines.csv", ground / "financial_phrasebank.csv"], [])
    found = draw(corpus, 20, 10)
    assert found == draw(corpus, 20, 10)
    learnt = [example for split, example in found if split == "train"]
    scored = [example for split, example in found if split == "test"]
    assert {example.source for example in learnt} == {"headlines", "financial_phrasebank"}
    assert len(scored) == 10 and all(example.auxiliary is None for example in scored)
    assert not {example.text for example in learnt} & {example.text for example in scored}


def test_options_that_the_sample_could_not_follow_are_refused(
    compare: Compare, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare("--train", "--exclude financial_phrasebank") == 1
    assert "--exclude': the sample is drawn from --data as it is" in capsys.readouterr().err
