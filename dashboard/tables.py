"""Tables that leave the product: CSV, XLSX and JSON. Text that a spreadsheet would run is made harmless there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas as pd

from dashboard.safe import safe_link
from monitor.domain import ScoredArticle
from monitor.text.export import to_csv, to_json, to_xlsx

MIME: Final = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
}


_WRITERS: Final = {"csv": to_csv, "xlsx": to_xlsx, "json": to_json}


def export(frame: pd.DataFrame, kind: str) -> bytes:
    """The table as a file: `csv` (UTF-8 with a mark, so that Excel reads it), `xlsx` or `json` (a list of objects)."""
    plain = frame.astype(object).where(frame.notna(), None)
    return _WRITERS[kind]([str(name) for name in frame.columns], plain.itertuples(index=False, name=None))


def articles(rows: Sequence[ScoredArticle]) -> pd.DataFrame:
    """Articles with their predictions under stable English column names: this is data, not a page."""
    return pd.DataFrame(
        {
            "id": [row.article.id for row in rows],
            "published": [row.article.published for row in rows],
            "first_seen": [row.article.first_seen for row in rows],
            "publisher": [row.article.publisher for row in rows],
            "language": [row.article.language for row in rows],
            "title": [row.article.title for row in rows],
            "summary": [row.article.summary for row in rows],
            "url": [safe_link(row.article.url) or "" for row in rows],
            "story": [row.article.story_id for row in rows],
            "story_articles": [row.story_articles for row in rows],
            "story_publishers": [row.story_publishers for row in rows],
            "entities": ["|".join(row.entities) for row in rows],
            "sentiment": [row.prediction.sentiment if row.prediction else row.state for row in rows],
            "p_negative": [row.prediction.p_negative if row.prediction else None for row in rows],
            "p_neutral": [row.prediction.p_neutral if row.prediction else None for row in rows],
            "p_positive": [row.prediction.p_positive if row.prediction else None for row in rows],
            "score": [row.prediction.score if row.prediction else None for row in rows],
            "topics": ["|".join(row.prediction.topics) if row.prediction else "" for row in rows],
            "confidence": [row.prediction.confidence if row.prediction else None for row in rows],
            "model_version": [row.prediction.model_version if row.prediction else "" for row in rows],
            "sample": [row.article.sample for row in rows],
        }
    )
