"""Logging in, in a real browser against a small OpenID provider; D2: nothing before that, nothing from elsewhere."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, WebSocket, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from monitor.store import open_store
from tests.browser.conftest import PATIENCE_MS, Served, serving
from tests.browser.oidc import Provider
from tests.tools import free_port, require_tool

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

VERA = {"sub": "u-vera", "email": "vera@desk.example", "realm": {"roles": ["offline", "viewer"]}}
ANA = {"sub": "u-ana", "email": "ana@desk.example", "realm": {"roles": ["risk-desk"]}}
ADA = {"sub": "u-ada", "email": "ada@desk.example", "realm": {"roles": ["admin"]}}
FIRST = {"sub": "u-first", "email": "First@Desk.example"}
NOBODY = {"sub": "u-nobody", "email": "nobody@desk.example", "realm": {"roles": ["canteen"]}}


@dataclass
class Place:
    served: Served
    provider: Provider

    def audit(self) -> list[tuple[str, str, dict[str, object]]]:
        store = open_store(f"sqlite:///{self.served.home / 'headwind.db'}", role="reader")
        try:
            return [(entry.actor, entry.action, entry.detail) for entry in store.audit(50)]
        finally:
            store.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    require_tool("chromium", "/usr/bin/chromium")
    home, port = tmp_path_factory.mktemp("login"), free_port()
    provider = Provider(f"http://127.0.0.1:{port}/oauth2callback")
    (home / "login.toml").write_text(provider.login_file(), encoding="utf-8")
    settings = {
        "FIRST_ADMIN": "first@desk.example",
        "ROLES_CLAIM": "realm.roles",
        "ROLE_NAMES": "risk-desk=analyst",
        "DEFAULT_ROLE": "none",
    }
    try:
        with serving(home, port, **settings) as served:
            yield Place(served, provider)
    finally:
        provider.close()


@pytest.fixture
def tab(browser: Browser, place: Place) -> Iterator[BrowserContext]:
    """A browser of somebody's own: no cookie of the test before."""
    place.provider.lies, place.provider.forged = {}, False
    context = browser.new_context(locale="en-GB", timezone_id="Europe/Zurich")
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


def log_in(tab: BrowserContext, place: Place, person: dict[str, object], path: str = "") -> Page:
    place.provider.person = person
    page = tab.new_page()
    page.goto(f"{place.served.url}/{path}")
    page.get_by_role("button", name="Log in").click()
    return page


def session_of(page: Page, url: str) -> str:
    """The number of the session that opening `url` starts, as the server tells the browser."""
    found: list[str] = []

    def frame(payload: bytes | str) -> None:
        message = ForwardMsg()
        if isinstance(payload, bytes):
            message.ParseFromString(payload)
            if message.WhichOneof("type") == "new_session":
                found.append(message.new_session.initialize.session_id)

    def socket(opened: WebSocket) -> None:
        opened.on("framereceived", frame)

    page.on("websocket", socket)
    page.goto(url)
    page.wait_for_selector("h1")
    return next(one for one in found if one)


def upload(tab: BrowserContext, url: str, session: str, **headers: str) -> tuple[int, str]:
    """A PUT past the page, with the token that every visitor is given."""
    host = urlsplit(url)
    cookies = {cookie["name"]: cookie["value"] for cookie in tab.cookies(url)}
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\nwords\r\n--x--\r\n"
    )
    connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=20)
    given = {
        "Content-Type": "multipart/form-data; boundary=x",
        "X-Xsrftoken": cookies["_streamlit_xsrf"],
        "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
        **headers,
    }
    connection.request("PUT", f"/_stcore/upload_file/{session}/file-1", body=body, headers=given)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_D2_without_a_login_nothing_is_shown_and_no_upload_is_taken(tab: BrowserContext, place: Place) -> None:
    page = tab.new_page()
    session = session_of(page, f"{place.served.url}/news")
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    expect(page.get_by_test_id("stDataFrame")).to_have_count(0)
    assert page.get_by_test_id("stMain").inner_text().split("\n")[0] == "Headwind"
    assert upload(tab, place.served.url, session) == (403, "log in first\n")


