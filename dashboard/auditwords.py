"""The audit log in the viewer's language: what was done, to what, and the details. What people wrote stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dashboard.i18n import Words
from dashboard.said import said

_NAMED: Final = {
    "severity": "severity",
    "min_severity": "severity",
    "below": "severity",
    "state": "state_of",
    "role": "role",
    "needed": "role",
    "measure": "param.measure_",
    "mention": "param.mention_",
}
"""Fields with a short list of values, and where the catalogues name them."""
_FIELDS: Final = ("audit_field", "param", "option", "quiet", "column")


def action(name: str, words: Words) -> str:
    kind, _, step = name.partition(".")
    if kind == "alert":
        return words("audit.of_alert", step=words.get(f"event.{step}") or step)
    return words.get(f"audit_action.{name.replace('.', '_')}") or name


def subject(action_name: str, text: str, words: Words) -> str:
    if action_name == "setting":
        return words.get(f"audit_setting.{text.replace('.', '_')}") or text
    kind, _, number = text.partition(":")
    if number.isdigit() and words.has(f"audit_subject.{kind}"):
        return words(f"audit_subject.{kind}", n=number)
    count, _, what = text.partition(" ")
    if count.isdigit() and words.has(f"audit_subject.{what}"):
        return words(f"audit_subject.{what}", n=count)
    return said(text, words)


def detail(values: Mapping[str, Any], words: Words) -> str:
    """The fields that hold something, each with its name; a field within a field in brackets."""
    return " · ".join(
        f"{_field(name, words)}{words('audit.colon')}{_value(name, value, words)}"
        for name, value in values.items()
        if value not in ("", None, [], {})
    )


def _field(name: str, words: Words) -> str:
    return next((text for section in _FIELDS if (text := words.get(f"{section}.{name}"))), name)


def _value(name: str, value: Any, words: Words) -> str:
    if isinstance(value, bool):
        return words("audit.yes" if value else "audit.no")
    if isinstance(value, Mapping):
        return f"({detail(value, words)})"
    if isinstance(value, Sequence) and not isinstance(value, str):
        if value and isinstance(value[0], Mapping):
            return str(len(value))  # the slices that the gate compared: their figures are on the page of the model
        if name == "scope":
            return words.scope([str(one) for one in value])
        return words("scope.comma").join(_value(name, one, words) for one in value)
    text = str(value)
    if name in _NAMED:
        section = _NAMED[name]
        return words.get(f"{section}{text}" if section.endswith("_") else f"{section}.{text}") or text
    if name == "series":
        return words.series(text)
    if name == "kind":
        return words.get(f"channel_kind.{text}") or words.get(f"kind.{text}") or text
    if name == "sentiment":
        return words.sentiment(text)
    if name == "topics":
        return words.topic(text)
    if name == "verdict":
        return words.get({"right": "alerts.was_right", "false_alarm": "alerts.was_false"}.get(text, "")) or text
    if name == "options":
        return words.get(f"option.{text}") or text
    if name == "reason":
        return words.get(f"reason.{text}") or said(text, words)
    return text if name in ("note", "names", "urls", "assignee", "override") else said(text, words)
