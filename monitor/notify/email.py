"""E-mail by SMTP: plain, STARTTLS or TLS. The relay's address is checked by the same policy as every other one.

An internal relay is reached when `HEADWIND_ALLOW_NETWORKS` names its network. The egress proxy is not used: HTTP
proxies do not carry SMTP. The Message-ID is made of the message's key, so a mail sent twice after a crash is one mail
to every mail client that threads.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr
from typing import Any

from monitor.domain import ChannelConfig, Message, SendOutcome, Severity
from monitor.errors import SettingsError
from monitor.guard import AddressPolicy, AddressRefused, resolve
from monitor.net import tls_context
from monitor.notify.kinds import addresses, text_option
from monitor.notify.post import Outside
from monitor.notify.redact import Redactor
from monitor.notify.words import one_line

_PORTS = {"none": 25, "starttls": 587, "tls": 465}


class EmailChannel:
    kind = "email"

    def __init__(self, config: ChannelConfig, outside: Outside) -> None:
        options = config.options
        self.name = config.name
        self._host = text_option(options, "host")
        self._security = text_option(options, "security") or "starttls"
        self._port = int(text_option(options, "port") or _PORTS[self._security])
        self._sender = text_option(options, "sender")
        self._to = addresses(text_option(options, "to"))
        self._username = text_option(options, "username")
        self._password = text_option(options, "password")
        self._outside = outside
        self._redact = Redactor(config)

    def send(self, message: Message) -> SendOutcome:
        mail = self._mail(message)
        try:
            refused = self._deliver(mail)
        except AddressRefused as error:
            return self._outcome("failed", f"address refused: {error}")
        except SettingsError as error:
            return self._outcome("retry", str(error))
        except smtplib.SMTPRecipientsRefused as error:
            again = any(code < 500 for code, _ in error.recipients.values())
            return self._outcome("retry" if again else "failed", f"recipients refused: {_told(error.recipients)}")
        except smtplib.SMTPResponseException as error:
            said = (
                error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
            )
            return self._outcome("retry" if error.smtp_code < 500 else "failed", f"SMTP {error.smtp_code}: {said}")
        except smtplib.SMTPNotSupportedError as error:
            return self._outcome("failed", f"the relay cannot do that: {error}")
        except ssl.SSLCertVerificationError as error:
            return self._outcome("retry", f"certificate of {self._host}: {error.verify_message}")
        except (smtplib.SMTPException, OSError) as error:
            return self._outcome("retry", f"{type(error).__name__}: {error}")
        if refused:
            return self._outcome("sent", f"some recipients refused: {_told(refused)}")
        return self._outcome("sent", f"accepted by {self._host}")

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage(policy=SMTP_POLICY)
        mail["Subject"] = one_line(message.subject)
        mail["From"] = self._sender
        mail["To"] = ", ".join(self._to)
        mail["Date"] = format_datetime(self._outside.clock())
        domain = parseaddr(self._sender)[1].rpartition("@")[2] or "localhost"
        mail["Message-ID"] = f"<{message.key}@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Headwind-Key"] = message.key
        if message.severity is Severity.CRITICAL:
            mail["Importance"] = "high"
        mail.set_content(message.text.encode("utf-8", "replace").decode() + "\n", charset="utf-8")
        return mail

    def _deliver(self, mail: EmailMessage) -> dict[str, tuple[int, bytes]]:
        policy, timeout = self._outside.policy, self._outside.total_s
        if self._security == "tls":
            context = tls_context(self._outside.ca_bundle)
            relay: smtplib.SMTP = _GuardedTlsSmtp(self._host, self._port, policy, timeout, context)
        else:
            relay = _GuardedSmtp(self._host, self._port, policy, timeout)
        with relay:
            if self._security == "starttls":
                relay.starttls(context=tls_context(self._outside.ca_bundle))
            if self._username:
                relay.login(self._username, self._password)
            return relay.send_message(mail, self._sender, self._to)

    def _outcome(self, status: str, detail: str) -> SendOutcome:
        return SendOutcome(status=status, detail=self._redact(detail))


def connect(policy: AddressPolicy, host: str, port: int, timeout: float) -> socket.socket:
    """A connection to an address that the policy allows: resolved once, checked, and connected to as checked."""
    try:
        found = resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise OSError(f"the name {host} cannot be resolved") from error
    last: OSError = OSError(f"{host} has no address")
    for address in policy.check(host, found)[:4]:
        try:
            return socket.create_connection((address, port), timeout)
        except OSError as error:
            last = error
    raise last


class _GuardedSmtp(smtplib.SMTP):
    def __init__(self, host: str, port: int, policy: AddressPolicy, timeout: float) -> None:
        self._policy = policy
        super().__init__(host, port, timeout=timeout)

    def _get_socket(self, host: str, port: int, timeout: Any) -> socket.socket:
        return connect(self._policy, host, port, timeout)


class _GuardedTlsSmtp(smtplib.SMTP_SSL):
    def __init__(self, host: str, port: int, policy: AddressPolicy, timeout: float, context: ssl.SSLContext) -> None:
        self._policy = policy
        super().__init__(host, port, timeout=timeout, context=context)

    def _get_socket(self, host: str, port: int, timeout: Any) -> socket.socket:
        plain = connect(self._policy, host, port, timeout)
        return self.context.wrap_socket(plain, server_hostname=host)


def _told(refused: dict[str, tuple[int, bytes]]) -> str:
    return ", ".join(f"{who} ({code})" for who, (code, _) in list(refused.items())[:5])
