"""Evidence goes out as JSON and as a page that runs nothing and loads nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser

from monitor.alerts.evidence import evidence_html, evidence_json
from monitor.domain import AlertEvent, Verdict
from tests.alerts.test_lifecycle import NOW, evidence, open_alert

NASTY = "<script>alert(1)</script>![](http://t/x) & \"quotes\" 'single'"


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]


def nasty_alert():
    story = {
        "title": NASTY,
        "published": "2026-05-06T09:00:00+00:00",
        "publishers": [NASTY],
        "topics": ["litigation"],
        "entities": [],
        "articles": [
            {"title": NASTY, "url": "javascript:alert(1)", "publisher": "x", "published": "y", "prediction": None},
            {"title": "Good", "url": "https://news.example/1?a=1&b='2'", "publisher": "x", "published": "y"},
            {"title": "Broken", "url": "http://[", "publisher": "x", "published": "y"},
        ],
    }
    proof = replace(
        evidence(9, daily_negative=[1, 0, 2.5], daily_from="2026-04-01"), top=(story,), rule={"name": NASTY}
    )
    return open_alert(summary=NASTY, evidence=proof)


def test_feed_text_is_text_and_only_web_addresses_are_links() -> None:
    events = [AlertEvent(alert_id=1, at=NOW, kind="comment", actor=NASTY, note=NASTY)]
    verdict = Verdict(subject="alert:1", actor=NASTY, at=NOW, right=False, reason="not_material", note=NASTY)
    page = Seen()
    page.feed(evidence_html(nasty_alert(), events, [verdict]))
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert page.links == ["https://news.example/1?a=1&b='2'"]


def test_the_page_forbids_itself_to_load_anything() -> None:
    assert "default-src 'none'" in evidence_html(nasty_alert())


def test_the_json_holds_all_that_is_frozen() -> None:
    answer = json.loads(json.dumps(evidence_json(nasty_alert())))
    assert answer["negative"] == 9
    assert answer["evidence"]["stories"][0]["title"] == NASTY
    assert answer["evidence"]["baseline"]["daily_negative"] == [1, 0, 2.5]
    assert answer["evidence"]["rule"] == {"name": NASTY}


def test_an_alert_without_stories_or_baseline_still_has_a_page() -> None:
    assert evidence_html(open_alert()).startswith("<!doctype html>")


def test_only_a_spike_states_an_expectation_and_a_chance() -> None:
    spike = open_alert(evidence=replace(evidence(9), rule={"kind": "spike"}))
    story = open_alert(evidence=replace(evidence(9), rule={"kind": "critical_story"}))
    assert "<th>Expected</th>" in evidence_html(spike) and "<th>p-value</th>" in evidence_html(spike)
    assert "<th>Expected</th>" not in evidence_html(story) and "<th>p-value</th>" not in evidence_html(story)
