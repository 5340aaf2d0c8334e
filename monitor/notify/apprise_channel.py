"""Everything that Apprise knows. Apprise brings network code of its own, so it runs in a short-lived child process:
there every connection is checked by our address policy, memory and time are bounded, and the secret address travels
over a pipe, never on a command line. See monitor/notify/apprise_child.py.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import monitor
from monitor.domain import ChannelConfig, Message, SendOutcome, Severity
from monitor.errors import DeliveryError
from monitor.notify.kinds import text_option
from monitor.notify.post import Outside
from monitor.notify.redact import Redactor

CHILD_TIMEOUT_S: Final = 45.0

# These reach the machine that Headwind runs on, not people elsewhere.
LOCAL_SCHEMAS: Final = frozenset(
    {"dbus", "glib", "gnome", "gio", "kde", "qt", "macosx", "windows", "syslog", "blink1", "file"}
)
_TYPES: Final = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "failure"}
_HTTP_ERROR: Final = re.compile(r"\berror=(\d{3})\b")


class AppriseChannel:
    kind = "apprise"

    def __init__(self, config: ChannelConfig, outside: Outside) -> None:
        self.name = config.name
        self._url = text_option(config.options, "url")
        self._outside = outside
        self._redact = Redactor(config)
        schema = self._url.partition("://")[0].lower()
        if "://" not in self._url:
            raise DeliveryError(f"channel {config.name!r}: option 'url' must be an Apprise address such as tgram://…")
        if schema in LOCAL_SCHEMAS:
            raise DeliveryError(f"channel {config.name!r}: option 'url': {schema}:// reaches only this machine")

    def send(self, message: Message) -> SendOutcome:
        question = {
            "url": self._url,
            "title": message.subject,
            "body": message.text,
            "type": _TYPES[message.severity],
            "allow": [str(network) for network in self._outside.policy.allow],
            "proxy": self._outside.proxy,
        }
        try:
            done = subprocess.run(
                [sys.executable, "-m", "monitor.notify.apprise_child"],
                input=json.dumps(question).encode(),
                capture_output=True,
                timeout=CHILD_TIMEOUT_S,
                env=self._environment(),
                check=False,
            )
        except subprocess.TimeoutExpired:
            return SendOutcome(status="retry", detail="no answer in time")
        except OSError as error:
            return SendOutcome(status="retry", detail=self._redact(f"the sender could not start: {error}"))
        return self._judge(done.returncode, done.stdout, done.stderr)

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ", "SYSTEMROOT") if name in os.environ}
        kept["PYTHONPATH"] = str(Path(monitor.__file__).parent.parent)
        if self._outside.proxy:
            kept |= {"HTTP_PROXY": self._outside.proxy, "HTTPS_PROXY": self._outside.proxy}
        if self._outside.ca_bundle:
            kept |= {"REQUESTS_CA_BUNDLE": self._outside.ca_bundle, "SSL_CERT_FILE": self._outside.ca_bundle}
        return kept

    def _judge(self, returncode: int, out: bytes, err: bytes) -> SendOutcome:
        try:
            answer: dict[str, Any] = json.loads(out)
        except ValueError:
            last = err.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no reason given"]
            return SendOutcome(status="retry", detail=self._redact(f"the sender ended with {returncode}: {last[0]}"))
        said = str(answer.get("said", ""))
        if answer.get("result") == "sent":
            return SendOutcome(status="sent", detail="accepted")
        if answer.get("result") in ("unusable", "refused"):
            return SendOutcome(status="failed", detail=self._redact(said))
        status = _HTTP_ERROR.search(said)
        code = int(status.group(1)) if status else 0
        for_good = 400 <= code < 500 and code not in (408, 425, 429)
        return SendOutcome(status="failed" if for_good else "retry", detail=self._redact(said or "Apprise says no"))
