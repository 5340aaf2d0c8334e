"""Prints the message: for development, and for a first look without any account."""

from __future__ import annotations

import sys
from typing import TextIO

from monitor.domain import ChannelConfig, Message, SendOutcome


class ConsoleChannel:
    kind = "console"

    def __init__(self, config: ChannelConfig, stream: TextIO | None = None) -> None:
        self.name = config.name
        self._stream = stream

    def send(self, message: Message) -> SendOutcome:
        stream = self._stream or sys.stdout
        try:
            stream.write(f"── {message.subject}\n{message.text}\n\n")
            stream.flush()
        except (OSError, ValueError) as error:
            return SendOutcome(status="retry", detail=f"the console cannot be written: {error}")
        return SendOutcome(status="sent", detail="printed")
