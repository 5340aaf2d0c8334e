"""What people bring to be scored: read by content in a bounded process (monitor/text/extract.py), kept for the session.

A document has a text, a table has columns of which one is to be chosen.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from typing import Final

import pandas as pd
import streamlit as st

from dashboard import context
from dashboard.held import Held
from models.longtext import DocumentScore, score_document
from monitor.text.extract import Limits, extract

KINDS: Final = ("txt", "md", "csv", "xlsx", "html", "htm", "pdf", "docx", "eml")
LIMIT_MB: Final = Limits().size // 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One file: its text, or a table with the column that most likely holds the text. notes: what was left out."""

    identity: str
    name: str
    text: str
    table: pd.DataFrame | None
    likely: int
    notes: tuple[str, ...]


@st.cache_resource(show_spinner=False)
def _held() -> Held[Upload]:
    return Held(weight)


def weight(one: Upload) -> int:
    """Bytes that an upload takes up in memory, as far as they grow with the file."""
    table = 0 if one.table is None else int(one.table.memory_usage(deep=True).sum())
    return sys.getsizeof(one.text) + table


def read(file_id: str, name: str, content: bytes) -> Upload:
    """The file's text or table, which must not be changed. Raises `UploadError` naming the file.

    file_id: Streamlit's own, a secret of its session and new for each upload.
    """
    return _held().get(file_id, lambda: _read(name, content))


def _read(name: str, content: bytes) -> Upload:
    found = extract(name, content)
    mark = hashlib.sha256(content).hexdigest()[:16]
    if not found.is_table:
        return Upload(identity=mark, name=found.name, text=found.text, table=None, likely=0, notes=found.problems)
    table = pd.DataFrame(list(found.rows), columns=list(found.columns), dtype=str)
    column = found.text_column()
    return Upload(
        identity=mark,
        name=found.name,
        text="",
        table=table,
        likely=found.columns.index(column) if column in found.columns else 0,
        notes=found.problems,
    )


def pasted(text: str, name: str) -> Upload:
    """A pasted text in the form of a document."""
    mark = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
    return Upload(identity=mark, name=name, text=text, table=None, likely=0, notes=())


def scored(text: str) -> DocumentScore:
    """The document's score by the live model."""
    return score_document(context.app().classifier(), text)
