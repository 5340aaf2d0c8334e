"""What every page needs before it shows anything: the app object, the words, the viewer's zone, who is looking.

The app (settings, store, classifier) is opened once a process and shared by all sessions.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from dashboard import i18n
from dashboard.queries import Reads
from dashboard.times import zone_named
from monitor.errors import MonitorError

if TYPE_CHECKING:
    from monitor.app import App

ROLES: Final = ("viewer", "analyst", "admin")
LANGUAGE_KEY: Final = "language"


class NotAllowedError(MonitorError):
    """The viewer's role does not cover what was asked for."""


@st.cache_resource(show_spinner=False)
def app() -> App:
    """The composition root, opened with the deployment's settings. Raises `MonitorError` with one line."""
    from monitor.app import open_app
    from monitor.settings import load_settings

    return open_app(load_settings(), role="reader")


def reads() -> Reads:
    opened = app()
    return Reads(opened.store, opened.settings.store_url)


def now() -> datetime:
    return datetime.now(UTC)


def zone() -> tzinfo:
    return zone_named(st.context.timezone)


def words() -> i18n.Words:
    """The catalogue of the session's language: what the switch says, else what the browser says."""
    chosen = st.session_state.get(LANGUAGE_KEY)
    return i18n.words(chosen if chosen in i18n.LANGUAGES else i18n.choose(st.context.locale))


def login_configured() -> bool:
    """Whether `[auth]` stands in Streamlit's secrets, so that people have to log in."""
    try:
        return "auth" in st.secrets
    except FileNotFoundError:
        return False


def may_enter() -> bool:
    """Whether the session may see anything at all."""
    return not login_configured() or bool(st.user.get("is_logged_in", False))


def actor() -> str:
    """Who acts, as the audit log names them."""
    if login_configured() and st.user.get("is_logged_in", False):
        return str(st.user.get("email") or st.user.get("name") or st.user.get("sub") or "unknown")
    return "dashboard"


def role() -> str:
    """viewer, analyst or admin, from the login's `roles` claim; without a login everyone on loopback is admin."""
    if not login_configured():
        return "admin"
    claimed: Any = st.user.get("roles") or ()
    names = {claimed} if isinstance(claimed, str) else {str(name) for name in claimed}
    return next((name for name in reversed(ROLES) if name in names), "viewer")


def may(needed: str) -> bool:
    return ROLES.index(role()) >= ROLES.index(needed)


def require(needed: str) -> str:
    """Checked by every action right before it writes, not only by the page that shows its button; gives the actor."""
    if not may_enter() or not may(needed):
        raise NotAllowedError(words()("error.not_allowed", role=words()(f"role.{needed}")))
    return actor()


@st.cache_data(ttl=3600, max_entries=500, show_spinner=False)
def _explained(version: str, text: str) -> list[tuple[int, int, float]]:
    from models.explain import explain

    return [(word.start, word.end, word.contribution) for word in explain(app().classifier(), text)]


def explained(text: str) -> list[tuple[int, int, float]]:
    """(start, end, contribution) of the words of a text to its sentiment, by the live model."""
    return _explained(app().classifier().version, text)


def model_to_score_with() -> str | None:
    """The version or folder that a scoring process of its own should open: the one that pages use."""
    opened = app()
    live = opened.store.live_model()
    return opened.settings.model or (live[0] if live else None)
