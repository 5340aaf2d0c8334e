"""Silences: spans in which matching alerts are raised but not sent to anyone."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pandas as pd
import streamlit as st

from dashboard import actions, context, times, widgets
from dashboard.queries import Reads
from models.labels import TOPICS

LENGTHS: Final = {"1h": 1, "4h": 4, "1d": 24, "7d": 168}


def silences_pane(reads: Reads) -> None:
    words, zone, now = context.words(), context.zone(), context.now()
    silences = sorted(reads.silences(), key=lambda one: one.end, reverse=True)
    active = [one for one in silences if one.start <= now < one.end]
    left, right = st.columns([6, 4], gap="medium")
    with left:
        widgets.title(words("silence.title", n=len(active)))
        if not silences:
            widgets.empty(words("silence.none"))
        else:
            st.dataframe(
                pd.DataFrame(
                    {
                        words("silence.matcher"): [words.series(one.matcher) for one in silences],
                        words("column.rule"): [one.rule or words("silence.any_rule") for one in silences],
                        words("silence.start"): [times.moment(one.start, zone) for one in silences],
                        words("silence.end"): [times.moment(one.end, zone) for one in silences],
                        words("column.actor"): [one.actor for one in silences],
                        words("column.note"): [one.note for one in silences],
                    }
                ),
                hide_index=True,
                width="stretch",
            )
        if active and context.may("analyst"):
            chosen = st.selectbox(
                words("silence.which"),
                active,
                format_func=lambda one: f"{words.series(one.matcher)} – {times.moment(one.end, zone)}",
            )
            if st.button(words("silence.stop")) and chosen is not None:
                actions.end_silence(chosen.id)
                st.rerun()
    with right:
        if not context.may("analyst"):
            return
        with st.form("silence.new", clear_on_submit=True):
            widgets.title(words("silence.new"), words("silence.new_note"))
            options = ["all", *[f"topic:{topic}" for topic in TOPICS]]
            options += [f"entity:{entity.name}" for entity in reads.entities()]
            matcher = st.selectbox(words("silence.matcher"), options, format_func=words.series, accept_new_options=True)
            rule = st.selectbox(
                words("column.rule"),
                [None, *[rule.name for rule in reads.rules()]],
                format_func=lambda name: name or words("silence.any_rule"),
            )
            begin = st.datetime_input(words("silence.start"), value=None, help=words("silence.start_help"))
            length = st.selectbox(words("silence.length"), list(LENGTHS), format_func=lambda n: words(f"snooze.{n}"))
            note = st.text_input(words("column.note"), max_chars=300)
            if st.form_submit_button(words("silence.save"), type="primary") and matcher:
                start = now if begin is None else begin.replace(tzinfo=zone)
                actions.silence(matcher, rule, start, start + timedelta(hours=LENGTHS[length]), note)
                st.rerun()
