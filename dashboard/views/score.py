"""Score text: paste a text or bring files; what comes back is shown, and nothing is kept."""

from __future__ import annotations

from typing import Final

import pandas as pd
import streamlit as st

from dashboard import actions, context, jobs, markup, times, uploads, widgets
from dashboard.i18n import Words
from dashboard.safe import plain
from dashboard.said import said
from dashboard.scored import document_pane, downloads, score_texts, summary_row
from dashboard.uploads import Upload
from models.longtext import DocumentScore
from monitor import keeping
from monitor.errors import UploadError

QUICK_ROWS: Final = 200
"""A table with more rows becomes a job with a progress bar; shorter ones are asked of the warm scoring process."""

QUICK_CHARS: Final = 20_000
"""Documents with more characters between them become a job with a progress bar."""

PASTE_LIMIT: Final = 200_000
_PASTED: Final = "score.pasted"
_JOB: Final = "score.job"
_DONE: Final = "score.done"
_SCORED: Final = "score.scored"
_DOCUMENTS: Final = "score.documents.running"
_HEAD: Final = 500


@widgets.guarded
def page() -> None:
    words = context.words()
    widgets.header(words("nav.score"), context.reads())
    context.warm_up()
    st.html(markup.dim(words("score.kept")))
    key = "score.mode"
    if key not in st.session_state:
        st.session_state[key] = "paste"
    mode = st.segmented_control(
        words("score.mode"),
        ("paste", "upload"),
        key=key,
        format_func=lambda name: words(f"score.{name}"),
        required=True,
        label_visibility="collapsed",
    )
    (_paste if mode == "paste" else _upload)(words)
    _kept(words)


