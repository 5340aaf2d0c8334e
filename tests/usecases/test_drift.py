"""Drift: the distance of the last 7 days from what the model started with, kept as one row a day."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import pytest

from models.labels import TOPICS
from monitor import drift
from monitor.domain import NewArticle
from monitor.drift import (
    Distance,
    binned,
    distance,
    drift_history,
    equal_bins,
    measure_drift,
    reference_span,
    share_new,
    words_of,
)
from monitor.store.base import Store
from tests.usecases.newsroom import Newsroom, prediction

CALM = ("market_move", "macro_policy", "business_operations")
SUBJECTS = ("mill", "harbour", "brewer", "railway", "clinic", "quarry")


def fill(
    room: Newsroom,
    start: datetime,
    days: int,
    a_day: int,
    *,
    bad: float = 0.3,
    unsure: float = 0.1,
    topics: Sequence[str] = CALM,
    subjects: Sequence[str] = SUBJECTS,
    foreign: float = 0.0,
    seed: int = 1,
    version: str = "v1",
) -> None:
    """Stories spread over days; `bad`, `unsure` and `foreign` are shares of them."""
    draw = random.Random(seed)
    articles: list[NewArticle] = []
    for k in range(days * a_day):
        at = start + timedelta(days=days) * (k / (days * a_day))
        language = "zh" if draw.random() < foreign else "en"
        articles.append(room.new(f"{draw.choice(subjects)} report {k}", at=at, language=language))
    room.store.add_articles(articles, room.now)
    answers = []
    while claimed := room.store.claim_unscored("test", 5000, room.now, timedelta(minutes=1)):
        for article in claimed:
            sentiment = "negative" if draw.random() < bad else "positive"
            sure = draw.uniform(0.4, 0.5) if draw.random() < unsure else draw.uniform(0.6, 0.99)
            answers.append((article.id, prediction(sentiment, (draw.choice(topics),), sure, version)))
        room.score(answers)
        answers = []


@pytest.fixture
def settled(room: Newsroom, now: datetime) -> Iterator[Newsroom]:
    """A version that went live 20 days ago, with 28 days of calm news before it."""
    since = now - timedelta(days=20)
    room.serves("v1", at=since)
    fill(room, since - timedelta(days=28), 28, 20)
    yield room


# ── the distance ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_index_has_the_value_of_its_formula() -> None:
    found = distance([500, 500], [250, 750])
    assert found.psi == pytest.approx(0.25 * math.log(3), rel=1e-9)
    assert found.level == "shift"


def test_the_same_shares_are_at_distance_zero_whatever_their_number() -> None:
    assert distance([10, 30, 60], [100, 300, 600]).psi == pytest.approx(0.0)


def test_an_empty_bin_keeps_the_distance_finite_and_shows() -> None:
    found = distance([100, 100, 0], [100, 0, 100])
    assert math.isfinite(found.psi)
    assert found.level == "shift"


def test_a_large_distance_of_small_samples_is_not_called_a_shift() -> None:
    few = distance([4, 4, 4, 4], [2, 5, 3, 6])
    assert few.psi > 0.1
    assert few.level == "stable"


def test_chance_alone_exceeds_the_noise_about_once_in_twenty() -> None:
    draw = random.Random(5)
    shares = [0.4, 0.3, 0.2, 0.1]

    def sample(n: int) -> tuple[int, ...]:
        chosen = draw.choices(range(4), shares, k=n)
        return tuple(chosen.count(k) for k in range(4))

    pairs = [distance(sample(800), sample(400)) for _ in range(400)]
    exceeding = sum(one.psi > one.noise for one in pairs)
    assert 5 <= exceeding <= 38, "5 % of 400 is 20"


@pytest.mark.parametrize(
    ("psi", "level"), [(0.05, "stable"), (0.0999, "stable"), (0.1, "watch"), (0.2499, "watch"), (0.25, "shift")]
)
def test_levels_follow_the_convention(psi: float, level: str) -> None:
    assert Distance(psi=psi, noise=0.01).level == level


@pytest.mark.parametrize(("p", "q"), [([1, 2], [1, 2, 3]), ([0, 0], [1, 2]), ([1, 2], [0, 0])])
def test_what_cannot_be_compared_is_refused(p: list[int], q: list[int]) -> None:
    with pytest.raises(ValueError):
        distance(p, q)


def test_bins_hold_equal_shares_and_every_value_has_one() -> None:
    values = [k / 1000 for k in range(1000)]
    edges = equal_bins(values)
    assert len(edges) == 9
    assert all(99 <= count <= 101 for count in binned(values, edges))
    assert sum(binned([-5.0, 0.5, 9.0], edges)) == 3


def test_many_equal_values_make_fewer_bins_not_empty_ones() -> None:
    values = [0.0] * 900 + [1.0] * 100
    assert binned(values, equal_bins(values)) == (900, 100)
    assert equal_bins([0.3] * 50) == ()


def test_words_are_folded_numbers_left_out_and_chinese_cut_in_pairs() -> None:
    assert words_of("Ａcme's Q3 profit up 12.5%, says CEO") == ["acme", "profit", "up", "says", "ceo"]
    assert words_of("央行降息") == ["央行", "行降", "降息"]


def test_new_words_are_counted_by_occurrence() -> None:
    assert share_new(["mill opens", "mill xylo"], {"mill", "opens"}) == pytest.approx(0.25)
    assert share_new(["12 %"], {"mill"}) is None


def test_the_reference_never_overlaps_the_last_week(now: datetime) -> None:
    young = reference_span(now - timedelta(days=2), now)
    assert young == (now - timedelta(days=35), now - timedelta(days=7))
    old = now - timedelta(days=90)
    assert reference_span(old, now) == (old - timedelta(days=28), old)


# ── the row ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_week_like_the_reference_is_stable(settled: Newsroom, now: datetime) -> None:
    fill(settled, now - timedelta(days=7), 7, 40, seed=2)
    row = measure_drift(settled.store, now)
    assert row is not None
    assert row.level == "stable"
    assert row.new_words == pytest.approx(row.new_words_usual, abs=0.05)
    assert row.unsure == pytest.approx(row.unsure_reference, abs=0.08)
    assert row.reference_end == now - timedelta(days=20)
    assert row.stories == 280


def test_bad_news_moves_the_scores(settled: Newsroom, now: datetime) -> None:
    fill(settled, now - timedelta(days=7), 7, 40, seed=2, bad=0.8)
    row = measure_drift(settled.store, now)
    assert row is not None and row.scores is not None and row.topics is not None
    assert row.scores.level == "shift"
    assert row.topics.level == "stable"
    assert row.level == "shift"


def test_other_topics_move_the_topics(settled: Newsroom, now: datetime) -> None:
    fill(settled, now - timedelta(days=7), 7, 40, seed=2, topics=("geopolitics_trade", "market_move"))
    row = measure_drift(settled.store, now)
    assert row is not None and row.scores is not None and row.topics is not None
    assert row.topics.level == "shift"
    assert row.scores.level == "stable"


def test_unsure_unsupported_and_new_words_are_shares(settled: Newsroom, now: datetime) -> None:
    fill(settled, now - timedelta(days=7), 7, 40, seed=2, unsure=0.5, foreign=0.25, subjects=("zeppelin", "mill"))
    row = measure_drift(settled.store, now)
    assert row is not None
    assert row.unsure == pytest.approx(0.5, abs=0.1)
    assert row.unsupported == pytest.approx(0.25, abs=0.08)
    assert row.unsupported_reference == 0.0
    assert row.new_words == pytest.approx(0.25, abs=0.06), "half of the titles, one of their two words"
    assert row.new_words_usual == 0.0


def test_the_row_comes_back_as_it_was_kept(settled: Newsroom, now: datetime) -> None:
    fill(settled, now - timedelta(days=7), 7, 40, seed=2)
    row = measure_drift(settled.store, now)
    assert drift_history(settled.store) == [row]


def test_measuring_twice_a_day_keeps_one_row_and_the_next_day_adds_one(settled: Newsroom, now: datetime) -> None:
    fill(settled, now - timedelta(days=7), 7, 40, seed=2)
    measure_drift(settled.store, now)
    measure_drift(settled.store, now + timedelta(hours=1))
    measure_drift(settled.store, now + timedelta(days=1))
    assert [row.day for row in drift_history(settled.store)] == [now.date(), (now + timedelta(days=1)).date()]


def test_only_the_newest_days_are_kept(settled: Newsroom, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "KEPT_DAYS", 3)
    for day in range(5):
        measure_drift(settled.store, now + timedelta(days=day))
    assert [row.day for row in drift_history(settled.store)] == [
        (now + timedelta(days=day)).date() for day in (2, 3, 4)
    ]


def test_the_reference_outlives_the_articles_that_made_it(settled: Newsroom, now: datetime) -> None:
    fill(settled, now - timedelta(days=7), 7, 40, seed=2)
    before = measure_drift(settled.store, now)
    settled.store.apply_retention(now - timedelta(days=10))
    settled.score([])
    after = measure_drift(settled.store, now)
    assert before is not None and after is not None
    assert (after.scores, after.topics) == (before.scores, before.topics)
    assert (after.new_words, after.new_words_usual) == (None, None), "words are not kept, and it says so"


def test_without_enough_news_it_says_so_instead_of_a_number(room: Newsroom, now: datetime) -> None:
    room.serves("v1", at=now - timedelta(days=1))
    fill(room, now - timedelta(days=3), 3, 5)
    row = measure_drift(room.store, now)
    assert row is not None
    assert (row.scores, row.topics, row.level) == (None, None, "unknown")
    assert "200 scored stories" in row.note


def test_a_thin_week_says_so(settled: Newsroom, now: datetime) -> None:
    fill(settled, now - timedelta(days=7), 7, 3, seed=2)
    row = measure_drift(settled.store, now)
    assert row is not None
    assert row.level == "unknown"
    assert "only 21 scored stories" in row.note


def test_a_new_installation_takes_the_first_28_days_of_the_version(room: Newsroom, now: datetime) -> None:
    since = now - timedelta(days=40)
    room.serves("v1", at=since)
    fill(room, since, 40, 30)
    row = measure_drift(room.store, now)
    assert row is not None
    assert (row.reference_start, row.reference_end) == (since, since + timedelta(days=28))
    assert row.level == "stable"


def test_a_new_version_gets_a_reference_of_its_own(settled: Newsroom, now: datetime) -> None:
    fill(settled, now - timedelta(days=7), 7, 40, seed=2)
    measure_drift(settled.store, now)
    settled.serves("v2", at=now)
    row = measure_drift(settled.store, now)
    assert row is not None
    assert (row.version, row.level) == ("v2", "unknown"), "v2 has scored nothing yet"


def test_a_reference_that_still_waits_to_be_scored_is_not_frozen(settled: Newsroom, now: datetime) -> None:
    since = now - timedelta(days=20)
    waiting = [settled.new(f"late {k}", at=since - timedelta(days=3)) for k in range(50)]
    settled.store.add_articles(waiting, now)
    measure_drift(settled.store, now)
    assert "reference" not in settled.store.beats()["drift"][1]


def test_without_a_live_model_there_is_nothing_to_measure(store: Store, now: datetime) -> None:
    assert measure_drift(store, now) is None
    assert drift_history(store) == []


def test_unsure_articles_beyond_the_stores_count_are_counted_in_halves(
    settled: Newsroom, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(settled, now - timedelta(days=7), 7, 40, seed=2, unsure=0.5)
    whole = measure_drift(settled.store, now)
    monkeypatch.setattr(drift, "_CAP", 30)
    halves = measure_drift(settled.store, now)
    assert whole is not None and halves is not None
    assert halves.unsure == whole.unsure


def test_every_topic_of_the_guide_has_its_place() -> None:
    assert drift.by_topic(TOPICS) == (1,) * len(TOPICS)
