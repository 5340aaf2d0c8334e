# ruff: noqa: F811
"""Faults A5 and A10, the part about alerts: flapping, everything at once, old and late news."""

from __future__ import annotations

from datetime import timedelta

from monitor.domain import DateQuality, TransitionKind
from tests.alerts.conftest import _a_past, settled  # noqa: F401
from tests.alerts.news import MONDAY, PUBLISHERS, burst, look, ordinary
from tests.alerts.newsroom import NOW, Newsroom


def test_A5_a_series_that_flaps_every_quarter_of_an_hour_opens_one_alert(settled: Newsroom) -> None:
    settled.publish(settled.burst(12))
    opened = 0
    for quarter in range(12):
        at = NOW + timedelta(minutes=15 * quarter)
        if quarter % 2:
            settled.store.add_articles(
                [settled.article(at - timedelta(minutes=1), f"Matter x{quarter} ends in lawsuit")], at
            )
            settled.score()
        steps = settled.look(at)
        opened += sum(t.kind is TransitionKind.OPEN and t.series == "topic:litigation" for t in steps)
    assert opened == 1


def test_A5_forty_companies_at_once_open_once_and_explain_their_topic(settled: Newsroom) -> None:
    names = [f"Company {n:03d}" for n in range(40)]
    articles = [
        settled.article(
            NOW - timedelta(minutes=10 + 5 * k), f"{name} loses lawsuit {k}", PUBLISHERS[k % 4], entity=name
        )
        for name in names
        for k in range(4)
    ]
    settled.publish(articles)
    steps = [t for t in settled.look() if t.rule == "negative-spike"]
    companies = {t.series for t in steps if t.series.startswith("entity:")}
    assert len(companies) == 40
    explained = {t.series: t.inhibited_by for t in steps if t.inhibited_by}
    assert explained["topic:litigation"] in companies
    assert settled.look() == []


def test_A10_a_new_feed_with_500_old_or_undated_negative_items_raises_nothing(settled: Newsroom) -> None:
    old = [
        settled.article(NOW - timedelta(minutes=n), f"Piece {n} of a lawsuit", "New Feed", counts=False, first_seen=NOW)
        for n in range(250)
    ]
    undated = [
        settled.article(NOW, f"Undated {n} lawsuit", "New Feed", counts=False, quality=DateQuality.NONE)
        for n in range(250)
    ]
    settled.publish(old + undated)
    assert settled.look() == []


def test_A10_and_nothing_in_the_days_after_it_either(settled: Newsroom) -> None:
    settled.publish([settled.article(NOW, f"Undated {n} lawsuit", "New Feed", counts=False) for n in range(500)])
    for hours in (1, 7, 25, 49):
        assert [t for t in settled.look(NOW + timedelta(hours=hours)) if t.kind is TransitionKind.OPEN] == []


def test_A10_a_late_item_counts_in_the_hour_it_was_published(settled: Newsroom) -> None:
    yesterday = NOW - timedelta(hours=40)
    settled.publish(
        [
            settled.article(yesterday - timedelta(minutes=9 * n), f"Late case {n} lawsuit", PUBLISHERS[n % 4])
            for n in range(3)
        ]
    )
    assert settled.look() == []
    late = [
        settled.article(
            yesterday - timedelta(minutes=5 * n),
            f"Very late case {n} lawsuit",
            PUBLISHERS[n % 4],
            first_seen=NOW - timedelta(minutes=2),
        )
        for n in range(12)
    ]
    settled.publish(late)
    opened = {t.series: t for t in settled.look() if t.kind is TransitionKind.OPEN}
    transition = opened["topic:litigation"]
    assert transition.summary.startswith("Late news: ")
    assert transition.evidence.window_start < yesterday < transition.evidence.window_end
    assert transition.evidence.window_end < NOW - timedelta(hours=20)
    assert transition.evidence.negative >= 15


def test_A10_the_same_late_news_is_told_once(settled: Newsroom) -> None:
    yesterday = NOW - timedelta(hours=40)
    settled.publish(
        [
            settled.article(
                yesterday - timedelta(minutes=5 * n),
                f"Very late case {n} lawsuit",
                PUBLISHERS[n % 4],
                first_seen=NOW - timedelta(minutes=2),
            )
            for n in range(14)
        ]
    )
    told = 0
    for quarter in range(10):
        steps = settled.look(NOW + timedelta(minutes=15 * quarter))
        told += sum(t.kind is TransitionKind.OPEN and t.series == "topic:litigation" for t in steps)
    assert told == 1


def test_A10_an_imported_archive_of_today_is_news_not_late_news() -> None:
    now = MONDAY + timedelta(weeks=7, days=1, hours=15)
    facts = [fact for fact in ordinary(51) if fact.published < now] + burst(now, 14)
    summary = look(facts, now).observations["topic:litigation"].summary
    assert not summary.startswith("Late")
