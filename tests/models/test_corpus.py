"""What a run reads: held-out stories stay held out, whatever further files bring them back, and each file is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from models import annotations
from models import corpus as corpora
from models.corpus import load_corpus, unlabelled_rows
from models.dataset import load_unlabelled
from tests.models.tiny_data import foreign_file, product_file


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two labelled files."""
    folder = tmp_path_factory.mktemp("corpus")
    product_file(folder)
    foreign_file(folder)
    return folder


def test_no_held_out_text_comes_back_without_its_label(ground: Path, tmp_path: Path) -> None:
    corpus = load_corpus([ground / "headlines.csv"], [])
    held_out = corpus.part("test")[0].text
    archive = tmp_path / "archive.csv"
    archive.write_text(f"text\n{held_out.upper()}\nFerry line halts winter service\n", "utf-8")
    rows = unlabelled_rows({archive: load_unlabelled(archive)}, corpus)
    assert [row.text for row in rows] == ["Ferry line halts winter service"]


def test_further_labels_join_the_training_part_only_and_never_with_a_held_out_story(
    ground: Path, tmp_path: Path
) -> None:
    alone = load_corpus([ground / "headlines.csv"], [])
    held_out = [alone.part(part)[0].text for part in ("test", "dev")]
    further = tmp_path / "further.csv"
    rows = [
        *(f"{text} again,negative,other" for text in held_out),
        "Ferry line halts service,positive,business_operations",
    ]
    further.write_text("\n".join(["text,sentiment,topics", *rows]) + "\n", "utf-8")
    both = load_corpus([ground / "headlines.csv"], [], further={"train": [further]})
    assert [e.text for e in both.part("train") if e.source == "further"] == ["Ferry line halts service"]
    for part in ("dev", "test", "later"):
        assert both.part(part) == alone.part(part)
    [said] = [file for file in both.files if file["name"] == "further"]
    assert (said["rows"], said["used_for"]) == (1, "sentiment and topics, training only")


def test_a_title_that_checkpoints_are_measured_on_is_no_text_to_learn_from(
    ground: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = annotations.Annotation("neutral", "other", "test")
    monkeypatch.setattr(corpora, "read_annotations", lambda: {annotations.title_id("Port reopens"): label})
    archive = tmp_path / "archive.csv"
    archive.write_text("title\nPort reopens\nFerry line halts winter service\n", "utf-8")
    corpus = load_corpus([ground / "headlines.csv"], [])
    rows = unlabelled_rows({archive: load_unlabelled(archive)}, corpus)
    assert [row.text for row in rows] == ["Ferry line halts winter service"]


def test_the_corpus_states_its_files(ground: Path) -> None:
    corpus = load_corpus([ground / "headlines.csv", ground / "financial_phrasebank.csv"], [])
    product, foreign = corpus.files
    assert product["used_for"] == "sentiment and topics" and foreign["licence"] == "CC BY-NC-SA 3.0"
    assert len(product["sha256"]) == 64 and product["rows"] == 252
    assert corpus.part("train") and all(e.auxiliary is None for e in corpus.part("train", product_only=True))
