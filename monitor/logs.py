"""Structured logs with secrets taken out. One line a fact, on standard error, and as JSON in the home folder."""

from __future__ import annotations

import logging
import logging.handlers
import re
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import structlog

from monitor import redaction

_NAMED = re.compile(
    r"(?P<name>(?:password|passwd|secret|token|api[_-]?key|access[_-]?key|sign(?:ature)?|authorization))"
    r"(?P<sep>[\"']?\s*[=:]\s*[\"']?)(?P<value>[^\s\"'&,;}]+)",
    re.IGNORECASE,
)
_HOOKS = re.compile(
    r"(?P<head>https?://[^/\s]*(?:hooks\.slack\.com|webhook|office\.com|dingtalk\.com|feishu\.cn|weixin\.qq\.com)"
    r"[^/\s]*)/\S+",
    re.IGNORECASE,
)
MAX_FIELD = 2000


def redact(text: str) -> str:
    """The text without credentials in URLs, named secrets and the secret paths of chat webhooks."""
    text = _HOOKS.sub(r"\g<head>/***", redaction.redact(text))
    return _NAMED.sub(r"\g<name>\g<sep>***", text)


def _redact_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = redact(value)[:MAX_FIELD]
    return event


def set_up_logs(level: str = "info", folder: Path | None = None) -> None:
    """Configure structlog once per process; with a folder, `headwind.log` there too (10 MB, five kept)."""
    number = getattr(logging, level.upper())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact_event,
    ]
    root = logging.getLogger()
    root.handlers.clear()
    root.setLevel(number)
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _redact_event,
                structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
            ],
        )
    )
    root.addHandler(console)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        file = logging.handlers.RotatingFileHandler(
            folder / "headwind.log", maxBytes=10_000_000, backupCount=5, encoding="utf-8"
        )
        file.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=shared,
                processors=[
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    _redact_event,
                    structlog.processors.JSONRenderer(),
                ],
            )
        )
        root.addHandler(file)
    for noisy in ("httpx", "httpcore", "alembic", "streamlit", "PIL"):
        logging.getLogger(noisy).setLevel(max(number, logging.WARNING))
    # It warns at each turn that a job still runs, every two seconds of a long scoring; the worker sees what hangs.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
