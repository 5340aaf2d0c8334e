"""Alerts: what fired, on what evidence, and who looks after it."""

from __future__ import annotations

from typing import Final

import pandas as pd
import streamlit as st

from dashboard import context, palette, times, widgets
from dashboard.alertpane import alert_pane
from dashboard.i18n import Words
from dashboard.rulepane import rules_pane
from dashboard.silencepane import silences_pane
from monitor.domain import Alert, AlertState, Severity

_STATES: Final = {
    "unresolved": (AlertState.OPEN, AlertState.ACKNOWLEDGED, AlertState.ESCALATED),
    "resolved": (AlertState.RESOLVED,),
    "all": (),
}
_URGENCY: Final = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)
VIEWS: Final = (*_STATES, "rules", "silences")


@widgets.guarded
def page() -> None:
    words = context.words()
    reads = context.reads()
    widgets.header(words("nav.alerts"), reads, live=True)
    view = widgets.view_switch("alerts.view", VIEWS, "alerts")
    if view in _STATES:
        _inbox(view)
    else:
        (rules_pane if view == "rules" else silences_pane)(reads)


@st.fragment(run_every=widgets.LIVE)
@widgets.guarded
def _inbox(state: str) -> None:
    words, reads = context.words(), context.reads()
    alerts = reads.alerts(_STATES[state])
    if state == "unresolved":
        alerts = sorted(
            alerts, key=lambda alert: (alert.inhibited_by is not None, -_URGENCY.index(alert.severity), -alert.id)
        )
    shared = "alert" in st.query_params
    if not alerts and not shared:
        watching = sum(rule.enabled for rule in reads.rules())
        widgets.empty(words("alerts.none"), words("alerts.none_hint", n=watching))
        return
    left, right = st.columns(2, gap="medium")
    with left:
        count = words("alerts.count", n=len(alerts))
        widgets.title(count, words("news.zone", zone=str(context.zone())))
        chosen_id = widgets.choose(
            _table(alerts, words),
            [alert.id for alert in alerts],
            key=f"alerts.list.{state}",
            parameter="alert",
            fallback=not shared,
            height=widgets.table_height(len(alerts), 680),
            column_config={
                words("column.severity"): st.column_config.TextColumn(width=76),
                words("column.series"): st.column_config.TextColumn(width=124),
                words("column.opened"): st.column_config.TextColumn(width=84),
                words("column.negative"): st.column_config.NumberColumn(width=60),
                words("column.rule"): st.column_config.TextColumn(width=96),
                words("column.state"): st.column_config.TextColumn(width=80),
            },
            alt=count,
        )
    with right:
        alert_id = widgets.number(chosen_id)
        chosen = reads.alert(alert_id) if alert_id is not None else None
        if chosen is None:
            widgets.empty(words("alerts.choose"))
        else:
            alert_pane(chosen, reads)


def _table(alerts: list[Alert], words: Words) -> pd.DataFrame:
    zone = context.zone()
    return pd.DataFrame(
        {
            words("column.severity"): [
                f"{palette.SEVERITY_MARK[alert.severity]} {words(f'severity.{alert.severity}')}" for alert in alerts
            ],
            words("column.series"): [words.series(alert.series) for alert in alerts],
            words("column.opened"): [times.compact(alert.opened_at, zone, context.now()) for alert in alerts],
            words("column.negative"): [alert.evidence.negative for alert in alerts],
            words("column.rule"): [alert.rule for alert in alerts],
            words("column.state"): [
                " · ".join(part for part in (words(f"state_of.{alert.state}"), alert.assignee) if part)
                for alert in alerts
            ],
        }
    )
