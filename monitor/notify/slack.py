"""Slack incoming webhook. Markup is switched off and `&`, `<`, `>` are escaped, so no title becomes a mention."""

from __future__ import annotations

import json

from monitor.domain import ChannelConfig, Message, SendOutcome
from monitor.notify.kinds import text_option
from monitor.notify.post import Outside, Reply, post_json
from monitor.notify.redact import Redactor

# Slack's words for its own trouble; everything else that it calls an error needs a person.
_RETRIED = frozenset(
    {"rate_limited", "ratelimited", "rollup_error", "internal_error", "fatal_error", "request_timeout"}
)


class SlackChannel:
    kind = "slack"

    def __init__(self, config: ChannelConfig, outside: Outside) -> None:
        self.name = config.name
        self._url = text_option(config.options, "url")
        self._outside = outside
        self._redact = Redactor(config)

    def send(self, message: Message) -> SendOutcome:
        body = {
            "text": escape(message.text),
            "mrkdwn": False,
            "link_names": 0,
            "unfurl_links": False,
            "unfurl_media": False,
        }
        headers = {"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": message.key}
        return post_json(self._outside, self._url, json.dumps(body).encode(), headers, self._redact, _read)


def escape(text: str) -> str:
    """The three characters that Slack reads as control sequences (`<!channel>`, `<@user>`, `<url|label>`)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _read(reply: Reply) -> SendOutcome | None:
    """Slack can say 200 and mean no: `ok` as text, or an object with ok:false and the error."""
    said = reply.json()
    error = str(said.get("error") or "") if said.get("ok") is False else ""
    if said.get("ok") is False:
        again = error in _RETRIED or reply.status >= 500 or reply.status == 429
        return SendOutcome(status="retry" if again else "failed", detail=f"Slack says {error or 'ok:false'}")
    if reply.status == 200 and not said and reply.text.strip().lower() != "ok":
        return SendOutcome(status="failed", detail=f"Slack says {reply.text[:200] or 'nothing'}")
    return None
