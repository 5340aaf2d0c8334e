"""How scores of pasted and uploaded texts are shown and tabled."""

from __future__ import annotations

from functools import partial
from typing import Final

import pandas as pd
import streamlit as st

from dashboard import actions, context, markup, tables, widgets
from dashboard.i18n import Words
from models.backend import Classifier, Prediction
from models.batching import in_chunks
from models.longtext import DocumentScore
from models.score import ADDED, predict_any_length

_SHOWN: Final = 400
_EXPLAINED: Final = 600
_PIECE: Final = 2_000


def document_pane(text: str, score: DocumentScore, *, key: str) -> None:
    """The document as a whole, then sentence by sentence."""
    words = context.words()
    whole = score.aggregate
    if whole is None:
        widgets.empty(words("score.unscored"), words("score.unscored_hint"))
        return
    with st.container(border=True):
        widgets.title(words("score.whole", sentiment=words.sentiment(whole.sentiment), share=f"{whole.confidence:.0%}"))
        st.html(markup.sentiment_bars(whole, words))
        st.html(markup.tags([words.topic(topic) for topic in whole.topics]))
        notes = [words("news.unsure", share=f"{whole.confidence:.0%}")] if whole.unsure else []
        notes += [words("score.truncated")] if whole.truncated else []
        notes += [words("score.windows", n=score.windows)] if score.windows > 1 else []
        notes.append(words("news.model", version=whole.model_version))
        st.html(markup.dim(" · ".join(notes)))
        if len(text) <= _EXPLAINED and st.toggle(words("news.why"), key=f"why.{key}"):
            st.html(markup.highlighted(text, context.explained(text), whole.sentiment))
            st.html(markup.dim(words("news.why_note")))
    if len(score.sentences) > 1:
        _sentences(text, score, words, key)


def _sentences(text: str, score: DocumentScore, words: Words, key: str) -> None:
    """Each sentence with its label: shaded in the text, or as a table; all of them in the download."""
    frame = sentence_table(score, words)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        widgets.title(words("score.sentences", n=f"{len(frame):,}"), words("score.sentences_note"))
        with st.container(horizontal=True, width="content", vertical_alignment="center"):
            view = st.segmented_control(
                words("score.view"),
                ("as_text", "as_table"),
                default="as_text",
                required=True,
                format_func=lambda name: words(f"score.{name}"),
                label_visibility="collapsed",
                key=f"view.{key}",
            )
            downloads(frame, "headwind-sentences", f"sentences.{key}")
    if view == "as_table":
        st.dataframe(
            frame.head(_SHOWN),
            hide_index=True,
            width="stretch",
            height=520 if len(frame) > 14 else "content",
            column_config={
                words("column.score"): st.column_config.NumberColumn(format="%+.2f", width=60),
                words("column.sentiment"): st.column_config.TextColumn(width=90),
                words("column.confidence"): st.column_config.NumberColumn(format="percent", width=80),
                words("column.sentence"): st.column_config.TextColumn(width="large"),
            },
            key=f"sentences.{key}",
        )
    else:
        shown = score.sentences[:_SHOWN]
        parts = [
            (
                one.start,
                one.end,
                one.prediction.sentiment if one.prediction else "",
                one.prediction.confidence if one.prediction else 0.0,
                _hover(one.prediction, words),
            )
            for one in shown
        ]
        with st.container(height=520 if shown[-1].end > 2500 else "content", border=True):
            st.html(markup.sentences(text[: shown[-1].end], parts))
    if len(frame) > _SHOWN:
        st.html(markup.dim(words("score.first_sentences", n=_SHOWN)))


def _hover(prediction: Prediction | None, words: Words) -> str:
    if prediction is None:
        return words("article.unscored")
    return f"{words.sentiment(prediction.sentiment)} {prediction.confidence:.0%} · {words.topic(prediction.main_topic)}"


def downloads(frame: pd.DataFrame, stem: str, key: str) -> None:
    """The table as CSV, XLSX and JSON, and kept for later where the viewer may."""
    words = context.words()
    for kind in ("csv", "xlsx", "json"):
        st.download_button(
            kind.upper(),
            data=partial(tables.export, frame, kind),
            file_name=f"{stem}.{kind}",
            mime=tables.MIME[kind],
            key=f"{key}.{kind}",
            on_click="ignore",
        )
    if context.may("analyst") and st.button(words("score.keep"), key=f"{key}.keep", help=words("score.keep_help")):
        done = actions.keep_result(stem, tables.export(frame, "csv"))
        st.toast(words("score.kept_done", name=done.name))


def sentence_table(score: DocumentScore, words: Words) -> pd.DataFrame:
    rows = [(sentence.text, sentence.prediction) for sentence in score.sentences]
    return pd.DataFrame(
        {
            words("column.sentiment"): [widgets.verdict_of(prediction, "unscored", words) for _, prediction in rows],
            words("column.score"): [prediction.score if prediction else None for _, prediction in rows],
            words("column.confidence"): [prediction.confidence if prediction else None for _, prediction in rows],
            words("column.sentence"): [text for text, _ in rows],
            words("column.topic"): [
                ", ".join(words.topic(topic) for topic in prediction.topics) if prediction else ""
                for _, prediction in rows
            ],
        }
    )


def summary_row(name: str, score: DocumentScore, words: Words) -> dict[str, object]:
    whole = score.aggregate
    return {
        words("column.file"): name,
        words("column.sentiment"): widgets.verdict_of(whole, "unscored", words),
        words("column.score"): round(whole.score, 3) if whole else None,
        words("column.confidence"): round(whole.confidence, 3) if whole else None,
        words("column.topic"): ", ".join(words.topic(topic) for topic in whole.topics) if whole else "",
        words("column.sentences"): len(score.sentences),
    }


def score_texts(frame: pd.DataFrame, column: str, classifier: Classifier) -> pd.DataFrame:
    """The table with the columns of `python -m models score` added; a column of such a name is kept as `<name>_in`."""
    out = frame.rename(columns={name: f"{name}_in" for name in ADDED if name in frame.columns})
    texts = ("" if pd.isna(value) else str(value) for value in frame[column])
    # In pieces, because a prediction weighs more than its cells: a long table would be held twice over.
    cells = [
        _cells(one, classifier.version)
        for some in in_chunks(texts, _PIECE)
        for one in predict_any_length(classifier, some)
    ]
    added = pd.DataFrame(cells, columns=list(ADDED), index=out.index)
    return pd.concat([out, added], axis=1)


def _cells(prediction: Prediction | None, version: str) -> tuple[object, ...]:
    if prediction is None:
        return ("", None, None, None, None, "", None, version)
    numbers = (prediction.p_negative, prediction.p_neutral, prediction.p_positive, prediction.score)
    return (
        prediction.sentiment,
        *(round(number, 6) for number in numbers),
        "|".join(prediction.topics),
        round(prediction.confidence, 6),
        version,
    )
