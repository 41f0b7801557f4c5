"""The metrics of this process, for Prometheus; `views.metrics` and
`denoise_worker --metrics-port` expose them.

They have a registry of their own, so that they never collide with a site's metrics. Each web
process and each worker is a target of its own, and Prometheus adds their counters up. (Files
shared between processes, the client's `multiprocess` mode, would need a clean-up at every start,
and would lose the gauges of a killed process.) Only `denoise_relay_jobs` and
`denoise_relay_queue_oldest_seconds` are the same everywhere: they come from the database.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
    start_http_server,
)

REGISTRY = CollectorRegistry(auto_describe=True)
# CPU, memory, open files: `process_*`, the names that dashboards expect.
ProcessCollector(registry=REGISTRY)

_MILLISECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def _counter(name: str, what: str, *labels: str) -> Counter:
    return Counter(f"denoise_relay_{name}", what, labels, registry=REGISTRY)


def _gauge(name: str, what: str, *labels: str) -> Gauge:
    return Gauge(f"denoise_relay_{name}", what, labels, registry=REGISTRY)


def _histogram(name: str, what: str, buckets: Iterable[float]) -> Histogram:
    return Histogram(f"denoise_relay_{name}", what, registry=REGISTRY, buckets=tuple(buckets))


# From the database: the same on every process.
JOBS = _gauge("jobs", "Jobs by status, in the database.", "status")
QUEUE_OLDEST = _gauge("queue_oldest_seconds", "Age of the oldest job that nobody has claimed.")

# Jobs and runners of this process.
RUNNERS = _gauge("runners", "Jobs that run in this process now.")
TAKEOVERS = _counter("lease_takeovers", "Leases that ran out and were taken by this process.")
LEASES_LOST = _counter("leases_lost", "Jobs of this process that another took, or a cancel.")
UPLOAD_BYTES = _counter("upload_bytes", "Bytes of recordings that came in here.")
ENGINE_SECONDS = _histogram(
    "engine_seconds",
    "Time that the local engine took for one recording.",
    (0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000),
)
ANALYSIS_SECONDS = _histogram(
    "analysis_seconds",
    "Time that the analysis of one result took, for the player.",
    (0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000),
)
RESULT_WARNINGS = _counter(
    "result_warnings", "What was found in results of this process, by its code.", "code"
)
RECONNECTS = _counter("upstream_reconnects", "Upstream streams that broke off and were reopened.")
UPSTREAM_SKIPPED = _counter(
    "upstream_skipped_events",
    "Upstream events that were not understood: of an unknown stage, or no event at all.",
    "reason",
)
for _reason in ("unknown_stage", "bad_event"):
    UPSTREAM_SKIPPED.labels(_reason)  # 0 from the start, so that the first one is an increase

# From a runner's report to the viewer.
EVENTS = _counter("events", "Events committed and published by this process.", "stage")
COMMIT_GROUP = _histogram(
    "commit_group_entries",
    "Journal entries in one transaction.",
    (1, 2, 5, 10, 20, 50, 100, 200, 500),
)
PUBLISH_LATENCY = _histogram(
    "publish_latency_seconds",
    "From a runner's report to its publication, time held back by EVENTS_PER_SECOND included.",
    _MILLISECONDS,
)
DATABASE_RETRIES = _counter("database_retries", "Calls repeated because the database was away.")
LAYER_FAILURES = _counter("layer_failures", "Calls of the channel layer that failed.")

# Viewers of this process.
WATCHERS = _gauge("watchers", "Watched jobs, summed over the viewers of this process.")
SOCKETS = _gauge("sockets", "Open WebSockets of this process.")
DIRECT_SOCKETS = _gauge("direct_sockets", "Those of them to which frames go past ASGI.")
SKIPPED_FRAMES = _counter(
    "skipped_frames", "Progress frames that gave way to newer ones in the mailbox of a slow viewer."
)
GAPS = _counter("feed_gaps", "Times the feed found that it had missed frames of a job.")


def published(stage: str, reported_at: float) -> None:
    """Count one event, and observe the time since it was reported (`time.monotonic`)."""
    EVENTS.labels(stage).inc()
    PUBLISH_LATENCY.observe(max(0.0, time.monotonic() - reported_at))


def exposition() -> bytes:
    """All metrics in Prometheus's text format 0.0.4 (UTF-8)."""
    return generate_latest(REGISTRY)


def serve(port: int, host: str = "127.0.0.1") -> WSGIServer:
    """Serve this process's metrics on a port of its own, for a worker without web pages.

    Returns the server, whose `shutdown()` ends its thread. Raises `OSError` for a taken port.
    """
    server, _thread = start_http_server(port, addr=host, registry=REGISTRY)
    return server
