"""Use case: try a rule on the stored past before it counts. Reads only; nothing opens, nothing is sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from monitor.alerts import kinds
from monitor.alerts.backtest import BacktestReport, backtest
from monitor.alerts.history import HOUR
from monitor.alerts.rules import rule_to_dict
from monitor.alerts.sources import StoreSource
from monitor.domain import Alert, Rule
from monitor.errors import AlertError
from monitor.store.base import Store
from monitor.watch import with_articles

STORIES_WITH_LINKS: Final = 8
MOST_WITH_LINKS: Final = 200
"""Newest would-be alerts whose stories get their articles; a rule that fires more often is not read alert by alert."""


def run_backtest(
    store: Store,
    rule: Rule | str,
    start: datetime | None,
    end: datetime | None,
    progress: Callable[[int, int], Any] = lambda done, total: None,
) -> BacktestReport:
    """A rule, stored under a name or as it stands in a form, over the stored past; without a span, over the year
    before the newest story.

    Each would-be alert has its evidence: numbers, and its leading stories with their articles as they are now.
    `progress` is told (done, total) in steps of a thousandth. Raises `AlertError` for an unknown rule.
    """
    chosen = rule if isinstance(rule, Rule) else _stored(store, rule)
    if end is None:
        newest = store.search_articles(kinds.newest_query())[0]
        if not newest:
            raise AlertError("backtest: the store holds no articles yet")
        end = newest[0].article.published + HOUR
    start = end - timedelta(days=365) if start is None else start
    source = StoreSource(store, chosen.scope)
    report = backtest(chosen, source, start, end, lambda share: progress(round(share * 950), 1000))
    live = store.live_model()
    first = max(0, len(report.alerts) - MOST_WITH_LINKS)
    alerts = [
        _with_evidence(store, chosen, alert, "" if live is None else live[0], links=number >= first)
        for number, alert in enumerate(report.alerts)
    ]
    progress(1000, 1000)
    return replace(report, alerts=tuple(alerts))


def _stored(store: Store, name: str) -> Rule:
    rules = store.rules()
    rule = next((each for each in rules if each.name == name), None)
    if rule is None:
        raise AlertError(f"there is no rule {name!r}; known: {', '.join(each.name for each in rules)}")
    return rule


def _with_evidence(store: Store, rule: Rule, alert: Alert, version: str, *, links: bool) -> Alert:
    evidence = with_articles(store, alert.series, alert.evidence, STORIES_WITH_LINKS) if links else alert.evidence
    return replace(
        alert, evidence=replace(evidence, model_version=evidence.model_version or version, rule=rule_to_dict(rule))
    )
