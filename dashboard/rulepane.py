"""Rules: what is watched and what it brought; made and changed in a form or as TOML, tried on the past before they
count."""

from __future__ import annotations

from typing import Final

import pandas as pd
import streamlit as st

from dashboard import actions, charts, context, markup, ruleform, widgets
from dashboard.alertwords import rule_value
from dashboard.i18n import Words
from dashboard.queries import Reads
from dashboard.trialpane import trial
from monitor.alerts.rules import params_of, rules_to_toml
from monitor.desk import RuleRecord, rule_records
from monitor.domain import Rule, RuleKind
from monitor.review import AlertWeek, alert_precision

_WEEKS: Final = 8


def rules_pane(reads: Reads) -> None:
    words = context.words()
    kinds = list(RuleKind)
    rules = sorted(reads.rules(), key=lambda rule: (not rule.enabled, kinds.index(rule.kind), rule.name))
    lines = {line.rule: line for line in rule_records(context.app().store, context.now(), _WEEKS)}
    left, right = st.columns([5, 6], gap="medium")
    with left:
        row = _list(rules, lines, words)
        if context.may("analyst"):
            _new(rules, words)
    with right, st.container(border=True):
        name = ruleform.edited()
        if name is not None and context.may("analyst"):
            old = next((rule for rule in rules if rule.name == name), None)
            draft, at_once = ruleform.rule_form(old, reads, words)
            if draft is not None:
                trial(draft, words, at_once=at_once)
        elif rules:
            rule = rules[row if row is not None and row < len(rules) else 0]
            _rule(rule, words)
            _came(rule, lines.get(rule.name), words)
            trial(rule, words)


def _list(rules: list[Rule], lines: dict[str, RuleRecord], words: Words) -> int | None:
    if not rules:
        widgets.empty(words("rules.none"))
        return None
    widgets.title(words("rules.title", n=sum(rule.enabled for rule in rules)), words("rules.came_note", weeks=_WEEKS))
    event = st.dataframe(
        _table(rules, lines, words),
        key="rules.list",
        hide_index=True,
        width="stretch",
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            words("column.rule"): st.column_config.TextColumn(width=120),
            words("column.kind"): st.column_config.TextColumn(width=100),
            words("rules.a_week"): st.column_config.TextColumn(width=64, alignment="right"),
            words("rules.budget"): st.column_config.TextColumn(width=64, alignment="right"),
            words("column.severity"): st.column_config.TextColumn(width=68),
            words("column.enabled"): st.column_config.TextColumn(width=48),
        },
        selection_default={"selection": {"rows": [0], "columns": [], "cells": []}},
    )
    return widgets.selected_row(event)


def _table(rules: list[Rule], lines: dict[str, RuleRecord], words: Words) -> pd.DataFrame:
    own = [lines.get(rule.name) for rule in rules]
    return pd.DataFrame(
        {
            words("column.rule"): [rule.name for rule in rules],
            words("column.kind"): [words(f"kind.{rule.kind}") for rule in rules],
            words("rules.a_week"): [f"{line.came:.1f}" if line else "" for line in own],
            words("rules.budget"): [f"{line.budget:g}" if line and line.budget is not None else "–" for line in own],
            words("column.severity"): [words(f"severity.{rule.severity}") for rule in rules],
            words("column.enabled"): [words("rules.on" if rule.enabled else "rules.off") for rule in rules],
        }
    )


def _new(rules: list[Rule], words: Words) -> None:
    """A new rule by the form, and all rules as TOML, out and in."""
    with st.container(horizontal=True):
        if st.button(words("rules.new"), key="rules.new", icon=":material/add:"):
            ruleform.edit("")
            st.rerun()
        text = rules_to_toml(rules) if rules else ""
        with st.popover(words("rules.toml"), width="content"), st.form("rules.toml", border=False):
            given = st.text_area(words("rules.toml_all"), value=text, height=360, help=words("rules.toml_help"))
            if st.form_submit_button(words("rules.toml_save"), type="primary"):
                actions.save_rules(given)
                st.toast(words("rules.saved"))
                st.rerun()
        st.download_button(
            words("rules.toml_out"), text, "headwind-rules.toml", "application/toml", type="tertiary", on_click="ignore"
        )


def _rule(rule: Rule, words: Words) -> None:
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
    pairs += [(words(f"param.{name}"), rule_value(name, value, words)) for name, value in params_of(rule).items()]
    st.html(markup.facts(pairs))
    if not context.may("analyst"):
        return
    with st.container(horizontal=True):
        if st.button(words("rules.switch_off" if rule.enabled else "rules.switch_on"), key=f"rule.on.{rule.name}"):
            actions.switch_rule(rule, not rule.enabled)
            st.rerun()
        if st.button(words("rules.edit"), key=f"rule.edit.{rule.name}"):
            ruleform.edit(rule.name)
            st.rerun()
        with st.popover(words("rules.remove"), width="content"):
            st.html(markup.dim(words("rules.remove_note")))
            if st.button(words("rules.remove"), key=f"rule.remove.{rule.name}", type="primary"):
                actions.remove_rule(rule.name)
                st.toast(words("rules.removed"))
                st.rerun()


def _came(rule: Rule, line: RuleRecord | None, words: Words) -> None:
    """What the rule told in the last weeks, how much of it was right, beside its budget."""
    if line is None or not line.alerts:
        st.html(markup.dim(words("rules.came_none", weeks=_WEEKS)))
        return
    weeks = alert_precision(context.app().store, context.now(), weeks=_WEEKS, rule=rule.name)
    frame = _weeks_frame(weeks)
    note = words("rules.right_of", right=line.right, judged=line.judged) if line.judged else words("rules.unjudged")
    table = frame.rename(
        columns={
            "week": words("rules.week"),
            "right": words("rules.right"),
            "wrong": words("rules.wrong"),
            "open": words("rules.not_judged"),
        }
    )
    title = words("rules.came", n=line.alerts, week=f"{line.came:.1f}")
    if line.budget is not None:
        title = words("rules.came_budget", n=line.alerts, week=f"{line.came:.1f}", budget=f"{line.budget:g}")
    widgets.chart(title, charts.weekly(frame, line.budget, words), table, key="rules.weeks", note=note)


def _weeks_frame(weeks: list[AlertWeek]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "week": [f"{week.start:%Y-%m-%d}" for week in weeks],
            "right": [week.right for week in weeks],
            "wrong": [week.judged - week.right for week in weeks],
            "open": [week.alerts - week.judged for week in weeks],
        }
    )
