"""What can go wrong in the classifier, each with one line that says what, where and what to do."""

from __future__ import annotations


class ModelError(Exception):
    """Base of all errors of this package; its text is fit to be shown to a user."""


class CheckpointError(ModelError):
    """A checkpoint is missing, damaged, tampered with or of a refused kind; nothing was loaded."""


class DataError(ModelError):
    """A labelled file cannot be used; names file, line and column."""


class ScorerError(ModelError):
    """The process that scores for the pages gives no answer.

    kind: `start` (it does not come up), `died` (twice over the same texts) or `failed` (it said so itself).
    detail: how it ended or what it said.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"the scoring process {_SCORER[kind]} ({detail})")
        self.kind = kind
        self.detail = detail


_SCORER = {"start": "does not start", "died": "ended twice over the same texts", "failed": "could not score"}
