"""The filters as widgets, in step with the address: a shared link shows the same view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Final

import streamlit as st

from dashboard import context, filters, times
from dashboard.filters import Filters
from dashboard.queries import Reads
from dashboard.times import Span
from models.labels import SENTIMENTS, TOPICS

_RANGE: Final = "remembered.range"
"""The span a person chose last goes with them from page to page, unless the address says otherwise."""


def bar(page: str, reads: Reads, fields: Sequence[str], default: Filters | None = None) -> tuple[Filters, Span]:
    """Draw the widgets of `fields` (names of `Filters`), keep the address in step, give the filters and their span.

    `range` brings the custom days with it. Everything but the range and the search text sits in one popover.
    """
    words = context.words()
    base = default or Filters()
    given = filters.read({name: st.query_params.get_all(name) for name in st.query_params}, base)
    if filters.PARAMETERS["range"] not in st.query_params and not given.first:
        given = replace(given, **st.session_state.get(_RANGE, {}))
    for name in (*fields, "first", "last"):
        _start(page, name, getattr(given, name))

    span_default = _span(given, reads)
    inner = [name for name in fields if name not in ("range", "text")]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if "text" in fields:
            st.text_input(
                words("filter.text"),
                key=_key(page, "text"),
                placeholder=words("filter.text_hint"),
                type="search",
                label_visibility="collapsed",
                width=340,
            )
        st.segmented_control(
            words("filter.range"),
            times.PRESETS,
            key=_key(page, "range"),
            format_func=lambda name: words(f"range.{name}"),
            required=True,
            label_visibility="collapsed",
        )
        if _value(page, "range") == "custom":
            _days(page, span_default)
        if inner:
            count = sum(1 for name in inner if _value(page, name) != getattr(base, name))
            label = words("filter.more_active", n=count) if count else words("filter.more")
            with st.popover(label, icon=":material/filter_list:"):
                _inner(page, inner, reads, span_default)

    chosen = replace(base, **{name: _as_field(_value(page, name)) for name in fields})
    chosen = replace(chosen, first=_value(page, "first"), last=_value(page, "last"))
    if chosen.range != "custom":
        chosen = replace(chosen, first=None, last=None)
    st.session_state[_RANGE] = {"range": chosen.range, "first": chosen.first, "last": chosen.last}
    _address(chosen, base, fields)
    return chosen, _span(chosen, reads)


def _span(chosen: Filters, reads: Reads) -> Span:
    newest = reads.status().data_as_of
    anchor = min(newest, context.now()) if newest else context.now()
    return times.span_of(
        chosen.range,
        anchor=anchor,
        earliest=reads.earliest() if chosen.range == "all" else None,  # reads the days of the whole past
        custom=(chosen.first, chosen.last),
        zone=context.zone(),
    )


def _days(page: str, span: Span) -> None:
    words, zone = context.words(), context.zone()
    for name, at in (("first", span.start), ("last", span.end - timedelta(seconds=1))):
        key = _key(page, name)
        if st.session_state.get(key) is None:
            st.session_state[key] = at.astimezone(zone).date()
        st.date_input(
            words(f"filter.{name}"),
            key=key,
            min_value=date(1990, 1, 1),
            max_value=context.now().date() + timedelta(days=2),
            format="YYYY-MM-DD",
            label_visibility="collapsed",
            width=130,
        )


def _inner(page: str, fields: Sequence[str], reads: Reads, span: Span) -> None:
    words = context.words()
    if "sentiments" in fields:
        st.pills(
            words("filter.sentiments"),
            SENTIMENTS,
            key=_key(page, "sentiments"),
            selection_mode="multi",
            format_func=words.sentiment,
        )
    if "topics" in fields:
        st.multiselect(words("filter.topics"), TOPICS, key=_key(page, "topics"), format_func=words.topic)
    if "entities" in fields:
        known = [entity.name for entity in reads.entities()]
        _choice(page, "entities", known)
    if "publishers" in fields:
        _choice(page, "publishers", reads.values("publisher", span))
    if "languages" in fields:
        _choice(page, "languages", reads.values("language", span))
    if "confidence" in fields:
        st.slider(
            words("filter.confidence"),
            0.0,
            1.0,
            step=0.05,
            key=_key(page, "confidence"),
            format="percent",
            help=words("filter.confidence_help"),
        )
    if "unsure" in fields:
        st.checkbox(words("filter.unsure"), key=_key(page, "unsure"))
    if "grouped" in fields:
        st.checkbox(words("filter.grouped"), key=_key(page, "grouped"), help=words("filter.grouped_help"))


def _choice(page: str, name: str, options: list[str]) -> None:
    """A list to choose from that also offers what the address named, though it may not occur in the span."""
    key = _key(page, name)
    chosen = st.session_state.get(key) or []
    st.multiselect(
        context.words()(f"filter.{name}"), options + [value for value in chosen if value not in options], key=key
    )


def _key(page: str, name: str) -> str:
    return f"{page}.{name}"


def _start(page: str, name: str, value: Any) -> None:
    key = _key(page, name)
    if key not in st.session_state:
        st.session_state[key] = list(value) if isinstance(value, tuple) else value


def _value(page: str, name: str) -> Any:
    return _as_field(st.session_state[_key(page, name)])


def _as_field(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _address(chosen: Filters, base: Filters, fields: Sequence[str]) -> None:
    """Write the filters to the address; what is no filter of this page (a chosen row, topic or company) stays."""
    ours = {filters.PARAMETERS[name] for name in (*fields, "first", "last")}
    wanted = filters.write(chosen, base)
    others = {name: st.query_params.get_all(name) for name in st.query_params if name not in ours}
    present = {name: st.query_params.get_all(name) for name in st.query_params}
    if present != {**others, **wanted}:
        st.query_params.from_dict({**others, **wanted})
