"""News: find stories, read one, see why the model said so, and correct it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import streamlit as st

from dashboard import context, filterbar, nav, tables, widgets
from dashboard.filters import Filters
from dashboard.i18n import Words
from dashboard.queries import Reads
from dashboard.reading import reading_pane
from dashboard.times import Span
from monitor.domain import ScoredArticle

PAGE: Final = 50
EXPORT: Final = 10_000
COUNTED: Final = 1_000
"""Matches are counted, and can be paged through, so far: nobody reads on, and counting is what a search costs."""
_FIELDS: Final = (
    "text",
    "range",
    "sentiments",
    "topics",
    "entities",
    "publishers",
    "languages",
    "confidence",
    "unsure",
    "grouped",
)


@widgets.guarded
def page() -> None:
    words = context.words()
    reads = context.reads()
    status = widgets.header(words("nav.news"), reads)
    if not status.articles:
        widgets.empty(words("now.empty"), words("now.empty_hint"))
        if st.button(words("now.to_feeds"), type="primary"):
            nav.go("feeds")
        return
    chosen, span = filterbar.bar("news", reads, _FIELDS)
    _list(words, reads, chosen, span)


def _list(words: Words, reads: Reads, chosen: Filters, span: Span) -> None:
    shared = "news.seen" not in st.session_state and "article" in st.query_params
    shown_page = _page_number(chosen, span)
    rows, total = reads.search(chosen.query(span, limit=PAGE, offset=PAGE * (shown_page - 1), count_to=COUNTED))
    if not rows and not shared:
        widgets.empty(words("news.none"), words("news.none_hint"))
        return
    left, right = st.columns([6, 5], gap="medium")
    with left:
        found = words("news.found_capped" if total >= COUNTED else "news.found", n=f"{total:,}")
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            widgets.title(found, words("news.zone", zone=str(context.zone())))
            _export(words, reads, chosen, span)
        chosen_id = widgets.choose(
            widgets.article_table(rows, words),
            [row.article.id for row in rows],
            key="news.list",
            parameter="article",
            fallback=not shared,
            height=620,
            row_height=30,
            column_config=widgets.article_columns(words),
            alt=found,
        )
        if total > PAGE:
            st.pagination(-(-min(total, COUNTED) // PAGE), key="news.page")
    with right:
        _steps(words, [str(row.article.id) for row in rows], chosen_id)
        article_id = widgets.number(chosen_id)
        row = reads.article(article_id) if article_id is not None else None
        if row is None:
            widgets.empty(words("news.choose"), words("news.choose_hint"))
        else:
            reading_pane(row, reads)


def _steps(words: Words, ids: list[str], chosen: str | None) -> None:
    """Through the list without the mouse: j opens the next article, k the one before."""
    place = ids.index(chosen) if chosen in ids else -1
    with st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        for name, key, target in (("previous", "k", place - 1), ("next", "j", place + 1)):
            reachable = 0 <= target < len(ids)
            st.button(
                words(f"news.{name}"),
                key=f"news.{name}",
                type="tertiary",
                shortcut=key,
                disabled=not reachable,
                on_click=widgets.choose_other,
                args=("article", ids[target] if reachable else ""),
            )


def _page_number(chosen: Filters, span: Span) -> int:
    """The page of the list; any change of the filters starts at the first one again."""
    seen = (chosen, span.length)
    if st.session_state.get("news.seen") != seen:
        st.session_state["news.seen"] = seen
        st.session_state.pop("news.page", None)
    return int(st.session_state.get("news.page", 1))


def _export(words: Words, reads: Reads, chosen: Filters, span: Span) -> None:
    def data(kind: str) -> Callable[[], bytes]:
        def make() -> bytes:
            rows: list[ScoredArticle] = []
            while len(rows) < EXPORT:
                part, _ = reads.search(chosen.query(span, limit=1000, offset=len(rows), count_to=0))
                rows.extend(part)
                if len(part) < 1000:
                    break
            return tables.export(tables.articles(rows), kind)

        return make

    with st.popover(words("news.export"), type="tertiary"):
        st.caption(words("news.export_note", n=f"{EXPORT:,}"))
        for kind in ("csv", "xlsx", "json"):
            st.download_button(
                kind.upper(),
                data=data(kind),
                file_name=f"headwind-news-{span.start:%Y%m%d}-{span.end:%Y%m%d}.{kind}",
                mime=tables.MIME[kind],
                key=f"news.export.{kind}",
                on_click="ignore",
                width="stretch",
            )
