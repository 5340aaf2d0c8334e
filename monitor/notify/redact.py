"""Secrets out of words: whatever a server, a library or an error says is cleaned before it is kept or shown."""

from __future__ import annotations

import base64
import re
from typing import Final
from urllib.parse import quote, quote_plus, urlsplit

from monitor import redaction
from monitor.domain import ChannelConfig
from monitor.notify.kinds import kind_of, text_option
from monitor.notify.words import cut, one_line

DETAIL_LIMIT: Final = 300
HIDDEN: Final = "***"


class Redactor:
    """Replaces the secret options of one channel, in the spellings they travel in, and URLs that carry one."""

    def __init__(self, config: ChannelConfig) -> None:
        secrets: set[str] = set()
        for option in kind_of(config.kind).options:
            value = text_option(config.options, option.name)
            if option.secret and value:
                secrets |= _spellings(value)
        username = text_option(config.options, "username")
        password = text_option(config.options, "password")
        if password:
            secrets |= _encoded(f"{username}:{password}") | _encoded(f"\0{username}\0{password}")
        found = sorted((secret for secret in secrets if len(secret) >= 3), key=len, reverse=True)
        self._pattern = re.compile("|".join(re.escape(secret) for secret in found), re.IGNORECASE) if found else None

    def __call__(self, text: object) -> str:
        """One line of at most 300 characters without a secret in it."""
        line = one_line(str(text))
        if self._pattern is not None:
            line = self._pattern.sub(HIDDEN, line)
        return cut(redaction.redact(line), DETAIL_LIMIT)


def _spellings(value: str) -> set[str]:
    spellings = {value, quote(value, safe=""), quote_plus(value), quote(value)} | _encoded(value)
    try:
        parts = urlsplit(value)
    except ValueError:
        return spellings
    if parts.scheme and parts.netloc:
        # The host may be named in an error; path, query, user and password of a webhook address are the secret.
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        spellings |= {target, parts.path, parts.query, parts.netloc.rpartition("@")[0]}
        spellings |= {word for word in re.split(r"[/?&=]", target) if len(word) >= 8}
        spellings |= {parts.username or "", parts.password or ""}
    return {spelling for spelling in spellings if spelling not in ("", "/")}


def _encoded(value: str) -> set[str]:
    raw = value.encode("utf-8", "surrogatepass")
    return {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
