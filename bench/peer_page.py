"""The peer of `bench.page`: the page Now as many a dashboard is written, over one cached frame of all scored stories.

The same question, the same charts and table builders, so that only the way to the numbers differs: every change filters
and groups the frame. The frame is a shared resource, which spares the peer the copy that `cache_data` would make.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd
import streamlit as st

from dashboard import bands, charts, i18n
from monitor.store import open_store

DAYS = 60
STEP = timedelta(days=1)


@st.cache_resource(show_spinner=False)
def frame() -> pd.DataFrame:
    store = open_store(os.environ["BENCH_STORE"], role="reader")
    facts = store.iter_story_facts(datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
    rows = [
        (one.published, one.sentiment, one.main_topic, one.articles, one.title, one.publishers[0], one.score)
        for one in facts
    ]
    store.close()
    names = ["time", "sentiment", "topic", "articles", "title", "publisher", "score"]
    made = pd.DataFrame(rows, columns=names)
    made["time"] = pd.to_datetime(made["time"], utc=True)
    return made.astype({"sentiment": "category", "topic": "category", "publisher": "category"})


def counted(rows: pd.DataFrame, by: list[object]) -> pd.DataFrame:
    shown = rows.assign(**{name: rows["sentiment"] == name for name in ("negative", "neutral", "positive")}, stories=1)
    columns = ["stories", "negative", "neutral", "positive", "articles"]
    return shown.groupby(by, observed=True)[columns].sum().reset_index()


words = i18n.words("en")
stories = frame()
first = st.date_input("First day", date(2024, 3, 1), key="peer.first")
last = st.date_input("Last day", date(2024, 4, 1), key="peer.last")
start = pd.Timestamp(datetime.combine(first, time(), UTC))
end = pd.Timestamp(datetime.combine(last + timedelta(days=1), time(), UTC))
day = pd.Grouper(key="time", freq="D")
counts = counted(stories[(stories["time"] >= start - timedelta(days=DAYS)) & (stories["time"] < end)], [day])
band = bands.with_band(counts, past=DAYS)
band = band[band["time"] >= start].assign(time=lambda one: one["time"].dt.tz_localize(None))
within = stories[(stories["time"] >= start) & (stories["time"] < end)]
columns = st.columns(4)
columns[0].metric("Negative share", f"{(within['sentiment'] == 'negative').mean():.0%}")
columns[1].metric("Stories", f"{len(within):,}")
columns[2].metric("Articles", f"{within['articles'].sum():,}")
columns[3].metric("Topics", within["topic"].nunique())
st.plotly_chart(charts.share_with_band(band, words, STEP), key="peer.share")
st.plotly_chart(charts.volume(band, words, STEP), key="peer.volume")
heat = counted(within, [day, "topic"]).rename(columns={"topic": "series"})
heat = heat.assign(time=heat["time"].dt.tz_localize(None), series="topic:" + heat["series"].astype(str))
names = {name: words.series(name) for name in heat["series"].unique()}
st.plotly_chart(charts.heatmap(heat, names, words, STEP), key="peer.heat")
recent = stories[(stories["time"] >= end - timedelta(days=2)) & (stories["time"] < end)]
change = recent[recent["sentiment"] == "negative"].groupby(["topic", day], observed=True).size()
st.dataframe(change.unstack(fill_value=0))
st.dataframe(within[within["sentiment"] == "negative"].nsmallest(15, "score")[["time", "title", "publisher"]])
