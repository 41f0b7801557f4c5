"""Measures one running way: CPU per frame, latency of each frame, memory per idle viewer."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from functools import partial

from bench.fanout import frames
from bench.fanout.viewers import EVENT_STREAM, WEBSOCKET, Missed, Viewers, connected
from bench.fanout.ways import Publish, Way
from bench.process import Server

#: Until a server has nothing more to do for viewers that have just come.
SETTLE_SECONDS = 1.0
#: For one update to come to all viewers.
UPDATE_SECONDS = 10.0
WARM_UP = 3
#: First updates that may miss viewers who are still being let in.
TRIES = 15


@dataclass(frozen=True)
class Measured:
    """What one way cost in one case."""

    cpu_us: float
    p50_ms: float
    p99_ms: float
    kib_per_viewer: float


def measure(
    server: Server,
    publish: Publish,
    way: Way,
    session: str,
    *,
    jobs: int,
    viewers: int,
    updates: int,
) -> Measured:
    """Let `viewers` watch (each job has as many), and send `updates` of each job, one at a time."""
    stream = way.kind == "event stream"
    each = [frames.job_id(number % jobs) for number in range(viewers)]
    paths = [f"/events/{job.hex}/" if stream else f"/ws/denoise/{job}/" for job in each]
    request = EVENT_STREAM if stream else WEBSOCKET
    before = server.resident_mib()
    with connected(server.port, paths, request, f"Cookie: sessionid={session}\r\n") as audience:
        time.sleep(SETTLE_SECONDS)
        grown = server.resident_mib() - before
        number = _warm_up(publish, audience, jobs, viewers)
        latencies: list[float] = []
        spent = server.cpu_seconds()
        for update in range(number + 1, number + 1 + updates):
            latencies += audience.seen(partial(publish, jobs, update), viewers, UPDATE_SECONDS)
        spent = server.cpu_seconds() - spent
    cuts = statistics.quantiles(latencies, n=100)
    return Measured(
        cpu_us=spent * 1e6 / (updates * viewers),
        p50_ms=cuts[49] * 1e3,
        p99_ms=cuts[98] * 1e3,
        kib_per_viewer=grown * 1024 / viewers,
    )


def _warm_up(publish: Publish, audience: Viewers, jobs: int, viewers: int) -> int:
    """Send updates until all viewers get them; return the number of the last."""
    number = came = 0
    while came < WARM_UP:
        number += 1
        try:
            audience.seen(partial(publish, jobs, number), viewers, UPDATE_SECONDS / 2)
            came += 1
        except Missed:
            if number >= TRIES:
                raise
            audience.drain(SETTLE_SECONDS)
    return number
