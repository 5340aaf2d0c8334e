"""A quiet rule on the past: what was silent, when, and nothing that only later news would tell."""

from __future__ import annotations

from datetime import timedelta

from monitor.alerts.backtest import backtest
from monitor.alerts.rules import default_rules
from monitor.alerts.sources import FactsSource
from monitor.domain import NewFeed, StoryFact
from tests.alerts.news import MONDAY, story
from tests.alerts.newsroom import NOW, Newsroom

RULE = next(rule for rule in default_rules() if rule.name == "quiet")
END = MONDAY + timedelta(weeks=8)
STOP = MONDAY + timedelta(weeks=6, days=2, hours=10)


def wire(*, without: tuple[int, int] = (0, 0), office_only: bool = False) -> list[StoryFact]:
    """A story an hour for eight weeks, but for some hours; or in the office hours of working days only."""
    return [
        story(at, publisher="Aldgate Wire")
        for hour in range(8 * 168)
        for at in [MONDAY + timedelta(hours=hour)]
        if not without[0] <= hour < without[1] and (not office_only or (at.weekday() < 5 and 8 <= at.hour < 18))
    ]


def test_a_wire_that_stopped_for_a_day_would_have_been_told_within_hours_and_resolved() -> None:
    hour = (STOP - MONDAY) // timedelta(hours=1)
    [alert] = backtest(RULE, FactsSource(wire(without=(hour, hour + 24))), MONDAY, END).alerts
    assert alert.series == "publisher:Aldgate Wire"
    assert STOP + timedelta(hours=6) <= alert.opened_at <= STOP + timedelta(hours=8)
    assert alert.resolved_at == STOP + timedelta(hours=25)
    assert alert.evidence.window_start == STOP
    assert "usually 24 items a day" in alert.summary


def test_a_paper_that_never_writes_at_night_or_weekends_is_not_silent_then() -> None:
    assert backtest(RULE, FactsSource(wire(office_only=True)), MONDAY + timedelta(weeks=4), END).alerts == ()


def test_what_came_later_changes_nothing_before() -> None:
    hour = (STOP - MONDAY) // timedelta(hours=1)
    facts = wire(without=(hour, hour + 24))
    [whole] = backtest(RULE, FactsSource(facts), MONDAY, END).alerts
    [part] = backtest(
        RULE, FactsSource([f for f in facts if f.published < STOP]), MONDAY, STOP + timedelta(hours=12)
    ).alerts
    assert (part.opened_at, part.summary) == (whole.opened_at, whole.summary)


def test_the_report_says_what_has_no_past() -> None:
    assert "failed polls" in backtest(RULE, FactsSource(wire()), MONDAY, END).note


def test_feeds_of_the_store_are_judged_one_by_one(newsroom: Newsroom) -> None:
    start = NOW - timedelta(days=40)
    feeds = [
        newsroom.store.add_feed(
            NewFeed(url=f"https://f.example/{n}", title=f"Feed {n}", publisher="Aldgate Wire"), start
        )
        for n in (1, 2)
    ]
    newsroom.publish(
        [
            newsroom.article(start + timedelta(hours=hour), f"Agenda {feed.id} {hour}", "Aldgate Wire", feed_id=feed.id)
            for feed in feeds
            for hour in range(40 * 24)
            if feed is feeds[1] or not 700 <= hour < 760
        ]
    )
    rule = next(rule for rule in newsroom.store.rules() if rule.name == "quiet")
    [alert] = backtest(rule, newsroom.source(), start, NOW).alerts
    assert alert.series == "feed:Feed 1"


def test_a_batch_a_day_is_not_missed_before_three_of_them_are() -> None:
    start = MONDAY - timedelta(days=30)
    evenings = [
        story(start + timedelta(days=day, hours=18, minutes=minute))
        for day in range(60)
        if not 40 <= day < 46
        for minute in range(30)
    ]
    [alert] = backtest(RULE, FactsSource(evenings), start, MONDAY + timedelta(days=30)).alerts
    assert alert.opened_at > start + timedelta(days=42)
