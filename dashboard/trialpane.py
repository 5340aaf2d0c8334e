"""A rule on the past: the chart with the would-be alerts marked, alerts a week, and the evidence of each."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pandas as pd
import streamlit as st

from dashboard import alertwords, context, markup, times, trialchart, widgets
from dashboard.alertpane import evidence_facts, evidence_stories
from dashboard.i18n import Words
from dashboard.queries import Reads
from monitor.alerts.backtest import BacktestReport
from monitor.domain import Alert, Rule, RuleKind

_REPORT: Final = "alerts.backtest"


def trial(rule: Rule, words: Words, *, at_once: bool = False) -> None:
    """The span to try the rule over, and what it would have brought. at_once: try it now over the preset span."""
    reads = context.reads()
    earliest, newest = reads.earliest(), reads.status().data_as_of
    if earliest is None or newest is None:
        st.html(markup.dim(words("backtest.no_past")))
        return
    with st.form(f"backtest.{rule.name}", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        default = max(earliest, newest - timedelta(days=365)).date()
        first = st.date_input(words("filter.first"), value=default, format="YYYY-MM-DD", width=150)
        last = st.date_input(words("filter.last"), value=newest.date(), format="YYYY-MM-DD", width=150)
        asked = st.form_submit_button(words("backtest.run"), type="secondary" if at_once else "primary")
    if asked or at_once:
        span = times.span_of("custom", anchor=newest, earliest=earliest, custom=(first, last), zone=context.zone())
        bar = st.progress(0.0, words("backtest.running"))
        text = words("backtest.running")
        fresh = context.app().backtest(
            rule, span.start, span.end, lambda done, total: bar.progress(min(1.0, done / max(1, total)), text)
        )
        bar.empty()
        st.session_state[_REPORT] = (rule, fresh)
    kept = st.session_state.get(_REPORT)
    if kept is not None and kept[0] == rule:
        _report(kept[1], rule, words, reads)


def _report(report: BacktestReport, rule: Rule, words: Words, reads: Reads) -> None:
    zone = context.zone()
    span = times.Span(start=report.start, end=report.end)
    newest_first = list(reversed(report.alerts))
    table = _table(newest_first, rule, words)
    told = sum(alert.inhibited_by is None for alert in report.alerts)
    notes = [words("backtest.more", n=len(report.alerts) - told)] if told < len(report.alerts) else []
    notes += [words("backtest.quiet_note")] if rule.kind is RuleKind.QUIET else []
    widgets.title(words("backtest.result", n=told, week=f"{report.per_week:.1f}"), " · ".join(notes))
    series = st.selectbox(
        words("column.series"),
        trialchart.watched(rule, list(report.alerts), reads),
        format_func=words.series,
        key=f"backtest.series.{rule.name}",
        width=360,
    )
    shown = trialchart.judged(rule, series, span, reads)
    shown = replace(shown, frame=shown.frame.assign(time=widgets.local(shown.frame["time"], shown.step)))
    marks = [
        (alert.opened_at.astimezone(zone).replace(tzinfo=None), words.series(alert.series))
        for alert in report.alerts
        if alert.series == series
    ]
    widgets.chart(
        trialchart.title(shown, words),
        trialchart.figure(shown, words, marks),
        table,
        key="backtest.chart",
        note=words("backtest.shows_words") if rule.kind is RuleKind.KEYWORD else "",
    )
    if not newest_first:
        return
    event = st.dataframe(
        table,
        key="backtest.list",
        hide_index=True,
        width="stretch",
        height=widgets.table_height(len(newest_first), 240, 35),
        on_select="rerun",
        selection_mode="single-row",
        selection_default={"selection": {"rows": [0], "columns": [], "cells": []}},
    )
    row = widgets.selected_row(event)
    _evidence(newest_first[row if row is not None and row < len(newest_first) else 0], words)


def _table(alerts: list[Alert], rule: Rule, words: Words) -> pd.DataFrame:
    zone = context.zone()
    columns = {
        words("column.opened"): [times.moment(alert.opened_at, zone) for alert in alerts],
        words("column.series"): [words.series(alert.series) for alert in alerts],
        words("column.negative"): [alert.evidence.negative for alert in alerts],
    }
    if rule.kind is RuleKind.SPIKE:
        columns[words("column.expected")] = [alertwords.expected(alert.evidence.expected) for alert in alerts]
    columns[words("column.story")] = [
        str(alert.evidence.top[0].get("title", "")) if alert.evidence.top else "" for alert in alerts
    ]
    return pd.DataFrame(columns)


def _evidence(alert: Alert, words: Words) -> None:
    """What the would-be alert rests on: its sentence, its stories with links, its numbers."""
    zone = context.zone()
    until = times.moment(alert.resolved_at, zone) if alert.resolved_at else words("backtest.open")
    st.html(
        markup.headline(words.series(alert.series), "1.02rem")
        + markup.dim(words("backtest.span", start=times.moment(alert.opened_at, zone), end=until))
        + markup.paragraph(alertwords.summary(alert, words))
        + (markup.dim(words("backtest.explained")) if alert.inhibited_by is not None else "")
    )
    evidence_stories(alert.evidence, words)
    with st.expander(words("alerts.rests_on")):
        st.html(markup.facts(evidence_facts(alert.evidence, words)))
