"""Feeds: where the news comes from, whether each source is alive, and how to add one."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path
from typing import Final

import pandas as pd
import streamlit as st

from dashboard import actions, context, markup, times, widgets
from dashboard.i18n import Words
from dashboard.safe import plain
from dashboard.said import said
from monitor.domain import Feed, FeedState, ParsedFeed
from monitor.errors import FeedError

MARKS: Final = {
    FeedState.NEW: "○",
    FeedState.OK: "●",
    FeedState.FAILING: "▲",
    FeedState.SILENT: "◌",
    FeedState.DISABLED: "–",
}
_PREVIEW: Final = "feeds.preview"
_POLLED: Final = "feeds.polled"


@widgets.guarded
def page() -> None:
    words = context.words()
    reads = context.reads()
    status = widgets.header(words("nav.feeds"), reads, live=True, mark_samples=False)
    feeds = reads.feeds()
    tried = [feed.state for feed in feeds if feed.state not in (FeedState.NEW, FeedState.DISABLED)]
    unreachable = bool(tried) and all(state is FeedState.FAILING for state in tried)
    if not status.articles or status.samples or unreachable:
        _sample(words, status.samples, unreachable, bool(feeds))
    _toolbar(words, feeds)
    _table()


def _sample(words: Words, samples: int, unreachable: bool, any_feeds: bool) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        if samples:
            st.html(markup.paragraph(words("feeds.sample_there", n=f"{samples:,}")))
            if context.may("analyst") and st.button(words("feeds.sample_remove"), icon=":material/delete:"):
                removed = actions.remove_sample_news()
                st.toast(words("feeds.sample_removed", n=f"{removed:,}"))
                st.rerun()
            return
        reason = "feeds.offline" if unreachable else "feeds.waiting" if any_feeds else "feeds.first"
        st.html(markup.paragraph(words(reason)))
        if context.may("analyst") and st.button(words("feeds.sample_add"), type="primary"):
            with st.spinner(words("feeds.sample_adding")):
                actions.add_sample_news()
            st.rerun()


def _toolbar(words: Words, feeds: list[Feed]) -> None:
    with st.container(horizontal=True):
        if context.may("analyst"):
            with st.popover(words("feeds.add"), icon=":material/add:", width="content"):
                _add(words)
            if st.button(words("feeds.poll"), icon=":material/refresh:", help=words("feeds.poll_help")):
                with st.spinner(words("feeds.polling", n=sum(feed.enabled for feed in feeds))):
                    st.session_state[_POLLED] = actions.poll_now()
                st.rerun()
            if not feeds and st.button(words("feeds.defaults"), icon=":material/playlist_add:"):
                actions.add_default_feeds()
                st.rerun()
            with st.popover(words("feeds.opml"), icon=":material/swap_vert:"):
                _opml(words)
    results = st.session_state.pop(_POLLED, None)
    if results is not None:
        new = sum(result.new for result in results)
        failed = [result for result in results if result.error]
        st.success(words("feeds.polled", n=len(results), new=new, failed=len(failed)))


def _add(words: Words) -> None:
    url = st.text_input(words("feeds.url"), key="feeds.url", placeholder="https://example.com/rss.xml", max_chars=2000)
    if st.button(words("feeds.preview"), disabled=not url.strip()):
        with st.spinner(words("feeds.looking")):
            try:
                st.session_state[_PREVIEW] = (url.strip(), actions.preview_feed(url.strip()))
            except FeedError as error:
                st.session_state.pop(_PREVIEW, None)
                st.error(plain(error))
    preview: tuple[str, ParsedFeed] | None = st.session_state.get(_PREVIEW)
    if preview is None or preview[0] != url.strip():
        return
    parsed = preview[1]
    widgets.title(parsed.title or url, words("feeds.would_come", n=len(parsed.drafts)))
    st.html(
        "".join(
            markup.story_line(draft.title, times.moment(draft.published, context.zone()), draft.url)
            for draft in parsed.drafts[:5]
        )
    )
    with st.form("feeds.add", border=False):
        publisher = st.text_input(words("feeds.publisher"), value=actions.publisher_of(parsed, url), max_chars=200)
        family = st.text_input(words("feeds.family"), help=words("feeds.family_help"), max_chars=200)
        language = st.text_input(words("feeds.language"), value=actions.language_of(parsed), max_chars=2)
        if st.form_submit_button(words("feeds.add"), type="primary"):
            actions.add_feed(url.strip(), publisher.strip(), family.strip(), language.strip().lower())
            st.session_state.pop(_PREVIEW, None)
            st.toast(words("feeds.added"))
            st.rerun()


def _opml(words: Words) -> None:
    st.download_button(
        words("feeds.opml_out"),
        data=lambda: context.app().export_opml(context.now()).encode(),
        file_name="headwind-feeds.opml",
        mime="text/x-opml",
        on_click="ignore",
        width="stretch",
    )
    file = st.file_uploader(words("feeds.opml_in"), type=["opml", "xml"], max_upload_size=5)
    if file is not None and st.button(words("feeds.opml_read"), type="primary", width="stretch"):
        with tempfile.NamedTemporaryFile(suffix=".opml") as copy:
            copy.write(file.getvalue())
            copy.flush()
            added, known = actions.import_opml(Path(copy.name))
        st.toast(words("feeds.opml_done", added=added, known=known))
        st.rerun()


@st.fragment(run_every=widgets.LIVE)
@widgets.guarded
def _table() -> None:
    words, reads = context.words(), context.reads()
    feeds = sorted(reads.feeds(), key=_urgency)
    if not feeds:
        widgets.empty(words("feeds.none"), words("feeds.none_hint"))
        return
    counts = {state: sum(1 for feed in feeds if feed.state is state) for state in FeedState}
    parts = [words(f"feed_state.{state}_n", n=count) for state, count in counts.items() if count]
    widgets.title(words("feeds.title", n=len(feeds)), " · ".join(parts))
    chosen = widgets.choose(
        feed_table(feeds, words),
        [feed.id for feed in feeds],
        key="feeds.list",
        parameter="feed",
        fallback=False,
        height=widgets.table_height(len(feeds), 640),
        column_config={
            words("column.state"): st.column_config.TextColumn(width=80),
            words("column.feed"): st.column_config.TextColumn(width=210),
            words("column.publisher"): st.column_config.TextColumn(width=150),
            words("column.language"): st.column_config.TextColumn(width=80),
            words("column.per_day"): st.column_config.NumberColumn(format="%.1f", width=62),
            words("column.last_item"): st.column_config.TextColumn(width=95),
            words("column.last_success"): st.column_config.TextColumn(width=95),
            words("column.next_poll"): st.column_config.TextColumn(width=95),
            words("column.problem"): st.column_config.TextColumn(width=230),
        },
        alt=words("feeds.title", n=len(feeds)),
    )
    feed = next((one for one in feeds if str(one.id) == chosen), None)
    if feed is not None:
        _feed(feed, words)


def _urgency(feed: Feed) -> tuple[int, str]:
    order = (FeedState.FAILING, FeedState.SILENT, FeedState.NEW, FeedState.OK, FeedState.DISABLED)
    return order.index(feed.state), feed.title.lower()


def feed_table(feeds: list[Feed], words: Words) -> pd.DataFrame:
    zone, now = context.zone(), context.now()

    def written(at: datetime | None) -> str:
        return times.compact(at, zone, now) if at else "–"

    return pd.DataFrame(
        {
            words("column.state"): [f"{MARKS[feed.state]} {words(f'feed_state.{feed.state}')}" for feed in feeds],
            words("column.feed"): [
                words("article.sample", publisher=feed.title or feed.url) if feed.sample else feed.title or feed.url
                for feed in feeds
            ],
            words("column.publisher"): [feed.publisher for feed in feeds],
            words("column.language"): [words.tongue(feed.language) for feed in feeds],
            words("column.per_day"): [feed.items_per_day for feed in feeds],
            words("column.last_item"): [written(feed.last_item) for feed in feeds],
            words("column.last_success"): [written(feed.last_success) for feed in feeds],
            words("column.next_poll"): [written(feed.next_poll) if feed.enabled else "–" for feed in feeds],
            words("column.problem"): [said(feed.last_error or "", words) for feed in feeds],
        }
    )


def _feed(feed: Feed, words: Words) -> None:
    zone = context.zone()
    with st.container(border=True):
        st.html(markup.headline(feed.title or feed.url, "1.05rem"))
        st.html(
            markup.facts(
                [
                    (words("feeds.url"), feed.url),
                    (words("column.publisher"), feed.publisher),
                    (words("feeds.family"), feed.family),
                    (words("feeds.every"), words("feeds.minutes", n=round(feed.interval_s / 60))),
                    (words("feeds.last_polled"), times.moment(feed.last_polled, zone)),
                    (words("feeds.failures"), str(feed.failures)),
                    (words("feeds.problem"), said(feed.last_error or "", words) or words("pulse.none")),
                    (words("feeds.note"), said(feed.note, words) or words("pulse.none")),
                ]
            )
        )
        if not context.may("analyst"):
            return
        with st.container(horizontal=True):
            if st.button(words("feeds.pause" if feed.enabled else "feeds.resume"), key=f"feed.toggle.{feed.id}"):
                actions.set_feed_enabled(feed.id, not feed.enabled)
                st.rerun(scope="fragment")
            with st.popover(words("feeds.remove"), width="content"):
                st.html(markup.paragraph(words("feeds.remove_sure")))
                if st.button(words("feeds.remove_yes"), key=f"feed.remove.{feed.id}", type="primary"):
                    actions.remove_feed(feed.id)
                    st.rerun(scope="fragment")
