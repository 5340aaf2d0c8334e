"""Options of channels: each is explained, checked and named when it is wrong, and no secret is ever repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.errors import DeliveryError
from monitor.notify.factory import build_channel
from monitor.notify.kinds import KINDS, describe_options, validate, wants_digest
from monitor.notify.redact import Redactor
from tests.notify.conftest import channel

PAGE = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_and_option_stands_in_the_documentation(kind: str):
    section = PAGE.split(f"### `{kind}`")[1].split("###")[0]
    for option in describe_options(kind):
        assert f"`{option.name}`" in (PAGE if option.name == "digest" else section)


def test_the_options_that_are_secret_say_so():
    secret = {option.name for kind in KINDS for option in describe_options(kind) if option.secret}
    assert secret == {"url", "secret", "authorization", "password"}


MAIL = {"host": "relay.example", "sender": "a@b.example", "to": "c@d.example"}


@pytest.mark.parametrize(
    ("kind", "options", "named"),
    [
        ("pigeon", {}, "'pigeon'"),
        ("webhook", {}, "'url' is missing"),
        ("webhook", {"url": "ftp://x/s3cr3tpath"}, "'url'"),
        ("webhook", {"url": "https://x/\r\nEvil: s3cr3tpath"}, "'url'"),
        ("webhook", {"url": "https://x/", "colour": "red"}, "'colour'"),
        ("email", {**MAIL, "port": "99999"}, "'port'"),
        ("email", {**MAIL, "security": "maybe"}, "'security'"),
        ("email", {**MAIL, "to": "nobody"}, "'to'"),
        ("email", {**MAIL, "sender": "a@b.example\nBcc: x@y.example"}, "'sender'"),
        ("slack", {"url": "https://x/", "digest": "perhaps"}, "'digest'"),
        ("apprise", {"url": "s3cr3tpath"}, "'url'"),
        ("apprise", {"url": "dbus://"}, "'url'"),
    ],
)
def test_an_option_that_cannot_be_used_is_named_and_not_repeated(kind: str, options: dict[str, str], named: str):
    with pytest.raises(DeliveryError) as caught:
        build_channel(channel("it", kind, **options))
    assert named in str(caught.value)
    assert "s3cr3tpath" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_recipients_may_be_a_list():
    assert validate(channel("m", "email", **{**MAIL, "to": ["a@b.example", "c@d.example"]}))


def test_the_digest_is_on_unless_it_is_switched_off():
    assert wants_digest(channel("m", "console"))
    assert not wants_digest(channel("m", "console", digest=False))


@pytest.mark.parametrize(
    "said",
    [
        "cannot reach https://hooks.example/services/T0/B0/abcdefgh?x=1",
        "POST /services/T0/B0/abcdefgh failed",
        "https%3A%2F%2Fhooks.example%2Fservices%2FT0%2FB0%2Fabcdefgh%3Fx%3D1",
        "token ABCDEFGH",
    ],
)
def test_a_secret_is_hidden_in_every_spelling(said: str):
    redact = Redactor(channel("s", "slack", url="https://hooks.example/services/T0/B0/abcdefgh?x=1"))
    assert "abcdefgh" not in redact(said).lower()


def test_words_without_a_secret_stay_as_they_are():
    redact = Redactor(channel("s", "slack", url="https://hooks.example/services/T0/B0/abcdefgh"))
    assert redact("HTTP 503 from hooks.example") == "HTTP 503 from hooks.example"
