"""Who somebody is and what they may do: claims, grants, the first admin."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from monitor import people, upkeep
from monitor.domain import NewFeed, ParsedFeed
from monitor.errors import NotAllowedError, SettingsError
from monitor.people import Person, grant, granted_roles, identities, read_names, role_of
from monitor.store.base import Store

ANA: dict[str, Any] = {"sub": "u-1", "email": "Ana@Desk.example", "roles": ["analyst"]}
ADMIN, VIEWER = Person("ada", "admin"), Person("vic", "viewer")


def test_the_highest_role_that_a_claim_names_counts() -> None:
    assert role_of(ANA) == "analyst"
    assert role_of({**ANA, "roles": ["viewer", "admin", "cook"]}) == "admin"
    assert role_of({**ANA, "roles": "viewer analyst"}) == "analyst"
    assert role_of({**ANA, "roles": None}) == "viewer"
    assert role_of({**ANA, "roles": {"admin": True}}) == "viewer"


def test_a_claim_may_be_nested_or_have_dots_in_its_name() -> None:
    assert role_of({"sub": "u", "realm_access": {"roles": ["admin"]}}, claim="realm_access.roles") == "admin"
    assert role_of({"sub": "u", "https://desk.example/roles": ["admin"]}, claim="https://desk.example/roles") == "admin"
    assert role_of({"sub": "u", "realm_access": "admin"}, claim="realm_access.roles") == "viewer"


def test_the_providers_own_names_stand_for_roles() -> None:
    names = read_names("risk-desk=analyst, it ops = admin")
    assert role_of({**ANA, "groups": ["it ops"]}, claim="groups", names=names) == "admin"
    for wrong in ("risk-desk", "risk-desk=boss", "=admin"):
        with pytest.raises(SettingsError, match="role_names"):
            read_names(wrong)


def test_without_a_role_the_default_decides() -> None:
    assert role_of({"sub": "u"}) == "viewer"
    assert role_of({"sub": "u"}, default="none") is None


def test_the_first_admin_is_known_by_a_checked_address_or_the_subject() -> None:
    assert role_of(ANA, first_admin="ana@desk.example") == "admin"
    assert role_of(ANA, first_admin="u-1") == "admin"
    for said in (False, "false"):
        assert role_of({**ANA, "email_verified": said}, first_admin="ana@desk.example") == "analyst"
    assert role_of({"sub": "u", "name": "ana@desk.example", "preferred_username": "ana@desk.example"},
                   first_admin="ana@desk.example") == "viewer"  # fmt: skip
    assert role_of({"sub": ""}, first_admin="") == "viewer"
    assert identities({"email": "x@y.example", "email_verified": "false"}) == ()


def test_an_admin_grants_a_role_and_takes_it_back(store: Store, now: datetime) -> None:
    grant(store, " Ana@Desk.example ", "admin", ADMIN, now)
    assert granted_roles(store) == {"ana@desk.example": "admin"}
    assert role_of({**ANA, "roles": []}, granted=granted_roles(store)) == "admin"
    assert (store.audit(1)[0].actor, store.audit(1)[0].action) == ("ada", "setting")
    grant(store, "ana@desk.example", "", ADMIN, now)
    assert granted_roles(store) == {}
    with pytest.raises(SettingsError, match="'boss'"):
        grant(store, "ana@desk.example", "boss", ADMIN, now)
    with pytest.raises(SettingsError, match="name the e-mail"):
        grant(store, "  ", "admin", ADMIN, now)


def test_a_viewer_is_refused_by_the_use_case_and_the_log_says_so(store: Store, now: datetime) -> None:
    with pytest.raises(NotAllowedError, match="to change who may do what one must be admin; vic is a viewer"):
        grant(store, "vic", "admin", VIEWER, now)
    with pytest.raises(NotAllowedError) as caught:
        upkeep.add_missing_feeds(store, [NewFeed(url="https://news.example/rss")], VIEWER, now)
    assert caught.value.needed == "analyst"
    assert store.feeds() == []
    assert granted_roles(store) == {}
    assert [(e.actor, e.action, e.subject) for e in store.audit(2)] == [
        ("vic", "refused", "add feeds"),
        ("vic", "refused", "change who may do what"),
    ]


def test_what_changes_a_feed_is_audited_under_the_name_of_who_did_it(store: Store, now: datetime) -> None:
    upkeep.add_missing_feeds(store, [NewFeed(url="https://news.example/rss")], Person("ana", "analyst"), now)
    [feed] = store.feeds()
    upkeep.set_feed_enabled(store, feed.id, False, Person("ana", "analyst"), now)
    upkeep.remove_feed(store, feed.id, Person("ana", "analyst"), now)
    assert [entry.action for entry in store.audit(3)] == ["feed.remove", "feed.pause", "feed.add"]
    assert {entry.actor for entry in store.audit(3)} == {"ana"}
    assert people.OPERATOR.role == "admin"


def test_the_password_in_a_feeds_address_is_not_in_the_audit_log(store: Store, now: datetime) -> None:
    url = "https://desk:hunter2@news.example/rss?token=hunter2"
    upkeep.add_missing_feeds(store, [NewFeed(url=url)], people.OPERATOR, now)
    [feed] = store.feeds()
    assert feed.url == url
    upkeep.set_feed_enabled(store, feed.id, False, people.OPERATOR, now)
    upkeep.remove_feed(store, feed.id, people.OPERATOR, now)
    upkeep.add_feed(store, NewFeed(url=url), lambda _: ParsedFeed(title="News", language="en", drafts=()), ADMIN, now)
    told = [f"{entry.subject} {entry.detail}" for entry in store.audit(9)]
    assert len(told) == 4
    assert all("***@news.example/rss?token=***" in line and "hunter2" not in line for line in told)
