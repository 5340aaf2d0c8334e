"""Settings: what a desk changes (channels, quiet hours, retention), what went out, who did what, how it is set up."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard import actions, auditwords, context, markup, times, widgets
from dashboard.channelpane import channels_pane
from dashboard.i18n import Words
from dashboard.peoplepane import people_pane
from dashboard.queries import Reads
from dashboard.safe import plain
from dashboard.said import said
from monitor import keeping
from monitor.domain import DeliveryState, Severity
from monitor.settings import described

VIEWS: Final = ("channels", "quiet", "deliveries", "retention", "audit", "people", "deployment")
_SECRET: Final = ("database_url", "egress_proxy", "heartbeat_url")


@widgets.guarded
def page() -> None:
    words = context.words()
    reads = context.reads()
    widgets.header(words("nav.settings"), reads)
    view = widgets.view_switch("settings.view", VIEWS, "settings")
    if view == "channels":
        channels_pane(words, reads)
    elif view == "quiet":
        _quiet(words, reads)
    elif view == "deliveries":
        _deliveries(words, reads)
    elif view == "retention":
        _retention(words)
    elif view == "audit":
        _audit(words, reads)
    elif view == "people":
        people_pane(words, reads)
    else:
        _deployment(words)


def _quiet(words: Words, reads: Reads) -> None:
    value: dict[str, Any] = reads.setting("quiet_hours") or {}
    widgets.title(words("quiet.on" if value else "quiet.off"), words("quiet.note"))
    if not context.may("admin"):
        return
    with st.form("quiet"):
        left, middle, right, last = st.columns(4)
        start = left.text_input(words("quiet.start"), value=value.get("start", "22:00"), max_chars=5)
        end = middle.text_input(words("quiet.end"), value=value.get("end", "07:00"), max_chars=5)
        zone = right.text_input(words("quiet.zone"), value=value.get("timezone", str(context.zone())), max_chars=60)
        options = [Severity.WARNING, Severity.CRITICAL]
        below = last.selectbox(
            words("quiet.below"),
            options,
            index=options.index(Severity(value.get("below", "critical"))),
            format_func=lambda name: words(f"severity.{name}"),
        )
        with st.container(horizontal=True):
            if st.form_submit_button(words("quiet.save"), type="primary"):
                actions.save_quiet_hours({"start": start, "end": end, "timezone": zone, "below": below.value})
                st.rerun()
            if value and st.form_submit_button(words("quiet.stop")):
                actions.save_quiet_hours({})
                st.rerun()


def _retention(words: Words) -> None:
    app, now = context.app(), context.now()
    days = keeping.retention_days(app.store, app.settings.retention_days)
    widgets.title(words("retention.title", n=days) if days else words("retention.forever"), words("retention.note"))
    st.html(markup.dim(words("retention.deployment", n=app.settings.retention_days)))
    if not context.may("admin"):
        return
    with st.container(border=True, width=420):
        given = int(st.number_input(words("retention.days"), min_value=0, max_value=36_500, value=days, step=30))
        old = keeping.would_go(app.store, given, now)
        if old:
            st.html(markup.paragraph(words("retention.would_go", n=f"{old:,}")))
        sure = not old or st.checkbox(words("retention.sure"))
        if st.button(words("retention.save"), type="primary", disabled=not sure or given == days):
            actions.save_retention(given)
            st.rerun()


def _deliveries(words: Words, reads: Reads) -> None:
    deliveries = reads.deliveries()
    dead = [one for one in deliveries if one.state is DeliveryState.DEAD]
    counts = reads.status().deliveries
    widgets.title(
        words(
            "delivery.title",
            sent=f"{counts.get('sent', 0):,}",
            pending=f"{counts.get('pending', 0) + counts.get('failed', 0):,}",
            dead=f"{counts.get('dead', 0):,}",
        )
    )
    if not deliveries:
        widgets.empty(words("delivery.none"))
        return
    zone = context.zone()
    st.dataframe(
        pd.DataFrame(
            {
                words("column.time"): [times.moment(one.created, zone) for one in deliveries],
                words("channel.name"): [one.channel for one in deliveries],
                words("delivery.reason"): [words(f"send.{one.reason}") for one in deliveries],
                words("column.state"): [words(f"delivery.{one.state}") for one in deliveries],
                words("delivery.attempts"): [one.attempts for one in deliveries],
                words("delivery.sent_at"): [times.moment(one.sent_at, zone) for one in deliveries],
                words("column.problem"): [said(one.last_error or "", words) for one in deliveries],
            }
        ),
        hide_index=True,
        width="stretch",
        height=480,
    )
    if dead and context.may("analyst"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            chosen = st.selectbox(
                words("delivery.dead_one"),
                dead,
                format_func=lambda one: f"{times.moment(one.created, zone)} · {one.channel}",
                width=360,
            )
            if st.button(words("delivery.resend")) and chosen is not None:
                actions.resend(chosen.id)
                st.rerun()


def _audit(words: Words, reads: Reads) -> None:
    entries = reads.audit(500)
    widgets.title(words("audit.title"), words("audit.note"))
    if st.button(words("audit.verify")):
        broken = context.app().store.verify_audit()
        if broken is None:
            st.success(words("audit.whole"))
        else:
            st.error(plain(broken))
    zone = context.zone()
    st.dataframe(
        pd.DataFrame(
            {
                words("audit.seq"): [entry.seq for entry in entries],
                words("column.time"): [times.moment(entry.at, zone, seconds=True) for entry in entries],
                words("column.actor"): [entry.actor for entry in entries],
                words("audit.action"): [auditwords.action(entry.action, words) for entry in entries],
                words("audit.subject"): [auditwords.subject(entry.action, entry.subject, words) for entry in entries],
                words("audit.detail"): [auditwords.detail(entry.detail, words) for entry in entries],
                words("audit.hash"): [entry.hash[:12] for entry in entries],
            }
        ),
        hide_index=True,
        width="stretch",
        height=560,
    )


def _deployment(words: Words) -> None:
    widgets.title(words("deployment.title"), words("deployment.note"))
    settings = context.app().settings
    rows = described()
    st.dataframe(
        pd.DataFrame(
            {
                words("deployment.name"): [variable for _, variable, _, _ in rows],
                words("deployment.value"): [_shown(name, getattr(settings, name), words) for name, *_ in rows],
                words("deployment.help"): [words.get(f"deploy.{name}") or text for name, *_, text in rows],
            }
        ),
        hide_index=True,
        width="stretch",
        height="content",
    )


def _shown(name: str, value: Any, words: Words) -> str:
    if name in _SECRET:
        return words("deployment.set") if value else ""
    if isinstance(value, tuple):
        return ", ".join(str(part) for part in value)
    return str(value)
