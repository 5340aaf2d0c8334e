"""Channels: where alerts are sent, with a test button. Secrets go in and never come out again."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard import actions, context, markup, widgets
from dashboard.i18n import Words
from dashboard.queries import Reads
from dashboard.safe import plain
from dashboard.said import said
from monitor.domain import ChannelConfig, Severity
from monitor.notify.kinds import KINDS, Option, text_option

_MARK: Final = {"sent": "success", "retry": "warning", "failed": "error"}


def channels_pane(words: Words, reads: Reads) -> None:
    channels = reads.channels()
    left, right = st.columns([6, 5], gap="medium")
    with left:
        widgets.title(words("channel.title", n=sum(one.enabled for one in channels)))
        if not channels:
            widgets.empty(words("channel.none"), words("channel.none_hint"))
        else:
            st.dataframe(_table(channels, words), hide_index=True, width="stretch")
            _test(words, channels)
    with right:
        if context.may("admin"):
            _form(words, channels)


def _table(channels: list[ChannelConfig], words: Words) -> pd.DataFrame:
    return pd.DataFrame(
        {
            words("channel.name"): [one.name for one in channels],
            words("column.kind"): [words.get(f"channel_kind.{one.kind}") or one.kind for one in channels],
            words("channel.least"): [words(f"severity.{one.min_severity}") for one in channels],
            words("column.enabled"): [words("rules.on") if one.enabled else words("rules.off") for one in channels],
        }
    )


def _test(words: Words, channels: list[ChannelConfig]) -> None:
    if not context.may("analyst"):
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(words("channel.name"), [one.name for one in channels], key="channel.test", width=260)
        if st.button(words("channel.test")) and name:
            with st.spinner(words("channel.testing")):
                outcome = actions.test_channel(name)
            text = words(f"channel.{outcome.status}", detail=plain(said(outcome.detail, words)))
            getattr(st, _MARK[outcome.status])(text)
        if context.may("admin") and st.button(words("channel.remove")) and name:
            actions.remove_channel(name)
            st.rerun()


def _form(words: Words, channels: list[ChannelConfig]) -> None:
    """Add a channel or change one. A secret field left empty keeps what is stored."""
    with st.container(border=True):
        widgets.title(words("channel.edit"), words("channel.edit_note"))
        known = {one.name: one for one in channels}
        which = st.selectbox(
            words("channel.which"),
            ["", *known],
            format_func=lambda name: name or words("channel.new"),
            key="channel.which",
        )
        old = known.get(which or "")
        kinds = list(KINDS)
        kind = st.selectbox(
            words("column.kind"),
            kinds,
            index=kinds.index(old.kind) if old and old.kind in kinds else 0,
            format_func=lambda name: words(f"channel_kind.{name}"),
            disabled=old is not None,
            key=f"channel.kind.{which}",
        )
        st.html(markup.dim(words(f"channel_kind.{kind}_help")))
        with st.form(f"channel.{which}.{kind}", border=False):
            name = old.name if old else st.text_input(words("channel.name"), max_chars=60)
            options = {
                option.name: _option(option, old, words, f"channel.{which}.{kind}.{option.name}")
                for option in KINDS[kind].options
            }
            least = st.selectbox(
                words("channel.least"),
                list(Severity),
                index=list(Severity).index(old.min_severity) if old else 0,
                format_func=lambda severity: words(f"severity.{severity}"),
            )
            enabled = st.checkbox(words("column.enabled"), value=old.enabled if old else True)
            if st.form_submit_button(words("channel.save"), type="primary"):
                actions.save_channel(
                    ChannelConfig(
                        name=name.strip(),
                        kind=kind,
                        options={key: value for key, value in options.items() if value not in ("", None)},
                        enabled=enabled,
                        min_severity=least or Severity.INFO,
                    )
                )
                st.toast(words("channel.saved"))
                st.rerun()


def _option(option: Option, old: ChannelConfig | None, words: Words, key: str) -> Any:
    """The widget of one option, and its value; for a secret that is left empty, the stored one."""
    stored = text_option(old.options, option.name) if old else ""
    name, hint = words(f"option.{option.name}"), words.get(f"option.{option.name}_help") or None
    label = f"{name} *" if option.required else name
    if option.secret:
        given = st.text_input(
            label,
            type="password",
            key=key,
            help=hint,
            placeholder=words("channel.kept") if stored else None,
            autocomplete="new-password",
        )
        return given or stored
    if option.form == "choice":
        choices = ["", *option.choices]
        current = stored or option.default
        return st.selectbox(
            label, choices, index=choices.index(current) if current in choices else 0, key=key, help=hint
        )
    if option.form == "flag":
        ticked = (stored or option.default or "false").lower() in ("true", "1", "yes", "on")
        return "true" if st.checkbox(label, value=ticked, key=key, help=hint) else "false"
    return st.text_input(label, value=stored or option.default, key=key, help=hint)
