"""Watchlist: the companies and counterparties that the desk is exposed to, how they fare, and who is on the list."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import charts, context, filterbar, seriespane, widgets
from dashboard.i18n import Words
from dashboard.queries import TOPIC_SERIES, Reads
from dashboard.times import Span
from dashboard.watchedit import editor
from monitor.domain import AlertState, Entity, series_of_entity

_UNRESOLVED = (AlertState.OPEN, AlertState.ACKNOWLEDGED, AlertState.ESCALATED)


@widgets.guarded
def page() -> None:
    words = context.words()
    reads = context.reads()
    widgets.header(words("nav.watchlist"), reads)
    entities = reads.entities()
    _, span = filterbar.bar("watchlist", reads, ("range",))
    if not entities:
        widgets.empty(words("watchlist.none"), words("watchlist.none_hint"))
        editor(words, reads, None)
        return
    by_name = {entity.name: entity for entity in entities}
    left, right = st.columns([5, 7], gap="medium")
    with left:
        name = _list(words, reads, by_name, span)
        editor(words, reads, by_name.get(name or ""))
    chosen = series_of_entity(name) if name in by_name else series_of_entity(entities[0].name)
    with right:
        options = [series_of_entity(one) for one in by_name]
        others, measure = seriespane.compare_bar("watchlist", [one for one in [*options, "all"] if one != chosen])
        if others:
            seriespane.comparison([chosen, *others], span, reads, measure, "watchlist")
        seriespane.series_pane(chosen, span, reads, "watchlist")
        _topics(words, reads, chosen, span)


def _list(words: Words, reads: Reads, entities: dict[str, Entity], span: Span) -> str | None:
    rows = seriespane.ranking(reads, [series_of_entity(name) for name in entities], span)
    rows = rows.sort_values(["negative", "stories"], ascending=False)
    names = [name.removeprefix("entity:") for name in rows["series"]]
    open_on: dict[str, int] = {}
    for alert in reads.alerts(_UNRESOLVED):
        kind, _, rest = alert.series.partition(":")
        if kind == "entity":
            company = rest.split("/topic:")[0]
            open_on[company] = open_on.get(company, 0) + 1
    title = words("trend.rank_entities", n=len(names))
    widgets.title(title)
    table = pd.DataFrame(
        {
            words("column.company"): names,
            words("column.open_alerts"): [str(open_on.get(name, "")) for name in names],
            words("column.stories"): rows["stories"].to_numpy(),
            words("column.negative"): rows["negative"].to_numpy(),
            words("column.share"): rows["share"].to_numpy(),
            words("column.change"): rows["change"].to_numpy(),
        }
    )
    return widgets.choose(
        table,
        names,
        key="watchlist.list",
        parameter="entity",
        fallback=True,
        height=widgets.table_height(len(names), 640),
        column_config={
            words("column.company"): st.column_config.TextColumn(width=112),
            words("column.open_alerts"): st.column_config.TextColumn(width=46, alignment="right"),
            **seriespane.ranking_columns(words),
        },
        alt=title,
    )


def _topics(words: Words, reads: Reads, series: str, span: Span) -> None:
    """The company's stories by topic."""
    frame = reads.trends([f"{series}/{topic}" for topic in TOPIC_SERIES], span)
    if frame.empty:
        return
    sums = frame.groupby("series")[["negative", "neutral", "positive", "stories"]].sum()
    sums = sums.sort_values("stories", ascending=False).head(10).reset_index()
    shown = sums.assign(name=[words.topic(str(name).rpartition("/topic:")[2]) for name in sums["series"]])
    table = shown[["name", "stories", "negative", "neutral", "positive"]].rename(
        columns={
            "name": words("column.topic"),
            **{name: words(f"column.{name}") for name in ("stories", "negative", "neutral", "positive")},
        }
    )
    widgets.chart(words("trend.topics_of"), charts.ranked(shown, words), table, key=f"watchlist.topics.{series}")
