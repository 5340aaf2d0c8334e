"""The reading pane: one article with its label, why the model gave it, its story, and the analyst's verdict."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard import actions, context, markup, times
from dashboard.i18n import Words
from dashboard.queries import Reads
from dashboard.safe import safe_link
from models.backend import join_title_and_summary
from models.labels import SENTIMENTS, TOPICS
from monitor.domain import DateQuality, ScoredArticle

REASONS: Final = ("", "wrong_company", "not_material", "duplicate", "other")
"""Of `monitor.desk.REASONS`; the empty one says that the label is wrong, the others speak of the article."""
_EXPLAINED: Final = 600
"""Characters that are explained on a page: beyond, the answer would keep the reader waiting."""


def reading_pane(row: ScoredArticle, reads: Reads) -> None:
    words, zone = context.words(), context.zone()
    article = row.article
    with st.container(border=True):
        st.html(markup.headline(article.title))
        st.html(markup.dim(_byline(row, words)))
        link = safe_link(article.url)
        with st.container(horizontal=True):
            if link:
                st.link_button(words("news.open"), link, icon=":material/open_in_new:", type="tertiary")
            if row.story_articles > 1:
                st.html(markup.dim(_story(row, words)))
        prediction = row.prediction
        if prediction is None:
            st.html(markup.paragraph(words(f"article.{row.state}_why")))
            st.html(markup.paragraph(article.summary))
        else:
            st.html(markup.sentiment_bars(prediction, words))
            st.html(markup.tags([words.topic(topic) for topic in prediction.topics] + list(row.entities)))
            if prediction.unsure:
                st.html(markup.dim(words("news.unsure", share=f"{prediction.confidence:.0%}")))
            _text(row, words)
            st.html(markup.dim(words("news.model", version=prediction.model_version)))
            _verdict(row, words)
    if row.story_articles > 1:
        others = [other for other in reads.story(article.story_id) if other.article.id != article.id]
        with st.expander(words("news.reports", n=len(others))):
            st.html(
                "".join(
                    markup.story_line(
                        other.article.title,
                        f"{other.article.publisher} · {times.moment(other.article.published, zone)}",
                        other.article.url,
                        other.prediction.sentiment if other.prediction else "",
                    )
                    for other in others
                )
            )
    earlier = reads.revisions(article.id)
    if earlier:
        with st.expander(words("news.revisions", n=len(earlier))):
            for at, title, _ in earlier:
                st.html(markup.story_line(title, times.moment(at, zone), None))


def _story(row: ScoredArticle, words: Words) -> str:
    return words(
        "count.joined",
        first=words("count.articles", n=row.story_articles),
        second=words("count.publishers", n=row.story_publishers),
    )


def _byline(row: ScoredArticle, words: Words) -> str:
    article, zone = row.article, context.zone()
    parts = [article.publisher, article.author, times.moment(article.published, zone)]
    if article.date_quality is DateQuality.DAY:
        parts[2] = words("news.day_only", day=article.published.strftime("%Y-%m-%d"))
    elif article.date_quality is DateQuality.NONE:
        parts[2] = words("news.undated", seen=times.moment(article.first_seen, zone))
    if article.sample:
        parts.append(words("news.sample"))
    if not article.counts:
        parts.append(words("news.not_counted"))
    return " · ".join(part for part in parts if part)


def _text(row: ScoredArticle, words: Words) -> None:
    """The text that was scored; with a click, the words that drove the label are highlighted."""
    article, prediction = row.article, row.prediction
    text = join_title_and_summary(article.title, article.summary)
    key = f"why.{article.id}"
    if not article.summary.strip() and not st.session_state.get(key):
        st.toggle(words("news.why"), key=key)
        return
    if st.toggle(words("news.why"), key=key) and prediction is not None:
        shown = text[:_EXPLAINED]
        with st.spinner(words("news.explaining")):
            st.html(markup.highlighted(shown, context.explained(shown), prediction.sentiment))
        st.html(markup.dim(words("news.why_note")))
    else:
        st.html(markup.paragraph(article.summary))


def _verdict(row: ScoredArticle, words: Words) -> None:
    """Right with one click; wrong with what it should have been."""
    if not context.may("analyst") or row.prediction is None:
        return
    article = row.article
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html(markup.dim(words("verdict.ask")))
        if st.button(words("verdict.right"), key=f"right.{article.id}", icon=":material/check:", shortcut="y"):
            actions.judge_article(article.id, right=True)
            st.toast(words("verdict.saved"))
            st.rerun()
        with (
            st.popover(words("verdict.wrong"), icon=":material/close:", key=f"wrong.{article.id}"),
            st.form(f"wrong.form.{article.id}", border=False),
        ):
            reason = st.selectbox(
                words("verdict.reason"), REASONS, format_func=lambda name: words(f"reason.{name or 'label'}")
            )
            sentiment = st.selectbox(
                words("verdict.sentiment"),
                SENTIMENTS,
                index=SENTIMENTS.index(row.prediction.sentiment),
                format_func=words.sentiment,
            )
            topics = st.multiselect(
                words("verdict.topics"),
                TOPICS,
                default=list(row.prediction.topics),
                format_func=words.topic,
                max_selections=3,
            )
            note = st.text_input(words("verdict.note"), max_chars=500)
            if st.form_submit_button(words("verdict.save"), type="primary"):
                actions.judge_article(
                    article.id,
                    right=False,
                    reason=reason,
                    sentiment=None if reason else sentiment,
                    topics=() if reason else tuple(topics),
                    note=note,
                )
                st.toast(words("verdict.saved"))
                st.rerun()