def _kept(words: Words) -> None:
    """Results that somebody asked to keep."""
    home = context.app().settings.home_path
    found = keeping.kept(home)
    if not found:
        return
    with st.expander(words("score.kept_title", n=len(found))):
        st.dataframe(
            pd.DataFrame(
                {
                    words("score.kept_at"): [times.moment(one.at, context.zone()) for one in found],
                    words("column.file"): [one.name for one in found],
                    words("score.kept_size"): [round(one.size / 1024, 1) for one in found],
                }
            ),
            hide_index=True,
            width="stretch",
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name = st.selectbox(words("score.which"), [one.name for one in found], width=420)
            if name:
                st.download_button(
                    words("score.download"),
                    data=lambda: keeping.read_kept(home, name),
                    file_name=name,
                    mime="text/csv",
                    on_click="ignore",
                )
                if context.may("analyst") and st.button(words("score.forget")):
                    actions.forget_result(name)
                    st.rerun()


def _paste(words: Words) -> None:
    left, right = st.columns([5, 6], gap="medium")
    with left, st.form("score.paste", border=False):
        text = st.text_area(
            words("score.text"), height=260, max_chars=PASTE_LIMIT, placeholder=words("score.placeholder")
        )
        asked = st.form_submit_button(words("score.go"), type="primary")
    with right:
        if asked:
            st.session_state[_PASTED] = text if text.strip() else None
        pasted: str | None = st.session_state.get(_PASTED)
        if pasted is None:
            widgets.empty(words("score.nothing"), words("score.nothing_hint"))
            return
        scores: dict[str, DocumentScore] = st.session_state.setdefault(_SCORED, {})
        one = uploads.pasted(pasted, words("score.paste"))
        if one.identity not in scores:
            if len(pasted) > QUICK_CHARS:
                _score_elsewhere([one], scores)
                return
            with st.spinner(words("score.working")):
                scores[one.identity] = uploads.scored(pasted)
        document_pane(pasted, scores[one.identity], key="pasted")


def _upload(words: Words) -> None:
    files = st.file_uploader(
        words("score.files"),
        type=list(uploads.KINDS),
        accept_multiple_files=True,
        max_upload_size=uploads.LIMIT_MB,
        help=words("score.files_help", mb=uploads.LIMIT_MB),
    )
    if not files:
        widgets.empty(words("score.no_files"), words("score.no_files_hint"))
        return
    read: list[Upload] = []
    for file in files:
        try:
            read.append(uploads.read(file.file_id, file.name, file.getvalue()))
        except UploadError as error:
            st.error(plain(said(str(error), words)))
    _forget_others({one.identity for one in read})
    documents = [one for one in read if one.table is None]
    if documents:
        _documents(documents, words)
    for place, one in enumerate(upload for upload in read if upload.table is not None):
        _table(one, words, f"table.{place}")


def _forget_others(here: set[str]) -> None:
    """Scores of files that were taken out of the uploader go; what was pasted stays."""
    done: dict[tuple[str, str], pd.DataFrame] = st.session_state.get(_DONE, {})
    for which in [one for one in done if one[0] not in here]:
        del done[which]
    scores: dict[str, DocumentScore] = st.session_state.get(_SCORED, {})
    pasted = st.session_state.get(_PASTED)
    kept = here | ({uploads.pasted(pasted, "").identity} if pasted else set())
    for identity in [one for one in scores if one not in kept]:
        del scores[identity]


def _documents(documents: list[Upload], words: Words) -> None:
    scores: dict[str, DocumentScore] = st.session_state.setdefault(_SCORED, {})
    missing = [one for one in documents if one.identity not in scores]
    if sum(len(one.text) for one in missing) <= QUICK_CHARS:
        with st.spinner(words("score.working")):
            scores.update({one.identity: uploads.scored(one.text) for one in missing})
    else:
        _score_elsewhere(missing, scores)
        return
    scored = [(one, scores[one.identity]) for one in documents]
    overview = pd.DataFrame([summary_row(one.name, score, words) for one, score in scored])
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        widgets.title(words("score.documents", n=len(scored)))
        with st.container(horizontal=True, width="content"):
            downloads(overview, "headwind-documents", "score.documents")
    event = st.dataframe(
        overview,
        hide_index=True,
        width="stretch",
        on_select="rerun",
        selection_mode="single-row",
        key="score.documents",
        column_config={
            words("column.score"): st.column_config.NumberColumn(format="%+.2f", width=70),
            words("column.confidence"): st.column_config.NumberColumn(format="percent", width=90),
        },
        selection_default={"selection": {"rows": [0], "columns": [], "cells": []}},
    )
    row = widgets.selected_row(event) or 0
    one, score = scored[min(row, len(scored) - 1)]
    st.html(markup.headline(one.name, "1.05rem"))
    for note in one.notes:
        st.html(markup.dim(said(note, words)))
    document_pane(one.text, score, key=f"doc.{one.identity}")


def _score_elsewhere(missing: list[Upload], scores: dict[str, DocumentScore]) -> None:
    """Long documents go to a process of their own; the page is drawn again when they are done."""
    which = tuple(one.identity for one in missing)
    running: dict[tuple[str, ...], jobs.Job[list[DocumentScore]]] = st.session_state.setdefault(_DOCUMENTS, {})
    if which not in running:
        for job in running.values():
            job.stop()
        running.clear()
        name = missing[0].name if len(missing) == 1 else f"{missing[0].name} +{len(missing) - 1}"
        running[which] = jobs.documents_job([one.text for one in missing], name, context.open_for_a_job)
    _documents_progress(which, running, scores)


@st.fragment(run_every=1.0)
@widgets.guarded
def _documents_progress(
    which: tuple[str, ...],
    running: dict[tuple[str, ...], jobs.Job[list[DocumentScore]]],
    scores: dict[str, DocumentScore],
) -> None:
    words = context.words()
    job = running.get(which)
    if job is None:
        return
    if job.done:
        scores.update(dict(zip(which, job.result(), strict=True)))
        running.pop(which)
        st.rerun()
    text = words("score.queued") if job.waiting else words("score.documents_running", n=len(which))
    st.progress(job.progress(), text)


def _table(one: Upload, words: Words, key: str) -> None:
    frame = one.table
    if frame is None:
        return
    with st.container(border=True):
        widgets.title(one.name, words("score.table_size", rows=f"{len(frame):,}", columns=len(frame.columns)))
        for note in one.notes[:5]:
            st.html(markup.dim(said(note, words)))
        if len(one.notes) > 5:
            st.html(markup.dim(words("score.more_notes", n=len(one.notes) - 5)))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            columns = [str(name) for name in frame.columns]
            column = st.selectbox(words("score.column"), columns, index=one.likely, key=f"{key}.column", width=320)
            go = st.button(words("score.go_rows", n=f"{len(frame):,}"), type="primary", key=f"{key}.go")
        done: dict[tuple[str, str], pd.DataFrame] = st.session_state.setdefault(_DONE, {})
        running: dict[tuple[str, str], jobs.Job[pd.DataFrame]] = st.session_state.setdefault(_JOB, {})
        which = (one.identity, column)
        if go:
            done.pop(which, None)
            if len(frame) <= QUICK_ROWS:
                with st.spinner(words("score.working")):
                    done[which] = score_texts(frame, column, context.app().classifier())
            else:
                running[which] = jobs.table_job(frame, column, one.name, context.open_for_a_job)
        if which in running:
            _progress(which, running, done)
        elif which in done:
            _results(done[which], one.name, words, key)
        else:
            st.dataframe(frame.head(50), hide_index=True, width="stretch", height=220)


@st.fragment(run_every=1.0)
@widgets.guarded
def _progress(
    which: tuple[str, str],
    running: dict[tuple[str, str], jobs.Job[pd.DataFrame]],
    done: dict[tuple[str, str], pd.DataFrame],
) -> None:
    words = context.words()
    job = running.get(which)
    if job is None:
        return
    if job.done:
        running.pop(which)
        done[which] = job.result()
        st.rerun()
    text = words("score.queued") if job.waiting else words("score.rows_running", n=f"{job.total:,}")
    st.progress(job.progress(), text)
    if st.button(words("score.stop"), key=f"stop.{which[0]}"):
        job.stop()
        running.pop(which)
        st.rerun()


def _results(result: pd.DataFrame, name: str, words: Words, key: str) -> None:
    counts = result["sentiment"].value_counts()
    text = words(
        "score.result",
        n=f"{len(result):,}",
        negative=int(counts.get("negative", 0)),
        neutral=int(counts.get("neutral", 0)),
        positive=int(counts.get("positive", 0)),
    )
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        widgets.title(text)
        with st.container(horizontal=True, width="content"):
            downloads(result, f"{name.rsplit('.', 1)[0]}-scored", key)
    st.dataframe(result.head(_HEAD), hide_index=True, width="stretch", height=420)
    if len(result) > _HEAD:
        st.html(markup.dim(words("score.first_rows", n=_HEAD)))
