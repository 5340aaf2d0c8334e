"""Rules: what is watched, switched on and off, edited as TOML, and tried on the past before it counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pandas as pd
import streamlit as st

from dashboard import actions, alertwords, charts, context, markup, times, widgets
from dashboard.i18n import Words
from dashboard.queries import Reads
from monitor.alerts.backtest import BacktestReport
from monitor.alerts.rules import params_of, rules_to_toml
from monitor.domain import Rule, RuleKind

_REPORT: Final = "alerts.backtest"


def rules_pane(reads: Reads) -> None:
    words = context.words()
    kinds = list(RuleKind)
    rules = sorted(reads.rules(), key=lambda rule: (not rule.enabled, kinds.index(rule.kind), rule.name))
    if not rules:
        widgets.empty(words("rules.none"))
        return
    left, right = st.columns([5, 6], gap="medium")
    with left:
        widgets.title(words("rules.title", n=sum(rule.enabled for rule in rules)))
        event = st.dataframe(
            _table(rules, words),
            key="rules.list",
            hide_index=True,
            width="stretch",
            on_select="rerun",
            selection_mode="single-row",
            column_config={
                words("column.rule"): st.column_config.TextColumn(width=110),
                words("column.kind"): st.column_config.TextColumn(width=96),
                words("column.scope"): st.column_config.TextColumn(width=150),
                words("column.severity"): st.column_config.TextColumn(width=68),
                words("column.enabled"): st.column_config.TextColumn(width=48),
            },
            selection_default={"selection": {"rows": [0], "columns": [], "cells": []}},
        )
    row = widgets.selected_row(event)
    with right:
        _rule(rules[row if row is not None and row < len(rules) else 0], words)


def _table(rules: list[Rule], words: Words) -> pd.DataFrame:
    return pd.DataFrame(
        {
            words("column.rule"): [rule.name for rule in rules],
            words("column.kind"): [words(f"kind.{rule.kind}") for rule in rules],
            words("column.scope"): [words.scope(rule.scope) for rule in rules],
            words("column.severity"): [words(f"severity.{rule.severity}") for rule in rules],
            words("column.enabled"): [words("rules.on" if rule.enabled else "rules.off") for rule in rules],
        }
    )


def _rule(rule: Rule, words: Words) -> None:
    with st.container(border=True):
        st.html(markup.headline(rule.name))
        pairs = [
            (words("column.kind"), words(f"kind.{rule.kind}")),
            (words("column.scope"), words.scope(rule.scope)),
            (words("column.severity"), words(f"severity.{rule.severity}")),
            (words("rules.channels"), words("count.comma").join(rule.channels) or words("rules.every_channel")),
            (words("rules.cooldown"), words("rules.hours", n=f"{rule.cooldown_s / 3600:g}")),
            (
                words("rules.escalate"),
                words("rules.hours", n=f"{rule.escalate_after_s / 3600:g}")
                if rule.escalate_after_s
                else words("rules.never"),
            ),
        ]
        pairs += [(words(f"param.{name}"), _written(name, value, words)) for name, value in params_of(rule).items()]
        st.html(markup.facts(pairs))
        if context.may("analyst"):
            with st.container(horizontal=True):
                if st.button(
                    words("rules.switch_off" if rule.enabled else "rules.switch_on"), key=f"rule.on.{rule.name}"
                ):
                    actions.switch_rule(rule, not rule.enabled)
                    st.rerun()
                with st.popover(words("rules.edit"), width="content"), st.form(f"rule.edit.{rule.name}", border=False):
                    text = st.text_area(
                        words("rules.toml"), value=rules_to_toml([rule]), height=320, help=words("rules.toml_help")
                    )
                    if st.form_submit_button(words("rules.save"), type="primary"):
                        actions.save_rules(text)
                        st.toast(words("rules.saved"))
                        st.rerun()
        if rule.kind is RuleKind.SPIKE:
            _backtest(rule, words)


def _written(name: str, value: object, words: Words) -> str:
    if isinstance(value, tuple | list):
        return words("count.comma").join(words.topic(str(part)) for part in value)
    if isinstance(value, bool):
        return words("rules.on" if value else "rules.off")
    return words.get(f"param.{name}_{value}") or str(value)


def _backtest(rule: Rule, words: Words) -> None:
    reads = context.reads()
    earliest, newest = reads.earliest(), reads.status().data_as_of
    if earliest is None or newest is None:
        st.html(markup.dim(words("backtest.no_past")))
        return
    with st.form(f"backtest.{rule.name}", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        default = max(earliest, newest - timedelta(days=365)).date()
        first = st.date_input(words("filter.first"), value=default, format="YYYY-MM-DD", width=150)
        last = st.date_input(words("filter.last"), value=newest.date(), format="YYYY-MM-DD", width=150)
        asked = st.form_submit_button(words("backtest.run"), type="primary")
    if asked:
        span = times.span_of("custom", anchor=newest, earliest=earliest, custom=(first, last), zone=context.zone())
        bar = st.progress(0.0, words("backtest.running"))
        text = words("backtest.running")
        fresh = context.app().backtest(
            rule.name, span.start, span.end, lambda done, total: bar.progress(min(1.0, done / max(1, total)), text)
        )
        bar.empty()
        st.session_state[_REPORT] = fresh
    report = st.session_state.get(_REPORT)
    if isinstance(report, BacktestReport) and report.rule == rule.name:
        _report(report, words, reads)


def _report(report: BacktestReport, words: Words, reads: Reads) -> None:
    zone = context.zone()
    span = times.Span(start=report.start, end=report.end)
    frame = reads.trend("all", span)
    frame = frame.assign(
        time=widgets.local(frame["time"], span.step),
        share=frame["negative"] / frame["stories"].where(frame["stories"] > 0),
        low=float("nan"),
        high=float("nan"),
    )
    marks = [
        (alert.opened_at.astimezone(zone).replace(tzinfo=None), words.series(alert.series)) for alert in report.alerts
    ]
    table = pd.DataFrame(
        {
            words("column.opened"): [times.moment(alert.opened_at, zone) for alert in report.alerts],
            words("column.series"): [words.series(alert.series) for alert in report.alerts],
            words("column.negative"): [alert.evidence.negative for alert in report.alerts],
            words("column.expected"): [alertwords.expected(alert.evidence.expected) for alert in report.alerts],
            words("column.story"): [
                str(alert.evidence.top[0].get("title", "")) if alert.evidence.top else "" for alert in report.alerts
            ],
        }
    )
    widgets.chart(
        words("backtest.result", n=len(report.alerts), week=f"{report.per_week:.1f}"),
        charts.share_with_band(frame, words, span.step, marks),
        table,
        key="backtest.chart",
        note=report.note,
    )
    st.dataframe(table, hide_index=True, width="stretch", height=260)
