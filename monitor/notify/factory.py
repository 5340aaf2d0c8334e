"""From a configured channel to one that can send. The only place that knows every adapter."""

from __future__ import annotations

from monitor.domain import ChannelConfig
from monitor.errors import DeliveryError
from monitor.guard import AddressPolicy
from monitor.notify.apprise_channel import AppriseChannel
from monitor.notify.base import Channel
from monitor.notify.chat import ChatChannel
from monitor.notify.console import ConsoleChannel
from monitor.notify.email import EmailChannel
from monitor.notify.kinds import validate
from monitor.notify.post import Outside
from monitor.notify.slack import SlackChannel
from monitor.notify.webhook import WebhookChannel


def build_channel(
    config: ChannelConfig, policy: AddressPolicy | None = None, *, proxy: str = "", ca_bundle: str = ""
) -> Channel:
    """The channel, validated. Raises `DeliveryError` naming the option that cannot be used; connects to nothing."""
    return build_with(config, Outside(policy=policy or AddressPolicy(), proxy=proxy, ca_bundle=ca_bundle))


def build_with(config: ChannelConfig, outside: Outside) -> Channel:
    """The same with every detail of the outside given."""
    validate(config)
    match config.kind:
        case "email":
            return EmailChannel(config, outside)
        case "webhook":
            return WebhookChannel(config, outside)
        case "slack":
            return SlackChannel(config, outside)
        case "teams" | "dingtalk" | "feishu" | "wecom":
            return ChatChannel(config, outside)
        case "apprise":
            return AppriseChannel(config, outside)
        case "console":
            return ConsoleChannel(config)
    raise DeliveryError(f"channel kind {config.kind!r} has no adapter")
