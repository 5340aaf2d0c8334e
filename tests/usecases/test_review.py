"""The review queue, labelled rows from verdicts, and how often alerts were right."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.dataset import load_file
from models.labels import SENTIMENTS, TOPICS
from monitor.domain import Evidence, Severity, Transition, TransitionKind, Verdict
from monitor.review import Doubt, alert_precision, export_verdicts, labelled_rows, review_queue, settle, wilson
from monitor.store.base import Store
from tests.usecases.newsroom import Newsroom, prediction


@pytest.fixture(autouse=True)
def served(room: Newsroom) -> None:
    room.serves("v1")


def titles(store: Store, now: datetime, limit: int = 50) -> list[str]:
    return [item.scored.article.title for item in review_queue(store, now, limit)]


# ── the queue ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_least_sure_text_comes_first_and_sure_ones_do_not_come(room: Newsroom, now: datetime) -> None:
    room.article("Harbour extends its pier", says="neutral", sure=0.95)
    room.article("Mill output shifts", says="negative", sure=0.5)
    room.article("Brewer reviews its brands", says="neutral", sure=0.36)
    assert titles(room.store, now) == ["Brewer reviews its brands", "Mill output shifts"]


def test_an_unsure_text_names_the_two_sentiments_that_compete(room: Newsroom, now: datetime) -> None:
    room.article("Mill output shifts", says="positive", sure=0.5)
    [item] = review_queue(room.store, now)
    assert item.doubt is Doubt.UNSURE
    assert item.says[0] == "positive"
    assert len(item.says) == 2
    assert item.amount == pytest.approx(0.75)


def test_copies_of_one_story_with_different_sentiments_are_disputed(room: Newsroom, now: datetime) -> None:
    room.article("Ferry maker shuts yard", says="negative", sure=0.9, story="yard")
    room.article("Ferry maker to focus on one yard", says="positive", sure=0.8, story="yard")
    room.article("Bakery opens shop", says="positive", sure=0.9, story="shop")
    room.article("Bakery opens a shop", says="positive", sure=0.9, story="shop")
    [item] = review_queue(room.store, now)
    assert item.doubt is Doubt.STORY
    assert item.says == ("negative", "positive")
    assert item.scored.article.title == "Ferry maker to focus on one yard", "the copy that the model is less sure of"


def test_a_story_stands_in_the_queue_once(room: Newsroom, now: datetime) -> None:
    room.article("Ferry maker shuts yard", says="negative", sure=0.4, story="yard")
    room.article("Ferry maker to focus on one yard", says="positive", sure=0.4, story="yard")
    assert len(review_queue(room.store, now)) == 1


def test_a_text_with_a_verdict_leaves_the_queue(room: Newsroom, now: datetime) -> None:
    number = room.article("Mill output shifts", says="negative", sure=0.4)
    room.says(number, "ann", sentiment="neutral")
    assert review_queue(room.store, now) == []


def test_contradicting_verdicts_bring_a_text_back_in_front_of_all_others(room: Newsroom, now: datetime) -> None:
    room.article("Brewer reviews its brands", says="neutral", sure=0.34)
    number = room.article("Mill output shifts", says="negative", sure=0.97)
    room.says(number, "ann", sentiment="neutral")
    room.says(number, "bob", sentiment="negative")
    first, second = review_queue(room.store, now)
    assert (first.doubt, first.says) == (Doubt.VERDICTS, ("negative", "neutral"))
    assert second.doubt is Doubt.UNSURE


def test_a_third_analyst_settles_it(room: Newsroom, now: datetime) -> None:
    number = room.article("Mill output shifts", says="negative", sure=0.97)
    for actor, sentiment in (("ann", "neutral"), ("bob", "negative"), ("cyd", "neutral")):
        room.says(number, actor, sentiment=sentiment)
    assert review_queue(room.store, now) == []
    [row] = labelled_rows(room.store)
    assert row.sentiment == "neutral"


def test_an_analyst_who_changes_their_mind_counts_once(room: Newsroom, now: datetime) -> None:
    number = room.article("Mill output shifts", says="negative", sure=0.97)
    room.says(number, "ann", sentiment="neutral", at=now - timedelta(hours=1))
    room.says(number, "ann", sentiment="positive", at=now)
    [row] = labelled_rows(room.store)
    assert row.sentiment == "positive"


def test_the_queue_is_as_long_as_asked_and_forgets_what_is_old(room: Newsroom, now: datetime) -> None:
    for k in range(5):
        room.article(f"Mill number {k} output shifts", sure=0.4 + k / 100)
    room.article("Long ago nobody knew", sure=0.34, at=now - timedelta(days=40))
    assert titles(room.store, now, 2) == ["Mill number 0 output shifts", "Mill number 1 output shifts"]
    assert len(review_queue(room.store, now)) == 5


# ── labelled rows ────────────────────────────────────────────────────────────────────────────────────────────────


def test_right_confirms_what_the_model_said(room: Newsroom) -> None:
    number = room.article("Acme nears default", says="negative", topics=("credit_distress", "market_move"))
    room.says(number, "ann", right=True)
    [row] = labelled_rows(room.store)
    assert (row.sentiment, row.topics) == ("negative", ("credit_distress", "market_move"))


def test_right_says_nothing_once_another_version_serves(room: Newsroom, now: datetime) -> None:
    number = room.article("Acme nears default", says="negative")
    room.says(number, "ann", right=True, at=now - timedelta(hours=1))
    room.serves("v2", at=now)
    room.score([(number, prediction("positive", version="v2"))])
    assert labelled_rows(room.store) == []


def test_a_correction_outlives_the_version_that_was_corrected(room: Newsroom, now: datetime) -> None:
    number = room.article("Acme nears default", says="positive")
    room.says(number, "ann", sentiment="negative", topics=("credit_distress",), at=now - timedelta(hours=1))
    room.serves("v2", at=now)
    [row] = labelled_rows(room.store)
    assert (row.sentiment, row.topics) == ("negative", ("credit_distress",))


def test_a_row_keeps_the_words_that_were_judged(room: Newsroom, now: datetime) -> None:
    number = room.article("Acme nears default", says="positive")
    room.says(number, "ann", sentiment="negative", at=now - timedelta(hours=1))
    changed = room.new("Acme averts default")
    article = room.store.article(number)
    assert article is not None
    room.store.add_articles([replace(changed, identity=article.article.identity)], now)
    [row] = labelled_rows(room.store)
    assert (row.title, row.sentiment) == ("Acme nears default", "negative")


@pytest.mark.parametrize("reason", ["wrong_company", "not_material", "duplicate"])
def test_a_reason_about_the_alert_is_no_label(reason: str, room: Newsroom) -> None:
    number = room.article("Acme nears default", says="negative")
    room.says(number, "ann", reason=reason)
    assert labelled_rows(room.store) == []


def test_not_negative_with_the_preset_left_at_negative_is_no_label(room: Newsroom) -> None:
    number = room.article("Acme nears default", says="negative")
    room.says(number, "ann", reason="not_negative", sentiment="negative")
    assert labelled_rows(room.store) == []


def test_one_says_right_and_one_says_wrong_settles_nothing(now: datetime) -> None:
    seen = {now: prediction("negative", ("litigation",))}
    verdicts = [
        Verdict(subject="article:1", actor="ann", at=now, right=True),
        Verdict(subject="article:1", actor="bob", at=now, right=False, reason="not_negative"),
    ]
    label = settle(verdicts, seen)
    assert (label.sentiment, label.contested) == (None, True)
    assert label.topics == ("litigation",)


def test_topics_with_one_main_topic_keep_what_both_name(now: datetime) -> None:
    verdicts = [
        Verdict(subject="article:1", actor="ann", at=now, right=False, topics=("litigation", "market_move")),
        Verdict(subject="article:1", actor="bob", at=now, right=False, topics=("litigation", "fraud_crime")),
    ]
    label = settle(verdicts, {})
    assert (label.topics, label.contested) == (("litigation",), False)


def test_the_export_is_what_training_reads(room: Newsroom, tmp_path: Path) -> None:
    first = room.article('Acme, "the giant", nears default', says="positive", summary="Line one\nline two")
    second = room.article("钢铁 output shifts", says="neutral")
    room.says(first, "ann", sentiment="negative", topics=("credit_distress", "market_move"))
    room.says(second, "ann", topics=("commodities_property",))
    target = tmp_path / "verdicts.csv"
    assert export_verdicts(room.store, target) == 2
    a, b = load_file(target)
    assert a.text == 'Acme, "the giant", nears default'
    assert a.sentiment == SENTIMENTS.index("negative")
    assert a.topics == (TOPICS.index("credit_distress"), TOPICS.index("market_move"))
    assert (b.text, b.sentiment) == ("钢铁 output shifts", None)
    assert [path.name for path in tmp_path.glob("verdicts*")] == ["verdicts.csv"], "no partial file is left"


def test_an_export_that_cannot_be_written_leaves_the_old_file(room: Newsroom, tmp_path: Path) -> None:
    with pytest.raises(OSError):
        export_verdicts(room.store, tmp_path / "no such folder" / "verdicts.csv")


# ── how often alerts were right ──────────────────────────────────────────────────────────────────────────────────


def opened(store: Store, at: datetime, series: str) -> int:
    evidence = Evidence(
        window_start=at - timedelta(hours=6),
        window_end=at,
        window_hours=6,
        stories=9,
        negative=8,
        expected=2.0,
        p_value=0.001,
        families=3,
        model_version="v1",
        rule={},
    )
    transition = Transition(
        kind=TransitionKind.OPEN,
        rule="negative-spike",
        series=series,
        severity=Severity.WARNING,
        at=at,
        summary="more bad news than usual",
        evidence=evidence,
    )
    return store.apply_transitions([transition], [], at)[0]


def judge(store: Store, alert_id: int, actor: str, right: bool, at: datetime) -> None:
    store.save_verdict(Verdict(subject=f"alert:{alert_id}", actor=actor, at=at, right=right))


def test_precision_is_told_week_by_week_without_gaps(store: Store, now: datetime) -> None:
    before = now - timedelta(weeks=2)
    alerts = [opened(store, before, f"topic:{name}") for name in TOPICS[:4]]
    for number, right in zip(alerts, (True, True, False), strict=False):
        judge(store, number, "ann", right, before)
    opened(store, now, "topic:other")
    weeks = alert_precision(store, now, weeks=4)
    assert [week.start for week in weeks] == [datetime(2026, 2, 16, tzinfo=UTC) + timedelta(weeks=k) for k in range(4)]
    assert [(week.alerts, week.judged, week.right) for week in weeks] == [(0, 0, 0), (4, 3, 2), (0, 0, 0), (1, 0, 0)]
    assert weeks[1].precision == pytest.approx(2 / 3)
    assert weeks[3].precision is None


def test_an_alert_on_which_two_analysts_disagree_is_not_judged(store: Store, now: datetime) -> None:
    number = opened(store, now, "all")
    judge(store, number, "ann", True, now)
    judge(store, number, "bob", False, now)
    assert alert_precision(store, now, weeks=1)[0].judged == 0


def test_a_verdict_kept_only_on_the_alert_counts_too(store: Store, now: datetime) -> None:
    number = opened(store, now, "all")
    store.change_alert(number, kind="verdict", actor="ann", now=now, verdict="false_alarm")
    [week] = alert_precision(store, now, weeks=1)
    assert (week.judged, week.right) == (1, 0)


def test_the_interval_of_nine_in_ten_is_the_published_one() -> None:
    low, high = wilson(9, 10)
    assert (low, high) == (pytest.approx(0.5958, abs=1e-3), pytest.approx(0.9821, abs=1e-3))
    assert wilson(0, 0) == (None, None)
