"""What the gate asks and how it decides: the frozen set, and the test of two versions on the same rows."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from models.backend import Prediction, join_title_and_summary
from models.dataset import load_file
from models.errors import DataError
from models.gate import LabelledText, compare, figures, mcnemar_worse
from models.labels import SENTIMENTS, SEVERE_TOPICS, TOPICS
from monitor.promotion import FROZEN, measure, promote
from monitor.store.base import Store
from tests.scripted_classifier import ScriptedClassifier
from tests.usecases.newsroom import Newsroom, prediction
from tests.usecases.pupil import GOLD, ROWS, Pupil, live, shelf

# ── the frozen set ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_frozen_set_follows_the_guide_and_covers_every_topic() -> None:
    rows = load_file(FROZEN)
    assert len(rows) >= 250
    assert len({row.text for row in rows}) == len(rows)
    assert all(row.sentiment is not None and row.topics for row in rows)
    carried = Counter(TOPICS[topic] for row in rows for topic in row.topics)
    assert all(carried[topic] >= 10 for topic in TOPICS)
    assert all(carried[topic] >= 20 for topic in SEVERE_TOPICS)
    assert set(Counter(row.sentiment for row in rows)) == {0, 1, 2}


def test_a_broken_frozen_set_is_named_with_its_line(
    store: Store, room: Newsroom, now: datetime, tmp_path: Path
) -> None:
    room.serves("v1")
    broken = tmp_path / "frozen.csv"
    broken.write_text("text,sentiment,topics\nAcme defaults,bad,credit_distress\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 2, column sentiment"):
        promote(
            store,
            "v2",
            "ann",
            now,
            role="admin",
            open_classifier=shelf(Pupil("v1"), Pupil("v2")),
            frozen=broken,
        )
    assert live(store) == "v1"


# ── the statistic ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_exact_test_has_the_values_of_the_binomial_table() -> None:
    assert mcnemar_worse(6, 0) == pytest.approx(1 / 64)
    assert mcnemar_worse(5, 1) == pytest.approx(7 / 64)
    assert mcnemar_worse(0, 9) == pytest.approx(1.0)
    assert mcnemar_worse(0, 0) == 1.0


def test_one_version_compared_with_itself_is_never_worse() -> None:
    answers = Pupil("v1", misses=0.3).predict([row.text for row in ROWS])
    comparison = compare(ROWS, answers, answers)
    assert comparison.worse == ()
    assert {one.p_value for one in comparison.slices} == {1.0}


def test_rows_without_labels_are_not_asked_about() -> None:
    rows = [LabelledText(text="a", sentiment="negative"), LabelledText(text="b", topics=("litigation",))]
    answers = [prediction("negative", ("litigation",)), prediction("negative", ("litigation",))]
    assert figures(rows, answers) == (1.0, 1.0)
    assert [one.n for one in compare(rows, answers, answers).slices][:3] == [1, 1, 1]
    assert figures([LabelledText(text="a")], [None]) == (None, None)


def test_equal_versions_are_refused_less_than_once_in_six(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.gate.RESAMPLES", 80)
    refused = sum(bool(compare(ROWS, student(2 * k), student(2 * k + 1)).worse) for k in range(90))
    assert refused < 90 / 6


def student(seed: int) -> list[Prediction | None]:
    """Answers with the errors of a good model, each seed with its own: the hardest case, since no two share any."""
    draw = random.Random(seed)
    found: list[Prediction | None] = []
    for row in ROWS:
        sentiment = row.sentiment if draw.random() > 0.16 else draw.choice(SENTIMENTS)
        topics = [topic for topic in row.topics if draw.random() > 0.18]
        if draw.random() < 0.2:
            topics.append(draw.choice(TOPICS))
        found.append(prediction(sentiment or "neutral", tuple(dict.fromkeys(topics)) or ("other",)))
    return found


def test_measure_gives_the_two_figures_of_the_model_page() -> None:
    accuracy, micro_f1 = measure(Pupil("v1", blind=["other"]))
    assert accuracy == 1.0
    assert micro_f1 == pytest.approx(1.0)
    assert measure(ScriptedClassifier())[0] is not None


def test_a_text_is_joined_as_the_product_joins_it() -> None:
    with_summary = [row for row in load_file(FROZEN) if row.summary]
    assert with_summary
    assert {join_title_and_summary(row.text, row.summary) for row in with_summary} <= GOLD.keys()
