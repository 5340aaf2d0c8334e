"""What can go wrong in the classifier, each with one line that says what, where and what to do."""

from __future__ import annotations


class ModelError(Exception):
    """Base of all errors of this package; its text is fit to be shown to a user."""


class CheckpointError(ModelError):
    """A checkpoint is missing, damaged, tampered with or of a refused kind; nothing was loaded."""


class DataError(ModelError):
    """A labelled file cannot be used; names file, line and column."""
