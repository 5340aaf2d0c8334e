"""A switch of versions, as the worker lives through it: the queue, the classifier in memory, HEADWIND_MODEL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from models.backend import Prediction
from models.errors import CheckpointError
from monitor.app import App, open_app
from monitor.scoring import score_queue
from monitor.settings import Settings
from monitor.store.base import Store
from tests.scripted_classifier import ScriptedClassifier
from tests.usecases.newsroom import Newsroom


class SwitchesMidway(ScriptedClassifier):
    """Someone promotes v2 while its first batch is scored."""

    def __init__(self, store: Store, now: datetime) -> None:
        super().__init__("v1")
        self._store, self._now = store, now

    def predict(self, texts: Sequence[str]) -> list[Prediction | None]:
        self._store.set_live_model("v2", ("en",), "ann", "promoted: passed the gate", self._now)
        return super().predict(texts)


def test_a_promotion_during_scoring_ends_the_round_and_the_next_version_does_the_rest(
    store: Store, room: Newsroom, now: datetime
) -> None:
    room.serves("v1")
    store.add_articles([room.new(f"Mill {k} wins order") for k in range(5)], now)
    score_queue(store, SwitchesMidway(store, now), "w", lambda: now)
    assert store.unscored_count() == 5, "the queue is the new version's"
    score_queue(store, ScriptedClassifier("v2"), "w", lambda: now)
    assert store.unscored_count() == 0
    article = store.article(next(store.recent_articles(now.replace(year=2020))).id)
    assert article is not None and article.prediction is not None
    assert article.prediction.model_version == "v2"


@pytest.fixture
def app(sound: Path, tmp_path: Path, now: datetime) -> Iterator[App]:
    opened = open_app(Settings(home=tmp_path / "home", model=str(sound), backend="onnx", threads=1))
    opened.prepare(now)
    yield opened
    opened.close()


def test_a_pinned_folder_outside_the_checkpoints_serves_and_can_be_compared_with(app: App) -> None:
    assert app.live_version() == "tiny-1"
    assert app.classifier().version == "tiny-1"
    assert app.open_classifier("tiny-1").version == "tiny-1"


def test_another_version_is_opened_by_its_own_name_although_one_is_pinned(app: App) -> None:
    with pytest.raises(CheckpointError, match="tiny-2"):
        app.open_classifier("tiny-2")


def test_a_live_version_that_cannot_be_opened_leaves_the_queue_waiting_and_the_worker_free(
    app: App, now: datetime
) -> None:
    room = Newsroom(app.store, now)
    app.classifier()
    app.store.add_articles([room.new("Mill wins order")], now)
    app.store.set_live_model("tiny-2", ("en",), "ann", "by hand", now)
    assert app.score("w", lambda: now).scored == 0
    assert app.store.unscored_count() == 1
    assert app.classifier().version == "tiny-1"


def test_the_daily_round_leaves_a_row_of_drift(app: App, now: datetime) -> None:
    app.daily(now)
    assert now.date().isoformat() in app.store.beats()["drift"][1]["days"]
