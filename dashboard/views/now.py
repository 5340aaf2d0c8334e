"""Now: is coverage more negative than usual, where, since when, and is the pipeline alive?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Literal

import pandas as pd
import streamlit as st

from dashboard import alertwords, bands, charts, context, filterbar, markup, nav, palette, seriespane, times, widgets
from dashboard.bands import Change
from dashboard.filters import Filters
from dashboard.i18n import Words
from dashboard.queries import TOPIC_SERIES, Reads
from dashboard.said import said
from dashboard.seriespane import story_line
from dashboard.times import DAY, HOUR, Span
from monitor.domain import Alert, AlertState, Severity, series_of_entity, series_of_topic

UNRESOLVED: Final = (AlertState.OPEN, AlertState.ACKNOWLEDGED, AlertState.ESCALATED)
LEAST_STORIES: Final = 3
"""Fewer stories than this in a cell of the map have no share worth a colour."""

_USUAL_DAYS: Final = 28
_SEVERITY_ORDER: Final = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


@widgets.guarded
def page() -> None:
    widgets.header(context.words()("nav.now"), context.reads(), live=True)
    _body()


@st.fragment(run_every=widgets.LIVE)
@widgets.guarded
def _body() -> None:
    words = context.words()
    reads = context.reads()
    status = reads.status()
    if not status.articles:
        widgets.empty(words("now.empty"), words("now.empty_hint"))
        if st.button(words("now.to_feeds"), type="primary"):
            nav.go("feeds")
        _pulse(words)
        return
    chosen, span = filterbar.bar("now", reads, ("range", "publishers", "languages"))
    day = Span(start=span.end - DAY, end=span.end)
    alerts = sorted(
        reads.alerts(UNRESOLVED),
        key=lambda alert: (alert.inhibited_by is not None, _SEVERITY_ORDER[alert.severity], -alert.id),
    )
    blocks = bands.with_band(reads.days_before("all", day.end, _USUAL_DAYS + 1, chosen.cells), past=_USUAL_DAYS)
    counts = _with_lead(reads, span, span.step, chosen)
    begun = times.floor(span.start, span.step)
    # A first step that began before the span counts from there for the share, and from the span's start here.
    inside = counts[counts["time"] >= begun] if begun == span.start else reads.trend("all", span, chosen.cells)
    if not blocks["stories"].sum() and not inside["stories"].sum():
        widgets.empty(
            words("now.nothing_counted", n=f"{status.unscored:,}") if status.unscored else words("now.nothing_in_span"),
            words("now.nothing_hint"),
        )
        _pulse(words)
        return
    _figures(words, blocks, alerts, status.unscored)
    left, right = st.columns([7, 3], gap="medium")
    with left:
        step = times.readable_step(span, int(inside["stories"].sum()))
        wide = counts if step == span.step else _with_lead(reads, span, step, chosen)
        _share(words, reads, span, step, wide, blocks)
        _volume(words, inside, span.step)
    with right:
        _open_alerts(words, alerts)
        _pulse(words)
    _heat(words, reads, span, chosen)
    _changes(words, reads, day)


def _with_lead(reads: Reads, span: Span, step: timedelta, chosen: Filters) -> pd.DataFrame:
    """Counts in steps over the span and over what says what is usual before it."""
    lead = Span(start=span.start - bands.past_buckets(step) * step, end=span.end)
    return reads.trend("all", lead, chosen.cells, step=step)


def _figures(words: Words, blocks: pd.DataFrame, alerts: Sequence[Alert], unscored: int) -> None:
    last, before = blocks.iloc[-1], blocks.iloc[:-1]
    columns = st.columns(4)
    share = last["share"]
    colour: Literal["off", "orange", "blue"] = "off"
    usual = words("now.band_young")
    if not pd.isna(last["low"]):
        place = "above" if share > last["high"] else "below" if share < last["low"] else "within"
        usual = words(f"now.band_{place}", low=f"{last['low']:.0%}", high=f"{last['high']:.0%}")
        colour = "orange" if place == "above" else "blue" if place == "below" else "off"
    columns[0].metric(
        words("now.share"),
        "–" if pd.isna(share) else f"{share:.0%}",
        delta=usual,
        delta_color=colour,
        delta_arrow="off",
        border=True,
        chart_data=[float(value) for value in blocks["share"].dropna()],
        chart_type="line",
        help=words("now.share_help"),
        height="stretch",  # without a value there is no line, and the card would be lower than the others
    )
    habit = before.loc[before["stories"] > 0, "stories"].median()
    columns[1].metric(
        words("now.stories"),
        f"{int(last['stories']):,}",
        delta=words("now.usual_number", n=f"{habit:,.0f}") if habit == habit else words("now.band_young"),
        delta_color="off",
        delta_arrow="off",
        border=True,
        chart_data=[int(value) for value in blocks["stories"]],
        chart_type="bar",
        help=words("now.stories_help"),
    )
    columns[2].metric(
        words("now.articles"),
        f"{int(last['articles']):,}",
        delta=words("now.waiting", n=f"{unscored:,}") if unscored else words("now.all_scored"),
        delta_color="orange" if unscored > 500 else "off",
        delta_arrow="off",
        border=True,
        chart_data=[int(value) for value in blocks["articles"]],
        chart_type="bar",
        help=words("now.articles_help"),
    )
    critical = sum(1 for alert in alerts if alert.severity is Severity.CRITICAL)
    columns[3].metric(
        words("now.alerts"),
        f"{len(alerts):,}",
        delta=words("now.critical", n=critical),
        delta_color="orange" if critical else "off",
        delta_arrow="off",
        border=True,
        height="stretch",
    )


def _share(words: Words, reads: Reads, span: Span, step: timedelta, counts: pd.DataFrame, blocks: pd.DataFrame) -> None:
    """counts: in such steps, with what came before the span."""
    frame = bands.with_band(counts, past=bands.past_buckets(step))
    frame = frame[frame["time"] >= times.floor(span.start, step)]
    last = blocks.iloc[-1]
    if pd.isna(last["low"]):
        text = words("now.title_young")
    else:
        place = "above" if last["share"] > last["high"] else "below" if last["share"] < last["low"] else "within"
        text = words(
            f"now.title_{place}", share=f"{last['share']:.0%}", low=f"{last['low']:.0%}", high=f"{last['high']:.0%}"
        )
    shown = frame.assign(time=widgets.local(frame["time"], step))
    within = [
        (alert.opened_at.astimezone(context.zone()).replace(tzinfo=None), words.series(alert.series))
        for alert in reads.alerts(since=span.start, limit=200)
        if span.start <= alert.opened_at < span.end
    ]
    widgets.chart(
        text,
        charts.share_with_band(shown, words, step, within),
        _share_table(words, shown),
        key="now.share",
        note=words("now.share_note"),
    )


def _share_table(words: Words, frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            words("column.time"): frame["time"],
            words("column.negative"): frame["negative"].astype(int),
            words("column.stories"): frame["stories"].astype(int),
            words("column.share"): frame["share"].round(3),
            words("column.low"): frame["low"].round(3),
            words("column.high"): frame["high"].round(3),
        }
    )


def _volume(words: Words, frame: pd.DataFrame, step: timedelta) -> None:
    shown = frame.assign(time=widgets.local(frame["time"], step))
    table = shown[["time", "stories", "negative", "neutral", "positive", "articles"]].rename(
        columns={name: words(f"column.{name}") for name in shown.columns if words.has(f"column.{name}")}
    )
    total = int(frame["stories"].sum())
    widgets.chart(
        words("now.volume_title", stories=f"{total:,}", articles=f"{int(frame['articles'].sum()):,}"),
        charts.volume(shown, words, step),
        table,
        key="now.volume",
    )


def _open_alerts(words: Words, alerts: Sequence[Alert]) -> None:
    with st.container(border=True):
        widgets.title(words("now.alerts_title", n=len(alerts)) if alerts else words("now.no_alerts"))
        for alert in alerts[:5]:
            colour = palette.SEVERITY[alert.severity]
            sign = palette.SEVERITY_MARK[alert.severity]
            line = markup.block(
                f'<span style="color:{colour}" aria-hidden="true">{sign}</span> '
                + markup.inline(f"{words(f'severity.{alert.severity}')} · {words.series(alert.series)}")
                + markup.dim(alertwords.line(alert, words))
            )
            with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
                st.html(line, width=210)
                if st.button(words("now.open"), key=f"now.alert.{alert.id}", type="tertiary"):
                    nav.go("alerts", alert=str(alert.id))
        if len(alerts) > 5 and st.button(words("now.all_alerts", n=len(alerts)), type="tertiary"):
            nav.go("alerts")


def _pulse(words: Words) -> None:
    """The worker, data as of, silent and failing feeds, what waits: silence must mean calm."""
    pulse = context.app().pulse(context.now(), context.reads())
    status = context.reads().status()
    colour = palette.POSITIVE if pulse.worker == "running" else palette.NEGATIVE
    state = words(f"pulse.{pulse.worker.replace(' ', '_')}")
    pairs = [
        (words("pulse.last_beat"), times.moment(pulse.last_beat, context.zone(), seconds=True)),
        (words("pulse.as_of"), times.moment(pulse.data_as_of, context.zone())),
        (words("pulse.waiting"), f"{status.unscored:,}"),
        (words("pulse.silent"), _names(words, pulse.silent)),
        (words("pulse.failing"), _names(words, pulse.failing)),
    ]
    with st.container(border=True):
        widgets.title(words("pulse.title"))
        st.html(markup.block(markup.dot(colour, state)) + markup.facts(pairs))
        if status.quarantined:
            st.html(markup.dim(words("pulse.quarantined", n=f"{status.quarantined:,}")))
        for problem in pulse.problems:
            st.html(markup.dim(said(problem, words)))


def _names(words: Words, names: Sequence[str]) -> str:
    if not names:
        return words("pulse.none")
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else words("pulse.and_more", names=shown, n=len(names) - 3)


def _heat_steps(span: Span) -> list[timedelta]:
    """Steps that give the map some four to sixty columns, the finest first."""
    steps = (2 * HOUR, 6 * HOUR, DAY, 7 * DAY, 28 * DAY)
    return [step for step in steps if 4 <= span.length / step <= 62] or [28 * DAY]


def _heat(words: Words, reads: Reads, span: Span, chosen: Filters) -> None:
    # The finest step at which most cells hold enough stories to have a share at all.
    for step in _heat_steps(span):
        frame = reads.topics_over_time(span, step, chosen.cells)
        if not frame.empty and (frame["stories"] >= LEAST_STORIES).mean() >= 0.5:
            break
    frame = frame[frame["series"] != series_of_topic("other")]  # nor do the figures above count those
    enough = frame[frame["stories"] >= LEAST_STORIES]
    if enough.empty:
        return
    totals = frame[frame["series"].isin(enough["series"])].groupby("series")[["stories", "negative"]].sum()
    totals = totals.sort_values(["negative", "stories"], ascending=False)
    names = {str(name): words.series(str(name)) for name in totals.index}
    shown = frame.assign(time=widgets.local(frame["time"], step))
    table = shown.assign(series=[words.series(str(name)) for name in shown["series"]])[
        ["time", "series", "stories", "negative"]
    ].rename(columns={name: words(f"column.{name}") for name in ("time", "series", "stories", "negative")})
    event = widgets.chart(
        words("now.heat_title", topic=next(iter(names.values()))),
        charts.heatmap(shown, names, words, step, LEAST_STORIES),
        table,
        key="now.heat",
        note=words("now.heat_note", n=LEAST_STORIES),
        on_select=True,
    )
    points = event.selection.points if event is not None else []
    if points and (data := points[0].get("customdata")):
        start = sorted(frame["time"].unique())[int(data[4])].to_pydatetime()
        st.session_state.pop("now.heat", None)  # coming back, the cell must not be chosen still
        seriespane.to_news(str(data[3]), Span(start=start, end=start + step))


def _changes(words: Words, reads: Reads, day: Span) -> None:
    """What moved most against the day before, with the stories behind it."""
    before = Span(start=day.start - DAY, end=day.start)
    topics = [name for name in TOPIC_SERIES if name != series_of_topic("other")]
    entities = [series_of_entity(entity.name) for entity in reads.entities()]
    now, then = (
        {**reads.totals(topics, one.start, one.end), **reads.totals(entities, one.start, one.end)}
        for one in (day, before)
    )
    changes = bands.changed_most(now, then)
    widgets.title(words("now.changes_title"), words("now.changes_note"))
    if not changes:
        widgets.empty(words("now.no_changes"))
        return
    for row in range(0, len(changes), 3):
        for column, change in zip(st.columns(3), changes[row : row + 3], strict=False):
            with column.container(border=True, height="stretch"):
                _change(words, reads, day, before, change)


def _change(words: Words, reads: Reads, day: Span, before: Span, change: Change) -> None:
    more = change.now > change.before
    st.html(
        markup.headline(words.series(change.series), "1rem")
        + markup.dim(
            words("now.change_more" if more else "now.change_less", n=change.now, before=f"{change.before:.0f}")
        )
    )
    span = day if more else before
    facts = reads.facts(change.series, span.start, span.end, negative=True, limit=3)
    st.html("".join(story_line(words, fact) for fact in facts))
    kind, _, name = change.series.partition(":")
    if st.button(words("now.stories_of"), key=f"now.change.{change.series}", type="tertiary"):
        nav.go("news", **{"topic" if kind == "topic" else "entity": name, "sentiment": "negative", "range": "7d"})
