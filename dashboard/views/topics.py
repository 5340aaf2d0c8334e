"""Topics: which topics turn bad, since when, compared with what, and by which stories."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import context, filterbar, nav, seriespane, widgets
from models.labels import TOPICS
from monitor.domain import series_of_topic


@widgets.guarded
def page() -> None:
    words = context.words()
    reads = context.reads()
    status = widgets.header(words("nav.topics"), reads)
    if not status.articles:
        widgets.empty(words("now.empty"), words("now.empty_hint"))
        if st.button(words("now.to_feeds"), type="primary"):
            nav.go("feeds")
        return
    _, span = filterbar.bar("topics", reads, ("range",))
    names = [series_of_topic(topic) for topic in TOPICS]
    rows = seriespane.ranking(reads, names, span)
    rows = rows[rows["stories"] > 0].assign(last=rows["series"] == "topic:other")
    rows = rows.sort_values(["last", "negative", "stories"], ascending=[True, False, False])
    if rows.empty:
        widgets.empty(words("now.nothing_in_span"), words("now.nothing_hint"))
        return
    left, right = st.columns([5, 7], gap="medium")
    with left:
        widgets.title(words("trend.rank_topics", n=len(rows)))
        table = pd.DataFrame(
            {
                words("column.topic"): [words.series(name) for name in rows["series"]],
                words("column.stories"): rows["stories"].to_numpy(),
                words("column.negative"): rows["negative"].to_numpy(),
                words("column.share"): rows["share"].to_numpy(),
                words("column.change"): rows["change"].to_numpy(),
            }
        )
        topic = widgets.choose(
            table,
            [name.removeprefix("topic:") for name in rows["series"]],
            key="topics.list",
            parameter="topic",
            fallback=True,
            height=widgets.table_height(len(rows), 760),
            column_config={
                words("column.topic"): st.column_config.TextColumn(width=150),
                **seriespane.ranking_columns(words),
            },
            alt=words("trend.rank_topics", n=len(rows)),
        )
    chosen = series_of_topic(topic) if topic in TOPICS else str(rows.iloc[0]["series"])
    with right:
        others, measure = seriespane.compare_bar("topics", [name for name in [*names, "all"] if name != chosen])
        if others:
            seriespane.comparison([chosen, *others], span, reads, measure, "topics")
        seriespane.series_pane(chosen, span, reads, "topics")