def test_D2_the_same_upload_is_taken_after_a_login_but_not_for_a_page_from_elsewhere(
    tab: BrowserContext, place: Place
) -> None:
    page = log_in(tab, place, VERA)
    expect(page.get_by_text("vera@desk.example (viewer)")).to_be_attached()
    session = session_of(tab.new_page(), place.served.url)
    status, text = upload(tab, place.served.url, session, Origin="https://evil.invalid")
    assert (status, text) == (403, "the page that asks is from another address\n")
    assert upload(tab, place.served.url, session, Origin=place.served.url)[0] == 204


def test_the_round_trip_uses_pkce_state_and_nonce_and_a_log_out_ends_it_at_the_provider(
    tab: BrowserContext, place: Place
) -> None:
    place.provider.asked.clear()
    page = log_in(tab, place, VERA)
    expect(page.get_by_text("vera@desk.example (viewer)")).to_be_attached()
    [asked] = place.provider.questions("/authorize")
    assert asked["code_challenge_method"] == "S256"
    assert {"nonce", "state", "code_challenge"} <= set(asked)
    [token] = place.provider.questions("/token")
    assert token["grant_type"] == "authorization_code"
    assert token["code_verifier"]
    assert ("vera@desk.example", "login", {"role": "viewer"}) in place.audit()
    _menu(page)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    [left] = place.provider.questions("/logout")
    assert left["id_token_hint"]
    assert left["client_id"] == "headwind"
    page.reload()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()


@pytest.mark.parametrize(
    ("person", "shown", "acts", "sets_up"),
    [
        (VERA, "vera@desk.example (viewer)", False, False),
        (ANA, "ana@desk.example (analyst)", True, False),
        (ADA, "ada@desk.example (admin)", True, True),
        (FIRST, "first@desk.example (admin)", True, True),
    ],
    ids=["viewer", "analyst", "admin", "first admin"],
)
def test_the_claim_gives_the_role_and_the_setting_the_first_admin(
    tab: BrowserContext, place: Place, person: dict[str, object], shown: str, acts: bool, sets_up: bool
) -> None:
    page = log_in(tab, place, person)
    expect(page.get_by_text(shown)).to_be_attached()
    page.goto(f"{place.served.url}/alerts?alert=1")
    expect(page.get_by_role("heading", name="Credit distress")).to_be_visible()
    expect(page.get_by_role("button", name="Comment")).to_have_count(1 if acts else 0)
    page.goto(f"{place.served.url}/settings?view=quiet")
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    expect(page.get_by_test_id("stForm")).to_have_count(1 if sets_up else 0)


def test_a_login_that_has_no_role_here_sees_nothing(tab: BrowserContext, place: Place) -> None:
    page = log_in(tab, place, NOBODY)
    expect(page.get_by_text("no role here is yours")).to_be_visible()
    expect(page.get_by_test_id("stDataFrame")).to_have_count(0)
    expect(page.get_by_role("link", name="News")).to_have_count(0)


@pytest.mark.parametrize(
    ("lies", "forged"),
    [
        ({}, True),
        ({"nonce": "of another round"}, False),
        ({"aud": "another-client"}, False),
        ({"iat": 1, "exp": 9}, False),
    ],
    ids=["signed by another", "replayed", "for another client", "expired"],
)
def test_a_token_that_is_not_ours_does_not_log_in(
    tab: BrowserContext, place: Place, lies: dict[str, object], forged: bool
) -> None:
    place.provider.lies, place.provider.forged = lies, forged
    page = log_in(tab, place, ADA)
    page.wait_for_url(f"{place.served.url}/")
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    expect(page.get_by_text("ada@desk.example")).to_have_count(0)


def test_a_login_from_yesterday_is_asked_again(tab: BrowserContext, place: Place) -> None:
    place.provider.lies = {"iat": int(time.time()) - 13 * 3600}
    page = log_in(tab, place, ADA)
    page.wait_for_url(f"{place.served.url}/")
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    expect(page.get_by_text("ada@desk.example")).to_have_count(0)


def test_D2_a_login_written_by_somebody_else_is_none(tab: BrowserContext, place: Place) -> None:
    """A cookie that was not signed with the deployment's secret."""
    tab.add_cookies([{"name": "_streamlit_user", "value": "eyJlbWFpbCI6ICJhZGEifQ.x.y", "url": place.served.url}])
    page = tab.new_page()
    page.goto(place.served.url)
    expect(page.get_by_role("button", name="Log in")).to_be_visible()


def _menu(page: Page) -> None:
    """Open the side bar where it is folded away."""
    opener = page.get_by_test_id("stExpandSidebarButton")
    if opener.count() and opener.is_visible():
        opener.click()
