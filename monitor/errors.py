"""One tree of errors. Each message is one line for a user: what, where, what to do. No secret ever stands in one."""

from __future__ import annotations


class MonitorError(Exception):
    """Base of every error that the command line prints as one line with exit status 1."""


class SettingsError(MonitorError):
    """A setting cannot be used; names the setting and where it came from."""


class FeedError(MonitorError):
    """A feed could not be fetched or parsed. A value in `PollResult`, never the end of a round.

    kind: one of `refused` (by the guard), `network`, `timeout`, `http`, `too_large`, `not_a_feed`, `parser`, `gone`.
    retry_after_s: what the server asked for, already capped; None when it asked for nothing.
    """

    def __init__(
        self, message: str, *, kind: str = "network", status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.retry_after_s = retry_after_s


class StoreError(MonitorError):
    """The store cannot be opened, read or written; what was committed before is safe."""


class StoreBusyError(StoreError):
    """The store was locked for longer than the bounded wait; the caller may try again."""


class AlertError(MonitorError):
    """A rule or an alert is not what it should be; names the field. field: its name, for a form to mark it."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class DeliveryError(MonitorError):
    """A channel is configured wrongly or cannot be reached; secrets are redacted."""


class UploadError(MonitorError):
    """An uploaded or named file cannot be read; names the file and the place in it."""


class ArchiveError(MonitorError):
    """An archive cannot be imported; names the file and the column. Rows already imported stay."""


class LeaderError(MonitorError):
    """Another worker holds the lead."""


class NotAllowedError(MonitorError):
    """Somebody's role does not cover a step. Nothing changed; the audit log has it.

    needed: the role that would do.
    """

    def __init__(self, message: str, *, needed: str) -> None:
        super().__init__(message)
        self.needed = needed


class PromotionError(MonitorError):
    """A model version may not serve: the gate found it worse, or there is nothing to switch to. Nothing changed."""
