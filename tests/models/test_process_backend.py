"""The classifier that answers from a process of its own: warm, started again, clear when it cannot start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.errors import CheckpointError, ScorerError
from models.explain import explain
from models.process_backend import AT_ONCE, ProcessClassifier
from models.registry import open_classifier
from tests.models import tiny_checkpoint

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tiny() -> Path:
    return tiny_checkpoint.shared()


@pytest.fixture
def apart(tiny: Path) -> Iterator[ProcessClassifier]:
    classifier = ProcessClassifier(tiny, backend="onnx", threads=1)
    yield classifier
    classifier.close()


def test_its_numbers_are_those_of_the_model_in_this_process(apart: ProcessClassifier, tiny: Path) -> None:
    here = open_classifier(tiny, backend="onnx", threads=1)
    texts = [*tiny_checkpoint.SENTENCES, "", "央行降息"] * (AT_ONCE // 8)
    assert len(texts) > AT_ONCE
    assert apart.predict(texts) == here.predict(texts)
    assert explain(apart, texts[0]) == explain(here, texts[0])


def test_one_process_answers_all_that_is_asked(apart: ProcessClassifier) -> None:
    before = apart.process_id
    answers: list[int] = []
    asking = [
        threading.Thread(target=lambda: answers.append(len(apart.predict(["Acme nears default"] * 100))))
        for _ in range(4)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert answers == [100] * 4
    assert apart.process_id == before


def test_a_process_that_was_killed_is_started_again(apart: ProcessClassifier) -> None:
    before, process_id = apart.predict(["Acme nears default"]), apart.process_id
    assert process_id is not None
    os.kill(process_id, signal.SIGKILL)
    assert apart.predict(["Acme nears default"]) == before
    assert apart.process_id != process_id


def test_texts_that_end_the_process_twice_are_given_up_and_the_next_ones_answered(
    apart: ProcessClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The process reads JSON texts only; a message that is none ends it, as an item that kills the scorer would.
    with monkeypatch.context() as broken:
        broken.setattr("models.process_backend.json.dumps", lambda texts: "[")
        with pytest.raises(ScorerError, match="twice over the same texts") as raised:
            apart.predict(["Acme nears default"])
    assert raised.value.kind == "died"
    assert apart.predict(["Acme nears default"])[0] is not None


def test_a_process_that_does_not_start_says_so(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ScorerError, match="does not start") as raised:
        ProcessClassifier(tiny)
    assert raised.value.kind == "start"


def test_a_checkpoint_that_is_refused_is_refused_here_too(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="manifest"):
        ProcessClassifier(tmp_path)


def test_it_ends_with_whoever_started_it(tiny: Path) -> None:
    code = (
        "import os\nfrom models.process_backend import ProcessClassifier\n"
        f"one = ProcessClassifier({str(tiny)!r}, backend='onnx', threads=1)\n"
        "print(one.process_id, flush=True)\nos.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    process_id = int(done.stdout)
    for _ in range(200):
        if not Path(f"/proc/{process_id}").exists():
            return
        threading.Event().wait(0.05)
    pytest.fail("the scoring process outlived its parent")


def test_whoever_asks_it_loads_neither_torch_nor_onnx_runtime(tiny: Path) -> None:
    code = (
        "import sys\nfrom models.explain import explain\nfrom models.longtext import score_document\n"
        "from models.process_backend import ProcessClassifier\n"
        f"one = ProcessClassifier({str(tiny)!r}, backend='onnx', threads=1)\n"
        "assert score_document(one, 'Acme nears default. Its profit rises.').aggregate\n"
        "assert explain(one, 'Acme nears default')\n"
        "print(sorted({'torch', 'onnxruntime', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr
