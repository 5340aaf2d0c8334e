"""The int8 export: the same answers as fp32 within bounds, the same in every batch, and a complete release."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from models.__main__ import main
from models.calibrate import Calibration
from models.corpus import Corpus, load_corpus
from models.dataset import Example
from models.errors import DataError
from models.export import Origin, agreement, export_fp32, export_int8, token_ids
from models.onnx_backend import open_session
from models.predict_fp32 import product_logits
from models.registry import verify
from models.release import ENOUGH_TO_FIT, natural_rows, release
from tests.models.tiny_checkpoint import SENTENCES
from tests.models.tiny_data import foreign_file, product_file


@pytest.fixture(scope="module")
def exported(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both graphs of the tiny checkpoint."""
    folder = tmp_path_factory.mktemp("export")
    export_fp32(tiny, folder / "fp32.onnx")
    export_int8(tiny, folder / "int8.onnx", SENTENCES, max_length=48)
    return folder


def scores(path: Path, ids: list[list[int]]) -> list[np.ndarray]:
    session = open_session(path)
    taken = {item.name for item in session.get_inputs()}
    found = []
    for row in ids:
        array = np.asarray([row], dtype=np.int64)
        feeds = {"input_ids": array, "attention_mask": np.ones_like(array)}
        answer = session.run(None, {name: value for name, value in feeds.items() if name in taken})
        found.append(np.concatenate([part[0] for part in answer]))
    return found


def test_the_fused_graph_answers_as_torch_does(tiny: Path, exported: Path) -> None:
    expected = np.concatenate(product_logits(tiny, SENTENCES), axis=1)
    found = np.stack(scores(exported / "fp32.onnx", token_ids(tiny, SENTENCES, 48)))
    assert np.abs(found - expected).max() < 1e-4


def test_int8_stays_near_fp32(tiny: Path, exported: Path) -> None:
    ids = token_ids(tiny, SENTENCES, 48)
    full, small = np.stack(scores(exported / "fp32.onnx", ids)), np.stack(scores(exported / "int8.onnx", ids))
    assert np.corrcoef(full.ravel(), small.ravel())[0, 1] > 0.99


def test_agreement_counts_equal_answers() -> None:
    class Heads:
        def __init__(self, sign: float) -> None:
            self.sentiment = np.array([[2.0, 0, 0], [0, 0, 2.0 * sign]])
            self.topics = np.zeros((2, 20))
            self.primary = np.eye(20)[:2] * 5

    found = agreement(Heads(1.0), Heads(-1.0), Calibration.identity())
    assert (found.sentiment, found.topics, found.texts) == (0.5, 1.0, 2)


def test_a_release_is_complete_and_verified(tiny: Path, tmp_path: Path) -> None:
    shutil.copyfile(tiny / "config.json", tmp_path / "config.json")
    trained = tmp_path / "trained"
    shutil.copytree(tiny, trained)
    (trained / "tokenizer_config.json").write_text("{}", encoding="utf-8")
    alone = load_corpus([product_file(tmp_path)], [])
    draws = tmp_path / "draws.csv"
    rows = [f"{alone.part('train')[0].text},neutral,other", "Ferry halts,negative,other", "Mill reopens,positive,other"]
    rows.append("Tanker lists off port,negative,labour_environment")
    draws.write_text("\n".join(["text,sentiment,topics", *rows]) + "\n", "utf-8")
    measured = tmp_path / "measured.csv"
    fresh = ["Bakery burns,negative,labour_environment", "Tram line opens,positive,other", "Council sits,neutral,other"]
    measured.write_text("\n".join(["text,sentiment,topics", rows[1], *fresh]) + "\n", "utf-8")
    corpus = load_corpus([product_file(tmp_path)], [], further={"dev": [draws], "random": [measured]})
    assert len(corpus.part("dev")) == len(alone.part("dev")) + 3, "a story that was learnt from measures nothing"
    assert len(corpus.part("random")) == 3, "a story that calibrates measures nothing"
    archive = {"name": "archive", "licence": "none", "rows": 9, "sha256": "0" * 64, "used_for": "texts without labels"}
    folder = release(
        trained, "trial-1", tmp_path, corpus, Origin("tiny-bert", {"rounds": 1}, [archive]), limits=["Only a trial."]
    )
    manifest = verify(folder)
    assert set(manifest.files) >= {"model.safetensors", "model.int8.onnx", "tokenizer.json", "config.json"}
    assert manifest.metrics["test"]["sentiment"]["n"] > 0 and "int8_agreement" in manifest.metrics
    Calibration.from_manifest(json.loads((folder / "manifest.json").read_text(encoding="utf-8")))
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "Only a trial." in card and "headlines" in card and str(tmp_path) not in card
    assert "| archive | none | 9 | texts without labels |" in card
    assert manifest.metrics["random"]["n"] == 3 and "| random | 3 |" in card
    natural = [row for row in corpus.part("test") if row.meta.get("set") == "general"]
    assert manifest.metrics["natural"]["n"] == 3 + len(natural)


def test_a_release_needs_development_rows(tiny: Path, tmp_path: Path) -> None:
    whole = load_corpus([product_file(tmp_path)], [])
    learnt = whole.part("train")
    corpus = Corpus(learnt, ["train"] * len(learnt), whole.files)
    with pytest.raises(DataError, match="no development rows with sentiment and topics"):
        release(tiny, "trial-1", tmp_path / "root", corpus, Origin("tiny-bert", {}, []))
    assert not (tmp_path / "root").exists()


def test_the_natural_mix_is_what_was_drawn_at_random_or_all_but_keyword_draws_while_that_is_little() -> None:
    def row(drawn: str) -> Example:
        return Example("Mill reopens", "", "headlines", 2, meta={"set": drawn})

    few = [row("general"), row("uncertain"), row("risk")]
    assert natural_rows(few) == [True, True, False]
    assert natural_rows(few + [row("general")] * ENOUGH_TO_FIT)[:4] == [True, False, False, True]


def test_a_foreign_head_of_a_release_is_measured(tmp_path: Path) -> None:
    corpus = load_corpus([foreign_file(tmp_path), product_file(tmp_path)], [])
    assert {example.source for example in corpus.part("test")} <= {"financial_phrasebank", "headlines"}


def test_an_export_that_would_hold_out_what_was_learnt_from_is_refused() -> None:
    from models.export import check_files

    learnt = [
        {"name": "headlines", "sha256": "a", "used_for": "sentiment and topics"},
        {"name": "more", "sha256": "b", "used_for": "sentiment and topics, training only"},
        {"name": "archive", "sha256": "c", "used_for": "texts without labels"},
    ]
    check_files(learnt, learnt[:2])
    with pytest.raises(DataError, match="--data: headlines is another file than"):
        check_files(learnt, [{**learnt[0], "sha256": "x"}, learnt[1]])
    with pytest.raises(DataError, match="--further: more is missing"):
        check_files(learnt, learnt[:1])


def test_the_command_refuses_such_an_export(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained = tmp_path / "final"
    shutil.copytree(tiny, trained)
    learnt = [{"name": "headlines", "sha256": "of another file", "used_for": "sentiment and topics"}]
    (trained / "run.json").write_text(json.dumps({"arguments": {}, "files": learnt}), "utf-8")
    words = ["export", "--model", str(trained), "--data", str(product_file(tmp_path))]
    assert main([*words, "--version", "trial-1", "--root", str(tmp_path / "root")]) == 1
    assert "headlines is another file than what the network learnt from" in capsys.readouterr().err
    assert not (tmp_path / "root").exists()
