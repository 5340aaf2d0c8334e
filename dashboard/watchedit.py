"""Editing the watchlist: one company in a form, or many by CSV, each with a look at what its names would match."""

from __future__ import annotations

from typing import Final

import pandas as pd
import streamlit as st

from dashboard import actions, context, markup, widgets
from dashboard.i18n import Words
from dashboard.queries import Reads
from monitor.domain import ArticleQuery, Entity
from monitor.entities.matcher import Matcher
from monitor.entities.watchlist import parse_watchlist, write_watchlist

_LOOKED_AT: Final = 500
_PREVIEWED: Final = 25
_CAREFUL: Final = 0.9
"""A match less certain than this rests on a common word, a ticker or a short name."""


def editor(words: Words, reads: Reads, entity: Entity | None) -> None:
    """Add or edit one company, read or write the CSV file, remove the chosen one."""
    if not context.may("analyst"):
        return
    with st.container(horizontal=True):
        with st.popover(words("watchlist.edit"), icon=":material/edit:", width="content"):
            _form(words, reads, entity)
        with st.popover(words("watchlist.file"), icon=":material/upload_file:"):
            _file(words, reads)
        if entity is not None:
            with st.popover(words("watchlist.remove"), icon=":material/delete:"):
                st.html(markup.paragraph(words("watchlist.remove_sure", name=entity.name)))
                if st.button(words("watchlist.remove"), key=f"watch.remove.{entity.id}", type="primary"):
                    actions.remove_entity(entity.name)
                    st.query_params.pop("entity", None)
                    st.rerun()


def _form(words: Words, reads: Reads, entity: Entity | None) -> None:
    known = entity or Entity(id=0, name="")
    mark = known.id
    name = st.text_input(words("watchlist.name"), value=known.name, key=f"watch.name.{mark}", max_chars=200)
    aliases = st.text_input(
        words("watchlist.aliases"),
        value=" | ".join(known.aliases),
        key=f"watch.aliases.{mark}",
        help=words("watchlist.aliases_help"),
        max_chars=2000,
    )
    left, middle, right = st.columns(3)
    ticker = left.text_input(
        words("watchlist.ticker"), value=known.ticker or "", key=f"watch.ticker.{mark}", max_chars=20
    )
    lei = middle.text_input(words("watchlist.lei"), value=known.lei or "", key=f"watch.lei.{mark}", max_chars=20)
    weight = right.number_input(
        words("watchlist.weight"), value=known.weight, min_value=0.0, key=f"watch.weight.{mark}", step=1.0
    )
    edited = Entity(
        id=known.id if name.strip() == known.name else 0,
        name=name.strip(),
        aliases=tuple(part.strip() for part in aliases.split("|") if part.strip()),
        ticker=ticker.strip() or None,
        lei=lei.strip().upper() or None,
        weight=weight,
    )
    if not edited.name:
        return
    for line in preview(edited, reads, words):
        st.html(markup.dim(line))
    if st.button(words("watchlist.save"), type="primary", key=f"watch.save.{mark}"):
        # The same reader as for files checks the fields, so that both ways know the same rules.
        _save(parse_watchlist(write_watchlist([edited]).encode(), words("watchlist.edit")), words)


def _file(words: Words, reads: Reads) -> None:
    st.download_button(
        words("watchlist.download"),
        data=lambda: write_watchlist(reads.entities()).encode("utf-8-sig"),
        file_name="headwind-watchlist.csv",
        mime="text/csv",
        on_click="ignore",
        width="stretch",
    )
    file = st.file_uploader(words("watchlist.file"), type=["csv"], max_upload_size=5)
    if file is None:
        return
    entities = parse_watchlist(file.getvalue(), file.name)
    widgets.title(words("watchlist.read", n=len(entities)))
    rows = [(entity.name, *match) for entity in entities[:_PREVIEWED] for match in matches(entity, reads)]
    table = pd.DataFrame(
        {
            words("column.company"): [company for company, *_ in rows],
            words("watchlist.name"): [alias for _, alias, _, _ in rows],
            words("watchlist.matches"): [count for _, _, count, _ in rows],
            words("watchlist.remark"): [words("watchlist.careful_short") if careful else "" for *_, careful in rows],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        height=widgets.table_height(len(rows), 320, 35),
        column_config={words("watchlist.matches"): st.column_config.TextColumn(width=110, alignment="right")},
    )
    if len(entities) > _PREVIEWED:
        st.html(markup.dim(words("watchlist.first_names", n=_PREVIEWED)))
    if st.button(words("watchlist.save"), type="primary", key="watch.save.file"):
        _save(entities, words)


def _save(entities: list[Entity], words: Words) -> None:
    saved, mentions = actions.save_entities(entities)
    st.toast(words("watchlist.saved", n=saved, mentions=f"{mentions:,}"))
    st.rerun()


def ambiguous(entity: Entity) -> list[str]:
    """Names of the entity that could be another word: matched only as spelled, and with less certainty."""
    found = []
    for alias in (entity.name, *entity.aliases, *((entity.ticker,) if entity.ticker else ())):
        alone = Matcher([Entity(id=1, name=alias)])
        mentions = alone.mentions(f"about {alias} today")
        if any(mention.confidence <= _CAREFUL for mention in mentions):
            found.append(alias)
    return found


def matches(entity: Entity, reads: Reads) -> list[tuple[str, str, bool]]:
    """(name, how many stored articles it would match, whether it needs care) of each name of the entity."""
    found = []
    careful = set(ambiguous(entity))
    for alias in dict.fromkeys((entity.name, *entity.aliases)):
        rows, _ = reads.search(ArticleQuery(text=f'"{alias}"', limit=_LOOKED_AT, count_to=0))
        matcher = Matcher([Entity(id=1, name=alias)])
        count = sum(1 for row in rows if matcher.mentions(row.article.title, row.article.summary))
        found.append((alias, f"{count}{'+' if len(rows) == _LOOKED_AT else ''}", alias in careful))
    return found


def preview(entity: Entity, reads: Reads, words: Words) -> list[str]:
    """What each name would match in what is stored, and which names need care, in words."""
    lines = []
    for alias, count, careful in matches(entity, reads):
        lines.append(words("watchlist.would_match", alias=alias, n=count))
        if careful:
            lines.append(words("watchlist.careful", alias=alias))
    return lines
