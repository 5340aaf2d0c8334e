"""What a message says, and that nothing from a feed can be more than words in it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from monitor.domain import Delivery, SendReason, Severity, TransitionKind
from monitor.notify.kinds import KINDS
from monitor.notify.plan import plan_deliveries
from monitor.notify.render import message_key, render, test_payload
from monitor.notify.words import cut, cut_bytes, one_line, series_label
from tests.notify.conftest import BASE, NOW, SPIKE, channel, delivery_of, evidence, story, transition


def _delivery(what=None, number: int = 1, **changes) -> Delivery:
    planned = plan_deliveries(what or transition(), None, [channel()], SPIKE, (), NOW, links_base=BASE)
    return delivery_of(planned[0], number, alert_id=number, **changes)


def test_a_message_says_what_how_unusual_since_when_and_where_to_look():
    message = render([_delivery(number=7)], "email")
    assert message.subject == (
        "[WARNING] Harbour Bank: 14 negative stories in 6 h, 2.1 expected, from 5 publisher families"
    )
    assert message.text.splitlines() == [
        "WARNING: Harbour Bank (negative-spike, opened)",
        "",
        "What happened: 14 negative stories in 6 h, 2.1 expected, from 5 publisher families",
        "How unusual: about one window in 12,346 would bring this by chance (p = 8.1e-05); "
        "6.7 times the expected number",
        "Since: 2026-03-02 08:00 UTC (window to 2026-03-02 14:00 UTC); alert open since 2026-03-02 14:00 UTC",
        "",
        "Top stories:",
        "1. Harbour Bank halts withdrawals (Ledger Daily)",
        "   https://news.example/1",
        "2. Regulator visits Harbour Bank (Ledger Daily)",
        "   https://news.example/2",
        "",
        "Details: https://headwind.example/alerts?alert=7",
    ]


def test_the_structured_form_carries_the_same_for_machines():
    data = render([_delivery(number=7)], "webhook").data
    assert data["count"] == 1
    alert = data["alerts"][0]
    assert (alert["id"], alert["series"], alert["negative"]) == (7, "entity:Harbour Bank", 14)
    assert alert["url"] == "https://headwind.example/alerts?alert=7"
    json.dumps(data)


def test_a_rule_of_another_kind_is_told_in_its_own_words():
    quiet = evidence(rule={"kind": "quiet"}, p_value=1.0, expected=0.0, negative=0)
    what = transition(summary="Feed Ledger Daily has been silent for 9 h", evidence=quiet)
    planned = plan_deliveries(what, None, [channel()], None, (), NOW, links_base=BASE)
    text = render([delivery_of(planned[0])], "email").text
    assert "What happened: Feed Ledger Daily has been silent for 9 h" in text
    assert "How unusual" not in text


def test_what_was_hardly_expected_is_told_without_a_silly_ratio():
    text = render([_delivery(transition(evidence=evidence(negative=6, expected=0.008)))], "email").text
    assert "6 negative stories in 6 h, fewer than 0.1 expected" in text
    assert "more than 100 times the expected number" in text


def test_since_is_the_first_story_where_the_summary_names_it_and_the_subject_ends_before_it():
    critical = evidence(rule={"kind": "critical_story"}, p_value=1.0)
    what = transition(summary="2 stories on fraud crime; since 2026-03-02 13:10 UTC", evidence=critical)
    message = render([delivery_of(plan_deliveries(what, None, [channel()], None, (), NOW)[0])], "email")
    assert message.subject.endswith("2 stories on fraud crime")
    assert "Since: 2026-03-02 13:10 UTC (window of 6 h to 2026-03-02 14:00 UTC)" in message.text


def test_a_spike_that_is_resolved_or_escalated_says_by_whom_or_why():
    for kind, summary, why in (
        (TransitionKind.RESOLVE, "Resolved by ana: in the price. It was: 14 negative", "Resolved by ana: in the price"),
        (TransitionKind.ESCALATE, "Nobody has taken this for 4 hours. 14", "Nobody has taken this for 4 hours"),
    ):
        text = render([_delivery(transition(kind=kind, summary=summary))], "email").text
        assert f"Why now: {why}" in text.splitlines()


def test_a_number_that_is_none_is_null_for_machines_and_left_out_of_the_words():
    unknown = evidence(p_value=float("nan"), expected=float("inf"))
    message = render([_delivery(transition(evidence=unknown))], "webhook")
    assert message.data["alerts"][0]["p_value"] is None
    json.dumps(message.data, allow_nan=False)
    assert "How unusual" not in message.text


def _many(count: int) -> list[Delivery]:
    return [_delivery(transition(f"entity:Company {number}"), number) for number in range(1, count + 1)]


def test_several_alerts_become_one_message_that_states_the_count():
    message = render(_many(37), "slack")
    assert message.subject.startswith("[WARNING] 37 alerts of negative-spike: Company 1")
    assert message.text.startswith("WARNING: 37 alerts of negative-spike (37 opened)")
    assert "… and 27 more" in message.text
    assert "All alerts: https://headwind.example/alerts" in message.text
    assert message.data["count"] == 37


def test_the_message_of_ten_thousand_alerts_stays_within_every_limit():
    crowd = _many(10_000)
    for kind, spec in KINDS.items():
        message = render(crowd, kind)
        size = len(message.text.encode()) if spec.bytes_limit else len(message.text)
        assert size <= spec.limit
        assert "10,000 alerts" in message.text
    assert message.data["omitted"] == 9_800


def test_an_alert_that_opened_and_closed_meanwhile_is_one_entry():
    closed = transition(kind=TransitionKind.RESOLVE, at=NOW + timedelta(minutes=5))
    text = render([_delivery(), replace(_delivery(closed), id=2, created=NOW + timedelta(minutes=5))], "email").text
    assert text.startswith("RESOLVED: Harbour Bank (negative-spike, resolved)")


def test_the_worst_comes_first():
    bad = _delivery(transition("entity:Worst", severity=Severity.CRITICAL), 50)
    message = render([*_many(12), bad], "email")
    assert message.severity is Severity.CRITICAL
    assert message.text.splitlines()[2].startswith("- Worst [critical, opened]")


def test_a_group_has_one_key_whatever_the_order():
    crowd = _many(3)
    assert message_key(crowd) == message_key(crowd[::-1]) == render(crowd, "email").key
    assert message_key(crowd[:1]) == crowd[0].key


HOSTILE = (
    "Bank\r\nBcc: all@example.com",
    "Profit \u202egnilaf\u202c at Acme",
    "a\u0000b\u2028c\u2029d\u0085e",
    "<!channel> look <https://evil.example|here>",
    "![x](https://evil.example/p.png) [y](javascript:alert(1))",
    "x" * 5000,
    "\ud800 half a character",
)


@pytest.mark.parametrize("title", HOSTILE)
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_hostile_headline_is_one_line_of_words(title: str, kind: str):
    what = transition(evidence=evidence(top=(story(title),)), series=f"entity:{title}", summary=title)
    message = render([_delivery(what)], kind)
    assert "\n" not in message.subject and "\r" not in message.subject + message.text
    assert len(message.subject) <= 150
    assert not any(char in message.text for char in "\u202e\u202c\u2028\u2029\u0000\u0085")
    assert len(message.text.splitlines()) <= 15
    message.text.encode("utf-8")


def test_a_link_that_is_not_http_is_left_out():
    bad = story()
    bad["articles"][0]["url"] = "javascript:alert(1)"
    assert "javascript" not in render([_delivery(transition(evidence=evidence(top=(bad,))))], "email").text


def test_a_cut_message_keeps_its_link():
    stories = tuple(story("储户" * 80, number=number) for number in range(3))
    message = render([_delivery(transition(evidence=evidence(top=stories)), 7)], "wecom")
    assert len(message.text.encode()) <= KINDS["wecom"].limit
    assert message.text.endswith("/alerts?alert=7")


def test_the_test_message_says_that_it_is_one():
    delivery = replace(_delivery(), reason=SendReason.TEST, payload=test_payload(BASE, NOW), alert_ids=())
    message = render([delivery], "slack")
    assert message.subject == "Headwind test message"
    assert "2026-03-02 14:00 UTC" in message.text


def test_text_is_cut_between_characters():
    assert cut("abcdef", 4) == "abc…"
    assert cut("cafe\u0301s are", 5) == "caf…"
    assert len(cut_bytes("储户储户", 10).encode()) <= 10
    assert one_line("  a\t\n b ") == "a b"


@pytest.mark.parametrize(
    ("series", "label"),
    [
        ("all", "All news"),
        ("topic:credit_distress", "Credit distress"),
        ("entity:Acme", "Acme"),
        ("entity:Acme/topic:fraud_crime", "Acme, fraud crime"),
        ("publisher:Ledger Daily", "Publisher Ledger Daily"),
        ("pipeline", "The pipeline"),
        ("pipeline:worker", "The worker"),
        ("pipeline:score", "Scoring"),
    ],
)
def test_a_series_is_named_as_people_say_it(series: str, label: str):
    assert series_label(series) == label
