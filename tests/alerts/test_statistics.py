"""What is a spike, and what only looks like one."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from monitor.alerts.history import history_from_facts
from monitor.alerts.statistics import SpikeParams, benjamini_hochberg, learn, scan, tail, weights
from monitor.domain import DateQuality
from tests.alerts.news import MONDAY, PUBLISHERS, burst, look, ordinary, poisson_tail, spike_rule, story
from tests.alerts.test_lifecycle import open_alert

WEEKS = 7
NOW = MONDAY + timedelta(weeks=WEEKS, days=1, hours=15)  # a Tuesday afternoon
PAST = WEEKS * 7 + 2


def past(**how: object) -> list:
    facts = ordinary(PAST, **how)  # type: ignore[arg-type]
    return [fact for fact in facts if fact.published < NOW]


def test_ordinary_news_raises_nothing() -> None:
    assert look(past(), NOW).opened == []


def test_many_negative_stories_of_one_topic_are_a_spike_of_that_topic() -> None:
    seen = look(past() + burst(NOW, 14), NOW)
    assert "topic:litigation" in seen.opened
    evidence = seen.observations["topic:litigation"].evidence
    assert evidence is not None
    assert evidence.negative >= 14
    assert evidence.expected < 5
    assert evidence.families == len(PUBLISHERS)


def test_the_summary_says_what_how_unusual_and_since_when() -> None:
    words = look(past() + burst(NOW, 14), NOW).observations["topic:litigation"].summary
    assert "negative stories in 6 h where" in words
    assert "4 publisher families; p = " in words
    assert "; since 2026-04-21" in words


def test_a_quiet_company_is_judged_by_its_peers() -> None:
    seen = look(past(entities=("Acorn", "Birch", "Cedar")) + burst(NOW, 5, entities=("Dogwood",)), NOW)
    assert "entity:Dogwood" in seen.opened


def test_the_baseline_of_the_evidence_names_its_real_span() -> None:
    evidence = look(past() + burst(NOW, 14), NOW).observations["topic:litigation"].evidence
    assert evidence is not None
    assert evidence.baseline["from"].startswith("2026-03-02")
    assert evidence.baseline["to"] < evidence.window_start.isoformat()
    assert len(evidence.baseline["daily_negative"]) <= 56


def test_more_feeds_of_the_same_kind_are_no_spike() -> None:
    added = [
        fact
        for fact in ordinary(PAST, per_day=120, publishers=("Eastcheap Bulletin", "Fenchurch Herald"), seed=9)
        if NOW - timedelta(days=2) < fact.published < NOW
    ]
    assert look(past() + added, NOW).opened == []


def test_a_feed_added_that_brings_mostly_bad_news_of_one_topic_cannot_make_a_spike_alone() -> None:
    added = burst(NOW, 30, hours=23, topics=("litigation",), publishers=("Gracechurch Law",))
    assert look(past() + added, NOW).opened == []


def test_a_publisher_that_is_new_can_join_a_spike() -> None:
    joined = burst(NOW, 4, publishers=("Gracechurch Law",)) + burst(NOW, 14)
    assert "topic:litigation" in look(past() + joined, NOW).opened


def test_an_archive_of_other_publishers_does_not_silence_the_feeds_that_follow_it() -> None:
    turn = NOW - timedelta(days=3)
    archive = [fact for fact in past(publishers=("Old Archive",)) if fact.published < turn]
    live = [fact for fact in past(seed=12) if fact.published >= turn]
    assert "topic:litigation" in look(archive + live + burst(NOW, 16), NOW).opened
    assert look(archive + live, NOW).opened == []


def test_a_feed_lost_is_no_spike() -> None:
    kept = [fact for fact in past() if fact.published < NOW - timedelta(days=2) or fact.publishers[0] in PUBLISHERS[:2]]
    assert look(kept, NOW).opened == []


def test_an_outage_that_ends_with_everything_at_once_in_its_own_hours_is_no_spike() -> None:
    gap = [fact for fact in past() if not NOW - timedelta(hours=30) < fact.published < NOW - timedelta(hours=8)]
    assert look(gap, NOW).opened == []


def test_mondays_that_are_always_busy_are_no_spike() -> None:
    monday = MONDAY + timedelta(weeks=WEEKS, hours=17)
    facts = [fact for fact in ordinary(PAST, busy_weekday=0) if fact.published < monday]
    assert look(facts, monday).opened == []


def test_a_single_busy_monday_is_no_spike() -> None:
    monday = MONDAY + timedelta(weeks=WEEKS, hours=17)
    more = [fact for fact in ordinary(PAST, per_day=150, seed=4) if monday.replace(hour=0) <= fact.published < monday]
    assert look([fact for fact in past() if fact.published < monday] + more, monday).opened == []


def test_one_publisher_family_alone_does_not_fire_where_the_past_has_more() -> None:
    one_voice = [
        story(NOW - timedelta(minutes=10 * k), "negative", ("litigation",), publisher=PUBLISHERS[k % 2], family="Group")
        for k in range(1, 15)
    ]
    seen = look(past() + one_voice, NOW)
    assert "topic:litigation" not in [t.series for t in seen.transitions]
    assert seen.observations["topic:litigation"].note == "only 1 publisher family"


def test_a_desk_with_one_publisher_is_still_alerted() -> None:
    facts = past(publishers=("Only Wire",)) + burst(NOW, 14, publishers=("Only Wire",))
    assert "topic:litigation" in look(facts, NOW).opened


def test_a_store_that_is_too_young_says_so_and_stays_silent() -> None:
    young = [fact for fact in past() if fact.published > NOW - timedelta(days=9)]
    seen = look(young + burst(NOW, 30), NOW)
    assert seen.transitions == []
    [observation] = seen.judge.at(seen.judge.scan.q.shape[1] - 1, {"topic:litigation": open_alert()})
    assert observation.note == "its past is too short to judge"


def test_sport_and_lifestyle_are_no_part_of_all_news() -> None:
    facts = past() + burst(NOW, 40, topics=("other",))
    assert look(facts, NOW).opened == []


def test_a_crisis_does_not_become_its_own_normal_within_a_week() -> None:
    crisis = [fact for day in range(7) for fact in burst(NOW - timedelta(days=day), 12, hours=10)]
    assert "topic:litigation" in [t.series for t in look(past() + crisis, NOW).transitions]


def test_dates_without_time_are_judged_at_the_end_of_their_day() -> None:
    end = MONDAY + timedelta(weeks=WEEKS, days=2)
    facts = [f for f in ordinary(PAST, quality=DateQuality.DAY) if f.published < end]
    facts += burst(end - timedelta(days=1), 16, quality=DateQuality.DAY)
    seen = look(facts, end)
    assert "topic:litigation" in seen.opened
    evidence = seen.observations["topic:litigation"].evidence
    assert evidence is not None
    assert (evidence.window_start, evidence.window_hours) == (end - timedelta(days=1), 24.0)


def test_a_day_without_time_of_day_is_not_judged_before_it_is_over() -> None:
    noon = MONDAY + timedelta(weeks=WEEKS, days=1, hours=12)
    facts = [f for f in ordinary(PAST, quality=DateQuality.DAY) if f.published < noon]
    facts += burst(noon.replace(hour=0), 16, quality=DateQuality.DAY)
    assert look(facts, noon).opened == []


def test_the_statistic_at_an_hour_does_not_know_what_comes_later() -> None:
    facts = past() + burst(NOW, 14)
    early = history_from_facts([f for f in facts if f.published < NOW], MONDAY, NOW)
    later_facts = facts + burst(NOW + timedelta(days=6), 60, hours=100)
    later = history_from_facts(later_facts, MONDAY, NOW + timedelta(days=7))
    names = ["all", "topic:litigation"]
    one, two = scan(early, SpikeParams(), names), scan(later, SpikeParams(), names)
    assert np.allclose(one.p[:, :, -1], two.p[:, :, early.hours - 1])
    assert np.allclose(one.expected[:, :, -1], two.expected[:, :, early.hours - 1])


def test_the_expectation_is_right_on_average() -> None:
    history = history_from_facts(ordinary(140, per_day=80, seed=5), MONDAY, MONDAY + timedelta(days=140))
    whole = scan(history, SpikeParams(), ["all"], first=60 * 24)
    assert whole.negative[1].mean() == pytest.approx(whole.expected[1].mean(), rel=0.08)


def test_plain_poisson_news_has_hardly_any_dispersion() -> None:
    history = history_from_facts(ordinary(140, per_day=80, seed=6), MONDAY, MONDAY + timedelta(days=140))
    assert learn(history, SpikeParams()).phi[:, 1, -1].max() < 0.12


def test_the_tail_is_a_mid_p_between_the_two_plain_tails() -> None:
    p = float(tail(np.array([9.0]), np.array([2.0]), np.array([1e-9]))[0])
    assert poisson_tail(10, 2.0) < p < poisson_tail(9, 2.0)
    assert p == pytest.approx((poisson_tail(10, 2.0) + poisson_tail(9, 2.0)) / 2, rel=1e-3)


def test_more_dispersion_makes_a_count_less_surprising() -> None:
    n, mu = np.array([9.0]), np.array([2.0])
    assert tail(n, mu, np.array([0.5])) > tail(n, mu, np.array([0.05]))


def test_ranking_across_series_follows_benjamini_and_hochberg() -> None:
    p = np.array([[0.01], [0.04], [0.03], [0.005], [1.0]])
    adjusted = benjamini_hochberg(p)[:, 0]
    assert adjusted == pytest.approx([0.025, 0.05, 0.05, 0.025, 1.0])


def test_weights_stand_for_how_often_a_series_counts_in_the_ranking() -> None:
    p = np.array([[0.004], [0.004], [1.0], [1.0], [1.0]])
    weighted = benjamini_hochberg(p, np.array([2.0, 0.75, 0.75, 0.75, 0.75]))[:, 0]
    assert weighted == pytest.approx([0.01, 0.004 / 0.75 * 5 / 2, 1.0, 1.0, 1.0])


def test_all_news_has_a_tenth_of_the_say_however_many_companies_are_watched() -> None:
    names = ["all", *[f"entity:Company {n}" for n in range(499)]]
    found = weights(names, 0.1)
    assert found.mean() == pytest.approx(1.0)
    assert found[0] == pytest.approx(50.0)
    p = np.ones((500, 1))
    p[0] = 0.001
    assert benjamini_hochberg(p, found)[0, 0] == pytest.approx(0.01)  # and 0.5, were all 500 the same
    assert weights(["all", "topic:litigation"], 0.1) == pytest.approx([1.0, 1.0])
    assert weights(names[1:], 0.1) == pytest.approx(np.ones(499))


def test_an_implausible_p_is_no_alert_however_many_series_share_it() -> None:
    assert look(past(), NOW, spike_rule(min_stories=1, min_effect=1.0), threshold=0.25).opened == []
