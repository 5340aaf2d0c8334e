"""D1, D4 and the part of D2 that needs no identity provider, on the pages themselves (see also tests/browser)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import charts, context, figures, i18n
from dashboard.safe import plain
from monitor.app import App
from monitor.errors import NotAllowedError
from monitor.people import Person
from tests.dashboard.conftest import Open, desk, empty_desk, open_page, seeded_file
from tests.dashboard.seeding import HOSTILE

__all__ = ["desk", "empty_desk", "open_page", "seeded_file"]

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "dashboard" / "script.py"
MARKDOWN = ("title", "header", "subheader", "caption", "markdown", "info", "warning", "error", "success")


def _in_markdown(page: AppTest) -> str:
    """All that the page hands to Streamlit's readers of markdown."""
    texts = [str(element.value) for kind in MARKDOWN for element in getattr(page, kind)]
    texts += [str(element.label) for element in (*page.button, *page.expander, *page.metric, *page.tabs)]
    return "\n".join(texts)


def _in_html(page: AppTest) -> str:
    return "\n".join(element.proto.body for element in page.get("html"))


def test_D1_a_hostile_title_reaches_no_reader_of_markdown_and_no_html(desk: App, open_page: Open) -> None:
    for name in ("news", "now", "topics", "watchlist", "alerts"):
        page = open_page(name, **({"q": "tracker"} if name == "news" else {}))
        assert not page.exception
        assert "tracker.invalid" not in _in_markdown(page)
        html = _in_html(page)
        assert "<img" not in html
        assert 'javascript:alert(1)"' not in html
        if name == "news":
            assert "![](http://tracker.invalid/x.png)" in html  # there, as text


def test_D1_a_hostile_name_in_a_chart_is_text() -> None:
    import pandas as pd

    frame = pd.DataFrame({"series": ["a"], "time": [pd.Timestamp("2026-01-01")], "share": [0.5]})
    figure = charts.lines(frame, "share", {"a": HOSTILE}, i18n.words("en"), timedelta(hours=1), share=True)
    assert "<" not in figure["data"][0]["name"]
    assert figures.CONFIG["typesetMath"] is False


def test_D1_a_hostile_reason_in_an_error_is_text() -> None:
    text = i18n.words("en")("error.known", reason=plain(HOSTILE))
    assert "](" not in text
    assert "$$" not in text
    assert ":red[" not in text


def test_D4_an_exception_in_a_page_shows_a_reference_and_no_traceback(
    desk: App, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret detail in /etc/headwind")

    monkeypatch.setattr(desk.store, "status", broken)
    page = open_page("news")
    assert not page.exception
    [shown] = [element.value for element in page.error]
    assert "reference" in shown
    assert "secret detail" not in shown
    assert "Traceback" not in shown


def test_D4_streamlit_itself_shows_no_details_either() -> None:
    import tomllib

    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert config["client"]["showErrorDetails"] == "none"
    assert config["client"]["toolbarMode"] == "viewer"


def test_D2_with_a_login_configured_and_nobody_logged_in_nothing_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never() -> None:
        raise AssertionError("the store was opened for somebody who is not logged in")

    monkeypatch.setattr(context, "app", never)
    page = AppTest.from_file(str(SCRIPT), default_timeout=30)
    page.secrets["auth"] = {
        "redirect_uri": "http://localhost/oauth2callback",
        "cookie_secret": "x" * 32,
        "client_id": "headwind",
        "client_secret": "secret",
        "server_metadata_url": "http://127.0.0.1:9/.well-known/openid-configuration",
    }
    page.run()
    assert not page.exception
    assert [button.label for button in page.button] == [i18n.words("en")("login.in")]
    assert not page.get("file_uploader")


def test_D2_an_action_without_the_role_is_refused_before_it_writes_and_audited(
    desk: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dashboard import actions

    monkeypatch.setattr(context, "person", lambda: Person("vic", "viewer"))
    feed = desk.store.feeds()[0]
    steps: dict[str, Any] = {
        "acknowledge an alert": lambda: actions.acknowledge(1),
        "judge an article": lambda: actions.judge_article(1, right=True),
        "add the sample news": actions.add_sample_news,
        "look at a feed": lambda: actions.preview_feed("http://127.0.0.1:9/"),
        "pause or resume a feed": lambda: actions.set_feed_enabled(feed.id, False),
        "change the watchlist": lambda: actions.remove_entity(desk.store.entities()[0].name),
        "change a rule": lambda: actions.switch_rule(desk.store.rules()[0], False),
        "promote a model": lambda: actions.promote("v2", ""),
        "change the quiet hours": lambda: actions.save_quiet_hours({}),
        "change who may do what": lambda: actions.grant("vic@desk.example", "admin"),
    }
    before = (desk.store.alerts(), desk.store.feeds(), desk.store.entities(), desk.store.rules(), desk.store.verdicts())
    for step, act in steps.items():
        with pytest.raises(NotAllowedError, match=f"to {step} one must be"):
            act()
        assert desk.store.audit(1)[0].action == "refused"
        assert desk.store.audit(1)[0].subject == step
    after = (desk.store.alerts(), desk.store.feeds(), desk.store.entities(), desk.store.rules(), desk.store.verdicts())
    assert after == before
