"""`python -m models score` and `list`: what they write, and what they say when they cannot."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from models import __main__ as cli
from models.labels import SENTIMENTS, TOPICS
from models.registry import open_classifier
from models.score import ADDED, predict_any_length
from tests.models.tiny_checkpoint import SENTENCES
from tests.scripted_classifier import ScriptedClassifier


def write(path: Path, *rows: list[str], encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def score(source: Path, target: Path, tiny: Path, *more: str) -> int:
    return cli.main(["score", "--in", str(source), "--out", str(target), "--model", str(tiny), *more])


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def refused(capsys: pytest.CaptureFixture[str], status: int) -> str:
    """The one line on standard error of a command that failed."""
    assert status == 1
    errors = capsys.readouterr().err
    [line] = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in errors
    return line


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "in.csv", ["id", "text"], *([str(n), text] for n, text in enumerate(SENTENCES)))


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_a_file_gets_its_eight_columns(tiny: Path, source: Path, tmp_path: Path, backend: str) -> None:
    assert score(source, tmp_path / "out.csv", tiny, "--backend", backend, "--device", "cpu") == 0
    rows = read(tmp_path / "out.csv")
    assert list(rows[0]) == ["id", "text", *ADDED]
    assert [row["text"] for row in rows] == list(SENTENCES)
    for row in rows:
        shares = [float(row[f"p_{label}"]) for label in SENTIMENTS]
        assert sum(shares) == pytest.approx(1, abs=1e-5)
        assert row["sentiment"] == SENTIMENTS[shares.index(max(shares))]
        assert float(row["score"]) == pytest.approx(shares[2] - shares[0], abs=2e-6)
        assert float(row["confidence"]) == max(shares)
        assert set(row["topics"].split("|")) <= set(TOPICS)
        assert row["model_version"] == "tiny-1"


def test_the_numbers_are_those_of_the_classifier(tiny: Path, source: Path, tmp_path: Path) -> None:
    score(source, tmp_path / "out.csv", tiny)
    predictions = open_classifier(tiny).predict(SENTENCES)
    for row, prediction in zip(read(tmp_path / "out.csv"), predictions, strict=True):
        assert prediction is not None
        assert float(row["p_negative"]) == pytest.approx(prediction.p_negative, abs=1e-6)
        assert row["topics"] == "|".join(prediction.topics)


def test_title_and_summary_make_the_text(tiny: Path, tmp_path: Path) -> None:
    titled = write(tmp_path / "a.csv", ["title", "summary"], [SENTENCES[0], SENTENCES[1]], [SENTENCES[2], ""])
    joined = write(tmp_path / "b.csv", ["text"], [f"{SENTENCES[0]}\n{SENTENCES[1]}"], [SENTENCES[2]])
    assert score(titled, tmp_path / "a.out", tiny) == score(joined, tmp_path / "b.out", tiny) == 0
    first, second = read(tmp_path / "a.out"), read(tmp_path / "b.out")
    assert [[row[name] for name in ADDED] for row in first] == [[row[name] for name in ADDED] for row in second]


def test_another_column_can_be_named(tiny: Path, tmp_path: Path) -> None:
    write(tmp_path / "in.csv", ["Headline", "text"], [SENTENCES[0], "something else"])
    assert score(tmp_path / "in.csv", tmp_path / "out.csv", tiny, "--text-column", "headline") == 0
    [row] = read(tmp_path / "out.csv")
    [prediction] = open_classifier(tiny).predict(SENTENCES[:1])
    assert prediction is not None
    assert float(row["p_neutral"]) == pytest.approx(prediction.p_neutral, abs=1e-6)


def test_input_cells_are_kept_as_they_are(tiny: Path, tmp_path: Path) -> None:
    cells = ["=1+2", "-0.83", " padded ", "line\nbreak", 'quo"te', "逗号，", "007"]
    names = [f"c{n}" for n in range(len(cells))]
    write(tmp_path / "in.csv", [*names, "text"], [*cells, SENTENCES[0]])
    assert score(tmp_path / "in.csv", tmp_path / "out.csv", tiny) == 0
    [row] = read(tmp_path / "out.csv")
    assert [row[name] for name in names] == cells


def test_a_column_that_has_the_name_of_an_added_one_is_kept_beside_it(tiny: Path, tmp_path: Path) -> None:
    write(tmp_path / "in.csv", ["text", "sentiment", "topics"], [SENTENCES[0], "positive", "earnings_guidance"])
    assert score(tmp_path / "in.csv", tmp_path / "out.csv", tiny) == 0
    [row] = read(tmp_path / "out.csv")
    assert (row["sentiment_in"], row["topics_in"]) == ("positive", "earnings_guidance")
    assert row["sentiment"] in SENTIMENTS


def test_rows_without_a_text_get_empty_cells(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "in.csv", ["id", "text"], ["1", ""], ["2", SENTENCES[0]], ["3"], ["4", "\u200b"])
    assert score(tmp_path / "in.csv", tmp_path / "out.csv", tiny) == 0
    rows = read(tmp_path / "out.csv")
    assert [row["sentiment"] != "" for row in rows] == [False, True, False, False]
    assert [row["model_version"] for row in rows] == ["tiny-1"] * 4
    assert "4 rows, 3 without a text to score" in capsys.readouterr().out


def test_a_byte_order_mark_is_no_part_of_the_header(tiny: Path, tmp_path: Path) -> None:
    write(tmp_path / "in.csv", ["text"], [SENTENCES[0]], encoding="utf-8-sig")
    assert score(tmp_path / "in.csv", tmp_path / "out.csv", tiny) == 0


def test_a_text_longer_than_the_window_is_read_to_its_end() -> None:
    long = "The hall was full and the weather was fine on the day. " * 400 + "Acme is in default. " * 800
    [prediction] = predict_any_length(ScriptedClassifier(), [long])
    assert prediction is not None
    assert prediction.sentiment == "negative" and not prediction.truncated


def test_progress_goes_to_standard_error(
    tiny: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score(source, tmp_path / "out.csv", tiny)
    printed = capsys.readouterr()
    assert "100%" in printed.err and "100%" not in printed.out


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty; a header"),
        (b"name,value\na,1\n", "needs a column text, or title"),
        (b"text\n\xff\xfe bad\n", "is not UTF-8"),
        (b"text\nrates rise, again\n", "line 2: 2 cells where the header has 1"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_line(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, reason: str
) -> None:
    (tmp_path / "in.csv").write_bytes(content)
    assert reason in refused(capsys, score(tmp_path / "in.csv", tmp_path / "out.csv", tiny))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv"]


def test_missing_files_folders_columns_and_models_are_named(
    tiny: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    assert "no such file" in refused(capsys, score(tmp_path / "none.csv", out, tiny))
    assert "folder does not exist" in refused(capsys, score(source, tmp_path / "no" / "out.csv", tiny))
    assert "is the input itself" in refused(capsys, score(source, source, tiny))
    assert "has no column 'body'" in refused(capsys, score(source, out, tiny, "--text-column", "body"))
    assert "no checkpoint called" in refused(capsys, score(source, out, Path("nonesuch")))
    assert not out.exists()


def test_the_model_can_come_from_the_environment(
    tiny: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADWIND_MODEL", str(tiny))
    assert cli.main(["score", "--in", str(source), "--out", str(tmp_path / "out.csv")]) == 0
    monkeypatch.setenv("HEADWIND_DEVICE", "abacus")
    status = cli.main(["score", "--in", str(source), "--out", str(tmp_path / "out.csv")])
    assert "HEADWIND_DEVICE" in refused(capsys, status)
    monkeypatch.setenv("HEADWIND_DEVICE", "cpu")
    monkeypatch.setenv("HEADWIND_BACKEND", "steam")
    status = cli.main(["score", "--in", str(source), "--out", str(tmp_path / "out.csv")])
    assert "HEADWIND_BACKEND" in refused(capsys, status)


@pytest.mark.parametrize("words", [[], ["score"], ["dance"], ["score", "--in", "a", "--out", "b", "--backend", "x"]])
def test_wrong_usage_ends_with_two(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 2


def test_list_and_help_load_no_torch() -> None:
    code = (
        "import sys\nfrom models.__main__ import main\n"
        "assert main(['list']) == 0\n"
        "try:\n    main(['--help'])\nexcept SystemExit as done:\n    assert done.code == 0\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'transformers', 'onnxruntime'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("[]")
    for command in ("score", "list", *cli.ELSEWHERE):
        assert command in done.stdout
