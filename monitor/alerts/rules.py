"""Rules: the defaults of the first day, what a valid rule is, which series it covers, and TOML in and out.

A rule that does not hold is refused with an `AlertError` that names the rule and the field. Parameters that a rule
leaves out take the defaults of its kind (`params_of`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from models.labels import SEVERE_TOPICS, TOPICS
from monitor.domain import Rule, RuleKind, Severity
from monitor.errors import AlertError

NEGATIVE_SPIKE: Final = "negative-spike"
DEFAULT_BUDGET: Final = 2.5

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
_PREFIXES: Final = ("topic:", "entity:", "publisher:", "language:", "feed:")

_NEWS: Final = ("all", "*", "topic:", "entity:", "publisher:", "language:")
_SCOPES: Final[Mapping[RuleKind, tuple[str, ...]]] = {
    RuleKind.SPIKE: _NEWS,
    RuleKind.THRESHOLD: _NEWS,
    RuleKind.CRITICAL_STORY: ("*", "entity:"),
    RuleKind.KEYWORD: _NEWS,
    RuleKind.QUIET: ("*", "feed:", "publisher:", "pipeline"),
}
"""What each kind of rule has series of; a scope that could never match would be a rule that sleeps."""


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a kind: its default, what it must be, and a line of help for the page and the docs."""

    default: Any
    kind: str  # int, float, text, choice, labels, hours
    help: str
    low: float = 0.0
    high: float = 1e9
    choices: tuple[str, ...] = ()


PARAMS: Final[Mapping[RuleKind, Mapping[str, Param]]] = {
    RuleKind.SPIKE: {
        "budget_per_week": Param(
            DEFAULT_BUDGET, "float", "Alerts a week, over everything watched, that the desk accepts.", 0.05, 500
        ),
        "windows": Param((6, 24), "hours", "Window lengths in hours.", 1, 168),
        "min_stories": Param(3, "int", "Fewest distinct negative stories.", 1, 1000),
        "min_effect": Param(1.5, "float", "Fewest times the expectation.", 1.0, 100),
        "min_families": Param(2, "int", "Fewest publisher families, where the past has as many.", 1, 20),
        "min_history_days": Param(14, "int", "Days of past below which a series is too young.", 1, 365),
        "resolve_after_hours": Param(6, "int", "Calm hours after which an alert resolves.", 1, 168),
    },
    RuleKind.THRESHOLD: {
        "measure": Param("share", "choice", "What is compared.", choices=("share", "count", "mean_score")),
        "value": Param(0.6, "float", "Limit: share or count at or above it, mean score at or below it.", -1, 1e6),
        "window_hours": Param(24, "int", "Window in hours.", 1, 168),
        "min_stories": Param(20, "int", "Fewest stories in the window.", 1, 100_000),
        "resolve_after_hours": Param(3, "int", "Calm hours after which an alert resolves.", 1, 168),
    },
    RuleKind.CRITICAL_STORY: {
        "topics": Param(SEVERE_TOPICS, "labels", "Topics of which one story is enough."),
        "min_p_negative": Param(0.85, "float", "Lowest probability that the story is negative.", 0.0, 1.0),
        "mention": Param(
            "title", "choice", "Where the entity must stand; anywhere: title or lead.", choices=("title", "anywhere")
        ),
        "min_stories": Param(1, "int", "Fewest distinct stories.", 1, 100),
        "window_hours": Param(24, "int", "Window in hours.", 1, 168),
    },
    RuleKind.KEYWORD: {
        "query": Param("", "text", 'Words, "quoted phrases", -minus; as in the search on the News page.'),
        "min_stories": Param(1, "int", "Fewest distinct stories.", 1, 1000),
        "window_hours": Param(24, "int", "Window in hours.", 1, 168),
        "negative_only": Param(False, "flag", "Count only negative stories."),
    },
    RuleKind.QUIET: {
        "factor": Param(
            8.0,
            "float",
            "So many items, and three batches, of its habit must be missing before it is silent.",
            1.5,
            100,
        ),
        "min_hours": Param(6.0, "float", "Never fires before this many silent hours.", 0.25, 720),
        "pipeline_minutes": Param(30.0, "float", "Minutes without a sign of life of the worker.", 1, 1440),
    },
}


