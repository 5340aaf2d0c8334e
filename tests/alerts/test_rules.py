"""Rules: valid or refused with the field named, their scope, and TOML there and back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.alerts.rules import (
    NEGATIVE_SPIKE,
    PARAMS,
    default_rules,
    in_scope,
    matches,
    params_of,
    rule_from_dict,
    rule_to_dict,
    rules_from_toml,
    rules_to_toml,
    validate,
)
from monitor.domain import Rule, RuleKind, Severity
from monitor.errors import AlertError


def rule(**fields: object) -> Rule:
    base = Rule(name="r", kind=RuleKind.SPIKE, scope=("all",))
    return replace(base, **fields)


def test_the_defaults_are_valid_and_cover_all_topics_and_entities() -> None:
    rules = {each.name: validate(each) for each in default_rules()}
    spike = rules[NEGATIVE_SPIKE]
    assert spike.enabled
    assert spike.scope == ("all", "topic:*", "entity:*")
    assert in_scope(spike, "entity:Acorn Bank")
    assert not in_scope(spike, "publisher:Acorn Wire")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"name": ""}, "name"),
        ({"name": "a/b"}, "name"),
        ({"scope": ()}, "scope"),
        (
            {"kind": RuleKind.CRITICAL_STORY, "scope": ("entity:*",), "params": {"mention": "lead"}},
            "params.mention",
        ),
        ({"scope": ("topic:weather",)}, "scope"),
        ({"scope": ("everything",)}, "scope"),
        ({"cooldown_s": -1.0}, "cooldown_s"),
        ({"escalate_after_s": 5.0}, "escalate_after_s"),
        ({"params": {"budget_per_week": 0}}, "params.budget_per_week"),
        ({"params": {"budget_per_week": "many"}}, "params.budget_per_week"),
        ({"params": {"budget_per_week": float("nan")}}, "params.budget_per_week"),
        ({"params": {"min_stories": 2.5}}, "params.min_stories"),
        ({"params": {"min_stories": True}}, "params.min_stories"),
        ({"params": {"windows": []}}, "params.windows"),
        ({"params": {"windows": [6, 9999]}}, "params.windows"),
        ({"params": {"windows": [True]}}, "params.windows"),
        ({"params": {"windows": 5.5}}, "params.windows"),
        ({"params": {"min_stories": float("inf")}}, "params.min_stories"),
        ({"params": {"colour": "red"}}, "params.colour"),
        ({"scope": ("feed:*",)}, "scope"),
        ({"scope": ("pipeline",)}, "scope"),
        ({"kind": RuleKind.CRITICAL_STORY, "scope": ("topic:*",)}, "scope"),
        ({"kind": RuleKind.QUIET, "scope": ("all",)}, "scope"),
        ({"kind": RuleKind.CRITICAL_STORY, "scope": ("entity:*",), "params": {"topics": 5}}, "params.topics"),
        ({"kind": RuleKind.KEYWORD}, "params.query"),
        ({"kind": RuleKind.THRESHOLD, "params": {"measure": "mood"}}, "params.measure"),
        ({"kind": RuleKind.THRESHOLD, "params": {"measure": "share", "value": 3.0}}, "params.value"),
        (
            {"kind": RuleKind.CRITICAL_STORY, "scope": ("entity:*",), "params": {"topics": ["weather"]}},
            "params.topics",
        ),
        ({"kind": RuleKind.QUIET, "scope": ("feed:*",), "params": {"factor": 0.5}}, "params.factor"),
    ],
)
def test_a_wrong_rule_is_refused_with_the_field_named(fields: dict, named: str) -> None:
    with pytest.raises(AlertError, match=f"'{named}'"):
        validate(rule(**fields))


@pytest.mark.parametrize(
    ("pattern", "series", "covered"),
    [
        ("*", "entity:A/topic:litigation", True),
        ("all", "all", True),
        ("all", "topic:litigation", False),
        ("topic:*", "topic:litigation", True),
        ("topic:market_move", "topic:litigation", False),
        ("entity:*", "entity:Acorn", True),
        ("entity:*", "entity:Novo A/S", True),
        ("entity:*", "entity:Acorn/topic:litigation", False),
        ("entity:*/topic:*", "entity:Acorn/topic:litigation", True),
        ("entity:Acorn/topic:*", "entity:Birch/topic:litigation", False),
        ("entity:Ac*", "entity:Acorn", True),
        ("entity:Acorn (UK)", "entity:Acorn (UK)", True),
        ("publisher:*", "publisher:Aldgate Wire", True),
        ("language:zh", "language:en", False),
    ],
)
def test_scope_patterns_cover_what_they_say(pattern: str, series: str, covered: bool) -> None:
    assert matches(pattern, series) is covered


def test_rules_survive_toml() -> None:
    named = rule(
        name="words",
        kind=RuleKind.KEYWORD,
        scope=("all",),
        params={"query": 'say "bank run" \\ now', "min_stories": 2},
        severity=Severity.CRITICAL,
        channels=("desk", "night"),
    )
    rules = [*(validate(each) for each in default_rules()), validate(named)]
    assert rules_from_toml(rules_to_toml(rules)) == rules


def test_rules_survive_json() -> None:
    for each in default_rules():
        assert rule_from_dict(rule_to_dict(validate(each))) == validate(each)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not toml", "rules"),
        ("[other]\n", r"\[\[rule\]\]"),
        ('[[rule]]\nkind = "spike"\n', "'name'"),
        ('[[rule]]\nname = "a"\nscope = ["all"]\n', "'kind'"),
        ('[[rule]]\nname = "a"\nkind = "psychic"\nscope = ["all"]\n', "'kind'"),
        ('[[rule]]\nname = "a"\nkind = "spike"\nscope = ["all"]\nseverity = "loud"\n', "'severity'"),
        ('[[rule]]\nname = "a"\nkind = "spike"\nscope = ["all"]\ncooldown_s = "soon"\n', "'cooldown_s'"),
        ('[[rule]]\nname = "a"\nkind = "spike"\nscope = ["all"]\nenabled = "yes"\n', "'enabled'"),
        ('[[rule]]\nname = "a"\nkind = "spike"\nscope = ["all"]\ncolour = 1\n', "'colour'"),
        ('[[rule]]\nname = "a"\nkind = "spike"\nscope = ["all"]\n' * 2, "twice"),
    ],
)
def test_wrong_toml_is_refused_with_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(AlertError, match=says):
        rules_from_toml(text)


def test_a_number_of_any_length_is_refused_with_its_field() -> None:
    head = '[[rule]]\nname = "a"\nkind = "spike"\nscope = ["all"]\n'
    for line, field in ((f"cooldown_s = {'9' * 400}", "cooldown_s"), ("cooldown_s = nan", "cooldown_s")):
        with pytest.raises(AlertError, match=field):
            rules_from_toml(f"{head}{line}\n")
    for value in ("9" * 400, "inf", "nan"):
        with pytest.raises(AlertError, match=r"params\.min_stories"):
            rules_from_toml(f"{head}[rule.params]\nmin_stories = {value}\n")


def test_a_keyword_rule_that_looks_for_no_word_is_refused_since_it_would_find_everything() -> None:
    for query in ("", " ", "...", '"" -'):
        with pytest.raises(AlertError, match=r"params\.query"):
            validate(rule(kind=RuleKind.KEYWORD, params={"query": query}))
    assert validate(rule(kind=RuleKind.KEYWORD, params={"query": "银行"}))


def test_every_parameter_has_a_valid_default_and_a_line_of_help() -> None:
    for kind, params in PARAMS.items():
        given = {name: param.default for name, param in params.items()}
        if kind is RuleKind.KEYWORD:
            given["query"] = "default"
        assert validate(rule(kind=kind, scope=("*",), params=given)).kind is kind
        assert all(param.help.endswith(".") for param in params.values())
        assert set(params_of(rule(kind=kind))) == set(params)
