"""Signed webhook: JSON by POST. docs/notifications.md documents the body and how a receiver checks the signature.

Headers: `Idempotency-Key` is the message's key, the same for every attempt. With a secret, `X-Headwind-Timestamp` is
the Unix time of the attempt and `X-Headwind-Signature` is `sha256=` and the hex HMAC-SHA256 (RFC 2104) under the
secret of timestamp, a full stop, and the body's bytes, so that neither can be changed or replayed much later.
"""

from __future__ import annotations

import hashlib
import hmac
import json

from monitor.domain import ChannelConfig, Message, SendOutcome
from monitor.notify.kinds import text_option
from monitor.notify.post import Outside, post_json
from monitor.notify.redact import Redactor


class WebhookChannel:
    kind = "webhook"

    def __init__(self, config: ChannelConfig, outside: Outside) -> None:
        self.name = config.name
        self._url = text_option(config.options, "url")
        self._secret = text_option(config.options, "secret")
        self._authorization = text_option(config.options, "authorization")
        self._outside = outside
        self._redact = Redactor(config)

    def send(self, message: Message) -> SendOutcome:
        body = body_of(message)
        headers = {"Content-Type": "application/json", "Idempotency-Key": message.key}
        if self._secret:
            timestamp = str(int(self._outside.clock().timestamp()))
            headers["X-Headwind-Timestamp"] = timestamp
            headers["X-Headwind-Signature"] = signature(self._secret, timestamp, body)
        if self._authorization:
            headers["Authorization"] = self._authorization
        return post_json(self._outside, self._url, body, headers, self._redact)


def body_of(message: Message) -> bytes:
    document = {
        **message.data,
        "key": message.key,
        "subject": message.subject,
        "text": message.text,
        "severity": message.severity.value,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"