def default_rules() -> tuple[Rule, ...]:
    """What a desk gets on day one. The share threshold is off: it is there to be switched on and tried."""
    return (
        Rule(
            name=NEGATIVE_SPIKE,
            kind=RuleKind.SPIKE,
            scope=("all", "topic:*", "entity:*"),
            params={"budget_per_week": DEFAULT_BUDGET},
            severity=Severity.WARNING,
            escalate_after_s=4 * 3600.0,
        ),
        Rule(
            name="critical-story",
            kind=RuleKind.CRITICAL_STORY,
            scope=("entity:*",),
            severity=Severity.CRITICAL,
            cooldown_s=12 * 3600.0,
            escalate_after_s=2 * 3600.0,
        ),
        Rule(
            name="quiet",
            kind=RuleKind.QUIET,
            scope=("feed:*", "publisher:*", "pipeline"),
            severity=Severity.WARNING,
            cooldown_s=3600.0,
        ),
        Rule(
            name="negative-share",
            kind=RuleKind.THRESHOLD,
            scope=("all",),
            params={"measure": "share", "value": 0.6, "min_stories": 30},
            severity=Severity.INFO,
            cooldown_s=12 * 3600.0,
            enabled=False,
        ),
    )


def params_of(rule: Rule) -> dict[str, Any]:
    """The rule's parameters with the defaults of its kind filled in."""
    values = {name: rule.params.get(name, param.default) for name, param in PARAMS[rule.kind].items()}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def validate(rule: Rule) -> Rule:
    """The rule with its parameters in their own types. Raises `AlertError` naming the rule and the field."""
    if not _NAME.fullmatch(rule.name):
        raise AlertError(
            f"rule {rule.name!r}: 'name' must be 1 to 64 letters, digits, spaces, dots, dashes", field="name"
        )
    if not rule.scope:
        raise _wrong(rule, "scope", 'must name at least one series, such as "all" or "topic:*"')
    for pattern in rule.scope:
        if not valid_pattern(pattern):
            raise _wrong(rule, "scope", f"{pattern!r} is no series pattern; try all, topic:*, entity:Name, publisher:*")
        if not pattern.startswith(_SCOPES[rule.kind]):
            these = ", ".join(f"{start}*" if start.endswith(":") else start for start in _SCOPES[rule.kind])
            raise _wrong(rule, "scope", f"{pattern!r} is nothing that {rule.kind.value} watches; it watches: {these}")
    for name, value, low in (("cooldown_s", rule.cooldown_s, 0.0), ("escalate_after_s", rule.escalate_after_s, 60.0)):
        if value is not None and not low <= value <= 30 * 86400:
            raise _wrong(rule, name, f"must lie between {low:g} and 2592000 seconds")
    known = PARAMS[rule.kind]
    for name in rule.params:
        if name not in known:
            raise _wrong(rule, f"params.{name}", f"is not known to {rule.kind.value}; known: {', '.join(known)}")
    params = {name: _checked(rule, name, known[name], value) for name, value in rule.params.items()}
    if rule.kind is RuleKind.KEYWORD and not any(map(str.isalnum, params.get("query", ""))):  # would find everything
        raise _wrong(rule, "params.query", "must not be empty")
    if rule.kind is RuleKind.THRESHOLD:
        _check_threshold(rule, {**{n: p.default for n, p in known.items()}, **params})
    return replace(rule, params=params)


