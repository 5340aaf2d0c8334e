"""What pages do when somebody acts, and what they say when something is not as it should be."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import context, i18n, jobs, shell, watchedit
from dashboard.queries import Reads
from dashboard.scored import score_texts
from models import registry
from models.backend import Classifier, Prediction
from models.errors import CheckpointError
from models.process_backend import ProcessClassifier
from monitor import keeping
from monitor.app import App, open_app
from monitor.domain import AlertState, Entity, Transition, TransitionKind
from monitor.errors import StoreError, UploadError
from monitor.people import Person
from monitor.settings import load_settings
from tests.dashboard.conftest import Open
from tests.dashboard.seeding import HOSTILE, classifier
from tests.models import tiny_checkpoint
from tests.scripted_classifier import ScriptedClassifier

T = TypeVar("T")

words = i18n.words("en")


def html(page: AppTest) -> str:
    return "\n".join(element.proto.body for element in page.get("html"))


def table(page: AppTest, column: str) -> list[str]:
    """A column of the first table on the page that has it."""
    frame = next(one.value for one in page.dataframe if words(f"column.{column}") in one.value.columns)
    return [str(value) for value in frame[words(f"column.{column}")]]


def click(page: AppTest, label: str) -> AppTest:
    return next(button for button in page.button if button.label == words(label)).click().run()


# ── News ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_filters_come_from_the_address_and_stay_there(desk: App, open_page: Open) -> None:
    page = open_page("news", sentiment="negative", range="30d", q="lawsuit")
    assert set(table(page, "sentiment")) == {"▼ Negative"}
    assert all("lawsuit" in title for title in table(page, "title"))
    kept = {name: "".join(page.query_params[name]) for name in ("sentiment", "range", "q")}
    assert kept == {"sentiment": "negative", "range": "30d", "q": "lawsuit"}


def test_a_link_to_an_article_opens_it_although_the_list_does_not_hold_it(desk: App, open_page: Open) -> None:
    page = open_page("news", article="1", range="24h", q="nothing-like-this")
    [title] = [row.article.title for row in [desk.store.article(1)] if row]
    assert title in html(page)


def test_a_search_without_matches_says_what_to_do(desk: App, open_page: Open) -> None:
    assert words("news.none") in html(open_page("news", q="zzzzqqqq"))


def test_a_verdict_is_stored_with_who_gave_it(desk: App, open_page: Open) -> None:
    click(open_page("news", article="5"), "verdict.right")
    [verdict] = desk.store.verdicts("article:")
    assert (verdict.subject, verdict.right, verdict.actor) == ("article:5", True, "dashboard")


def test_j_and_k_walk_through_the_list(desk: App, open_page: Open) -> None:
    page = open_page("news")
    first = "".join(page.query_params.get("article", ""))
    page.button(key="news.next").click().run()
    second = "".join(page.query_params["article"])
    page.button(key="news.next").click().run()
    page.button(key="news.previous").click().run()
    assert "".join(page.query_params["article"]) == second != first
    assert page.button(key="news.previous").disabled is False


# ── Now ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_now_says_that_coverage_is_worse_than_usual(desk: App, open_page: Open) -> None:
    page = open_page("now")
    assert "more negative than usual" in html(page)
    assert [metric.value for metric in page.metric if metric.label == words("now.alerts")] == ["2"]


def test_now_says_that_the_worker_is_dead(desk: App, open_page: Open) -> None:
    desk.store.beat("worker", context.now() - timedelta(hours=3), {})
    assert words("pulse.stale") in html(open_page("now"))


@pytest.mark.parametrize("name", ["news", "alerts", "settings"])
def test_every_page_says_that_the_worker_is_dead(desk: App, open_page: Open, name: str) -> None:
    desk.store.beat("worker", context.now() - timedelta(hours=3), {})
    assert ["3 h ago" in error.value for error in open_page(name).error] == [True]


def test_old_data_under_live_feeds_is_called_stale(desk: App, open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    later = context.now() + timedelta(hours=30)
    monkeypatch.setattr(context, "now", lambda: later)
    page = open_page("now")
    assert any("30 h ago" in warning.value for warning in page.warning)


def test_a_page_in_chinese(desk: App, open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "words", lambda: i18n.words("zh"))
    page = open_page("now")
    assert page.title[0].value == "现况"
    assert not page.error


# ── Alerts ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_alert_is_acknowledged_and_its_time_line_says_so(desk: App, open_page: Open) -> None:
    page = click(open_page("alerts", alert="1"), "alerts.acknowledge")
    alert = desk.store.alert(1)
    assert alert is not None
    assert alert.state is AlertState.ACKNOWLEDGED
    assert words("event.acknowledge") in table(page, "event")


def test_an_alert_shows_its_evidence(desk: App, open_page: Open) -> None:
    page = open_page("alerts", alert="1")
    assert "nears default" in html(page)
    assert [metric.value for metric in page.metric] == ["12", "1.9", "5"]


def test_a_viewer_sees_alerts_and_cannot_act(desk: App, open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "role", lambda: "viewer")
    page = open_page("alerts", alert="1")
    assert words("alerts.read_only") in html(page)
    assert words("alerts.acknowledge") not in [button.label for button in page.button]


def test_a_rule_is_switched_off(desk: App, open_page: Open) -> None:
    click(open_page("alerts", view="rules"), "rules.switch_off")
    assert [rule.enabled for rule in desk.store.rules()] == [False]


def test_silences_open(desk: App, open_page: Open) -> None:
    assert words("silence.none") in html(open_page("alerts", view="silences"))


def test_a_silence_is_planned_ahead(desk: App, open_page: Open) -> None:
    page = open_page("alerts", view="silences")
    begin = (context.now() + timedelta(days=2)).replace(minute=0, second=0, microsecond=0, tzinfo=None)
    page.datetime_input[0].set_value(begin)
    click(page, "silence.save")
    [silence] = desk.store.silences()
    assert silence.start.astimezone(context.zone()).replace(tzinfo=None) == begin
    assert silence.end - silence.start == timedelta(hours=1)


def test_an_alert_that_no_statistic_judged_states_no_expectation_and_no_chance(desk: App, open_page: Open) -> None:
    spike = next(alert for alert in desk.store.alerts([AlertState.OPEN]) if alert.rule == "negative-spike")
    fixed = replace(spike.evidence, rule={"kind": "critical_story"}, expected=0.0, p_value=1.0, negative=1)
    opened = Transition(
        kind=TransitionKind.OPEN,
        rule="critical-story",
        series=spike.series,
        severity=spike.severity,
        at=spike.opened_at,
        summary="1 story",
        evidence=fixed,
    )
    [number] = desk.store.apply_transitions([opened], [], spike.opened_at)
    for alert, states in ((spike.id, True), (number, False)):
        page = open_page("alerts", alert=str(alert))
        assert (words("alerts.expected") in [metric.label for metric in page.metric]) is states
        assert ("Chance of as many" in html(page)) is states
    assert "Critical story · " in html(open_page("now"))


# ── Score text ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_pasted_text_is_scored_and_not_kept(desk: App, open_page: Open) -> None:
    before = desk.store.data_version()
    page = open_page("score")
    page.text_area[0].set_value("Calder Foods faces a probe. Its profit rises.")
    click(page, "score.go")
    assert "Negative, 90% sure" in html(page)
    assert desk.store.data_version() == before


def test_a_result_is_kept_only_when_asked(desk: App, open_page: Open) -> None:
    page = open_page("score")
    page.text_area[0].set_value("Calder Foods faces a probe. Its profit rises.")
    click(page, "score.go")
    assert keeping.kept(desk.settings.home_path) == []
    click(page, "score.keep")
    [one] = keeping.kept(desk.settings.home_path)
    assert b"Calder Foods faces a probe." in keeping.read_kept(desk.settings.home_path, one.name)
    assert desk.store.audit(1)[0].action == "score.keep"
    click(open_page("score"), "score.forget")
    assert keeping.kept(desk.settings.home_path) == []


def test_a_name_outside_the_kept_results_is_refused(desk: App) -> None:
    with pytest.raises(StoreError, match="not among the kept"):
        keeping.read_kept(desk.settings.home_path, "../../headwind.db")


def test_sentences_are_shaded_in_the_text_behind_a_sign(desk: App, open_page: Open) -> None:
    page = open_page("score")
    page.text_area[0].set_value("Calder Foods faces a probe.\nThe office is in Bryn. Its profit rises.")
    shown = html(click(page, "score.go"))
    assert shown.count("<mark") == 2
    assert "▼" in shown and "▲" in shown


def test_long_documents_are_scored_by_a_process_of_its_own() -> None:
    if not registry.available():
        pytest.skip("no checkpoint is shipped yet")
    texts = ["The bank nears default. " * 40, "Profit rises. The office is in Bryn."]
    first, second = finished(jobs.documents_job(texts, "report.txt", shipped))
    assert first.aggregate is not None and first.aggregate.sentiment == "negative"
    assert (len(first.sentences), len(second.sentences)) == (40, 2)
    assert second.sentences[0].text == "Profit rises."


def test_pasted_markup_is_shown_as_text(desk: App, open_page: Open) -> None:
    page = open_page("score")
    page.text_area[0].set_value(HOSTILE)
    click(page, "score.go")
    assert "<img" not in html(page)


def test_a_table_keeps_its_columns_when_it_is_scored() -> None:
    frame = pd.DataFrame({"text": ["Acme default", ""], "score": ["7", "8"]})
    out = score_texts(frame, "text", classifier())
    assert list(out["sentiment"]) == ["negative", ""]
    assert list(out["score_in"]) == ["7", "8"]


def test_a_long_table_is_scored_by_a_process_of_its_own() -> None:
    if not registry.available():
        pytest.skip("no checkpoint is shipped yet")
    frame = pd.DataFrame({"headline": ["Bank nears default"] * 300})
    result = finished(jobs.table_job(frame, "headline", "long.csv", shipped))
    assert len(result) == 300
    assert set(result["sentiment"]) == {"negative"}


def test_a_job_that_fails_says_why_and_gives_its_turn_back() -> None:
    frame, missing = pd.DataFrame({"a": ["x"]}), partial(ProcessClassifier, "no-such-model")
    for _ in range(jobs.AT_ONCE + 1):
        with pytest.raises(CheckpointError, match="no-such-model"):
            finished(jobs.table_job(frame, "a", "bad.csv", missing))


def test_a_job_is_stopped_between_two_requests_and_leaves_no_process() -> None:
    asked, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    class Slow(ScriptedClassifier):
        def predict(self, texts: Sequence[str]) -> list[Prediction | None]:
            asked.set()
            assert go_on.wait(60)
            return super().predict(texts)

        def close(self) -> None:
            closed.set()

    job = jobs.table_job(pd.DataFrame({"a": ["Acme nears default"] * 1000}), "a", "long.csv", Slow)
    assert asked.wait(60)
    job.stop()
    go_on.set()
    assert closed.wait(60)
    with pytest.raises(UploadError, match=r"long\.csv: not scored yet"):
        finished(job)


@pytest.mark.parametrize(("setting", "value"), [("backend", "torch"), ("backend", "onnx"), ("device", "cpu")])
def test_a_job_is_scored_on_the_backend_and_device_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    """Seen at the process that the job starts: it is told the setting, and one thread."""
    folder = tiny_checkpoint.shared()
    settings = load_settings(home=tmp_path, model=str(folder), **{setting: value})
    opened = open_app(settings, role="reader", scores_apart=True)
    monkeypatch.setattr(context, "app", lambda: opened)
    told: list[list[str]] = []

    def look() -> Classifier:
        model = context.open_for_a_job()
        assert isinstance(model, ProcessClassifier)
        command = Path(f"/proc/{model.process_id}/cmdline").read_text().split("\0")
        told.append(command)
        return model

    result = finished(jobs.table_job(pd.DataFrame({"a": ["Acme nears default"]}), "a", "one.csv", look))
    opened.store.close()
    assert list(result["model_version"]) != [""]
    [command] = told
    assert command[command.index(f"--{setting}") + 1] == value
    assert command[command.index("--threads") + 1] == "1"


def shipped() -> Classifier:
    return ProcessClassifier(threads=1)


def finished(job: jobs.Job[T]) -> T:
    deadline = time.monotonic() + 120
    while not job.done and time.monotonic() < deadline:
        time.sleep(0.1)
    return job.result()


# ── Feeds, Watchlist, Settings, Model ────────────────────────────────────────────────────────────────────────────


def test_sample_news_comes_and_goes_with_one_click(empty_desk: App, open_page: Open) -> None:
    page = click(open_page("feeds"), "feeds.sample_add")
    assert empty_desk.store.status().samples > 600
    click(page, "feeds.sample_remove")
    assert empty_desk.store.status().samples == 0


def test_sample_news_is_marked_on_other_pages(empty_desk: App, open_page: Open) -> None:
    empty_desk.add_sample_news(context.now())
    page = open_page("news", range="all")
    assert "sample news about invented companies" in html(page)
    assert all(publisher.endswith("(sample)") for publisher in table(page, "publisher"))


def test_a_feed_names_its_problem(desk: App, open_page: Open) -> None:
    page = open_page("feeds")
    assert set(table(page, "state")) == {"○ new"}
    assert "Harbour Wire business" in table(page, "feed")


def test_the_watchlist_warns_of_common_words(desk: App) -> None:
    careful = watchedit.ambiguous(Entity(id=0, name="Knight Brothers Holding", aliases=("Knight",), ticker="BP"))
    assert careful == ["Knight"] or careful == ["Knight", "BP"]


@pytest.mark.parametrize(
    ("name", "parameter", "value"), [("topics", "topic", "litigation"), ("watchlist", "entity", "Calder Foods")]
)
def test_a_shared_topic_or_company_is_the_one_that_opens(
    desk: App, open_page: Open, name: str, parameter: str, value: str
) -> None:
    page = open_page(name, range="30d", **{parameter: value})
    assert "".join(page.query_params[parameter]) == value
    assert f"How negative is {words.topic(value)}?" in html(page)


@pytest.mark.parametrize(("name", "other"), [("topics", "topic:litigation"), ("watchlist", "entity:Calder Foods")])
def test_a_comparison_opens_from_its_address(desk: App, open_page: Open, name: str, other: str) -> None:
    page = open_page(name, range="30d", compare=[other], measure="stories")
    assert not page.error
    assert words("trend.compare_title") in html(page)
    assert words("trend.strongest") in html(page)


def test_the_watchlist_says_what_a_name_would_match(desk: App) -> None:
    reads = Reads(desk.store, desk.settings.store_url)
    lines = watchedit.preview(Entity(id=0, name="Norvik Bank"), reads, words)
    assert lines[0].startswith("Norvik Bank: about ")
    assert "about 0 " not in lines[0]


def test_retention_is_set_by_an_admin_and_says_what_would_go(desk: App, open_page: Open) -> None:
    page = open_page("settings", view="retention")
    assert words("retention.forever") in html(page)
    page.number_input[0].set_value(20).run()
    assert "would go" in html(page)
    page.checkbox[0].check().run()
    assert "too few" in click(page, "retention.save").error[0].value
    page.number_input[0].set_value(400).run()
    click(page, "retention.save")
    assert keeping.retention_days(desk.store, 0) == 400


def test_the_daily_round_removes_what_the_desk_said(desk: App) -> None:
    before, now = desk.store.status().articles, context.now()
    keeping.save_retention(desk.store, 60, Person("test", "admin"), now)
    desk.daily(now + timedelta(days=50))
    assert 0 < desk.store.status().articles < before


@pytest.mark.parametrize("view", ["channels", "quiet", "deliveries", "retention", "audit", "people", "deployment"])
def test_every_part_of_settings_opens_and_shows_no_secret(desk: App, open_page: Open, view: str) -> None:
    page = open_page("settings", view=view)
    assert not page.exception
    assert not page.error
    shown = html(page) + "".join(str(one.value) for one in (*page.dataframe, *page.text_input, *page.selectbox))
    assert "s3cret" not in shown


@pytest.mark.parametrize("view", ["quality", "drift", "versions", "review", "card"])
def test_every_part_of_model_opens(desk: App, open_page: Open, view: str) -> None:
    page = open_page("model", view=view)
    assert not page.exception
    assert not page.error


# ── reads ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_did_not_change_is_not_read_again(desk: App, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Reads(desk.store, desk.settings.store_url)
    assert first.feeds()

    def never() -> None:
        raise AssertionError("read again although nothing changed")

    monkeypatch.setattr(desk.store, "feeds", never)
    assert Reads(desk.store, desk.settings.store_url).feeds() == first.feeds()


def test_a_write_is_seen_at_once(desk: App) -> None:
    before = Reads(desk.store, desk.settings.store_url)
    assert len(before.entities()) == 5
    desk.store.save_entity(Entity(id=0, name="New Corp"), context.now())
    assert len(Reads(desk.store, desk.settings.store_url).entities()) == 6


def test_what_a_page_has_loaded_is_not_looked_at_by_the_collector_again() -> None:
    try:
        shell._settle("news")
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
        st.cache_resource.clear()
