"""What pages share: header with "data as of", states, a chart with its table, failure without a traceback."""

from __future__ import annotations

import functools
import secrets
import zlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, ParamSpec

import pandas as pd
import streamlit as st
import structlog

from dashboard import context, figures, i18n, markup, palette, times
from dashboard.figures import Figure
from dashboard.i18n import Words
from dashboard.queries import Reads
from dashboard.safe import plain
from dashboard.said import said
from models.backend import Prediction
from models.errors import ModelError, ScorerError
from monitor.domain import Feed, FeedState, ScoredArticle, StatusCounts
from monitor.errors import MonitorError, NotAllowedError
from monitor.pulse import STALE_AFTER as WORKER_DEAD_AFTER
from monitor.pulse import WORKER_BEAT

P = ParamSpec("P")
log = structlog.get_logger("dashboard")

LIVE: Final = "30s"
"""How often the live part of a page looks for something new; it reads again only when the data version moved."""

STALE_AFTER: Final = 2 * 3600.0
"""Seconds without anything new, although feeds are on, after which a page says so."""


def guarded(view: Callable[P, None]) -> Callable[P, None]:
    """A page or fragment whose failure is shown as one sentence; the traceback goes to the log under a reference."""

    @functools.wraps(view)
    def safe(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            if not context.may_enter():
                st.rerun()  # a tab left open past its login: the whole script shows the door again
            view(*args, **kwargs)
        except NotAllowedError as error:
            log.warning("page refused", page=view.__module__, error=str(error))
            st.error(context.words()("error.not_allowed", role=context.words()(f"role.{error.needed}")))
        except ScorerError as error:
            log.warning("page refused", page=view.__module__, error=str(error))
            st.error(context.words()(f"error.scorer_{error.kind}", detail=plain(error.detail)))
        except (MonitorError, ModelError) as error:
            log.warning("page refused", page=view.__module__, error=str(error))
            st.error(context.words()("error.known", reason=plain(said(str(error), context.words()))))
        except Exception:
            reference = secrets.token_hex(4)
            log.exception("page failed", page=view.__module__, reference=reference)
            st.error(context.words()("error.unknown", reference=reference))

    return safe


def header(title: str, reads: Reads, *, live: bool = False, mark_samples: bool = True) -> StatusCounts:
    """Title on the left, how fresh the page is on the right; below, whatever makes it less than fresh.

    Both look again by themselves, so that a page left open does not say "just now" all day. live: the page's content
    follows the store by itself; else the time is that of what the page shows, with a button once there is newer data.
    """
    words = context.words()
    status = reads.status()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.title(title, anchor=False, width="content")
        # Without `wrap=False` a short text pushes the switch into a second line.
        with st.container(horizontal=True, vertical_alignment="center", width="content", wrap=False):
            _freshness(None if live else status.data_as_of)
            _language(words)
    if status.samples and mark_samples:
        st.html(markup.notice(words("state.sample", n=f"{status.samples:,}")))
    _warnings()
    return status


@st.fragment(run_every=LIVE)
@guarded
def _freshness(shown: datetime | None) -> None:
    words = context.words()
    newest = context.reads().status().data_as_of
    with st.container(horizontal=True, vertical_alignment="center", width="content", gap="small"):
        st.html(markup.dim(as_of(shown or newest, words)), width="content")
        newer = shown is not None and newest is not None and newest > shown
        if newer and st.button(words("state.newer"), type="tertiary", icon=":material/refresh:", key="header.newer"):
            st.rerun(scope="app")


@st.fragment(run_every=LIVE)
@guarded
def _warnings() -> None:
    """A worker without a sign of life, or feeds that bring nothing: on every page, because every page rests on them."""
    words, reads, now = context.words(), context.reads(), context.now()
    polled = [feed for feed in reads.feeds() if feed.enabled]
    beat = reads.beats().get(WORKER_BEAT)
    if beat is not None and now - beat[0] > WORKER_DEAD_AFTER:
        unit, count = times.age_parts(beat[0], now)
        at, age = times.moment(beat[0], context.zone()), words(f"age.{unit}", n=count)
        st.error(words("state.worker_dead", at=at, age=age), icon=":material/heart_broken:")
    elif beat is None and polled:
        st.warning(words("state.worker_never"), icon=":material/heart_broken:")
    stale = staleness(reads.status(), polled)
    if stale:
        st.warning(stale, icon=":material/schedule:")


def _language(words: Words) -> None:
    key = f"{context.LANGUAGE_KEY}.switch"
    if key not in st.session_state:
        st.session_state[key] = words.language

    def switch() -> None:
        st.session_state[context.LANGUAGE_KEY] = st.session_state[key]

    st.segmented_control(
        words("nav.language"),
        list(i18n.LANGUAGES),
        format_func=i18n.LANGUAGES.__getitem__,
        key=key,
        required=True,
        on_change=switch,
        label_visibility="collapsed",
    )


def as_of(at: datetime | None, words: Words) -> str:
    if at is None:
        return words("state.no_data_yet")
    unit, count = times.age_parts(at, context.now())
    return words(
        "state.as_of",
        local=times.moment(at, context.zone()),
        utc=at.strftime("%H:%M"),
        age=words(f"age.{unit}", n=count),
    )


def staleness(status: StatusCounts, polled: Sequence[Feed]) -> str | None:
    """Why what is shown may be behind, in words; None when nothing is wrong. polled: the feeds that are on."""
    words, now = context.words(), context.now()
    if not polled or status.data_as_of is None:
        return None
    if (now - status.data_as_of).total_seconds() > STALE_AFTER:
        unit, count = times.age_parts(status.data_as_of, now)
        return words("state.stale", age=words(f"age.{unit}", n=count))
    failing = sum(1 for feed in polled if feed.state is FeedState.FAILING)
    if failing == len(polled):
        return words("state.all_failing", n=failing)
    return None


def empty(message: str, hint: str = "") -> None:
    """A calm box where there is nothing to show, with what to do about it."""
    with st.container(border=True):
        st.html(markup.block(markup.paragraph(message) + (markup.dim(hint) if hint else ""), "padding:.4rem 0"))


def title(text: str, note: str = "") -> None:
    """The title of a block: a question answered. May hold text from outside; shown as text."""
    st.html(markup.headline(text, "1.02rem") + (markup.dim(note) if note else ""))


def chart(
    text: str,
    figure: Figure,
    table: pd.DataFrame,
    *,
    key: str,
    note: str = "",
    on_select: bool = False,
) -> Any:
    """A chart under its title, with the table behind it one click away; gives the selection when asked for."""
    words = context.words()
    figure = figures.inked(figure, palette.INK_DARK if st.context.theme.type == "dark" else palette.INK_LIGHT)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        title(text, note)
        with st.popover(words("chart.table"), type="tertiary", key=f"{key}.table"):
            st.dataframe(table, hide_index=True, width="stretch", height=360)
    if on_select:
        return st.plotly_chart(
            figure, key=key, config=figures.SELECTABLE, alt=text, on_select="rerun", selection_mode="points"
        )
    st.plotly_chart(figure, key=key, config=figures.CONFIG, alt=text)
    return None


def choose(
    table: pd.DataFrame,
    ids: Sequence[int] | Sequence[str],
    *,
    key: str,
    parameter: str,
    fallback: bool,
    height: int,
    row_height: int = 32,
    column_config: dict[str, Any] | None = None,
    alt: str = "",
) -> str | None:
    """A table of which one row is chosen; gives the id of that row as text and keeps it in the address.

    The row that the address names is chosen at first, else the first one when `fallback`. Rows move as news comes in,
    so another set of ids is another widget: the choice follows the id, not the place.
    """
    names = [str(one) for one in ids]
    wanted = st.query_params.get(parameter)
    # A choice made outside the table is another table too, with that row chosen.
    turn = st.session_state.get(f"turn.{parameter}", 0)
    place = names.index(wanted) if wanted in names else 0 if fallback and names else None
    event = st.dataframe(
        table,
        key=f"{key}.{zlib.crc32(repr(names).encode()):08x}.{turn}",
        hide_index=True,
        width="stretch",
        height=height,
        row_height=row_height,
        column_config=column_config,
        on_select="rerun",
        selection_mode="single-row",
        selection_default={"selection": {"rows": [] if place is None else [place], "columns": [], "cells": []}},
        alt=alt or None,
        placeholder="–",
    )
    rows = event.selection.rows
    if not rows or rows[0] >= len(names):
        return wanted
    chosen = names[rows[0]]
    if chosen != wanted:
        st.query_params[parameter] = chosen
    return chosen


def choose_other(parameter: str, chosen: str) -> None:
    """Choose a row of a `choose` table from outside it; for the callback of a button."""
    st.query_params[parameter] = chosen
    st.session_state[f"turn.{parameter}"] = st.session_state.get(f"turn.{parameter}", 0) + 1


def number(text: str | None) -> int | None:
    """The id that an address names, or None for anything that is no id."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None


def view_switch(key: str, views: Sequence[str], prefix: str) -> str:
    """The parts of a page side by side in one switch; the choice stands in the address as `view`."""
    words = context.words()
    if key not in st.session_state:
        given = st.query_params.get("view", views[0])
        st.session_state[key] = given if given in views else views[0]
    chosen = st.segmented_control(
        words(f"{prefix}.view"),
        views,
        key=key,
        format_func=lambda name: words(f"{prefix}.{name}"),
        required=True,
        label_visibility="collapsed",
    )
    view = chosen or views[0]
    if view == views[0]:
        st.query_params.pop("view", None)
    elif st.query_params.get("view") != view:
        st.query_params["view"] = view
    return view


def table_height(rows: int, most: int, row_height: int = 32) -> int:
    """Pixels that a table of so many rows takes, without an empty strip below; `most` where it has to scroll."""
    return min(most, 37 + row_height * max(1, rows))


def selected_row(event: Any) -> int | None:
    """The row chosen in a dataframe with single-row selection."""
    rows = event.selection.rows if event is not None else []
    return int(rows[0]) if rows else None


def local(times_utc: pd.Series, step: timedelta) -> pd.Series:
    """A column of aware UTC times as the viewer's wall clock without an offset, for charts.

    Whole days stay as they are: a day in a chart is a day in UTC, and must not become the evening before.
    """
    if step >= times.DAY:
        return times_utc.dt.tz_localize(None)
    return times_utc.dt.tz_convert(str(context.zone())).dt.tz_localize(None)


def verdict_of(prediction: Prediction | None, state: str, words: Words) -> str:
    """Sign and word for an article's sentiment, or why it has none."""
    if prediction is None:
        return words(f"article.{state}") if words.has(f"article.{state}") else state
    text = f"{palette.MARK[prediction.sentiment]} {words.sentiment(prediction.sentiment)}"
    return f"{text} ?" if prediction.unsure else text


def article_table(rows: Sequence[ScoredArticle], words: Words) -> pd.DataFrame:
    """Articles as the lists show them: at 1,280 pixels they fit beside the reading pane, which has the rest."""
    zone = context.zone()
    return pd.DataFrame(
        {
            words("column.time"): [times.compact(row.article.published, zone, context.now()) for row in rows],
            words("column.sentiment"): [verdict_of(row.prediction, row.state, words) for row in rows],
            words("column.title"): [row.article.title for row in rows],
            words("column.publisher"): [_publisher(row, words) for row in rows],
            words("column.score"): [row.prediction.score if row.prediction else None for row in rows],
        }
    )


def article_columns(words: Words) -> dict[str, Any]:
    return {
        words("column.time"): st.column_config.TextColumn(width=84, help=words("column.time_help")),
        words("column.sentiment"): st.column_config.TextColumn(width=80),
        words("column.title"): st.column_config.TextColumn(width=252),
        words("column.publisher"): st.column_config.TextColumn(width=100, help=words("column.publisher_help")),
        words("column.score"): st.column_config.NumberColumn(width=56, format="%+.2f", help=words("column.score_help")),
    }


def _publisher(row: ScoredArticle, words: Words) -> str:
    text = row.article.publisher
    if row.story_publishers > 1:
        text = words("article.and_more", publisher=text, n=row.story_publishers - 1)
    return words("article.sample", publisher=text) if row.article.sample else text