def _check_threshold(rule: Rule, params: Mapping[str, Any]) -> None:
    low, high = {"share": (0.0, 1.0), "count": (1.0, 1e6), "mean_score": (-1.0, 1.0)}[params["measure"]]
    if not low <= params["value"] <= high:
        raise _wrong(rule, "params.value", f"must lie between {low:g} and {high:g} for {params['measure']}")


def _checked(rule: Rule, name: str, param: Param, value: Any) -> Any:
    where = f"params.{name}"
    if param.kind == "choice":
        if value not in param.choices:
            raise _wrong(rule, where, f"must be one of {', '.join(param.choices)}")
        return value
    if param.kind == "flag":
        if not isinstance(value, bool):
            raise _wrong(rule, where, "must be true or false")
        return value
    if param.kind == "text":
        if not isinstance(value, str) or len(value) > 500:
            raise _wrong(rule, where, "must be a text of at most 500 characters")
        return value.strip()
    if param.kind == "labels":
        labels = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list | tuple) else ()
        unknown = [label for label in labels if label not in TOPICS]
        if unknown or not labels:
            raise _wrong(rule, where, f"must be topics; not known: {', '.join(map(str, unknown)) or 'empty'}")
        return labels
    if param.kind == "hours":
        hours = (value,) if isinstance(value, int) else tuple(value) if isinstance(value, list | tuple) else ()
        if not 1 <= len(hours) <= 4 or not all(type(h) is int and param.low <= h <= param.high for h in hours):
            raise _wrong(rule, where, f"must be one to four whole hours between {param.low:g} and {param.high:g}")
        return tuple(sorted(set(hours)))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(rule, where, "must be a number")
    if not param.low <= value <= param.high:
        raise _wrong(rule, where, f"must lie between {param.low:g} and {param.high:g}")
    if param.kind == "int" and value != int(value):
        raise _wrong(rule, where, "must be a whole number")
    return int(value) if param.kind == "int" else float(value)


def _wrong(rule: Rule, where: str, what: str) -> AlertError:
    return AlertError(f"rule {rule.name!r}: {where!r} {what}", field=where)


def watches(kind: RuleKind) -> tuple[str, ...]:
    """How the series patterns begin that a kind of rule can watch."""
    return _SCOPES[kind]


# ── scope ────────────────────────────────────────────────────────────────────────────────────────────────────────


def valid_pattern(pattern: str) -> bool:
    """`all`, `*`, `pipeline`, or a prefix with a name in which `*` stands for anything but a slash."""
    if pattern in ("all", "*", "pipeline"):
        return True
    head, slash, rest = pattern.partition("/topic:")
    if not any(head.startswith(prefix) and len(head) > len(prefix) for prefix in _PREFIXES):
        return False
    if head.startswith("topic:") and "*" not in head and head.removeprefix("topic:") not in TOPICS:
        return False
    if not slash:
        return True
    return head.startswith("entity:") and ("*" in rest or rest in TOPICS)


def matches(pattern: str, series: str) -> bool:
    """Whether a series is meant. `entity:*` covers entities, not the topics of entities (`entity:*/topic:*`)."""
    if pattern == "*":
        return True
    return _pattern(pattern).fullmatch(series) is not None


def in_scope(rule: Rule, series: str) -> bool:
    return any(matches(pattern, series) for pattern in rule.scope)


@lru_cache(maxsize=4096)
def _pattern(pattern: str) -> re.Pattern[str]:
    head, slash, topic = pattern.partition("/topic:")
    # A name may hold a slash ("A/S"); what `*` must not run over is the step from an entity to its topics.
    star = r"(?:(?!/topic:).)*"
    parts = [star.join(re.escape(piece) for piece in part.split("*")) for part in ((head, topic) if slash else (head,))]
    return re.compile("/topic:".join(parts), re.DOTALL)


