"""What people bring to be scored: a document's text or a table, read by content, never trusted by name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

import pandas as pd
import streamlit as st

from dashboard import context
from models.longtext import DocumentScore, score_document
from monitor.text.extract import Limits, extract

KINDS: Final = ("txt", "md", "csv", "xlsx", "html", "htm", "pdf", "docx", "eml")
LIMIT_MB: Final = 20
_LIKELY: Final = ("text", "title", "headline", "headlines", "sentence", "news", "content", "body", "标题", "内容")


@dataclass(frozen=True, slots=True)
class Upload:
    """One file: its text, or a table of which a column is to be chosen. notes: what could not be read, in words."""

    identity: str
    name: str
    text: str
    table: pd.DataFrame | None = None
    notes: tuple[str, ...] = field(default=())


@st.cache_data(ttl=1800, max_entries=32, show_spinner=False, scope="session")
def read(identity: str, name: str, content: bytes) -> Upload:
    """The file's text or table. Raises `UploadError` naming the file."""
    found = extract(name, content, Limits(size=LIMIT_MB * 1024 * 1024))
    mark = hashlib.sha256(content).hexdigest()[:16]
    frame = pd.DataFrame(list(found.rows), columns=list(found.columns), dtype=str) if found.is_table else None
    return Upload(mark, found.name, found.text, frame, found.problems)


@st.cache_data(ttl=1800, max_entries=64, show_spinner=False, scope="session")
def scored(identity: str, text: str) -> DocumentScore:
    return score_document(context.app().classifier(), text)


def likely_column(table: pd.DataFrame) -> int:
    """Place of the column that most likely holds the text: by its name, else the one with the longest cells."""
    names = [str(name).strip().lower() for name in table.columns]
    for wanted in _LIKELY:
        if wanted in names:
            return names.index(wanted)
    if table.empty:
        return 0
    lengths = [table[name].astype(str).str.len().head(200).mean() for name in table.columns]
    return max(range(len(lengths)), key=lengths.__getitem__)
