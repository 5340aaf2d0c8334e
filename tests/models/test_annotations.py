"""Our labels are kept by the hash of a title and find their texts again in the archives."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from models import annotations
from models.__main__ import main
from models.annotations import PARTS, Annotation, archives, joined, read_annotations, title_id
from models.dataset import load_file
from models.labels import SENTIMENTS, TOPICS


@pytest.fixture
def corpora(tmp_path: Path) -> Path:
    for name, content in (
        (
            "wire",
            "title,summary,source,published\nFerry  line halts service,Ice.,Wire,2026-01-02\nPort reopens,,Wire,\n",
        ),
        ("posts", "text\nPort reopens\nMill burns down\n"),
    ):
        (tmp_path / "corpora" / name).mkdir(parents=True)
        (tmp_path / "corpora" / name / f"{name}.csv").write_text(content, "utf-8")
    return tmp_path / "corpora"


def test_a_label_finds_its_text_once_with_its_lead(corpora: Path) -> None:
    labels = {
        title_id("Ferry line halts service"): Annotation("negative", "business_operations", "train"),
        title_id("Port reopens"): Annotation("positive", "business_operations|labour_environment", "test"),
        title_id("Nowhere to be found"): Annotation("neutral", "other", "train"),
    }
    rows = list(joined(labels, archives(corpora)))
    assert [(row["text"], row["summary"], row["corpus"]) for row in rows] == [
        ("Port reopens", "", "posts"),
        ("Ferry line halts service", "Ice.", "wire"),
    ]
    assert rows[0]["topics"] == "business_operations|labour_environment"


def test_the_command_writes_a_file_that_training_reads(
    corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "labels.csv.gz"
    rows = f"{title_id('Mill burns down')},negative,other,train\n{title_id('Port reopens')},positive,other,test\n"
    kept.write_bytes(gzip.compress(f"id,sentiment,topics,part\n{rows}".encode()))
    monkeypatch.setattr(annotations, "read_annotations", lambda: read_annotations(kept))
    out = tmp_path / "labelled"
    assert main(["annotations", "--corpora", str(corpora), "--out", str(out)]) == 0
    assert "2 of 2 labels found their text" in capsys.readouterr().err
    [example] = load_file(out / "annotations_train.csv")
    assert (example.text, example.sentiment, example.meta["set"]) == ("Mill burns down", 0, "annotations")
    [measured] = load_file(out / "annotations_test.csv")
    assert (measured.text, measured.meta["set"]) == ("Port reopens", "general")


def test_archives_without_a_labelled_title_are_one_line_and_write_nothing(
    corpora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["annotations", "--corpora", str(corpora), "--out", str(tmp_path / "out")]) == 1
    assert "none of the" in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert main(["annotations", "--corpora", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "no CSV file in the folders" in capsys.readouterr().err


def test_the_shipped_labels_are_of_the_guide() -> None:
    for key, label in read_annotations().items():
        topics = label.topics.split("|")
        assert len(key) == 10 and label.sentiment in SENTIMENTS and label.part in PARTS
        assert 1 <= len(topics) <= 3 and set(topics) <= set(TOPICS) and (topics == ["other"] or "other" not in topics)
