"""The watch use case on a real store: what opens, what it leaves behind, and what never raises anything."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from monitor.alerts.rules import NEGATIVE_SPIKE
from monitor.domain import (
    AlertState,
    DateQuality,
    DeliveryState,
    Rule,
    RuleKind,
    SendReason,
    Severity,
    TransitionKind,
)
from monitor.errors import AlertError
from monitor.trial import run_backtest
from monitor.watch import grid_end
from tests.alerts.news import PUBLISHERS
from tests.alerts.newsroom import NOW, Newsroom


def opened(newsroom: Newsroom, rule: str = NEGATIVE_SPIKE) -> list[str]:
    return [t.series for t in newsroom.look() if t.kind is TransitionKind.OPEN and t.rule == rule]


def test_a_spike_opens_alerts_with_evidence_and_deliveries_in_one_go(settled: Newsroom) -> None:
    settled.publish(settled.burst())
    assert "topic:litigation" in opened(settled)
    alert = next(alert for alert in settled.spikes() if alert.series == "topic:litigation")
    assert alert.state is AlertState.OPEN
    assert alert.evidence.negative >= 12
    assert alert.evidence.expected < 4
    assert alert.evidence.model_version == "scripted-1"
    assert alert.evidence.rule["name"] == NEGATIVE_SPIKE
    first = alert.evidence.top[0]
    assert first["articles"][0]["url"].startswith("https://news.example/")
    assert first["articles"][0]["prediction"]["sentiment"] == "negative"
    deliveries = settled.store.deliveries((DeliveryState.PENDING,))
    assert {delivery.reason for delivery in deliveries} == {SendReason.FIRST}
    assert alert.id in {number for delivery in deliveries for number in delivery.alert_ids}


def test_looking_again_changes_nothing(settled: Newsroom) -> None:
    settled.publish(settled.burst())
    settled.look()
    count = len(settled.store.deliveries())
    assert settled.look() == []
    assert settled.look(NOW + timedelta(minutes=16)) == []
    assert len(settled.store.deliveries()) == count


def test_an_alert_resolves_when_it_has_been_calm(settled: Newsroom) -> None:
    settled.publish(settled.burst())
    settled.look()
    settled.look(NOW + timedelta(days=2))
    assert {alert.state for alert in settled.spikes()} == {AlertState.RESOLVED}


def test_evidence_is_frozen_while_the_store_moves_on(settled: Newsroom) -> None:
    settled.publish(settled.burst())
    settled.look()
    before = settled.spikes()[0].evidence
    settled.promote("scripted-2")
    settled.score()
    settled.look(NOW + timedelta(days=2))
    assert next(a for a in settled.spikes() if a.series == settled.spikes()[0].series).evidence == before


def test_syndicated_articles_of_one_story_count_once(settled: Newsroom) -> None:
    copies = [
        settled.article(NOW - timedelta(minutes=n), "Firm loses lawsuit", f"Site {n}", story="copied", family="One")
        for n in range(40)
    ]
    settled.publish(copies)
    assert opened(settled) == []


def test_a_feeds_first_poll_raises_nothing(settled: Newsroom) -> None:
    settled.publish(settled.burst(60, counts=False))
    assert opened(settled) == []


def test_undated_items_raise_nothing(settled: Newsroom) -> None:
    settled.publish(settled.burst(60, counts=False, quality=DateQuality.NONE))
    assert opened(settled) == []


def test_feeds_added_and_a_feed_lost_raise_nothing(newsroom: Newsroom) -> None:
    more = [
        article
        for article in newsroom.past(seed=8, per_day=40, publishers=("Eastcheap Bulletin", "Fenchurch Herald"))
        if article.published > NOW - timedelta(days=1)
    ]
    lost = [
        article
        for article in newsroom.past()
        if article.published < NOW - timedelta(days=1) or article.publisher != "Aldgate Wire"
    ]
    newsroom.publish(lost + more)
    assert opened(newsroom) == []


def test_a_model_promotion_raises_nothing_while_the_past_is_scored_anew(newsroom: Newsroom) -> None:
    newsroom.publish(newsroom.past(days=30))
    assert newsroom.look() == []
    newsroom.promote("scripted-2")
    articles = newsroom.store.claim_unscored("tests", 40, NOW, timedelta(minutes=5))
    newsroom.store.save_predictions(
        "scripted-2",
        [(a.id, p) for a, p in zip(articles, newsroom.classifier.predict(["heavy lawsuit"] * 40), strict=True)],
        NOW,
    )
    assert newsroom.look() == []
    assert newsroom.store.setting("alerts.model") == "scripted-1"
    newsroom.score()
    newsroom.look(NOW + timedelta(minutes=20))
    assert newsroom.store.setting("alerts.model") == "scripted-2"


def test_open_alerts_stay_as_they_are_while_a_new_model_scores_the_past(newsroom: Newsroom) -> None:
    newsroom.publish(newsroom.past(days=30) + newsroom.burst(20))
    newsroom.look()
    newsroom.promote("scripted-2")
    later = newsroom.look(NOW + timedelta(days=2))
    assert {transition.kind for transition in later} <= {TransitionKind.ESCALATE}


def test_an_archive_that_ends_in_the_past_raises_nothing_today(settled: Newsroom) -> None:
    old = NOW - timedelta(days=20)
    settled.publish([settled.article(old, f"Old lawsuit {n}", f"Archive {n % 3}") for n in range(80)])
    assert opened(settled) == []


def test_an_archive_that_reaches_into_today_is_judged_today(settled: Newsroom) -> None:
    settled.publish(settled.burst(20))
    assert "topic:litigation" in opened(settled)


def test_an_archive_of_calendar_days_is_judged_at_the_end_of_the_day(newsroom: Newsroom) -> None:
    midnight = NOW.replace(hour=0, minute=0)
    newsroom.now = midnight
    day = [
        newsroom.article(midnight - timedelta(days=1), f"Case {n} lawsuit", f"Paper {n % 4}", quality=DateQuality.DAY)
        for n in range(16)
    ]
    newsroom.publish(newsroom.past(quality=DateQuality.DAY, publishers=[f"Paper {n}" for n in range(4)]) + day)
    newsroom.look(midnight + timedelta(minutes=5))
    [alert] = [a for a in newsroom.spikes() if a.series == "topic:litigation"]
    assert alert.evidence.window_hours == 24
    assert alert.evidence.window_start == midnight - timedelta(days=1)


def test_items_with_a_time_among_days_without_one_neither_end_an_alert_nor_open_it_twice(newsroom: Newsroom) -> None:
    midnight = NOW.replace(hour=0, minute=0)
    newsroom.now = midnight
    papers = [f"Paper {n}" for n in range(4)]
    day = [
        newsroom.article(midnight - timedelta(days=1), f"Case {n} lawsuit", f"Paper {n % 4}", quality=DateQuality.DAY)
        for n in range(16)
    ]
    newsroom.publish(newsroom.past(quality=DateQuality.DAY, publishers=papers) + day)
    newsroom.look(midnight + timedelta(minutes=5))
    for hour in range(1, 24):
        newsroom.publish([newsroom.article(midnight + timedelta(hours=hour), f"Firm {hour} and its profit", "Paper 1")])
        newsroom.look(midnight + timedelta(hours=hour, minutes=14))
    [alert] = [a for a in newsroom.spikes() if a.series == "topic:litigation"]
    assert alert.resolved_at is None


def test_one_severe_story_about_a_watched_company_is_enough(newsroom: Newsroom) -> None:
    newsroom.publish([newsroom.article(NOW - timedelta(minutes=9), "Acorn nears default", entity="Acorn")])
    [transition] = newsroom.look()
    assert (transition.rule, transition.series) == ("critical-story", "entity:Acorn")
    assert transition.severity is Severity.CRITICAL
    assert transition.summary.startswith("1 story on credit distress")


def test_a_severe_story_that_names_the_company_only_in_its_lead_is_no_critical_story(newsroom: Newsroom) -> None:
    at = NOW - timedelta(minutes=9)
    newsroom.publish([newsroom.article(at, "Lenders near default", entity="Acorn", where="lead", story="s")])
    assert newsroom.look() == []
    newsroom.publish([newsroom.article(at, "Acorn and lenders near default", entity="Acorn", story="s")])
    [transition] = newsroom.look(NOW + timedelta(minutes=15))
    assert (transition.rule, transition.series) == ("critical-story", "entity:Acorn")


def test_a_rule_may_take_a_mention_anywhere(newsroom: Newsroom) -> None:
    [rule] = [each for each in newsroom.store.rules() if each.kind is RuleKind.CRITICAL_STORY]
    newsroom.store.save_rule(replace(rule, params={"mention": "anywhere"}), "tests", NOW)
    at = NOW - timedelta(minutes=9)
    newsroom.publish([newsroom.article(at, "Lenders near default", entity="Acorn", where="lead")])
    assert opened(newsroom, rule.name) == ["entity:Acorn"]
    report = run_backtest(newsroom.store, rule.name, NOW - timedelta(days=1), NOW)
    assert [alert.series for alert in report.alerts] == ["entity:Acorn"]
    newsroom.store.save_rule(replace(rule, params={"mention": "title"}), "tests", NOW)
    assert run_backtest(newsroom.store, rule.name, NOW - timedelta(days=1), NOW).alerts == ()


def test_severe_stories_about_nobody_on_the_watchlist_are_not_critical(newsroom: Newsroom) -> None:
    newsroom.publish([newsroom.article(NOW - timedelta(minutes=9), "Acorn nears default")])
    assert newsroom.look() == []


def test_a_keyword_rule_finds_its_words(newsroom: Newsroom) -> None:
    rule = Rule(name="runs", kind=RuleKind.KEYWORD, scope=("all",), params={"query": '"bank run"'})
    newsroom.store.save_rule(rule, "tests", NOW)
    newsroom.publish([newsroom.article(NOW - timedelta(minutes=9), "Fears of a bank run in Elmswick")])
    assert opened(newsroom, "runs") == ["all"]
    newsroom.look(NOW + timedelta(days=2))
    assert newsroom.store.alerts()[0].state is AlertState.RESOLVED


def test_a_keyword_rule_keeps_to_its_scope(newsroom: Newsroom) -> None:
    scope = ("entity:*", "entity:*/topic:litigation", "publisher:Aldgate Wire")
    rule = Rule(name="courts", kind=RuleKind.KEYWORD, scope=scope, params={"query": "court"})
    newsroom.store.save_rule(rule, "tests", NOW)
    at = NOW - timedelta(minutes=9)
    newsroom.publish(
        [
            newsroom.article(at, "Acorn in court over lawsuit", entity="Acorn"),
            newsroom.article(at, "Somebody else in court", "Borough Post"),
        ]
    )
    found = ["entity:Acorn", "entity:Acorn/topic:litigation", "publisher:Aldgate Wire"]
    assert sorted(opened(newsroom, "courts")) == found


@pytest.mark.parametrize(
    ("measure", "value", "says"), [("count", 12, "12 negative stories"), ("mean_score", -0.5, "mean score -0.8")]
)
def test_a_threshold_rule_counts_and_averages(newsroom: Newsroom, measure: str, value: float, says: str) -> None:
    params = {"measure": measure, "value": value, "min_stories": 10}
    scope = ("all", "publisher:*", "language:en", "entity:Acorn", "entity:Acorn/topic:*")
    newsroom.store.save_rule(Rule(name="t", kind=RuleKind.THRESHOLD, scope=scope, params=params), "tests", NOW)
    newsroom.publish(newsroom.burst(12, entity="Acorn"))
    assert sorted(opened(newsroom, "t")) == ["all", "entity:Acorn", "entity:Acorn/topic:litigation", "language:en"]
    assert says in newsroom.store.alerts()[0].summary


def test_a_spike_rule_watches_publishers_languages_and_topics_of_entities(settled: Newsroom) -> None:
    scope = ("publisher:*", "language:*", "entity:*/topic:*")
    rule = Rule(name="narrow", kind=RuleKind.SPIKE, scope=scope, params={"min_families": 1})
    settled.store.save_rule(rule, "tests", NOW)
    settled.publish(settled.burst(24, publishers=PUBLISHERS[:1], entity="Acorn"))
    found = opened(settled, "narrow")
    assert {"publisher:Aldgate Wire", "entity:Acorn/topic:litigation", "language:en"} == set(found)


def test_a_threshold_rule_compares_the_share(newsroom: Newsroom) -> None:
    rule = Rule(name="share", kind=RuleKind.THRESHOLD, scope=("all",), params={"value": 0.5, "min_stories": 10})
    newsroom.store.save_rule(rule, "tests", NOW)
    newsroom.publish(newsroom.burst(12))
    assert opened(newsroom, "share") == ["all"]
    assert "100% of 12 stories are negative" in newsroom.store.alerts()[0].summary


def test_the_worker_gone_quiet_is_an_alert(newsroom: Newsroom) -> None:
    newsroom.store.beat("worker", NOW - timedelta(hours=1), {})
    assert opened(newsroom, "quiet") == ["pipeline"]
    newsroom.store.beat("worker", NOW + timedelta(minutes=29), {})
    newsroom.look(NOW + timedelta(minutes=30))
    assert newsroom.store.alerts()[0].state is AlertState.RESOLVED


def test_the_threshold_is_calibrated_once_and_kept(newsroom: Newsroom) -> None:
    newsroom.publish(newsroom.past(days=80, per_day=10))
    newsroom.look()
    kept = newsroom.store.setting("alerts.calibration")[NEGATIVE_SPIKE]["calibration"]
    assert kept["weeks"] >= 6
    newsroom.look(NOW + timedelta(hours=3))
    assert newsroom.store.setting("alerts.calibration")[NEGATIVE_SPIKE]["calibration"] == kept
    newsroom.look(NOW + timedelta(days=8))
    assert newsroom.store.setting("alerts.calibration")[NEGATIVE_SPIKE]["calibration"] != kept


def test_windows_end_on_the_grid() -> None:
    assert grid_end(NOW).isoformat() == "2026-04-21T15:15:00+00:00"
    assert grid_end(NOW.replace(minute=59)).isoformat() == "2026-04-21T16:00:00+00:00"


def test_a_backtest_on_the_store_finds_what_watch_would_have_found(newsroom: Newsroom) -> None:
    newsroom.publish(newsroom.past(days=40) + newsroom.burst(16))
    steps: list[tuple[int, int]] = []
    report = run_backtest(newsroom.store, NEGATIVE_SPIKE, None, None, lambda done, total: steps.append((done, total)))
    found = [row for row in report.to_json()["alerts"] if row["series"] == "topic:litigation"]
    assert found[-1]["opened_at"].startswith("2026-04-21")
    assert found[-1]["top"]
    assert steps[-1] == (1000, 1000)


RULES = {
    RuleKind.SPIKE: {"scope": ("topic:litigation",)},
    RuleKind.THRESHOLD: {"scope": ("all",), "params": {"measure": "count", "value": 10}},
    RuleKind.CRITICAL_STORY: {"scope": ("entity:*",), "params": {"topics": ("litigation",)}},
    RuleKind.KEYWORD: {"scope": ("all",), "params": {"query": "Matter lawsuit", "min_stories": 3}},
}


@pytest.mark.parametrize("kind", list(RULES))
def test_each_would_be_alert_has_its_stories_with_links(settled: Newsroom, kind: RuleKind) -> None:
    settled.publish(settled.burst(16, entity="Acorn"))
    rule = Rule(name="tried", kind=kind, **RULES[kind])  # type: ignore[arg-type]
    report = run_backtest(settled.store, rule, NOW - timedelta(days=2), NOW + timedelta(hours=1)).to_json()
    last = report["alerts"][-1]
    assert last["evidence"]["rule"]["name"] == "tried"
    assert last["evidence"]["model_version"] == "scripted-1"
    story = last["evidence"]["stories"][0]
    assert story["articles"][0]["url"].startswith("https://news.example/")
    assert story["articles"][0]["prediction"]["sentiment"] == "negative"


def test_a_threshold_alert_names_the_most_negative_stories_of_its_window(newsroom: Newsroom) -> None:
    rule = Rule(name="t", kind=RuleKind.THRESHOLD, scope=("all",), params={"measure": "count", "value": 3})
    newsroom.store.save_rule(rule, "tests", NOW)
    newsroom.publish(newsroom.burst(5))
    [alert] = [t for t in newsroom.look() if t.rule == "t"]
    assert len(alert.evidence.top) == 5
    assert alert.evidence.top[0]["articles"]


def test_a_backtest_of_an_unknown_rule_names_the_known_ones(newsroom: Newsroom) -> None:
    with pytest.raises(AlertError, match="negative-spike"):
        run_backtest(newsroom.store, "nonsense", None, None)


def test_a_backtest_of_an_empty_store_says_so(newsroom: Newsroom) -> None:
    with pytest.raises(AlertError, match="no articles"):
        run_backtest(newsroom.store, NEGATIVE_SPIKE, None, None)
