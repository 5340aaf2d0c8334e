"""Rules on the page: made, changed and tried in the form; what they brought beside their budget."""

from __future__ import annotations

from datetime import timedelta

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import i18n, trialchart
from dashboard.queries import Reads
from dashboard.times import Span
from monitor.alerts.rules import PARAMS, in_scope
from monitor.app import App
from monitor.domain import Rule, RuleKind
from tests.dashboard.conftest import Open
from tests.dashboard.test_steps import click, html

words = i18n.words("en")
FORM_PARTS = ("number_input", "multiselect", "selectbox", "text_input", "checkbox")


def test_what_a_rule_brought_stands_beside_its_budget(desk: App, open_page: Open) -> None:
    page = open_page("alerts", view="rules")
    frame = page.dataframe[0].value
    assert list(frame[words("rules.budget")]) == ["2.5"]
    assert list(frame[words("rules.a_week")]) == ["0.4"]
    assert words("rules.came_budget", n=3, week="0.4", budget="2.5") in html(page)


def test_a_rule_of_the_past_shows_its_would_be_alerts_with_stories(desk: App, open_page: Open) -> None:
    page = click(open_page("alerts", view="rules"), "backtest.run")
    assert "nears default" in html(page)
    assert "https://news.invalid/" in html(page)
    assert not page.error


def fill(page: AppTest, kind: str, field: str, value: object) -> None:
    getattr(page, kind)(key=f"rule..{field}").set_value(value)


def test_a_rule_is_made_in_the_form_tried_and_saved(desk: App, open_page: Open) -> None:
    page = click(open_page("alerts", view="rules"), "rules.new")
    page.selectbox(key="rule.kind.").set_value("keyword").run()
    fill(page, "text_input", "keyword.name", "lenders")
    fill(page, "multiselect", "keyword.scope", ["all"])
    fill(page, "text_input", "keyword.query", "lenders withdraw")
    fill(page, "number_input", "keyword.min_stories", 3)
    click(page, "rules.try")
    assert "nears default" in html(page)
    assert [rule.name for rule in desk.store.rules()] == ["negative-spike"], "nothing is saved by trying"
    click(page, "rules.save")
    rule = next(rule for rule in desk.store.rules() if rule.name == "lenders")
    assert (rule.scope, rule.params, rule.enabled) == (("all",), {"query": "lenders withdraw", "min_stories": 3}, False)


def test_a_field_that_does_not_hold_is_named_in_the_form(desk: App, open_page: Open) -> None:
    page = click(open_page("alerts", view="rules"), "rules.new")
    page.selectbox(key="rule.kind.").set_value("keyword").run()
    fill(page, "text_input", "keyword.name", "lenders")
    fill(page, "multiselect", "keyword.scope", ["all"])
    click(page, "rules.save")
    [error] = page.error
    assert error.value.startswith(words("param.query"))
    fill(page, "text_input", "keyword.query", "lenders")
    fill(page, "multiselect", "keyword.scope", ["topic:weather"])
    click(page, "rules.save")
    assert page.error[0].value.startswith(words("param.scope"))
    fill(page, "text_input", "keyword.name", "negative-spike")
    fill(page, "multiselect", "keyword.scope", ["all"])
    click(page, "rules.save")
    assert page.error[0].value.startswith(words("param.name"))
    assert [rule.name for rule in desk.store.rules()] == ["negative-spike"]


@pytest.mark.parametrize("kind", list(RuleKind))
def test_the_form_knows_every_kind_of_rule(desk: App, open_page: Open, kind: RuleKind) -> None:
    page = click(open_page("alerts", view="rules"), "rules.new")
    page.selectbox(key="rule.kind.").set_value(kind).run()
    assert not page.error
    labels = {element.label for name in FORM_PARTS for element in getattr(page, name)}
    assert {words(f"param.{name}") for name in PARAMS[kind]} <= labels


def test_a_rule_is_changed_in_the_form_and_removed(desk: App, open_page: Open) -> None:
    page = click(open_page("alerts", view="rules"), "rules.edit")
    page.number_input(key="rule.negative-spike.spike.budget_per_week").set_value(4.0)
    click(page, "rules.save")
    [rule] = desk.store.rules()
    assert rule.params == {"budget_per_week": 4.0}
    page = open_page("alerts", view="rules")
    page.button(key="rule.remove.negative-spike").click().run()
    assert desk.store.rules() == []
    assert words("rules.none") in html(open_page("alerts", view="rules"))


def test_rules_come_in_as_toml_and_a_wrong_field_is_named(desk: App, open_page: Open) -> None:
    page = open_page("alerts", view="rules")
    area = next(area for area in page.text_area if area.label == words("rules.toml_all"))
    area.set_value(area.value.replace("budget_per_week = 2.5", "budget_per_week = 0"))
    click(page, "rules.toml_save")
    assert any("budget" in error.value for error in page.error)
    [rule] = desk.store.rules()
    assert rule.params == {"budget_per_week": 2.5}


@pytest.mark.parametrize(
    ("rule", "series", "shown"),
    [
        (Rule(name="a", kind=RuleKind.SPIKE, scope=("topic:litigation",)), "topic:litigation", "count"),
        (
            Rule(name="b", kind=RuleKind.THRESHOLD, scope=("all",), params={"measure": "share", "min_stories": 1}),
            "all",
            "share",
        ),
        (
            Rule(name="c", kind=RuleKind.THRESHOLD, scope=("all",), params={"measure": "mean_score"}),
            "all",
            "mean_score",
        ),
        (Rule(name="d", kind=RuleKind.QUIET, scope=("publisher:*",)), None, "gap"),
    ],
)
def test_the_chart_of_a_trial_shows_what_the_rule_judges(desk: App, rule: Rule, series: str | None, shown: str) -> None:
    reads = Reads(desk.store, desk.settings.store_url)
    newest = desk.store.status().data_as_of
    assert newest is not None
    watched = trialchart.watched(rule, [], reads)
    assert series is None or watched[0] == series
    assert all(in_scope(rule, name) for name in watched)
    span = Span(start=newest - timedelta(days=14), end=newest)
    one = trialchart.judged(rule, watched[0], span, reads)
    assert one.measure == shown
    values = one.frame["value"].dropna()
    assert len(values) > 0
    assert {"share": values.between(0, 1), "mean_score": values.between(-1, 1)}.get(shown, values >= 0).all()
    for language in ("en", "zh"):
        told = i18n.words(language)
        assert told.series(one.series) in trialchart.title(one, told)
