"""Teams, DingTalk, Feishu and WeCom: webhooks of group robots, each with its own body, signature and error codes.

None of them gets markdown: the body uses the form that the service shows literally (a text run, a text message, a
text tag), so a headline cannot become a link, an image or a mention of everybody.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from monitor.domain import ChannelConfig, Message, SendOutcome
from monitor.notify.kinds import text_option
from monitor.notify.post import Outside, Reply, post_json
from monitor.notify.redact import Redactor


@dataclass(frozen=True, slots=True)
class _Service:
    """body: (message, secret, now) → JSON. url: (url, secret, now) → the address to post to. read: the reply."""

    body: Callable[[Message, str, datetime], dict[str, Any]]
    url: Callable[[str, str, datetime], str]
    read: Callable[[Reply], SendOutcome | None]


class ChatChannel:
    """One robot of a group. kind: teams, dingtalk, feishu or wecom."""

    def __init__(self, config: ChannelConfig, outside: Outside) -> None:
        self.name = config.name
        self.kind = config.kind
        self._service = _SERVICES[config.kind]
        self._url = text_option(config.options, "url")
        self._secret = text_option(config.options, "secret")
        self._outside = outside
        self._redact = Redactor(config)

    def send(self, message: Message) -> SendOutcome:
        now = self._outside.clock()
        body = json.dumps(self._service.body(message, self._secret, now), ensure_ascii=False)
        url = self._service.url(self._url, self._secret, now)
        headers = {"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": message.key}
        raw = body.encode("utf-8", "replace")
        return post_json(self._outside, url, raw, headers, self._redact, self._service.read)


# ── bodies ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _teams_body(message: Message, secret: str, now: datetime) -> dict[str, Any]:
    """An adaptive card of RichTextBlocks: a TextRun is shown literally, a TextBlock would read markdown."""
    lines = message.text.split("\n")
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {
                "type": "RichTextBlock",
                "spacing": "small" if line.strip() else "medium",
                "inlines": [{"type": "TextRun", "text": line or " ", "weight": "bolder" if first else "default"}],
            }
            for first, line in ((number == 0, line) for number, line in enumerate(lines))
        ],
    }
    if message.url:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open in Headwind", "url": message.url}]
    content_type = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": content_type, "contentUrl": None, "content": card}]}


def _dingtalk_body(message: Message, secret: str, now: datetime) -> dict[str, Any]:
    return {"msgtype": "text", "text": {"content": message.text}, "at": {"isAtAll": False}}


def _feishu_body(message: Message, secret: str, now: datetime) -> dict[str, Any]:
    rows: list[list[dict[str, Any]]] = [[{"tag": "text", "text": line}] for line in message.text.split("\n")]
    if message.url:
        rows.append([{"tag": "a", "text": "Headwind", "href": message.url}])
    body: dict[str, Any] = {
        "msg_type": "post",
        "content": {"post": {"zh_cn": {"title": message.subject, "content": rows}}},
    }
    if secret:
        timestamp = str(int(now.timestamp()))
        body |= {"timestamp": timestamp, "sign": feishu_sign(timestamp, secret)}
    return body


def _wecom_body(message: Message, secret: str, now: datetime) -> dict[str, Any]:
    return {"msgtype": "text", "text": {"content": message.text.replace("<@", "< @")}}


def _plain_url(url: str, secret: str, now: datetime) -> str:
    return url


def _dingtalk_url(url: str, secret: str, now: datetime) -> str:
    if not secret:
        return url
    timestamp = str(int(now.timestamp() * 1000))
    signed = urlencode({"timestamp": timestamp, "sign": dingtalk_sign(timestamp, secret)})
    return f"{url}{'&' if '?' in url else '?'}{signed}"


def dingtalk_sign(timestamp: str, secret: str) -> str:
    """DingTalk custom robot, "additional signature": HMAC-SHA256 of timestamp, newline, secret under the secret."""
    digest = hmac.new(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def feishu_sign(timestamp: str, secret: str) -> str:
    """Feishu custom bot: HMAC-SHA256 of nothing under timestamp, newline, secret."""
    return base64.b64encode(hmac.new(f"{timestamp}\n{secret}".encode(), b"", hashlib.sha256).digest()).decode()


# ── replies ──────────────────────────────────────────────────────────────────────────────────────────────────────

# Too many messages or a busy server, in each service's own numbers: worth another try later.
_DINGTALK_BUSY: Final = frozenset({-1, 130101, 130102, 90018, 90030, 410100})
_WECOM_BUSY: Final = frozenset({-1, 45009, 45033})
_FEISHU_BUSY: Final = frozenset({2200, 11232, 230020, 99991400})
_BUSY_WAIT_S: Final = 60.0  # the services count messages by the minute


def _by_code(name: str, fields: tuple[str, ...], words: tuple[str, ...], busy: frozenset[int]) -> Any:
    """The service's own code decides, whatever the HTTP status: all three answer 200 to what they refuse, and Feishu
    answers 400 when it only wants a pause."""

    def read(reply: Reply) -> SendOutcome | None:
        said = reply.json()
        code = next((said[field] for field in fields if isinstance(said.get(field), int)), None)
        if code is None:
            if 200 <= reply.status < 300:
                return SendOutcome(status="failed", detail=f"{name} gave no result code: {reply.text[:200]}")
            return None
        if code == 0 and 200 <= reply.status < 300:
            return SendOutcome(status="sent", detail=f"HTTP {reply.status}")
        why = next((str(said[word]) for word in words if said.get(word)), "")
        if code in busy:
            return SendOutcome(status="retry", detail=f"{name} says {code} {why}", retry_after_s=_BUSY_WAIT_S)
        if reply.status >= 500 or reply.status in (408, 425, 429):
            return None
        return SendOutcome(status="failed", detail=f"{name} says {code} {why}")

    return read


def _teams_read(reply: Reply) -> SendOutcome | None:
    """Workflows answer 202. The older connectors answered 200 with the error in the text."""
    if reply.status == 200 and "error" in reply.text.lower():
        busy = "429" in reply.text or "throttl" in reply.text.lower()
        return SendOutcome(status="retry" if busy else "failed", detail=f"Teams says {reply.text[:200]}")
    return None


_SERVICES: Final = {
    "teams": _Service(_teams_body, _plain_url, _teams_read),
    "dingtalk": _Service(
        _dingtalk_body, _dingtalk_url, _by_code("DingTalk", ("errcode",), ("errmsg",), _DINGTALK_BUSY)
    ),
    "feishu": _Service(
        _feishu_body, _plain_url, _by_code("Feishu", ("code", "StatusCode"), ("msg", "StatusMessage"), _FEISHU_BUSY)
    ),
    "wecom": _Service(_wecom_body, _plain_url, _by_code("WeCom", ("errcode",), ("errmsg",), _WECOM_BUSY)),
}
