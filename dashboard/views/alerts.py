"""Alerts: what fired, on what evidence, and who looks after it."""

from __future__ import annotations

from typing import Final

import pandas as pd
import streamlit as st

from dashboard import context, palette, times, widgets
from dashboard.alertpane import alert_pane
from dashboard.i18n import Words
from dashboard.queries import Reads
from dashboard.rulepane import rules_pane
from dashboard.silencepane import silences_pane
from monitor.domain import Alert, AlertState

TABS: Final = ("inbox", "rules", "silences")
_STATES: Final = {
    "unresolved": (AlertState.OPEN, AlertState.ACKNOWLEDGED, AlertState.ESCALATED),
    "resolved": (AlertState.RESOLVED,),
    "all": (),
}


@widgets.guarded
def page() -> None:
    words = context.words()
    reads = context.reads()
    widgets.header(words("nav.alerts"), reads)
    key = "alerts.tab"
    if key not in st.session_state:
        given = st.query_params.get("tab", "inbox")
        st.session_state[key] = given if given in TABS else "inbox"
    tab = st.segmented_control(
        words("alerts.view"),
        TABS,
        key=key,
        format_func=lambda name: words(f"alerts.{name}"),
        required=True,
        label_visibility="collapsed",
    )
    if tab == "inbox":
        st.query_params.pop("tab", None)
        _inbox()
    else:
        st.query_params["tab"] = tab
        (rules_pane if tab == "rules" else silences_pane)(reads)


@st.fragment(run_every=widgets.LIVE)
@widgets.guarded
def _inbox() -> None:
    words, reads = context.words(), context.reads()
    key = "alerts.state"
    if key not in st.session_state:
        given = st.query_params.get("state", "unresolved")
        st.session_state[key] = given if given in _STATES else "unresolved"
    with st.container(horizontal=True, vertical_alignment="center"):
        state = st.segmented_control(
            words("alerts.state"),
            list(_STATES),
            key=key,
            format_func=lambda name: words(f"alerts.{name}"),
            required=True,
            label_visibility="collapsed",
        )
    if state == "unresolved":
        st.query_params.pop("state", None)
    else:
        st.query_params["state"] = state
    alerts = reads.alerts(_STATES[state])
    chosen = _chosen(reads)
    if not alerts and chosen is None:
        widgets.empty(words("alerts.none"), words("alerts.none_hint", n=len(reads.rules())))
        return
    left, right = st.columns([5, 6], gap="medium")
    with left:
        widgets.title(words("alerts.count", n=len(alerts)), words("news.zone", zone=str(context.zone())))
        event = st.dataframe(
            _table(alerts, words),
            key=f"alerts.list.{state}",
            hide_index=True,
            width="stretch",
            height=min(620, 70 + 32 * max(3, len(alerts))),
            row_height=32,
            on_select="rerun",
            selection_mode="single-row",
            column_config={
                words("column.expected"): st.column_config.NumberColumn(format="%.1f", width="small"),
                words("column.negative"): st.column_config.NumberColumn(width="small"),
            },
            alt=words("alerts.count", n=len(alerts)),
        )
        row = widgets.selected_row(event)
        if row is not None and row < len(alerts):
            chosen = alerts[row]
            st.query_params["id"] = str(chosen.id)
    with right:
        if chosen is None:
            widgets.empty(words("alerts.choose"))
        else:
            alert_pane(chosen, reads)


def _chosen(reads: Reads) -> Alert | None:
    given = st.query_params.get("id", "")
    return reads.alert(int(given)) if given.isascii() and given.isdigit() and len(given) < 16 else None


def _table(alerts: list[Alert], words: Words) -> pd.DataFrame:
    zone = context.zone()
    return pd.DataFrame(
        {
            words("column.severity"): [
                f"{palette.SEVERITY_MARK[alert.severity]} {words(f'severity.{alert.severity}')}" for alert in alerts
            ],
            words("column.series"): [words.series(alert.series) for alert in alerts],
            words("column.negative"): [alert.evidence.negative for alert in alerts],
            words("column.expected"): [alert.evidence.expected for alert in alerts],
            words("column.state"): [words(f"state_of.{alert.state}") for alert in alerts],
            words("column.opened"): [times.moment(alert.opened_at, zone) for alert in alerts],
            words("column.assignee"): [alert.assignee or "" for alert in alerts],
            words("column.rule"): [alert.rule for alert in alerts],
        }
    )
