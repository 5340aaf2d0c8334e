"""What the pipeline writes in English is read in Chinese: made by the pipeline's own functions, none left over."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from dashboard import alertwords, auditwords, i18n
from dashboard.alertpane import evidence_facts
from dashboard.said import card, said
from models.gate import Slice
from models.registry import CHECKPOINTS, available
from monitor import desk as steps
from monitor import upkeep
from monitor.alerts.history import history_from_facts
from monitor.alerts.kinds import EntityFacts, critical_stories, threshold
from monitor.alerts.lifecycle import Observation, Standing, evaluate
from monitor.alerts.quiet import quiet
from monitor.alerts.rules import default_rules, params_of, rule_to_dict, rules_from_toml
from monitor.alerts.spike import _words as spike_words
from monitor.app import App
from monitor.domain import AlertEvent, AlertState, ChannelConfig, Entity, FeedState, Rule, RuleKind
from monitor.entities.watchlist import parse_watchlist
from monitor.errors import MonitorError
from monitor.feeds.documents import parse_document
from monitor.feeds.opml import parse_opml
from monitor.notify.kinds import validate as validate_channel
from monitor.people import Person
from tests.alerts.news import story
from tests.alerts.newsroom import NOW as NEWS_NOW
from tests.alerts.newsroom import open_newsroom
from tests.alerts.test_lifecycle import NOW, RULE, evidence, open_alert, seen
from tests.alerts.test_quiet import feed

ZH = i18n.words("zh")
EN = i18n.words("en")
NAMES = re.compile(r"UTC|HTTP|OPML|TOML|CSV|PDF|JSON|RSS|Atom|MiB|MB|POST|all|topic:\*|entity:\S+|publisher:\*|feed:\*")


def english(text: str, *names: str) -> list[str]:
    """Words in Latin letters that are no names: what a reader of Chinese would stumble over."""
    for name in names:
        text = text.replace(name, "")
    return re.findall(r"[A-Za-z]{2,}", NAMES.sub("", text))


def left(sentences: list[str], *names: str) -> list[str]:
    assert sentences
    return [f"{text} → {said(text, ZH)}" for text in sentences if english(said(text, ZH), *names)]


def test_every_summary_of_a_spike() -> None:
    made = [
        spike_words(n, hours, mu, families, p, NOW)
        for n in (3, 1200)
        for hours in (6, 24, 48)
        for mu in (0.01, 3.24)
        for families in (1, 4)
        for p in (0.004, 3.2e-11)
    ]
    assert left([*made, *(f"Late news: {text}" for text in made)]) == []
    assert said(spike_words(9, 6, 1.1, 3, 2e-4, NOW), ZH) == (
        "6 小时内 9 个负面事件，预期 1.1 个；3 个发布集团；p = 0.0002；自 2026-05-06 10:00 UTC 起"
    )


@pytest.mark.parametrize(("measure", "value"), [("share", 0.5), ("count", 3), ("mean_score", -0.2)])
def test_every_summary_of_a_threshold(measure: str, value: float) -> None:
    params = {"measure": measure, "value": value, "min_stories": 3}
    rule = Rule(name="limit", kind=RuleKind.THRESHOLD, scope=("all",), params=params)
    facts = [story(NOW - timedelta(hours=n), "negative") for n in range(1, 8)]
    history = history_from_facts(facts, NOW - timedelta(days=2), NOW)
    assert left([one.summary for one in threshold(rule, history, [], "v1", NOW)]) == []


@pytest.mark.parametrize("count", [1, 3])
def test_every_summary_of_a_critical_story(count: int) -> None:
    rule = next(rule for rule in default_rules() if rule.kind is RuleKind.CRITICAL_STORY)
    topics = ("fraud_crime", "credit_distress")
    facts = tuple(story(NOW - timedelta(hours=n + 1), "negative", topics, publisher=f"Paper {n}") for n in range(count))
    ids = frozenset(fact.story_id for fact in facts)
    entity = EntityFacts(series="entity:Aldgate Bank", facts=facts, in_title=ids)
    assert left([one.summary for one in critical_stories(rule, [entity], [], "v1", NOW)]) == []


def test_the_summary_of_a_keyword(tmp_path: Path) -> None:
    newsroom = open_newsroom(tmp_path)
    try:
        newsroom.store.save_rule(
            Rule(name="words", kind=RuleKind.KEYWORD, scope=("all",), params={"query": "lawsuit"}), "ana", NEWS_NOW
        )
        newsroom.publish(newsroom.burst(3))
        found = [step.summary for step in newsroom.look() if step.rule == "words"]
        assert left(found, "lawsuit") == []
    finally:
        newsroom.store.close()


def silent() -> list[Observation]:
    rule = next(rule for rule in default_rules() if rule.kind is RuleKind.QUIET)
    now = datetime(2026, 4, 22, 12, tzinfo=UTC)
    long_ago = now - timedelta(days=2)
    feeds = [
        feed(1, last_item=long_ago),
        feed(2, publisher="Harbour Post", state=FeedState.FAILING, last_success=long_ago, failures=9, last_error=None),
        feed(3, publisher="Mill", enabled=False, failures=1, last_polled=now, last_error="the server answered 410"),
        feed(4, publisher="Twice", last_item=long_ago),
        feed(5, publisher="Twice", last_item=long_ago),
    ]
    return quiet(rule, feeds, {"worker": (long_ago, {})}, [], now)


def test_every_summary_of_silence() -> None:
    found = [one.summary for one in silent() if one.standing is Standing.FIRE]
    beginnings = ("Nothing new", "Has failed 9", "Is gone", "All 2 feeds", "The worker has")
    assert all(any(text.startswith(start) for text in found) for start in beginnings)
    assert left(found, "Twice") == []


def test_what_the_supervisor_raises(desk: App) -> None:
    now = datetime.now(UTC)
    desk.report_worker_dead(3, -9, now)
    stalls = {
        "poll": "poll has not come back for 31 minutes",
        "score": "score has failed for 16 minutes: the answer is empty",
    }
    desk.report_stalls(stalls, ("poll", "score"), now)
    desk.report_stalls({}, ("poll", "score"), now)
    raised = [alert for alert in desk.store.alerts(limit=100) if alert.rule == "worker"]
    assert len(raised) == 3
    assert left([alert.summary for alert in raised]) == []
    notes = [alertwords.step(event, ZH) for alert in raised for event in desk.store.alert_events(alert.id)]
    assert "已恢复运行" in notes and [note for note in notes if english(note)] == []
    assert [alert.series for alert in raised if english(ZH.series(alert.series))] == []


def test_every_step_of_the_pipeline_in_a_time_line() -> None:
    what = spike_words(9, 6, 1.1, 3, 2e-4, NOW)
    alert = open_alert(summary=what, opened_at=NOW - timedelta(hours=30))
    calm = seen(standing=Standing.CALM, calm_for=timedelta(hours=8))
    soon = replace(alert, opened_at=NOW - timedelta(minutes=40))
    long = replace(alert, opened_at=NOW - timedelta(days=9))
    made = [
        *evaluate([RULE], [seen(summary=what)], [], {}, NOW),
        *evaluate([RULE], [seen(negative=30, summary=what)], [alert], {}, NOW),
        *(step for one in (alert, soon, long) for step in evaluate([RULE], [calm], [one], {}, NOW)),
        *evaluate([RULE], [], [alert], {}, NOW),
        *evaluate([], [], [alert], {}, NOW),
        *evaluate([replace(RULE, scope=("all",))], [], [alert], {}, NOW),
    ]
    assert {step.kind.value for step in made} >= {"open", "worsen", "escalate", "resolve"}
    assert left([step.summary for step in made], RULE.name) == []


def test_every_step_of_a_person_in_a_time_line(desk: App) -> None:
    store, now = desk.store, datetime.now(UTC)
    alert = next(one for one in store.alerts(limit=100) if one.state is AlertState.OPEN)
    steps.acknowledge(store, alert.id, "ana", now, note="on it")
    steps.assign(store, alert.id, "ben", "ana", now)
    steps.assign(store, alert.id, "", "ana", now)
    steps.comment(store, alert.id, "nobody", "ana", now)
    steps.snooze(store, alert.id, now + timedelta(hours=1), "ana", now)
    for reason in steps.REASONS:
        steps.judge(store, alert.id, False, "ana", now, reason=reason)
    steps.reopen(store, alert.id, "ana", now)
    steps.judge(store, alert.id, True, "ana", now, note="a good one")
    events = [event for event in store.alert_events(alert.id) if event.actor == "ana"]
    told = {event.kind: alertwords.step(event, ZH) for event in events}
    assert told["comment"] == "nobody"  # a person's own words stay, also where the pipeline has the same
    assert told["assign"] == "无人"
    assert told["verdict"] == "警报正确 · a good one"
    written = ("on it", "ben", "nobody", "a good one")
    assert [note for event in events if english(note := alertwords.step(event, ZH), *written)] == []
    verdict = next(event for event in events if event.kind == "verdict")
    assert alertwords.step(verdict, EN) == f"{EN('alerts.was_false')} · {EN('reason.wrong_company')}"
    assert alertwords.actor(AlertEvent(alert_id=1, at=now, kind="open", actor="system", note=""), ZH) == "系统"


@pytest.mark.parametrize("rule", default_rules(), ids=lambda rule: rule.name)
def test_what_an_alert_rests_on(rule: Rule) -> None:
    """Every field of every kind of rule, and what the kinds keep with it."""
    whole = replace(rule, params=params_of(rule))
    baseline = {"measure": "share", "explained_by": "topic:litigation", "told_negative": 3, "strongest": 0.9}
    proof = replace(evidence(), rule=rule_to_dict(whole), baseline=baseline, model_version="v1")
    facts = [f"{name}: {value}" for name, value in evidence_facts(proof, ZH)]
    assert [fact for fact in facts if english(fact, rule.name, "v1")] == []
    spike = rule.kind is RuleKind.SPIKE
    assert (EN("alerts.p_value") in dict(evidence_facts(proof, EN))) is spike, "only a statistic knows a chance"
    line = alertwords.line(open_alert(evidence=proof), EN)
    assert ("expected" in line) is spike and (EN(f"kind.{rule.kind}") in line) is not spike


def refusals(*calls: Callable[[], object]) -> list[str]:
    found = []
    for call in calls:
        with pytest.raises(MonitorError) as refused:
            call()
        found.append(str(refused.value))
    return found


def rules_refused() -> Iterator[str]:
    head = '[[rule]]\nname = "own"\n'
    own = f'{head}kind = "spike"\n'
    spike = f'{own}scope = ["all"]\n[rule.params]\n'
    for text in (
        "x = 1",
        '[[rule]]\nkind = "spike"',
        f'{head}scope = ["all"]',
        f"{own}scope = []",
        f'{own}scope = ["nonsense"]',
        f'{head}kind = "quiet"\nscope = ["topic:*"]',
        f'{own}scope = ["all"]\nenabled = 3',
        f'{own}scope = ["all"]\ncooldown_s = -1',
        f'{own}scope = ["all"]\ncooldown_s = "x"',
        f'{own}scope = ["all"]\nseverity = "loud"',
        f"{own}scope = 3",
        '[[rule]]\nname = "bad/name"\nkind = "spike"\nscope = ["all"]',
        f"{spike}windows = []",
        f'{spike}min_stories = "x"',
        f"{spike}min_stories = 1.5",
        f"{spike}min_stories = 0",
        f"{spike}unheard = 0",
        f'{head}kind = "threshold"\nscope = ["all"]\n[rule.params]\nvalue = 7.0',
        f'{head}kind = "threshold"\nscope = ["all"]\n[rule.params]\nmeasure = "x"',
        f'{head}kind = "keyword"\nscope = ["all"]',
        f'{head}kind = "keyword"\nscope = ["all"]\n[rule.params]\nquery = 3',
        f'{head}kind = "keyword"\nscope = ["all"]\n[rule.params]\nquery = "x"\nnegative_only = 1',
        f'{head}kind = "critical_story"\nscope = ["entity:*"]\n[rule.params]\ntopics = []',
        f'{own}scope = ["all"]\n{own}scope = ["all"]',
    ):
        yield from refusals(partial(rules_from_toml, text))


def test_why_a_rule_is_refused() -> None:
    """Names of fields, values and series stay."""
    shown = [(text, said(text, ZH)) for text in rules_refused()]
    assert len(shown) == 24
    assert [text for text, chinese in shown if text == chinese] == []
    assert [chinese for _, chinese in shown if re.search(r"[a-z]+ [a-z]+ [a-z]+", chinese)] == []


def test_why_a_file_or_a_feed_is_refused() -> None:
    made = refusals(
        lambda: parse_watchlist(b"alias\nx\n", "list.csv"),
        lambda: parse_watchlist(b"name,colour\nAcme,red\n", "list.csv"),
        lambda: parse_watchlist(b"name,weight\nAcme,much\n", "list.csv"),
        lambda: parse_watchlist(b"name\n", "list.csv"),
        lambda: parse_watchlist(b"name,lei\nAcme,12\n", "list.csv"),
        lambda: parse_watchlist(b"name\nAcme\nAcme\n", "list.csv"),
        lambda: parse_opml(b"<html></html>", "list.opml"),
        lambda: parse_opml(b"<opml><body></body></opml>", "list.opml"),
        lambda: parse_document(b"<html><body>hello</body></html>"),
        lambda: parse_document(b"hello"),
    )
    assert [text for text in made if said(text, ZH) == text] == []


def test_why_a_channel_is_refused() -> None:
    def channel(**options: str) -> ChannelConfig:
        return ChannelConfig(name="desk", kind="email", options=options)

    made = refusals(
        lambda: validate_channel(channel()),
        lambda: validate_channel(channel(host="mail", sender="x", to="x@y.example")),
        lambda: validate_channel(channel(host="mail", port="0", sender="a@b.example", to="x@y.example")),
        lambda: validate_channel(channel(host="a\nb")),
        lambda: validate_channel(channel(colour="red")),
    )
    assert [text for text in made if said(text, ZH) == text] == []


def test_why_a_step_is_refused(desk: App) -> None:
    store, now = desk.store, datetime.now(UTC)
    alert = next(one for one in store.alerts(limit=100) if one.state is AlertState.OPEN)
    made = refusals(
        lambda: steps.acknowledge(store, 9_999, "ana", now),
        lambda: steps.reopen(store, alert.id, "ana", now),
        lambda: steps.comment(store, alert.id, " ", "ana", now),
        lambda: steps.snooze(store, alert.id, now, "ana", now),
        lambda: steps.assign(store, alert.id, "x" * 300, "ana", now),
    )
    steps.resolve(store, alert.id, "ana", now)
    made += refusals(lambda: steps.acknowledge(store, alert.id, "ana", now))
    assert left(made) == []


def test_what_is_not_known_stays_as_it_is() -> None:
    for text in ("", "9 negative stories", "a reader's own words", "nothing new since Monday, usually"):
        assert said(text, ZH) == text
    assert said("the server answered 503", EN) == "the server answered 503"
    assert said("the worker died many times in a row", ZH) == "the worker died many times in a row"


def test_a_reason_inside_a_sentence_is_read_too_and_an_unknown_one_stays() -> None:
    start = "Has failed 9 times since 2026-04-20 12:00 UTC"
    assert said(f"{start}: the server answered 503", ZH) == "自 2026-04-20 12:00 UTC 起失败 9 次：服务器返回 503"
    assert said(f"{start}: what no page knows", ZH) == "自 2026-04-20 12:00 UTC 起失败 9 次：what no page knows"


def test_a_model_card_has_its_headings_and_sentences_in_chinese() -> None:
    manifest = available()[0]
    text = (CHECKPOINTS / manifest.version / "MODEL_CARD.md").read_text(encoding="utf-8")
    lines = card(text, ZH).splitlines()
    prose = [line for line in lines if re.search(r"[a-z]+ [a-z]+ [a-z]+", line.partition(": ")[0])]
    assert prose == []
    assert "## 局限" in lines and len(lines) == len(text.splitlines())
    assert card(text, EN) == text


def test_a_spike_of_late_news_says_so_on_the_page() -> None:
    spike = replace(open_alert("all"), evidence=replace(evidence(), rule=rule_to_dict(RULE)), summary="5 stories")
    late = replace(spike, summary="Late news: 5 stories")
    assert alertwords.summary(late, EN) == f"Late news: {alertwords.summary(spike, EN)}"
    assert alertwords.summary(late, ZH).startswith("迟到的新闻")


@pytest.mark.parametrize(
    "text",
    [
        "x = ",
        "x",
        "[rule",
        "[[rule]",
        "x = 1 2",
        "x = [1",
        'x = "a',
        "x = 1\nx = 2",
        "= 1",
        "x = {a = 1",
        "x = 1979-13-01",
    ],
)
def test_what_the_toml_parser_says(text: str) -> None:
    [refused] = refusals(partial(rules_from_toml, text))
    assert left([refused]) == []
    assert said(refused, ZH) != refused


def test_what_the_gate_finds_worse() -> None:
    slices = ["sentiment: right", "verdicts, topics: micro-F1", "fraud_crime: found", "credit_distress: no false flag"]
    worse = [str(Slice(name=name, n=283, live=0.9, candidate=0.7, p_value=0.01)) for name in slices]
    objections = ["languages: de would no longer be supported", *worse]
    text = f"v2 is worse than v1 and stays out: {'; '.join(objections)}. Give a reason to promote it all the same"
    assert left([text], "v1", "v2", "de", "micro", "F1") == []


@pytest.mark.parametrize("name", ["a.csv", "notes: march.csv", "x: y: z.csv"])
def test_a_name_with_a_colon_hides_no_reason(name: str) -> None:
    assert said(f"{name}: the file is empty", ZH) == f"{name}：{said('the file is empty', ZH)}"
    assert said(f"{name}: the table has no row", ZH).startswith(f"{name}：")


def test_the_audit_log_of_a_desk_is_read_in_chinese(desk: App) -> None:
    store, now, person = desk.store, datetime.now(UTC), Person("ana", "admin")
    viewer = Person("ben", "viewer")
    upkeep.save_rules(store, [replace(RULE, name="own")], person, now)
    upkeep.save_channel(store, ChannelConfig(name="log", kind="console"), person, now)
    upkeep.save_quiet_hours(
        store, {"start": "22:00", "end": "07:00", "timezone": "Europe/London", "below": "critical"}, person, now
    )
    upkeep.save_entities(store, [Entity(id=0, name="Harlan")], person, now)
    refusals(lambda: upkeep.remove_rule(store, "own", viewer, now))
    rows = [
        (
            entry.action,
            f"{auditwords.action(entry.action, ZH)} {auditwords.subject(entry.action, entry.subject, ZH)} "
            f"{auditwords.detail(entry.detail, ZH)}",
        )
        for entry in store.audit(500)
    ]
    assert {"rule.save", "channel.save", "setting", "watchlist.save", "entity.save", "refused"} <= {
        one for one, _ in rows
    }
    names = (
        "own",
        "log",
        "Harlan",
        "Europe/London",
        "LEI",
        *(one.name for one in store.entities()),
        RULE.name,
        "desk-hook",
        "Webhook",
    )
    mine = [
        text for name, text in rows if name in ("setting", "watchlist.save", "refused", "channel.save", "rule.save")
    ]
    assert [text for text in mine if english(text, *names, "negative-spike")] == []


def test_every_step_that_a_role_may_not_cover_and_every_action_has_its_words() -> None:
    root = Path(__file__).resolve().parents[2] / "monitor"
    code = "\n".join(path.read_text(encoding="utf-8") for path in root.rglob("*.py"))
    steps_asked = set(re.findall(r'allow\([^"]*"\w+", "([^"]+)"', code))
    actions = set(re.findall(r'(?:append_audit|_audit)\([^"]*(?:"system", )?"([a-z]+(?:\.[a-z]+)?)"', code))
    assert len(steps_asked) > 20 and len(actions) > 12
    assert [step for step in steps_asked if said(step, ZH) == step] == []
    assert [one for one in actions - {"system"} if auditwords.action(one, ZH) == one] == []
