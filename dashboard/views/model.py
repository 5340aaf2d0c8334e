"""Model: what serves now, how good it is, whether the news has moved away from it, and what it is unsure of."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard import actions, charts, context, markup, times, widgets
from dashboard.i18n import Words
from dashboard.queries import Key, Reads
from dashboard.reading import reading_pane
from dashboard.said import card, said
from models import registry
from models.registry import Manifest
from monitor.drift import Distance, Drift, drift_history
from monitor.review import ReviewItem, alert_precision, labelled_rows, labels_csv, review_queue
from monitor.store.base import Store

VIEWS: Final = ("quality", "drift", "versions", "review", "card")
_REVIEWED: Final = 50


@widgets.guarded
def page() -> None:
    words = context.words()
    reads = context.reads()
    widgets.header(words("nav.model"), reads)
    live = reads.live_model()
    if live is None:
        widgets.empty(words("model.none"), words("model.none_hint"))
        return
    view = widgets.view_switch("model.view", VIEWS, "model")
    manifest = _manifest(live[0])
    if view == "review":
        _review(words, reads)
    elif view == "drift":
        _drift(words)
    elif view == "versions":
        _versions(words, reads, live[0])
    elif manifest is None:
        widgets.empty(words("model.no_manifest", version=live[0]), words("model.no_manifest_hint"))
    elif view == "card":
        _card(words, manifest)
    else:
        _quality(words, manifest, live)


def _manifest(version: str) -> Manifest | None:
    return next((one for one in registry.available() if one.version == version), None)


# ── quality ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _quality(words: Words, manifest: Manifest, live: tuple[str, tuple[str, ...]]) -> None:
    test: dict[str, Any] = dict(manifest.metrics.get("test") or {})
    sentiment, topics = test.get("sentiment") or {}, test.get("topics") or {}
    widgets.title(
        words(
            "model.serving",
            version=manifest.version,
            languages=words("count.comma").join(words.tongue(code) for code in live[1]),
        ),
        words("model.created", at=manifest.created[:10], base=manifest.base),
    )
    if not sentiment and not topics:
        widgets.empty(words("model.no_metrics"))
        return
    columns = st.columns(4)
    for column, (key, figures, name) in zip(
        columns,
        (
            ("model.macro_f1", sentiment, "macro_f1"),
            ("model.accuracy", sentiment, "accuracy"),
            ("model.micro_f1", topics, "micro_f1"),
            ("model.ece", sentiment, "ece_natural_mix" if "ece_natural_mix" in sentiment else "ece"),
        ),
        strict=True,
    ):
        value = figures.get(name)
        column.metric(
            words(key),
            "–" if value is None else f"{value:.3f}",
            delta=_below(words, figures, name),
            delta_color="off",
            delta_arrow="off",
            border=True,
            help=words(f"{key}_help"),
        )
    left, right = st.columns(2, gap="medium")
    if sentiment.get("confusion"):
        with left:
            _confusion(words, sentiment["confusion"])
    if sentiment.get("calibration"):
        with right:
            _calibration(words, sentiment)
    with left:
        _report(words, sentiment.get("report"), "model.report_sentiment", words.sentiment)
    with right:
        _report(words, topics.get("report"), "model.report_topics", words.topic)


def _below(words: Words, figures: dict[str, Any], name: str) -> str:
    """Under a figure: its interval, what it would be at best on as few texts, or how many texts it rests on."""
    span, floor = figures.get(f"{name}_ci"), figures.get(f"{name}_of_perfect_calibration")
    if span:
        return f"{span[0]:.3f} – {span[1]:.3f}"
    if floor is not None:
        return words("model.ece_floor", value=f"{floor:.3f}")
    return words("model.rows", n=f"{figures.get('n', 0):,}")


def _confusion(words: Words, given: dict[str, Any]) -> None:
    labels = [words.sentiment(label) for label in given["labels"]]
    rows = given["rows_true"]
    table = pd.DataFrame(rows, columns=labels).assign(**{words("chart.truth"): labels})
    widgets.chart(words("model.confusion_title"), charts.confusion(rows, labels, words), table, key="model.confusion")


def _calibration(words: Words, sentiment: dict[str, Any]) -> None:
    bins = pd.DataFrame(sentiment["calibration"])
    widgets.chart(
        words("model.calibration_title", ece=f"{sentiment['ece']:.3f}"),
        charts.calibration(bins, words),
        bins.round(3).rename(columns={name: words(f"chart.{name}") for name in ("confidence", "accuracy", "n")}),
        key="model.calibration",
        note=words("model.calibration_note"),
    )


def _report(words: Words, report: Any, key: str, name_of: Any) -> None:
    if not isinstance(report, dict) or not report:
        return
    widgets.title(words(key))
    rows = [(name_of(label), row) for label, row in report.items() if isinstance(row, dict) and row.get("support")]
    st.dataframe(
        pd.DataFrame(
            {
                words("model.label"): [name for name, _ in rows],
                words("model.precision"): [row["precision"] for _, row in rows],
                words("model.recall"): [row["recall"] for _, row in rows],
                words("model.f1"): [row["f1"] for _, row in rows],
                words("model.support"): [row["support"] for _, row in rows],
            }
        ),
        hide_index=True,
        width="stretch",
        column_config={
            words(f"model.{name}"): st.column_config.NumberColumn(format="%.3f")
            for name in ("precision", "recall", "f1")
        },
        height="content",
    )


def _card(words: Words, manifest: Manifest) -> None:
    path = registry.CHECKPOINTS / manifest.version / "MODEL_CARD.md"
    if not path.exists():
        widgets.empty(words("model.no_card"))
        return
    st.markdown(card(path.read_text(encoding="utf-8"), words))


# ── drift ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _drift(words: Words) -> None:
    rows = drift_history(context.app().store)
    if not rows:
        widgets.empty(words("drift.none"), words("drift.none_hint"))
        return
    last = rows[-1]
    widgets.title(words(f"drift.{last.level}"), words("drift.note"))
    if last.note:
        st.html(markup.dim(said(last.note, words)))
    columns = st.columns(4)
    for column, key, value in (
        (columns[0], "drift.scores", _psi(last.scores)),
        (columns[1], "drift.topics", _psi(last.topics)),
        (columns[2], "drift.unsure", _share(last.unsure)),
        (columns[3], "drift.new_words", _share(last.new_words)),
    ):
        column.metric(words(key), value, border=True, help=words(f"{key}_help"))
    frame = _drift_frame(rows)
    names = {name: words(f"drift.{name}") for name in ("scores", "topics")}
    widgets.chart(
        words("drift.title"),
        charts.lines(
            frame[frame["series"].isin(list(names))], "value", names, words, times.DAY, share=False, height=260
        ),
        _drift_table(frame, names, words),
        key="drift.psi",
        note=words("drift.psi_note"),
    )
    shares = {name: words(f"drift.{name}") for name in ("unsure", "new_words", "unsupported")}
    widgets.chart(
        words("drift.shares_title"),
        charts.lines(
            frame[frame["series"].isin(list(shares))], "value", shares, words, times.DAY, share=True, height=260
        ),
        _drift_table(frame, shares, words),
        key="drift.shares",
    )


def _drift_table(frame: pd.DataFrame, names: dict[str, str], words: Words) -> pd.DataFrame:
    rows = frame[frame["series"].isin(list(names))]
    return pd.DataFrame(
        {
            words("column.time"): rows["time"].dt.strftime("%Y-%m-%d"),
            words("column.series"): [names[str(name)] for name in rows["series"]],
            words("drift.value"): rows["value"].round(4),
        }
    )


def _psi(distance: Distance | None) -> str:
    return "–" if distance is None else f"{distance.psi:.3f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _drift_frame(rows: list[Drift]) -> pd.DataFrame:
    values: list[tuple[str, Any, float | None]] = []
    for row in rows:
        day = pd.Timestamp(row.day)
        values += [
            ("scores", day, row.scores.psi if row.scores else None),
            ("topics", day, row.topics.psi if row.topics else None),
            ("unsure", day, row.unsure),
            ("new_words", day, row.new_words),
            ("unsupported", day, row.unsupported),
        ]
    return pd.DataFrame(values, columns=["series", "time", "value"])


# ── versions ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _versions(words: Words, reads: Reads, live: str) -> None:
    zone = context.zone()
    versions = context.app().model_versions()
    widgets.title(words("model.versions_title", n=len(versions)))
    st.dataframe(
        pd.DataFrame(
            {
                words("model.version"): [version for version, *_ in versions],
                words("column.state"): [words("model.live") if version == live else "" for version, *_ in versions],
                words("column.language"): [languages for *_, languages, _ in versions],
                words("model.made"): [created[:16].replace("T", " ") for *_, created in versions],
            }
        ),
        hide_index=True,
        width="stretch",
    )
    if context.may("admin"):
        others = [version for version, *_ in versions if version != live]
        with st.container(horizontal=True):
            if others:
                with st.popover(words("model.promote")), st.form("model.promote", border=False):
                    version = st.selectbox(words("model.version"), others)
                    reason = st.text_input(words("model.override"), max_chars=500, help=words("model.override_help"))
                    if st.form_submit_button(words("model.promote"), type="primary") and version:
                        with st.spinner(words("model.judging")):
                            st.success(actions.promote(version, reason).replace("_", r"\_"))
            with st.popover(words("model.rollback")), st.form("model.rollback", border=False):
                reason = st.text_input(words("column.note"), max_chars=500)
                if st.form_submit_button(words("model.rollback"), type="primary"):
                    st.success(actions.rollback(reason).replace("_", r"\_"))
    history = reads.model_history()
    widgets.title(words("model.history"))
    st.dataframe(
        pd.DataFrame(
            {
                words("column.time"): [times.moment(at, zone) for at, *_ in history],
                words("model.version"): [version for _, version, _, _ in history],
                words("column.actor"): [actor for _, _, actor, _ in history],
                words("column.note"): [said(reason, words) for *_, reason in history],
            }
        ),
        hide_index=True,
        width="stretch",
    )


# ── review ───────────────────────────────────────────────────────────────────────────────────────────────────────


@st.cache_data(ttl=600, max_entries=8, show_spinner=False)
def _waiting(key: Key, _store: Store, anchor: datetime) -> list[ReviewItem]:
    return review_queue(_store, anchor, _REVIEWED)


def _review(words: Words, reads: Reads) -> None:
    anchor = reads.status().data_as_of or context.now()
    items = _waiting(reads.key, context.app().store, min(anchor, context.now()))
    weeks = [week for week in alert_precision(context.app().store, context.now()) if week.judged]
    if weeks:
        right, judged = sum(week.right for week in weeks), sum(week.judged for week in weeks)
        st.html(markup.dim(words("review.precision", right=right, judged=judged, weeks=len(weeks))))
    if context.may("analyst"):
        st.download_button(
            words("review.export"),
            data=lambda: labels_csv(labelled_rows(context.app().store)).encode(),
            file_name="headwind-labels.csv",
            mime="text/csv",
            type="tertiary",
            icon=":material/download:",
            on_click="ignore",
        )
    if not items:
        widgets.empty(words("review.none"), words("review.none_hint"))
        return
    left, right_side = st.columns([6, 5], gap="medium")
    with left:
        widgets.title(words("review.title", n=len(items)), words("review.note"))
        table = widgets.article_table([item.scored for item in items], words)
        table = table.drop(columns=words("column.publisher"))
        table.insert(0, words("review.why"), [words(f"review.{item.doubt}") for item in items])
        chosen = widgets.choose(
            table,
            [item.scored.article.id for item in items],
            key="review.list",
            parameter="article",
            fallback=True,
            height=560,
            column_config={
                words("review.why"): st.column_config.TextColumn(width=98),
                **widgets.article_columns(words),
            },
            alt=words("review.title", n=len(items)),
        )
    article_id = widgets.number(chosen)
    row = next((item.scored for item in items if item.scored.article.id == article_id), items[0].scored)
    with right_side:
        reading_pane(row, reads)