# ── TOML ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def rules_from_toml(text: str) -> list[Rule]:
    """Rules of a `[[rule]]` list. Raises `AlertError` with the line, or with the rule and the field."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AlertError(f"rules: {error}") from error
    entries = data.get("rule")
    if not isinstance(entries, list) or set(data) != {"rule"}:
        raise AlertError("rules: the file must hold [[rule]] entries and nothing else")
    rules = [rule_from_dict(entry) for entry in entries]
    names = [rule.name for rule in rules]
    for name in names:
        if names.count(name) > 1:
            raise AlertError(f"rule {name!r}: 'name' stands twice in the file")
    return rules


def rule_from_dict(entry: Any) -> Rule:
    """A validated rule from a plain mapping, as TOML, JSON and the page's form give it."""
    if not isinstance(entry, Mapping):
        raise AlertError("rules: each entry must be a table")
    name = entry.get("name")
    if not isinstance(name, str):
        raise AlertError("rules: 'name' is missing", field="name")
    blank = Rule(name=name, kind=RuleKind.SPIKE, scope=("all",))
    known = ("name", "kind", "scope", "params", "severity", "channels", "cooldown_s", "escalate_after_s", "enabled")
    for key in entry:
        if key not in known:
            raise _wrong(blank, str(key), f"is not known; known: {', '.join(known)}")
    kind = _enum(blank, "kind", RuleKind, entry.get("kind"))
    severity = _enum(blank, "severity", Severity, entry.get("severity", Severity.WARNING))
    params = entry.get("params", {})
    if not isinstance(params, Mapping):
        raise _wrong(blank, "params", "must be a table")
    for field in ("cooldown_s", "escalate_after_s"):
        value = entry.get(field)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (number and abs(value) < 1e12):
            raise _wrong(blank, field, "must be a number of seconds")
    if not isinstance(entry.get("enabled", True), bool):
        raise _wrong(blank, "enabled", "must be true or false")
    escalate = entry.get("escalate_after_s")
    return validate(
        Rule(
            name=name,
            kind=kind,
            scope=_texts(blank, "scope", entry.get("scope", ())),
            params=dict(params),
            severity=severity,
            channels=_texts(blank, "channels", entry.get("channels", ())),
            cooldown_s=float(entry.get("cooldown_s", 3600.0)),
            escalate_after_s=None if escalate is None else float(escalate),
            enabled=entry.get("enabled", True),
        )
    )


def rule_to_dict(rule: Rule) -> dict[str, Any]:
    """The rule as JSON-able values; `rule_from_dict` reads it back. Evidence keeps this form."""
    params = {name: list(value) if isinstance(value, tuple) else value for name, value in rule.params.items()}
    return {
        "name": rule.name,
        "kind": rule.kind.value,
        "scope": list(rule.scope),
        "params": params,
        "severity": rule.severity.value,
        "channels": list(rule.channels),
        "cooldown_s": rule.cooldown_s,
        "escalate_after_s": rule.escalate_after_s,
        "enabled": rule.enabled,
    }


def rules_to_toml(rules: Iterable[Rule]) -> str:
    """`[[rule]]` entries that `rules_from_toml` reads back to the same rules."""
    blocks = []
    for rule in rules:
        entry = rule_to_dict(rule)
        params = entry.pop("params")
        lines = ["[[rule]]", *(f"{key} = {_toml(value)}" for key, value in entry.items() if value is not None)]
        if params:
            lines += ["[rule.params]", *(f"{key} = {_toml(value)}" for key, value in params.items())]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}" for c in escaped) + '"'
    return "[" + ", ".join(_toml(item) for item in value) + "]"


def _enum(rule: Rule, field: str, kind: Any, value: Any) -> Any:
    try:
        return kind(value)
    except ValueError as error:
        raise _wrong(rule, field, f"must be one of {', '.join(item.value for item in kind)}") from error


def _texts(rule: Rule, field: str, value: Any) -> tuple[str, ...]:
    items = (value,) if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise _wrong(rule, field, "must be a list of names")
    return tuple(items)
