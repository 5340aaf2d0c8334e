"""The frame around every page: the login when one is configured, the menu, the language switch."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import streamlit as st

from dashboard import context, nav
from dashboard.safe import plain
from monitor.errors import MonitorError

ASSETS: Final = Path(__file__).resolve().parent / "assets"


def run() -> None:
    st.set_page_config(page_title="Headwind", page_icon=str(ASSETS / "mark.svg"), layout="wide")
    st.logo(str(ASSETS / "logo.svg"), size="medium", icon_image=str(ASSETS / "mark.svg"))
    words = context.words()
    if not context.may_enter():
        _login()
        return
    try:
        context.app()
    except MonitorError as error:
        st.title(words("error.closed_title"), anchor=False)
        st.error(plain(error))
        return
    chosen = st.navigation(nav.pages(), position="top")
    if context.login_configured():
        with st.sidebar:
            st.text(words("login.as", name=context.actor(), role=words(f"role.{context.role()}")))
            st.button(words("login.out"), on_click=st.logout)
    chosen.run()


def _login() -> None:
    words = context.words()
    st.title("Headwind", anchor=False)
    st.text(words("login.why"))
    st.button(words("login.in"), type="primary", on_click=st.login)
