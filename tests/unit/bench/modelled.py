"""Results as a bench would have measured them, had the model been exact."""

from __future__ import annotations

from bench import results
from bench.report import Area, Figure
from bench.scaling.costs import Fanout, Grouped

FANOUT = Fanout(publish_us=100, event_us=10, warm_us=5, cold_us=3)
#: Wall time and CPU.
JOURNALS = {
    "SQLite": (Grouped(group_us=180, each_us=20), Grouped(group_us=150, each_us=18)),
    "PostgreSQL": (Grouped(group_us=650, each_us=28), Grouped(group_us=300, each_us=12)),
}
RECEIVE = Grouped(group_us=60, each_us=20)
TELL, VALKEY = Grouped(group_us=120, each_us=6), Grouped(group_us=15, each_us=1)
READ_US, IDLE_PERCENT = 60.0, 8.0


def document(late: float = 1.0) -> results.Document:
    """`late`: latencies are so many times what the CPU time explains."""
    found = results.new(1)
    for name, figures in (
        ("fanout", _fanout(late)),
        ("pubsub", _pubsub()),
        ("journal", _journal()),
        ("ingest", _ingest()),
        ("idle", _idle()),
        ("latency", _latency()),
    ):
        found = results.with_area(found, Area(name=name, title=name, figures=tuple(figures)))
    return found


def _figure(case: str, way: str, metric: str, value: float) -> Figure:
    return Figure(case=case, way=way, metric=metric, values=(value,))


def _fanout(late: float) -> list[Figure]:
    figures = []
    for jobs, viewers in ((1, 1000), (10, 100), (100, 1), (1000, 1)):
        total = FANOUT.total_us(jobs, viewers)
        case = f"{jobs:,} job{'s' * (jobs > 1)} x {viewers:,} viewer{'s' * (viewers > 1)}"
        for metric, value in (
            ("CPU µs/frame", FANOUT.per_frame_us(jobs, viewers)),
            ("p50 ms", (FANOUT.publish_us + (total - FANOUT.publish_us) * 0.50) * late / 1e3),
            ("p99 ms", (FANOUT.publish_us + (total - FANOUT.publish_us) * 0.99) * late / 1e3),
            ("KiB/viewer", 26),
        ):
            figures.append(_figure(case, "relay on Daphne", metric, value))
    return figures


def _pubsub() -> list[Figure]:
    figures, frame = [], FANOUT.frame_us(1000)
    inside = Grouped(group_us=FANOUT.publish_us, each_us=FANOUT.event_us + frame)
    web = Grouped(group_us=RECEIVE.group_us, each_us=RECEIVE.each_us + frame)
    for size in (10, 500):
        for way, process, cost, message in (
            ("relay over Valkey", "web", web, size),
            ("relay over Valkey", "publisher", TELL, size),
            ("relay over Valkey", "Valkey", VALKEY, size),
            ("relay over Valkey, a message per job", "web", web, 1),
            ("relay over Valkey, a message per job", "publisher", TELL, 1),
            ("relay over Valkey, a message per job", "Valkey", VALKEY, 1),
            ("relay, one process", "web", inside, size),
        ):
            who = "web process" if process == "web" else process
            case = f"1,000 jobs x 1 viewer, commits of {size}, {who}"
            figures.append(_figure(case, way, "CPU µs/frame", cost.per_event_us(message)))
    return figures


def _journal() -> list[Figure]:
    return [
        _figure(f"journal on {database}", f"group of {size}", metric, cost.per_event_us(size))
        for database, costs in JOURNALS.items()
        for metric, cost in zip(("wall µs/event", "CPU µs/event"), costs, strict=True)
        for size in (1, 20, 500)
    ]


def _ingest() -> list[Figure]:
    return [
        _figure(f"{streams:,} streams", "relay", metric, value)
        for streams in (10, 200, 1000)
        for metric, value in (("CPU µs/event", READ_US), ("KiB/stream", 30))
    ]


def _idle() -> list[Figure]:
    return [
        _figure("1,000 visitors, nothing happens", "relay on Daphne", "CPU %", IDLE_PERCENT),
        _figure("no viewers", "relay on Daphne", "MiB", 77),
    ]


def _latency() -> list[Figure]:
    """As late as a pipe, and by a commit and a publication."""
    figures, pipe_ms = [], 0.65
    for database, (wall, _) in JOURNALS.items():
        more = (wall.per_event_us(1) + FANOUT.total_us(1, 1)) / 1e3
        case = f"1 job, {database}"
        figures.append(_figure(case, "bare httpx pipe", "p50 ms", pipe_ms))
        figures.append(_figure(case, "relay on Daphne", "p50 ms", pipe_ms + more))
    return figures
