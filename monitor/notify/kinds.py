"""The kinds of channel: their options (which are secret), limits and pace. One list for pages, checks and docs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from monitor.domain import ChannelConfig
from monitor.errors import DeliveryError


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of a kind of channel. form: text, url, address, addresses, port, choice, flag."""

    name: str
    help: str
    form: str = "text"
    required: bool = False
    secret: bool = False
    default: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """limit: most characters (bytes when `bytes_limit`) of a message's text. pace_s: least seconds between sends."""

    name: str
    title: str
    help: str
    options: tuple[Option, ...]
    limit: int
    bytes_limit: bool = False
    pace_s: float = 0.0


_DIGEST: Final = Option(name="digest", help="Send the daily digest here too.", form="flag", default="true")


def _hook(help_text: str) -> Option:
    return Option(name="url", help=help_text, form="url", required=True, secret=True)


KINDS: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind(
            name="email",
            title="E-mail",
            help="Plain-text mail through an SMTP relay.",
            limit=20_000,
            options=(
                Option(name="host", help="SMTP relay.", required=True),
                Option(name="port", help="Port; empty means 25, 587 with starttls, 465 with tls.", form="port"),
                Option(
                    name="security",
                    help="none, starttls or tls.",
                    form="choice",
                    default="starttls",
                    choices=("none", "starttls", "tls"),
                ),
                Option(name="sender", help="Address in From.", form="address", required=True),
                Option(name="to", help="Recipients, separated by commas.", form="addresses", required=True),
                Option(name="username", help="Login, if the relay asks for one."),
                Option(name="password", help="Its password.", secret=True),
                _DIGEST,
            ),
        ),
        Kind(
            name="webhook",
            title="Webhook",
            help="JSON by POST, signed with HMAC-SHA256.",
            limit=20_000,
            options=(
                _hook("Where the JSON is posted."),
                Option(name="secret", help="Key of the signature; empty means unsigned.", secret=True),
                Option(name="authorization", help="Value of an Authorization header.", secret=True),
                _DIGEST,
            ),
        ),
        Kind(
            name="slack",
            title="Slack",
            help="Incoming webhook; at most one message a second.",
            limit=3_500,
            pace_s=1.0,
            options=(_hook("Address of the incoming webhook."), _DIGEST),
        ),
        Kind(
            name="teams",
            title="Microsoft Teams",
            help="Workflow webhook; the message is an adaptive card.",
            limit=6_000,
            pace_s=1.0,
            options=(_hook("Address of the workflow."), _DIGEST),
        ),
        Kind(
            name="dingtalk",
            title="DingTalk",
            help="Custom robot; at most 20 messages a minute.",
            limit=4_000,
            pace_s=3.0,
            options=(
                _hook("Address of the robot, with its access_token."),
                Option(name="secret", help="Signing secret (SEC…), if signing is on.", secret=True),
                _DIGEST,
            ),
        ),
        Kind(
            name="feishu",
            title="Feishu / Lark",
            help="Custom bot; at most 100 messages a minute.",
            limit=5_000,
            pace_s=1.0,
            options=(
                _hook("Address of the bot."),
                Option(name="secret", help="Signing secret, if signing is on.", secret=True),
                _DIGEST,
            ),
        ),
        Kind(
            name="wecom",
            title="WeCom",
            help="Group robot; at most 20 messages a minute.",
            limit=2_000,
            bytes_limit=True,
            pace_s=3.0,
            options=(_hook("Address of the robot, with its key."), _DIGEST),
        ),
        Kind(
            name="apprise",
            title="Other services (Apprise)",
            help="Any address that Apprise knows, for example pagerduty:// or tgram://.",
            limit=3_000,
            pace_s=1.0,
            options=(Option(name="url", help="Apprise address.", required=True, secret=True), _DIGEST),
        ),
        Kind(
            name="console",
            title="Console",
            help="Prints to the worker's log; for development.",
            limit=20_000,
            options=(_DIGEST,),
        ),
    )
}


def describe_options(kind: str) -> tuple[Option, ...]:
    """The options of a kind, for the settings page. Raises `DeliveryError` for an unknown kind."""
    return kind_of(kind).options


def kind_of(kind: str) -> Kind:
    if kind not in KINDS:
        raise DeliveryError(f"channel kind {kind!r} is unknown; one of {', '.join(KINDS)}")
    return KINDS[kind]


_NAME: Final = re.compile(r"[^\x00-\x1f\x7f/]{1,60}")
_ADDRESS: Final = re.compile(r"[^\s@<>,;\"\\()\[\]\x00-\x20\x7f]+@[^\s@<>,;\"\\()\x00-\x20\x7f]+")


def validate(config: ChannelConfig) -> ChannelConfig:
    """The channel as given, when every option is usable. Raises `DeliveryError` naming channel and option; the
    message never repeats a secret's value."""
    kind = kind_of(config.kind)
    if not _NAME.fullmatch(config.name):
        raise DeliveryError("channel 'name': 1 to 60 characters on one line, without a slash")
    known = {option.name: option for option in kind.options}
    for name in config.options:
        if name not in known:
            raise DeliveryError(f"channel {config.name!r}: option {name!r} is unknown; one of {', '.join(known)}")
    for option in kind.options:
        _check(config.name, option, text_option(config.options, option.name))
    return config


def text_option(options: Mapping[str, Any], name: str, default: str = "") -> str:
    """An option as text; a list (recipients from TOML or JSON) is joined by commas."""
    value = options.get(name, default)
    if value is None:
        return default
    if isinstance(value, list | tuple):
        return ",".join(str(part) for part in value)
    return str(value).strip()


def addresses(value: str) -> list[str]:
    return [part.strip() for part in re.split(r"[,;\s]+", value) if part.strip()]


def wants_digest(config: ChannelConfig) -> bool:
    return text_option(config.options, "digest", "true").lower() not in ("false", "0", "no", "off")


def _check(channel: str, option: Option, value: str) -> None:
    where = f"channel {channel!r}: option {option.name!r}"
    if not value:
        if option.required:
            raise DeliveryError(f"{where} is missing")
        return
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise DeliveryError(f"{where} must be one line")
    if option.form == "url":
        try:
            parts = urlsplit(value)
            fine = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            fine = False
        if not fine:
            raise DeliveryError(f"{where} must be an http or https address")
    elif option.form == "port":
        if not value.isdigit() or not 1 <= int(value) <= 65535:
            raise DeliveryError(f"{where} must be a port between 1 and 65535")
    elif option.form == "choice" and value not in option.choices:
        raise DeliveryError(f"{where} must be one of {', '.join(option.choices)}")
    elif option.form == "flag" and value.lower() not in ("true", "false", "1", "0", "yes", "no", "on", "off"):
        raise DeliveryError(f"{where} must be true or false")
    elif option.form in ("address", "addresses"):
        given = addresses(value) if option.form == "addresses" else [value]
        if not given or not all(_ADDRESS.fullmatch(address) for address in given):
            raise DeliveryError(f"{where} must be {'mail addresses' if option.form == 'addresses' else 'an address'}")
