"""Who you are here, who has logged in of late, and what roles an admin granted beside the login's own."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import actions, context, markup, times, widgets
from dashboard.i18n import Words
from dashboard.queries import Reads
from dashboard.safe import plain
from monitor.errors import SettingsError
from monitor.people import GRANTED, ROLES


def people_pane(words: Words, reads: Reads) -> None:
    configured = context.login_configured()
    widgets.title(words("people.login" if configured else "people.open"))
    by = context.person()
    st.html(markup.facts([(words("people.you"), by.name), (words("people.role"), words(f"role.{by.role}"))]))
    for name in ROLES:
        st.html(markup.dim(words(f"people.{name}")))
    if not configured:
        return
    _logins(words, reads)
    granted: dict[str, str] = reads.setting(GRANTED) or {}
    widgets.title(words("people.granted", n=len(granted)), words("people.granted_note"))
    if granted:
        st.dataframe(
            pd.DataFrame(
                {
                    words("people.who"): list(granted),
                    words("people.role"): [words(f"role.{role}") for role in granted.values()],
                }
            ),
            hide_index=True,
            width="content",
        )
    if context.may("admin"):
        _grant(words, granted)


def _logins(words: Words, reads: Reads) -> None:
    """The last login of each person in the audit log."""
    last = {entry.actor: entry for entry in reversed(reads.audit(2000)) if entry.action == "login"}
    widgets.title(words("people.logins", n=len(last)))
    if not last:
        return
    rows = sorted(last.values(), key=lambda entry: entry.at, reverse=True)
    st.dataframe(
        pd.DataFrame(
            {
                words("people.who"): [entry.actor for entry in rows],
                words("people.role"): [words(f"role.{entry.detail.get('role', 'viewer')}") for entry in rows],
                words("column.time"): [times.moment(entry.at, context.zone()) for entry in rows],
            }
        ),
        hide_index=True,
        width="content",
    )


def _grant(words: Words, granted: dict[str, str]) -> None:
    with st.form("people.grant", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        who = st.text_input(words("people.who"), max_chars=200, width=320, placeholder="name@company.example")
        role = st.selectbox(words("people.role"), ROLES, format_func=lambda name: words(f"role.{name}"), width=160)
        if st.form_submit_button(words("people.grant")):
            _set(who, role)
    if granted:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            gone = st.selectbox(words("people.take_back_whom"), list(granted), width=320, key="people.gone")
            if st.button(words("people.take_back")) and gone:
                _set(gone, "")


def _set(who: str, role: str) -> None:
    try:
        actions.grant(who, role)
    except SettingsError as error:
        st.error(plain(error))
    else:
        st.rerun()
