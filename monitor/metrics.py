"""What Prometheus may ask the worker: counts, lag and durations, on a loopback port only."""

from __future__ import annotations

from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from monitor.domain import StatusCounts
from monitor.errors import SettingsError

POLLS = Counter("headwind_polls_total", "Polls of feeds by outcome", ["outcome"])
PAGES = Counter("headwind_pages_total", "Pages of articles read for their text, by outcome", ["outcome"])
ARTICLES = Counter("headwind_articles_new_total", "New articles stored")
SCORED = Counter("headwind_articles_scored_total", "Articles scored")
ALERTS = Counter("headwind_alert_transitions_total", "Alert transitions", ["kind"])
DELIVERIES = Counter("headwind_deliveries_total", "Deliveries by outcome", ["outcome"])
JOB_SECONDS = Histogram("headwind_job_seconds", "Duration of the worker's jobs", ["job"])
JOB_ERRORS = Counter("headwind_job_errors_total", "Failures of the worker's jobs", ["job"])
UNSCORED = Gauge("headwind_articles_unscored", "Articles that wait for the live model")
OPEN_ALERTS = Gauge("headwind_alerts_open", "Open alerts")
FEEDS = Gauge("headwind_feeds", "Feeds by state", ["state"])
DATA_AS_OF = Gauge("headwind_data_as_of_seconds", "Unix time of the newest data")


def observe_status(status: StatusCounts) -> None:
    UNSCORED.set(status.unscored)
    OPEN_ALERTS.set(status.alerts_open)
    for state, count in status.feeds.items():
        FEEDS.labels(state).set(count)
    if status.data_as_of is not None:
        DATA_AS_OF.set(status.data_as_of.timestamp())


def serve(port: int) -> tuple[WSGIServer, Thread] | None:
    """Answer scrapes on 127.0.0.1:port, in a thread, until the process ends; 0 means not at all. Raises
    `SettingsError` when the port is taken."""
    if not port:
        return None
    try:
        return start_http_server(port, addr="127.0.0.1")
    except OSError as error:
        raise SettingsError(f"setting 'metrics_port': 127.0.0.1:{port} cannot be used ({error.strerror})") from error
