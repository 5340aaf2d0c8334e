"""Training runs end to end on a tiny base, resumes after a kill, and its options run."""

from __future__ import annotations

import argparse
import json
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch
from transformers import TrainerControl, TrainerState, TrainingArguments

from models import methods
from models.augment import Augmenter
from models.behaviour import EXPECTED
from models.dataset import normalise
from models.errors import ModelError
from models.export import origin_of
from models.lessons import lessons
from models.network import IGNORE, HeadwindModel
from models.pretrain import mask_tokens
from models.train import METHODS, add_parser, run
from models.trainer import Budget, HeadwindTrainer, layer_groups
from tests.models.tiny_data import base_folder, foreign_file, product_file

QUICK = ["--rounds", "1", "--batch-size", "16", "--rank", "2", "--frozen-layers", "1", "--rate", "1e-3"]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base and two labelled files."""
    folder = tmp_path_factory.mktemp("train")
    base_folder(folder / "base")
    product_file(folder)
    foreign_file(folder)
    return folder


def arguments(ground: Path, output: Path, *more: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers(dest="command"))
    data = [str(ground / "headlines.csv"), str(ground / "financial_phrasebank.csv")]
    words = ["train", "--data", *data, "--base", str(ground / "base"), "--output", str(output), *QUICK, *more]
    return parser.parse_args(words)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_and_leaves_a_checkpoint(ground: Path, tmp_path: Path, method: str) -> None:
    assert run(arguments(ground, tmp_path, "--method", method)) == 0
    described = json.loads((tmp_path / "final" / "run.json").read_text(encoding="utf-8"))
    assert described["trainable_parameters"] > 0
    assert str(tmp_path) not in json.dumps(described) and str(ground) not in json.dumps(described)
    model = HeadwindModel.from_pretrained(tmp_path / "final")
    assert model.auxiliary_names == ["financial_phrasebank"]
    assert not [name for name, _ in model.named_parameters() if "lora" in name]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("full", {"layer.1": 1e-4, "layer.0": 5e-5, "embeddings": 2.5e-5, "pooler": 2.5e-5}),
        ("lora", {"lora_": 2e-4}),
        ("adapter", {".adapter.": 1e-3, "layer.1": 1e-4, "layer.0": 5e-5, "embeddings": 2.5e-5}),
        ("prefix", {"prompt": 1e-3}),
    ],
)
def test_inserted_parts_and_layers_have_rates_of_their_own(
    ground: Path, method: str, expected: dict[str, float]
) -> None:
    network = HeadwindModel.from_base(
        str(ground / "base"), adapter_size=2 * (method == "adapter"), prompt_size=2 * (method == "prefix")
    )
    applied = methods.apply(network, method, rank=2)
    groups = layer_groups(applied, 1e-4, 1e-3, 0.5, 0.01)
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    seen = set()
    for name, parameter in applied.named_parameters():
        if parameter.requires_grad:
            part = next((part for part in expected if part in name), "head")
            assert rates[id(parameter)] == expected.get(part, 1e-3), name
            seen.add(part)
    assert seen == {*expected, "head"}


def test_the_rate_warms_up_by_steps_and_falls_with_whichever_of_steps_and_clock_is_further(
    ground: Path, tmp_path: Path
) -> None:
    def factors(spent: float) -> list[float]:
        budget = Budget(tmp_path, 6000.0)
        budget.before = spent * 6000.0
        trainer = HeadwindTrainer(
            model=HeadwindModel.from_base(str(ground / "base")),
            args=TrainingArguments(str(tmp_path), use_cpu=True, warmup_steps=0.1, learning_rate=1.0, report_to=[]),
            budget=budget,
            head_rate=1.0,
            layer_decay=1.0,
        )
        optimizer = trainer.create_optimizer()
        schedule = trainer.create_scheduler(100, optimizer)
        found = []
        for _ in range(100):
            found.append(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
        return found

    fresh, late, nearly_over = factors(0.0), factors(0.75), factors(0.97)
    assert fresh[4] == pytest.approx(0.5, abs=0.01) and fresh[60] == pytest.approx(0.4, abs=0.01)
    assert late[0] == pytest.approx(0.1, abs=0.01) and late[60] == pytest.approx(0.25, abs=0.01)
    assert late[90] == pytest.approx(0.1, abs=0.01)
    assert nearly_over[9] == pytest.approx(0.03, abs=0.01), "warming up does not outlast the clock"


@pytest.mark.parametrize("asked", [False, True])
def test_a_spent_budget_saves_and_stops_and_cancels_no_score_that_is_due(tmp_path: Path, asked: bool) -> None:
    budget = Budget(tmp_path, 10.0)
    budget.before = 11.0
    control = TrainerControl(should_evaluate=asked)
    budget.on_step_end(TrainingArguments(str(tmp_path), use_cpu=True), TrainerState(), control)
    assert control.should_training_stop and control.should_save
    assert control.should_evaluate is asked


def test_training_learns(ground: Path, tmp_path: Path) -> None:
    run(arguments(ground, tmp_path, "--rounds", "8", "--rate", "3e-3", "--head-rate", "1e-2"))
    history = json.loads((tmp_path / "final" / "run.json").read_text(encoding="utf-8"))["history"]
    losses = [entry["loss"] for entry in history if "loss" in entry]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize(
    "options",
    [
        ["--fgm", "0.5"],
        ["--augment", "0.5"],
        ["--class-weights"],
        ["--accumulate", "2"],
        ["--mlm", "0.5"],
        ["--mlm", "1.5", "--precision", "bf16"],
        ["--lessons", "--max-length", "48"],
        ["--early-stopping", "1", "--save-every", "4"],
        ["--exclude", "financial_phrasebank"],
        ["--minutes", "0.001"],
        ["--precision", "bf16", "--sentiment-weight", "1.5"],
        ["--train-embeddings", "--dropout", "0.3", "--encoder-dropout", "0.2", "--weight-decay", "0.1"],
    ],
)
def test_an_option_runs(ground: Path, tmp_path: Path, options: list[str]) -> None:
    assert run(arguments(ground, tmp_path, *options)) == 0
    if options[0] == "--exclude":
        assert HeadwindModel.from_pretrained(tmp_path / "final").auxiliary_names == []


def test_a_run_with_rounding_leaves_the_ranges_and_the_next_run_without_takes_them_out(
    ground: Path, tmp_path: Path
) -> None:
    run(arguments(ground, tmp_path / "one", "--quantise-aware"))
    config = json.loads((tmp_path / "one" / "final" / "config.json").read_text(encoding="utf-8"))
    assert len(config["activation_ranges"]) == 6 * config["encoder"]["num_hidden_layers"]
    run(arguments(ground, tmp_path / "two", "--base", str(tmp_path / "one" / "final")))
    config = json.loads((tmp_path / "two" / "final" / "config.json").read_text(encoding="utf-8"))
    assert config["activation_ranges"] == {}


def test_two_teachers_become_one_pupil(ground: Path, tmp_path: Path) -> None:
    for seed in ("1", "2"):
        run(arguments(ground, tmp_path / seed, "--seed", seed, "--minutes", "0.01"))
    teachers = [str(tmp_path / seed / "final") for seed in ("1", "2")]
    assert run(arguments(ground, tmp_path / "pupil", "--distil-from", *teachers)) == 0


def test_texts_that_nobody_labelled_join_the_masked_language_rounds_and_the_pupils_rows(
    ground: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "archive.csv"
    archive.write_text("title,summary\nFerry line halts winter service,Ice.\nPort reopens,\n,A lead.\n", "utf-8")
    run(arguments(ground, tmp_path / "teacher", "--minutes", "0.01"))
    more = ("--unlabelled", str(archive), "--mlm", "1", "--distil-from", str(tmp_path / "teacher" / "final"))
    assert run(arguments(ground, tmp_path / "pupil", *more)) == 0
    later = ("--base", str(tmp_path / "pupil" / "final"), "--minutes", "0.01")
    assert run(arguments(ground, tmp_path / "later", *later)) == 0
    origin = origin_of(tmp_path / "later" / "final")
    assert origin.base == "base" and len(origin.training["before"]) == 1
    [seen] = [file for file in origin.files if file["name"] == "archive"]
    assert (seen["rows"], seen["used_for"]) == (2, "texts without labels")


def test_a_run_from_a_shipped_checkpoint_names_what_that_one_saw(ground: Path, tmp_path: Path) -> None:
    run(arguments(ground, tmp_path / "first", "--minutes", "0.01"))
    shipped = tmp_path / "shipped"
    shutil.copytree(tmp_path / "first" / "final", shipped)
    (shipped / "run.json").unlink()
    seen = {"name": "old", "licence": "none", "rows": 3, "sha256": "0" * 64, "used_for": "sentiment and topics"}
    phases = [{"arguments": {"base": name}, "seconds": 1.0} for name in ("phase-1", "tiny-bert")]
    training = {**phases[0], "before": [phases[1]]}
    (shipped / "manifest.json").write_text(json.dumps({"training": training, "data": [seen]}), "utf-8")
    run(arguments(ground, tmp_path / "next", "--minutes", "0.01", "--base", str(shipped)))
    origin = origin_of(tmp_path / "next" / "final")
    assert origin.base == "tiny-bert" and "old" in {file["name"] for file in origin.files}
    assert [phase["arguments"]["base"] for phase in origin.training["before"]] == ["phase-1", "tiny-bert"]


def test_the_lessons_are_balanced_and_hold_no_sentence_of_the_behaviour_suite() -> None:
    rows = lessons()
    suite = {normalise(text) for groups in EXPECTED.values() for texts in groups.values() for text in texts}
    assert not suite & {normalise(row.text) for row in rows}
    assert not [row.text for row in rows if "{" in row.text]
    counts = Counter(row.sentiment for row in rows)
    assert counts[0] > 200 and counts[2] > 200 and abs(counts[0] - counts[2]) < 0.2 * counts[0]
    assert rows == lessons() and all(row.topics == () for row in rows)


def test_a_killed_run_goes_on_from_its_checkpoint(ground: Path, tmp_path: Path) -> None:
    run(arguments(ground, tmp_path, "--save-every", "5"))
    steps = sorted(int(path.name.split("-")[1]) for path in tmp_path.glob("checkpoint-*"))
    (tmp_path / f"checkpoint-{steps[-1]}").rename(tmp_path / "gone")
    assert run(arguments(ground, tmp_path, "--save-every", "5", "--resume")) == 0
    assert (tmp_path / f"checkpoint-{steps[-1]}").exists()


def test_a_resumed_run_has_its_masked_language_rounds_behind_it(
    ground: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--save-every", "5", "--mlm", "0.5")
    run(arguments(ground, tmp_path, *options))
    assert "masked language" in capsys.readouterr().err
    assert run(arguments(ground, tmp_path, *options, "--resume")) == 0
    assert "masked language" not in capsys.readouterr().err


def test_another_run_begins_with_the_checkpoint_of_a_stopped_one_and_names_it(ground: Path, tmp_path: Path) -> None:
    run(arguments(ground, tmp_path / "first", "--save-every", "5"))
    shutil.rmtree(tmp_path / "first" / "final")
    checkpoint = next((tmp_path / "first").glob("checkpoint-*"))
    assert origin_of(checkpoint).training["arguments"]["output"] == "first", "also when it is exported as it is"
    run(arguments(ground, tmp_path / "next", "--minutes", "0.01", "--base", str(checkpoint)))
    [before] = origin_of(tmp_path / "next" / "final").training["before"]
    assert before["arguments"]["output"] == "first" and before["seconds"] > 0


def test_a_checkpoint_that_was_being_written_is_passed_over(ground: Path, tmp_path: Path) -> None:
    run(arguments(ground, tmp_path, "--save-every", "5"))
    (tmp_path / "checkpoint-9999").mkdir()
    assert run(arguments(ground, tmp_path, "--save-every", "5", "--resume")) == 0


def test_a_folder_in_use_and_other_arguments_are_refused(ground: Path, tmp_path: Path) -> None:
    run(arguments(ground, tmp_path, "--minutes", "0.001"))
    assert list(tmp_path.glob("checkpoint-*")), "a run that its budget ends keeps its last steps"
    with pytest.raises(ModelError, match="holds a run already"):
        run(arguments(ground, tmp_path))
    with pytest.raises(ModelError, match="had another seed"):
        run(arguments(ground, tmp_path, "--resume", "--seed", "5"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--fgm", "0.5", "--method", "lora"], "--fgm with --method lora"),
        (["--quantise-aware", "--method", "prefix"], "--quantise-aware with --method prefix"),
        (["--resume", "--method", "adalora"], "the ranks found so far are not kept"),
        (["--unlabelled", "archive.csv"], "nothing reads these texts"),
        (["--batch-size", "0"], "--batch-size 0: give 1 or more"),
        (["--limit", "-1"], "--limit -1: give 1 or more"),
        (["--minutes", "0"], "--minutes 0: give more than 0"),
        (["--distil-from", "nowhere"], "holds no network of ours"),
    ],
)
def test_options_that_would_not_do_what_they_say_are_refused(
    ground: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        run(arguments(ground, tmp_path, *options))


def test_a_run_from_one_of_our_networks_gains_the_heads_it_lacks_and_takes_no_half_network(
    ground: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    first = tmp_path / "first"
    run(arguments(ground, first, "--minutes", "0.01", "--exclude", "financial_phrasebank"))
    base = ("--base", str(first / "final"))
    run(arguments(ground, tmp_path / "next", "--minutes", "0.01", *base))
    assert HeadwindModel.from_pretrained(tmp_path / "next" / "final").auxiliary_names == ["financial_phrasebank"]
    with pytest.raises(ModelError, match="begins with a pretrained encoder"):
        run(arguments(ground, tmp_path / "other", *base, "--method", "prefix"))
    with pytest.raises(ModelError, match=r"was made with mean\+attention"):
        run(arguments(ground, tmp_path / "other", *base, "--pooling", "mean"))
    weights = load_file(first / "final" / "model.safetensors")
    weights.pop(next(name for name in weights if "layer.0" in name))
    save_file(weights, first / "final" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="the weights do not fit the network"):
        run(arguments(ground, tmp_path / "other", *base))


def test_a_teacher_with_other_words_is_refused(ground: Path, tmp_path: Path) -> None:
    run(arguments(ground, tmp_path / "teacher", "--minutes", "0.01"))
    file = tmp_path / "teacher" / "final" / "tokenizer.json"
    file.write_text(file.read_text("utf-8").replace('"steel"', '"stone"'), "utf-8")
    with pytest.raises(ModelError, match="has another vocabulary than the pupil"):
        run(arguments(ground, tmp_path / "pupil", "--distil-from", str(tmp_path / "teacher" / "final")))


def test_resuming_nothing_is_refused(ground: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no checkpoint"):
        run(arguments(ground, tmp_path, "--resume"))


def test_augmentation_is_repeatable_and_leaves_numbers_alone() -> None:
    text = "Northwind to close seventeen branches after 3.5 percent fall"
    first = [Augmenter(1.0)(text, random.Random(seed)) for seed in range(30)]
    assert first == [Augmenter(1.0)(text, random.Random(seed)) for seed in range(30)]
    assert len(set(first)) > 3 and all("3.5" in changed for changed in first)
    assert Augmenter(0.0)(text, random.Random(1)) == text


def test_masking_hides_about_a_seventh_and_no_special_token() -> None:
    ids = torch.arange(100, 1100).reshape(10, 100)
    special = torch.zeros_like(ids, dtype=torch.bool)
    special[:, 0] = True
    inputs, targets = mask_tokens(ids, special, 4, 2000, torch.Generator().manual_seed(1))
    hidden = targets != IGNORE
    assert 0.1 < hidden.float().mean() < 0.2
    assert not hidden[:, 0].any() and torch.equal(inputs[~hidden], ids[~hidden])
