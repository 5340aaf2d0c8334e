"""No secret reaches a log line (the same words are redacted wherever a message could carry them)."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import structlog

from monitor.logs import redact, set_up_logs


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("fetch https://user:hunter2@feeds.example/rss failed", "hunter2"),
        ("login with password=hunter2 refused", "hunter2"),
        ('{"token": "hunter2"}', "hunter2"),
        ("POST https://hooks.slack.com/services/T0/B0/hunter2", "hunter2"),
        ("GET https://x.example/?access_token=hunter2&a=1", "hunter2"),
        ("postgresql://headwind:hunter2@db/headwind", "hunter2"),
        ("poll of https://desk:p@hunter2@feeds.example/rss failed", "hunter2"),
        ("poll of https://feeds.example/rss?id=7&key=hunter2 failed", "hunter2"),
    ],
)
def test_secrets_are_taken_out_of_text(text: str, secret: str) -> None:
    assert secret not in redact(text)


def test_ordinary_text_stays_as_it_is() -> None:
    line = "poll of https://feeds.example/markets.rss?page=2 failed: timed out after 20 s"
    assert redact(line) == line


def test_the_log_file_holds_one_json_line_per_event_without_secrets(tmp_path: Path) -> None:
    set_up_logs("info", tmp_path)
    structlog.get_logger("test").warning("poll failed", feed="https://me:hunter2@feeds.example/rss")
    line = json.loads((tmp_path / "headwind.log").read_text().splitlines()[-1])
    assert line["event"] == "poll failed"
    assert line["level"] == "warning"
    assert "hunter2" not in json.dumps(line)


def test_a_job_that_takes_longer_than_its_interval_does_not_fill_the_log(tmp_path: Path) -> None:
    set_up_logs("info", tmp_path)
    structlog.get_logger("test").info("worker started")
    job = 'Execution of job "score" skipped: maximum number of running instances reached (1)'
    logging.getLogger("apscheduler.scheduler").warning(job)
    logging.getLogger("apscheduler.executors.default").error("a job raised")
    events = [json.loads(line)["event"] for line in (tmp_path / "headwind.log").read_text().splitlines()]
    assert events == ["worker started", "a job raised"]
