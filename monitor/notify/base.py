"""The seam `Channel`: one way to reach people. A channel sends one message and says how it went; it keeps no state."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from monitor.domain import Message, SendOutcome


@runtime_checkable
class Channel(Protocol):
    """`send` never raises for what the other side does: it answers sent, retry or failed, with secrets redacted."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    def send(self, message: Message) -> SendOutcome: ...
