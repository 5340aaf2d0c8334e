"""The frame around every page: the login when one is configured, the menu, the language switch."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Final

import streamlit as st

from dashboard import admission, context, nav
from dashboard.i18n import Words
from dashboard.safe import plain
from monitor.errors import MonitorError

ASSETS: Final = Path(__file__).resolve().parent / "assets"


def run() -> None:
    st.set_page_config(page_title="Headwind", page_icon=str(ASSETS / "mark.svg"), layout="wide")
    st.logo(str(ASSETS / "logo.svg"), size="medium", icon_image=str(ASSETS / "mark.svg"))
    words = context.words()
    try:
        entered = context.may_enter()
    except MonitorError as error:
        _closed(words, error)
        return
    if not entered:
        _login(words)
        return
    try:
        context.app()
        _note_login()
    except MonitorError as error:
        _closed(words, error)
        return
    admission.admit()
    chosen = st.navigation(nav.pages(), position="top")
    if context.login_configured():
        with st.sidebar:
            st.text(words("login.as", name=context.actor(), role=words(f"role.{context.role()}")))
            st.button(words("login.out"), on_click=st.logout)
    chosen.run()
    _settle(chosen.url_path)


@st.cache_resource(show_spinner=False)
def _settle(page: str) -> None:
    """Once a page and process: what is loaded by now stays for good, so the collector need not look at it again.

    Streamlit collects all generations after every run of a script. With pandas and plotly loaded that alone takes
    several times as long as a page does; the objects of a run are still freed and collected.
    """
    gc.collect()
    gc.freeze()


def _closed(words: Words, error: MonitorError) -> None:
    admission.dismiss()
    st.title(words("error.closed_title"), anchor=False)
    st.error(plain(error))


def _login(words: Words) -> None:
    """For who is not logged in, whose login is too old, and who has no role here."""
    admission.dismiss()
    st.title("Headwind", anchor=False)
    if context.logged_in():
        st.text(words("login.no_role"))
        st.button(words("login.out"), on_click=st.logout)
        return
    st.text(words("login.why"))
    st.button(words("login.in"), type="primary", on_click=st.login)


@st.cache_resource(show_spinner=False)
def _noted() -> set[tuple[str, str]]:
    return set()


def _note_login() -> None:
    """Each login once in the audit log, with the role that it came with."""
    if not context.login_configured():
        return
    by, mark = context.person(), str(st.user.get("iat"))
    if (by.name, mark) not in _noted():
        _noted().add((by.name, mark))
        context.app().store.append_audit(by.name, "login", by.name, {"role": by.role}, context.now())
