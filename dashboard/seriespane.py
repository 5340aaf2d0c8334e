"""A series over time: its trend with band and alert marks, comparison with others, and the stories behind a point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn

import pandas as pd
import streamlit as st

from dashboard import alertwords, bands, charts, context, markup, nav, times, widgets
from dashboard.i18n import Words
from dashboard.queries import Reads
from dashboard.times import Span
from monitor.domain import StoryFact

MEASURES: Final = ("share", "negative", "stories")
_STORIES: Final = 15


def ranking(reads: Reads, names: Sequence[str], span: Span) -> pd.DataFrame:
    """Counts of each series over the span, with the change against the span before; columns series, stories,
    negative, share, change (whole percentage points; NaN where one of the two spans is empty)."""
    before = Span(start=span.start - span.length, end=span.start)
    now, then = reads.totals(names, span.start, span.end), reads.totals(names, before.start, before.end)
    rows = []
    for name in names:
        stories, negative = now.get(name, (0, 0))
        old_stories, old_negative = then.get(name, (0, 0))
        share = negative / stories if stories else float("nan")
        old = old_negative / old_stories if old_stories else float("nan")
        moved = 100 * (share - old)
        rows.append((name, stories, negative, 100 * share, moved if math.isnan(moved) else round(moved)))
    return pd.DataFrame(rows, columns=["series", "stories", "negative", "share", "change"])


def ranking_columns(words: Words) -> dict[str, Any]:
    return {
        words("column.stories"): st.column_config.NumberColumn(width=52),
        words("column.negative"): st.column_config.NumberColumn(width=62),
        words("column.share"): st.column_config.ProgressColumn(
            width=92, format="%.0f%%", min_value=0, max_value=100, color="gray"
        ),
        words("column.change"): st.column_config.NumberColumn(
            width=56, format="%+.0f", help=words("column.change_help")
        ),
    }


def series_pane(series: str, span: Span, reads: Reads, key: str) -> None:
    """Trend, volume and stories of one series; a click on the trend narrows the stories to that step."""
    words, zone = context.words(), context.zone()
    stories, negative = reads.totals([series], span.start, span.end).get(series, (0, 0))
    step = times.readable_step(span, stories)
    past = bands.past_buckets(step)
    lead = Span(start=span.start - past * step, end=span.end)
    frame = bands.with_band(reads.trend(series, lead, step=step), past=past)
    frame = frame[frame["time"] >= times.floor(span.start, step)].reset_index(drop=True)
    name = words.series(series)
    if not stories:
        widgets.empty(words("trend.title_none", name=name), words("now.nothing_hint"))
        return
    shown = frame.assign(time=widgets.local(frame["time"], step))
    marks = [
        (alert.opened_at.astimezone(zone).replace(tzinfo=None), alertwords.summary(alert, words))
        for alert in reads.alerts(since=span.start)
        if alert.series == series and alert.opened_at < span.end
    ]
    table = shown[["time", "negative", "neutral", "positive", "stories", "share"]].rename(
        columns={
            column: words(f"column.{column}")
            for column in ("time", "negative", "neutral", "positive", "stories", "share")
        }
    )
    event = widgets.chart(
        words("trend.title", name=name, share=f"{negative / stories:.0%}", stories=f"{stories:,}"),
        charts.share_with_band(shown, words, step, marks),
        table,
        key=f"{key}.trend.{series}",
        note=words("trend.note"),
        on_select=True,
    )
    widgets.chart(words("trend.volume"), charts.volume(shown, words, step, 150), table, key=f"{key}.volume.{series}")
    _stories(series, span, _clicked(event, frame, shown, step), reads, words, key)


def _clicked(event: Any, frame: pd.DataFrame, shown: pd.DataFrame, step: timedelta) -> Span | None:
    """The step of the point that was clicked."""
    points = event.selection.points if event is not None else []
    if not points:
        return None
    at = pd.Timestamp(points[0]["x"])
    place = int((shown["time"] <= at).sum()) - 1  # the point stands in the middle of its step
    if place < 0:
        return None
    start: datetime = frame["time"].iloc[place].to_pydatetime()
    return Span(start=start, end=start + step)


def _stories(series: str, span: Span, step: Span | None, reads: Reads, words: Words, key: str) -> None:
    zone = context.zone()
    if step is None:
        widgets.title(words("trend.strongest"))
        facts = reads.facts(series, span.start, span.end, negative=True, limit=_STORIES)
    else:
        widgets.title(words("trend.of_step", start=times.moment(step.start, zone), end=times.moment(step.end, zone)))
        facts = reads.facts(series, step.start, step.end, negative=False, limit=40)
    if not facts:
        widgets.empty(words("trend.no_stories"))
        return
    with st.container(height=420 if len(facts) > 7 else "content", border=True):
        st.html("".join(story_line(words, fact) for fact in facts))
    kind = series.partition(":")[0]
    if kind in ("topic", "entity") and st.button(words("trend.to_news"), key=f"{key}.news", type="tertiary"):
        to_news(series, step or span)


def to_news(series: str, span: Span) -> NoReturn:
    """Open News with the stories of a topic or an entity in the days of a span."""
    kind, _, rest = series.partition(":")
    zone = context.zone()
    nav.go(
        "news",
        **{
            kind: rest,
            "range": "custom",
            "from": span.start.astimezone(zone).date().isoformat(),
            "to": (span.end - timedelta(seconds=1)).astimezone(zone).date().isoformat(),
        },
    )


def story_line(words: Words, fact: StoryFact) -> str:
    """A story with when and by whom, as text."""
    parts = [times.moment(fact.published, context.zone())]
    if fact.articles > 1:
        parts.append(words.counted(fact.articles, len(fact.families)))
    parts.append(words("count.comma").join(fact.publishers[:3]))
    return markup.story_line(fact.title, " · ".join(parts), None, fact.sentiment)


def comparison(series: Sequence[str], span: Span, reads: Reads, measure: str, key: str) -> None:
    """Several series in one chart, by the measure that was chosen."""
    words = context.words()
    total = reads.trends(series, span)
    step = times.readable_step(span, int(total["stories"].sum() / max(1, len(series))))
    frame = reads.trends(series, span, step)
    frame = frame.assign(
        share=frame["negative"] / frame["stories"].where(frame["stories"] > 0), time=widgets.local(frame["time"], step)
    )
    names = {name: words.series(name) for name in series}
    table = frame[["time", "series", "stories", "negative", "share"]].assign(
        series=[names.get(name, name) for name in frame["series"]]
    )
    table = table.rename(columns={name: words(f"column.{name}") for name in table.columns})
    widgets.chart(
        words("trend.compare_title"),
        charts.lines(frame, measure, names, words, step, share=measure == "share"),
        table,
        key=f"{key}.comparison",
    )


def compare_bar(page: str, options: Sequence[str]) -> tuple[list[str], str]:
    """What to compare with and by which measure, kept in the address (`compare`, `measure`)."""
    words = context.words()
    key, measure_key = f"{page}.compare", f"{page}.measure"
    if key not in st.session_state:
        st.session_state[key] = [name for name in st.query_params.get_all("compare") if name in options]
    if measure_key not in st.session_state:
        given = st.query_params.get("measure", "share")
        st.session_state[measure_key] = given if given in MEASURES else "share"
    st.session_state[key] = [name for name in st.session_state[key] if name in options]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.multiselect(
            words("trend.compare"),
            options,
            key=key,
            format_func=words.series,
            max_selections=5,
            placeholder=words("trend.compare"),
            label_visibility="collapsed",
        )
        measure = st.segmented_control(
            words("trend.measure"),
            MEASURES,
            key=measure_key,
            format_func=lambda name: words(f"trend.m_{name}"),
            required=True,
            label_visibility="collapsed",
        )
    for name, value, default in (("compare", chosen, []), ("measure", [measure or "share"], ["share"])):
        if value == default:
            st.query_params.pop(name, None)
        elif st.query_params.get_all(name) != value:
            st.query_params[name] = value
    return chosen, measure or "share"
