"""Each page over a seeded store and over an empty one."""

from __future__ import annotations

import pytest

from dashboard.nav import PAGES
from monitor.app import App
from tests.dashboard.conftest import Open


@pytest.mark.parametrize("name", list(PAGES))
def test_every_page_opens_over_news(name: str, desk: App, open_page: Open) -> None:
    page = open_page(name)
    assert not page.exception
    assert not page.error
    assert page.title


@pytest.mark.parametrize("name", list(PAGES))
def test_every_page_opens_over_an_empty_store(name: str, empty_desk: App, open_page: Open) -> None:
    page = open_page(name)
    assert not page.exception
    assert not page.error
    assert "No data yet" in everything(page)


def test_a_rule_that_is_off_is_not_said_to_watch(empty_desk: App, open_page: Open) -> None:
    empty_desk.prepare()
    rules = empty_desk.store.rules()
    on = sum(rule.enabled for rule in rules)
    assert 0 < on < len(rules)
    page = open_page("alerts")
    assert f"{on} rules are watching" in everything(page)


def everything(page) -> str:  # type: ignore[no-untyped-def]
    """All text of a page that AppTest can see, also that of HTML blocks."""
    parts = []
    for node in page.main:
        proto = getattr(node, "proto", None)
        parts.append(str(getattr(proto, "body", "") or getattr(node, "value", "") or ""))
    return "\n".join(parts)
