"""What every page needs before it shows anything: the app object, the words, the viewer's zone, who is looking.

The app (settings, store) is opened once a process and shared by all sessions. Its classifier answers from a process of
its own: no network runs where pages are made.
"""

from __future__ import annotations

import contextlib
import threading
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from dashboard import i18n
from dashboard.queries import Reads
from dashboard.times import zone_named
from models.errors import ModelError
from monitor.errors import MonitorError, NotAllowedError
from monitor.people import GRANTED, ROLES, Person, identities, name_of, read_names, role_of
from monitor.settings import Settings, load_settings

if TYPE_CHECKING:
    from models.backend import Classifier
    from monitor.app import App
    from monitor.login import Login

LANGUAGE_KEY: Final = "language"
NO_LOGIN: Final = Person("dashboard", "admin")
"""Whoever sits at the machine, where no login is configured."""


@st.cache_resource(show_spinner=False)
def app() -> App:
    """The composition root, opened with the deployment's settings. Raises `MonitorError` with one line."""
    from monitor.app import open_app

    return open_app(load_settings(), role="reader", scores_apart=True)


def reads() -> Reads:
    """The reads of one run, for those who may enter."""
    person()
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


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    return load_settings()


@st.cache_resource(show_spinner=False)
def login() -> Login | None:
    """The login of the deployment. Raises `SettingsError` for one that is there and cannot be used."""
    from monitor.login import read_login

    return read_login(settings())


def login_configured() -> bool:
    """Whether people have to log in: by the deployment's file, or by secrets that Streamlit found on its own."""
    if login() is not None:
        return True
    try:
        return "auth" in st.secrets
    except FileNotFoundError:
        return False


def _claims() -> dict[str, Any] | None:
    """What the login says of the person; None without one, and when it is too old."""
    if not st.user.get("is_logged_in", False):
        return None
    claims: dict[str, Any] = dict(st.user.to_dict())
    hours = settings().login_hours
    # Every ID token says when it was issued; the cookie that keeps it would hold for thirty days.
    age = now().timestamp() - float(claims.get("iat") or 0)
    return None if hours and age > hours * 3600 else claims


def may_enter() -> bool:
    """Whether the session may see anything at all. Reads no store for somebody who is not logged in."""
    return role() is not None


def logged_in() -> bool:
    return login_configured() and _claims() is not None


def role() -> str | None:
    """viewer, analyst or admin; None for who may not enter. Without a login everyone on loopback is admin."""
    if not login_configured():
        return NO_LOGIN.role
    claims = _claims()
    if claims is None or not identities(claims):
        return None
    opened, ours = app(), settings()
    return role_of(
        claims,
        claim=ours.roles_claim,
        names=read_names(ours.role_names),
        first_admin=ours.first_admin,
        granted=Reads(opened.store, opened.settings.store_url).setting(GRANTED) or {},
        default=ours.default_role,
    )


def person() -> Person:
    """Who acts and in which role, for the use cases to check. Raises `NotAllowedError` for who may not enter."""
    own = role()
    if own is None:
        raise NotAllowedError(words()("login.why"), needed=ROLES[0])
    return Person(name_of(_claims() or {}), own) if login_configured() else NO_LOGIN


def actor() -> str:
    """Who acts, as the audit log names them."""
    return person().name


def may(needed: str) -> bool:
    """Whether the person's role covers it: for a page to show or hide a button. The use case checks by itself."""
    own = role()
    return own is not None and ROLES.index(own) >= ROLES.index(needed)


def warm_up() -> None:
    """Start the scoring process now, without waiting for it, so that a text which is pasted next is answered at once.
    Why it does not start is said to whoever asks it something."""

    def start() -> None:
        with contextlib.suppress(ModelError, MonitorError):
            opened.classifier()

    opened = app()
    threading.Thread(target=start, daemon=True).start()


@st.cache_data(ttl=3600, max_entries=500, show_spinner=False)
def _explained(version: str, text: str) -> list[tuple[int, int, float]]:
    from models.explain import explain

    return [(word.start, word.end, word.contribution) for word in explain(app().classifier(), text)]


def explained(text: str) -> list[tuple[int, int, float]]:
    """(start, end, contribution) of the words of a text to its sentiment, by the live model."""
    return _explained(app().classifier().version, text)


def open_for_a_job() -> Classifier:
    """A scoring process of its own for a long job: the model that pages use, on the deployment's backend and device,
    and one thread of the CPU, so that pages and pasted texts are answered meanwhile."""
    opened = app()
    return opened.open_classifier(opened.live_version() or opened.settings.model or None, threads=1)
