"""The form of a rule: one field for each thing that a kind of rule can be told, for a new rule or a stored one."""

from __future__ import annotations

from typing import Any, Final

import streamlit as st

from dashboard import actions, context, markup, widgets
from dashboard.i18n import Words
from dashboard.queries import Reads
from dashboard.safe import plain
from dashboard.said import said
from models.labels import TOPICS
from monitor.alerts.rules import PARAMS, Param, params_of, rule_from_dict, rule_to_dict, watches
from monitor.domain import Rule, RuleKind, Severity
from monitor.errors import AlertError

EDITED: Final = "rules.edited"
"""Session: the name of the rule in the form, empty for a new one; absent when none is edited."""
_DRAFT: Final = "rules.draft"
_HOURS: Final = (1, 3, 6, 12, 24, 48, 72, 168)
_WIDE: Final = ("all", "topic:*", "entity:*", "entity:*/topic:*", "publisher:*", "language:*", "feed:*", "pipeline")


def edited() -> str | None:
    return st.session_state.get(EDITED)


def edit(name: str) -> None:
    """Open the form, of the rule of this name or empty."""
    st.session_state[EDITED] = name
    st.session_state.pop(_DRAFT, None)


def close() -> None:
    st.session_state.pop(EDITED, None)
    st.session_state.pop(_DRAFT, None)


def rule_form(old: Rule | None, reads: Reads, words: Words) -> tuple[Rule | None, bool]:
    """The form; gives the draft that was last to be tried, and whether it was asked for just now."""
    widgets.title(words("rules.edit_title", name=old.name) if old else words("rules.new"), words("rules.form_note"))
    kinds = list(RuleKind)
    kind = st.selectbox(
        words("param.kind"),
        kinds,
        index=kinds.index(old.kind) if old else 0,
        format_func=lambda one: words(f"kind.{one}"),
        disabled=old is not None,
        key=f"rule.kind.{old.name if old else ''}",
    )
    st.html(markup.dim(words(f"kind.{kind}_help")))
    base = old or Rule(name="", kind=kind, scope=(), enabled=False)
    with st.form(f"rule.form.{base.name}.{kind}", border=False):
        entry = _fields(base, reads, words)
        with st.container(horizontal=True):
            save = st.form_submit_button(words("rules.save"), type="primary")
            tried = st.form_submit_button(words("rules.try"))
            if st.form_submit_button(words("rules.cancel"), type="tertiary"):
                close()
                st.rerun()
    if save or tried:
        try:
            draft = _checked(entry, old, reads)
        except AlertError as error:
            name = error.field.removeprefix("params.")
            reason = plain(said(str(error), words))
            st.error(words("rules.refused", field=words.get(f"param.{name}") or name, reason=reason))
            return None, False
        if save:
            actions.save_rule(draft)
            close()
            st.toast(words("rules.saved"))
            st.rerun()
        st.session_state[_DRAFT] = draft
    kept = st.session_state.get(_DRAFT)
    return (kept if isinstance(kept, Rule) else old), tried


def _checked(entry: dict[str, Any], old: Rule | None, reads: Reads) -> Rule:
    rule = rule_from_dict(entry)
    if old is None and rule.name in {each.name for each in reads.rules()}:
        raise AlertError(context.words()("rules.taken", name=rule.name), field="name")
    return rule


def _fields(base: Rule, reads: Reads, words: Words) -> dict[str, Any]:
    """The widgets in two columns; what they hold, as `rule_from_dict` reads it."""
    key = f"rule.{base.name}.{base.kind}"
    name = base.name or st.text_input(words("param.name"), max_chars=64, key=f"{key}.name").strip()
    starts = watches(base.kind)
    options = [*_WIDE, *(f"topic:{topic}" for topic in TOPICS), *(f"entity:{one.name}" for one in reads.entities())]
    scope = st.multiselect(
        words("param.scope"),
        list(dict.fromkeys([*base.scope, *(one for one in options if one.startswith(starts))])),
        default=list(base.scope),
        format_func=lambda one: words.scope([one]),
        accept_new_options=True,
        placeholder=words("rules.scope_choose"),
        help=words("rules.scope_help"),
        key=f"{key}.scope",
    )
    columns = st.columns(2)
    given = params_of(base)
    params: dict[str, Any] = {}
    for number, (field, param) in enumerate(PARAMS[base.kind].items()):
        with columns[number % 2]:
            value = _param(field, param, given[field], words, f"{key}.{field}")
        if field in base.params or value != (
            list(param.default) if isinstance(param.default, tuple) else param.default
        ):
            params[field] = value
    with columns[0]:
        severities = list(Severity)
        severity = st.selectbox(
            words("param.severity"),
            severities,
            index=severities.index(base.severity),
            format_func=lambda one: words(f"severity.{one}"),
            key=f"{key}.severity",
        )
        cooldown = st.number_input(
            words("rules.cooldown_h"), 0.0, 720.0, base.cooldown_s / 3600, step=1.0, format="%g", key=f"{key}.cooldown"
        )
    with columns[1]:
        channels = st.multiselect(
            words("param.channels"),
            list(dict.fromkeys([*base.channels, *(one.name for one in reads.channels())])),
            default=list(base.channels),
            placeholder=words("rules.every_channel"),
            key=f"{key}.channels",
        )
        escalate = st.number_input(
            words("rules.escalate_h"),
            0.0,
            720.0,
            (base.escalate_after_s or 0.0) / 3600,
            step=1.0,
            format="%g",
            key=f"{key}.escalate",
        )
    enabled = st.checkbox(words("rules.enabled"), value=base.enabled, key=f"{key}.enabled")
    return {
        **rule_to_dict(base),
        "name": name,
        "scope": scope,
        "params": params,
        "severity": severity,
        "channels": channels,
        "cooldown_s": cooldown * 3600,
        "escalate_after_s": escalate * 3600 or None,
        "enabled": enabled,
    }


def _param(name: str, param: Param, value: Any, words: Words, key: str) -> Any:
    label = words(f"param.{name}")
    if param.kind == "choice":
        return st.selectbox(
            label,
            param.choices,
            index=param.choices.index(value),
            format_func=lambda one: words.get(f"param.{name}_{one}") or one,
            key=key,
        )
    if param.kind == "labels":
        return st.multiselect(label, TOPICS, default=list(value), format_func=words.topic, key=key)
    if param.kind == "hours":
        hours = sorted({*_HOURS, *value})
        return st.multiselect(label, hours, default=list(value), key=key)
    if param.kind == "flag":
        return st.checkbox(label, value=value, key=key)
    if param.kind == "text":
        return st.text_input(label, value=value, max_chars=500, help=words("rules.query_help"), key=key)
    if param.kind == "int":
        return int(st.number_input(label, int(param.low), int(param.high), int(value), step=1, key=key))
    return float(
        st.number_input(
            label, float(param.low), float(param.high), float(value), format="%g", step=_step(value), key=key
        )
    )


def _step(value: float) -> float:
    return 0.05 if abs(value) < 1 else 0.5
