"""Which version serves: the gate, the way round it with a reason, and the way back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from models import registry
from models.backend import Classifier
from models.errors import CheckpointError
from models.labels import SEVERE_TOPICS
from monitor.errors import NotAllowedError, PromotionError
from monitor.promotion import MIN_VERDICTS, promote, rollback, served_versions
from monitor.store.base import Store
from tests.scripted_classifier import ScriptedClassifier
from tests.usecases.newsroom import Newsroom
from tests.usecases.pupil import ROWS, Pupil, live, shelf

# ── the gate ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_equal_version_passes_and_serves(store: Store, room: Newsroom, now: datetime) -> None:
    room.serves("v1")
    both = shelf(Pupil("v1", misses=0.2, seed=1), Pupil("v2", misses=0.2, seed=2, languages=("en", "zh")))
    done = promote(store, "v2", "ann", now, role="admin", open_classifier=both)
    assert store.live_model() == ("v2", ("en", "zh"))
    assert (done.previous, done.overridden, done.objections) == ("v1", False, ())
    assert store.model_history()[0][1:] == ("v2", "ann", "promoted: passed the gate")


def test_the_first_version_has_nothing_to_be_compared_with(store: Store, now: datetime) -> None:
    done = promote(store, "v1", "ann", now, role="admin", open_classifier=shelf(Pupil("v1")))
    assert (live(store), done.previous, done.comparison) == ("v1", None, None)


def test_promotion_queues_what_the_new_version_has_not_scored(store: Store, room: Newsroom, now: datetime) -> None:
    room.serves("v1")
    room.article("Acme nears default", says="negative")
    done = promote(store, "v2", "ann", now, role="admin", open_classifier=shelf(Pupil("v1"), Pupil("v2")))
    assert done.unscored == store.unscored_count() == 1


def test_a_version_that_reads_sentiment_worse_is_refused_with_figures(
    store: Store, room: Newsroom, now: datetime
) -> None:
    room.serves("v1")
    both = shelf(Pupil("v1", misses=0.1, seed=1), Pupil("v2", misses=0.3, seed=2))
    with pytest.raises(PromotionError, match=r"sentiment: right 0\.\d{3} against 0\.\d{3} \(n=283, p=0\.0"):
        promote(store, "v2", "ann", now, role="admin", open_classifier=both)
    assert live(store) == "v1"


@pytest.mark.parametrize("topic", SEVERE_TOPICS)
def test_a_version_blind_to_one_severe_topic_is_refused_by_name(
    topic: str, store: Store, room: Newsroom, now: datetime
) -> None:
    room.serves("v1")
    both = shelf(Pupil("v1"), Pupil("v2", blind=[topic]))
    with pytest.raises(PromotionError, match=rf"{topic}: found 0\.000 against 1\.000"):
        promote(store, "v2", "ann", now, role="admin", open_classifier=both)
    assert live(store) == "v1"


def test_a_refusal_is_in_the_audit_log(store: Store, room: Newsroom, now: datetime) -> None:
    room.serves("v1")
    with pytest.raises(PromotionError):
        both = shelf(Pupil("v1"), Pupil("v2", blind=["cyber_resilience"]))
        promote(store, "v2", "ann", now, role="admin", open_classifier=both)
    entry = next(one for one in store.audit() if one.action == "model.refused")
    assert (entry.actor, entry.subject) == ("ann", "v2")
    assert any("cyber_resilience: found" in line for line in entry.detail["objections"])
    assert store.verify_audit() is None


def test_a_reason_overrides_the_gate_and_is_audited(store: Store, room: Newsroom, now: datetime) -> None:
    room.serves("v1")
    both = shelf(Pupil("v1"), Pupil("v2", blind=["cyber_resilience"]))
    done = promote(
        store, "v2", "ann", now, role="admin", open_classifier=both, override_reason="v1 cannot read Chinese"
    )
    assert live(store) == "v2"
    assert done.overridden
    assert "cyber_resilience" in str(done)
    assert store.model_history()[0][3] == "promoted against the gate: v1 cannot read Chinese"
    entry = next(one for one in store.audit() if one.action == "model.gate")
    assert entry.detail["override"] == "v1 cannot read Chinese"
    assert any(one["worse"] for one in entry.detail["slices"])


def test_blank_words_are_no_reason(store: Store, room: Newsroom, now: datetime) -> None:
    room.serves("v1")
    both = shelf(Pupil("v1"), Pupil("v2", blind=["cyber_resilience"]))
    with pytest.raises(PromotionError):
        promote(store, "v2", "ann", now, role="admin", open_classifier=both, override_reason="  \n")


def test_a_version_that_leaves_texts_unanswered_is_refused(store: Store, room: Newsroom, now: datetime) -> None:
    room.serves("v1")
    both = shelf(Pupil("v1"), Pupil("v2", silent=[row.text for row in ROWS[:30]]))
    with pytest.raises(PromotionError, match="sentiment: right"):
        promote(store, "v2", "ann", now, role="admin", open_classifier=both)


def test_a_version_that_gives_up_a_language_is_refused(store: Store, room: Newsroom, now: datetime) -> None:
    room.serves("v1", ("en", "zh"))
    both = shelf(Pupil("v1", languages=("en", "zh")), Pupil("v2"))
    with pytest.raises(PromotionError, match="languages: zh would no longer be supported"):
        promote(store, "v2", "ann", now, role="admin", open_classifier=both)


def test_without_the_live_checkpoint_only_a_reason_promotes(store: Store, room: Newsroom, now: datetime) -> None:
    room.serves("lost")
    with pytest.raises(PromotionError, match="the live version cannot be opened"):
        promote(store, "v2", "ann", now, role="admin", open_classifier=shelf(Pupil("v2")))
    promote(store, "v2", "ann", now, role="admin", open_classifier=shelf(Pupil("v2")), override_reason="disk lost")
    assert live(store) == "v2"


@pytest.mark.parametrize("role", ["viewer", "analyst", "stranger"])
def test_only_an_admin_switches_versions(role: str, store: Store, room: Newsroom, now: datetime) -> None:
    room.serves("v1")
    both = shelf(Pupil("v1"), Pupil("v2"))
    with pytest.raises(NotAllowedError):
        promote(store, "v2", "ann", now, role=role, open_classifier=both)
    with pytest.raises(NotAllowedError):
        rollback(store, "ann", now, role=role, open_classifier=both)
    assert live(store) == "v1"


def test_the_live_version_is_not_promoted_again(store: Store, room: Newsroom, now: datetime) -> None:
    room.serves("v1")
    with pytest.raises(PromotionError, match="live already"):
        promote(store, "v1", "ann", now, role="admin", open_classifier=shelf(Pupil("v1")))


def test_a_switch_during_the_comparison_is_noticed(store: Store, room: Newsroom, now: datetime) -> None:
    room.serves("v1")

    def meanwhile(version: str) -> Classifier:
        store.set_live_model("v3", ("en",), "bob", "faster", now)
        return Pupil(version)

    with pytest.raises(PromotionError, match="changed meanwhile"):
        promote(store, "v2", "ann", now, role="admin", open_classifier=meanwhile)
    assert live(store) == "v3"


# ── verdicts in the gate ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_version_that_unlearns_what_analysts_confirmed_is_refused(
    store: Store, room: Newsroom, now: datetime
) -> None:
    room.serves("v1")
    for k in range(MIN_VERDICTS):
        number = room.article(f"Plant {k} hit by ransomware", says="negative", topics=("cyber_resilience",))
        room.says(number, "ann", sentiment="negative", topics=("cyber_resilience",))
    keeps, forgets = ScriptedClassifier("v1"), ScriptedClassifier("v2", rules={"probe": "negative"})
    with pytest.raises(PromotionError, match=r"verdicts, sentiment: right 0\.000 against 1\.000 \(n=20"):
        promote(store, "v2", "ann", now, role="admin", open_classifier=shelf(keeps, forgets))


def test_a_few_verdicts_are_not_asked(store: Store, room: Newsroom, now: datetime) -> None:
    room.serves("v1")
    number = room.article("Plant hit by ransomware", says="negative")
    room.says(number, "ann", sentiment="negative", topics=("cyber_resilience",))
    done = promote(store, "v2", "ann", now, role="admin", open_classifier=shelf(Pupil("v1"), Pupil("v2")))
    assert done.comparison is not None
    assert not [one for one in done.comparison.slices if one.name.startswith("verdicts")]


# ── rollback ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_rollback_serves_the_version_before(store: Store, room: Newsroom, now: datetime) -> None:
    room.serves("v1")
    both = shelf(Pupil("v1"), Pupil("v2"))
    promote(store, "v2", "ann", now, role="admin", open_classifier=both)
    done = rollback(store, "bob", now, role="admin", open_classifier=both, reason="too many false alarms")
    assert (live(store), done.previous) == ("v1", "v2")
    assert store.model_history()[0][2:] == ("bob", "rollback from v2: too many false alarms")


def test_rolling_back_twice_goes_back_two_versions_and_then_no_further(
    store: Store, room: Newsroom, now: datetime
) -> None:
    room.serves("v1")
    three = shelf(Pupil("v1"), Pupil("v2"), Pupil("v3"))
    for version in ("v2", "v3"):
        promote(store, version, "ann", now, role="admin", open_classifier=three)
    seen = []
    for _ in range(2):
        rollback(store, "ann", now, role="admin", open_classifier=three)
        seen.append(live(store))
    assert seen == ["v2", "v1"]
    with pytest.raises(PromotionError, match="nothing to roll back to"):
        rollback(store, "ann", now, role="admin", open_classifier=three)
    promote(store, "v3", "ann", now, role="admin", open_classifier=three)
    rollback(store, "ann", now, role="admin", open_classifier=three)
    assert live(store) == "v1"


def test_rollback_to_a_version_that_is_gone_changes_nothing(store: Store, room: Newsroom, now: datetime) -> None:
    room.serves("gone", at=now - timedelta(days=9))
    room.serves("v2")
    with pytest.raises(CheckpointError):
        rollback(store, "ann", now, role="admin", open_classifier=shelf(Pupil("v2")))
    assert live(store) == "v2"


def test_served_versions_forgets_what_was_rolled_back(now: datetime) -> None:
    history = [
        (now, "v4", "ann", "promoted: passed the gate"),
        (now, "v2", "ann", "rollback from v3"),
        (now, "v3", "ann", "promoted: passed the gate"),
        (now, "v2", "ann", "promoted against the gate: rollback from v1 is not wanted"),
        (now, "v1", "deployment", "first start"),
    ]
    assert served_versions(history) == ["v1", "v2", "v4"]
    assert served_versions([]) == []


# ── checkpoints that cannot be trusted ───────────────────────────────────────────────────────────────────────────


def tampered(folder: Path) -> None:
    path = folder / registry.WEIGHTS
    body = bytearray(path.read_bytes())
    body[-3] ^= 1
    path.write_bytes(body)


def truncated(folder: Path) -> None:
    path = folder / registry.ONNX
    path.write_bytes(path.read_bytes()[:-100])


def pickled(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")


def without_manifest(folder: Path) -> None:
    (folder / registry.MANIFEST).unlink()


@pytest.mark.parametrize("damage", [tampered, truncated, pickled, without_manifest])
def test_a_checkpoint_that_cannot_be_trusted_is_refused_and_the_old_one_serves_on(
    damage: Callable[[Path], None], sound: Path, tmp_path: Path, store: Store, room: Newsroom, now: datetime
) -> None:
    room.serves("v1")
    folder = Path(shutil.copytree(sound, tmp_path / "tiny-1"))
    damage(folder)

    def open_classifier(version: str) -> Classifier:
        return Pupil("v1") if version == "v1" else registry.open_classifier(folder, backend="onnx", threads=1)

    for reason in ("", "we need it now"):
        with pytest.raises(CheckpointError):
            promote(
                store,
                "tiny-1",
                "ann",
                now,
                role="admin",
                open_classifier=open_classifier,
                override_reason=reason,
            )
    assert live(store) == "v1"
    assert [one.subject for one in store.audit() if one.action == "model.refused"] == ["tiny-1", "tiny-1"]


def test_a_real_checkpoint_that_has_learnt_nothing_is_refused_by_the_gate(
    sound: Path, store: Store, room: Newsroom, now: datetime
) -> None:
    room.serves("v1")

    def open_classifier(version: str) -> Classifier:
        return Pupil("v1") if version == "v1" else registry.open_classifier(sound, backend="onnx", threads=1)

    with pytest.raises(PromotionError, match="topics: micro-F1"):
        promote(store, "tiny-1", "ann", now, role="admin", open_classifier=open_classifier)
    promote(store, "tiny-1", "ann", now, role="admin", open_classifier=open_classifier, override_reason="a rehearsal")
    assert store.live_model() == ("tiny-1", ("en",))


def test_a_folder_under_another_name_is_not_promoted(sound: Path, store: Store, now: datetime) -> None:
    with pytest.raises(PromotionError, match="its manifest calls it 'tiny-1'"):
        promote(
            store,
            "renamed",
            "ann",
            now,
            role="admin",
            open_classifier=lambda _: registry.open_classifier(sound, backend="onnx", threads=1),
        )
    assert live(store) is None
