"""Reading upstream: CPU per event and memory per stream of the process that reads.

2,000 events a second, each a write of its own, over 10, 200 and 1,000 streams. The reader is alone
on the last core; the upstream is this process, on the first.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

from bench.ingest.upstream import EVENTS_PER_SECOND, WARM_UP, upstream
from bench.process import LOAD_CORES, ROOT, SERVER_CORES, pinned
from bench.report import Figure, Goal

TITLE = "Reading upstream"
STREAMS = (10, 200, 1000)
WAYS = ("raw", "aiohttp", "httpx-sse", "relay", "raw, uvloop", "relay, uvloop")
WARM_UP_SECONDS = 0.3
SECONDS = 1.0
#: What one measurement may take; then its reader is killed.
LIMIT_SECONDS = 90.0

#: Sends a word (if it is one) and returns CPU seconds until then, CPU seconds from which to go on,
#: events and resident KiB so far.
Ask = Callable[[str], tuple[float, float, int, int]]
CPU, MEMORY = "CPU µs/event", "KiB/stream"


def _case(streams: int) -> str:
    return f"{streams:,} streams"


def _ending(streams: int) -> str:
    return f"{streams:,} streams end together"


GOALS = (
    Goal(case=_case(200), metric=CPU, way="relay", beside="raw", limit=2.5),
    Goal(case=_case(1000), metric=CPU, way="relay", beside="raw", limit=2.5),
    Goal(
        case=_case(1000), metric=CPU, way="relay", beside="relay", beside_case=_case(200), limit=1.0
    ),
    Goal(case=_case(1000), metric=MEMORY, way="relay", beside="", limit=30.0),
)


def run(rounds: int) -> list[Figure]:
    """Measure every way with every number of streams, the ways in turn."""
    found: dict[tuple[str, str, str], list[float]] = {}
    with _many_files():
        for _ in range(rounds):
            for streams in STREAMS:
                for way in WAYS:
                    measured = _measure(way, streams)
                    for (case, metric), value in measured.items():
                        found.setdefault((case, way, metric), []).append(value)
                    words = "   ".join(
                        f"{value:7.1f} {metric}" for (_, metric), value in measured.items()
                    )
                    print(f"{_case(streams):14} {way:14} {words} (all end)", flush=True)
    return [
        Figure(case=case, way=way, metric=metric, values=tuple(values))
        for (case, way, metric), values in found.items()
    ]


def _measure(way: str, streams: int) -> dict[tuple[str, str], float]:
    with upstream() as serving, _reader(way, serving.port, streams) as ask, pinned(LOAD_CORES):
        ask("")  # imported
        serving.accept(WARM_UP)
        serving.end()
        *_, resident_before = ask("")
        serving.accept(streams)
        serving.pace(max(WARM_UP_SECONDS, streams / EVENTS_PER_SECOND))
        _, cpu_before, events_before, _ = ask("mark")
        serving.pace(SECONDS)
        cpu, cpu_before_end, events, resident = ask("mark")
        serving.end()
        cpu_at_end, *_ = ask("")
    return {
        (_case(streams), CPU): (cpu - cpu_before) / (events - events_before) * 1e6,
        (_case(streams), MEMORY): (resident - resident_before) / streams,
        (_ending(streams), "CPU ms"): (cpu_at_end - cpu_before_end) * 1e3,
    }


@contextlib.contextmanager
def _reader(way: str, port: int, streams: int) -> Iterator[Ask]:
    """The reading process, and a function that sends it a word and returns its next answer."""
    with pinned(SERVER_CORES):
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.ingest.reading", way, str(port), str(streams)],
            cwd=ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "project.settings"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    limit = threading.Timer(LIMIT_SECONDS, process.kill)
    limit.start()

    def ask(word: str) -> tuple[float, float, int, int]:
        assert process.stdin is not None
        assert process.stdout is not None
        if word:
            print(word, file=process.stdin, flush=True)
        answer = process.stdout.readline().split()
        if len(answer) != 4:
            raise RuntimeError(f"the reader {way!r} ended with {streams} streams")
        return float(answer[0]), float(answer[1]), int(answer[2]), int(answer[3])

    try:
        with process:
            yield ask
    finally:
        limit.cancel()
        process.kill()


@contextlib.contextmanager
def _many_files() -> Iterator[None]:
    """Allow this process and its children as many open files as the system does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
