"""The pages and their addresses; how one page opens another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Final, NoReturn

import streamlit as st

from dashboard import context

PAGES: Final = {
    "now": ":material/monitoring:",
    "news": ":material/newspaper:",
    "topics": ":material/category:",
    "watchlist": ":material/domain:",
    "alerts": ":material/notifications:",
    "score": ":material/edit_note:",
    "feeds": ":material/rss_feed:",
    "model": ":material/model_training:",
    "settings": ":material/settings:",
}
"""Address → icon, in the order of the menu."""


def page(name: str) -> st.Page:
    view = import_module(f"dashboard.views.{name}")
    return st.Page(
        view.page, title=context.words()(f"nav.{name}"), icon=PAGES[name], url_path=name, default=name == "now"
    )


def pages() -> list[st.Page]:
    return [page(name) for name in PAGES]


def go(name: str, **params: str | Sequence[str]) -> NoReturn:
    """Open another page with these parameters in its address."""
    given: Mapping[str, str | Sequence[str]] = params
    st.switch_page(page(name), query_params=dict(given))
