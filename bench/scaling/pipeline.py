"""One worker and one web process, event by event: how long a frame takes at a load.

The worker's journal takes all that waits into one transaction, and what comes meanwhile into the
next; progress of the same job that waits is replaced. The web process does one thing at a time.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass

from bench.scaling.costs import Fanout, Grouped

#: Latencies that are noted of one event's viewers, at even distances.
NOTED = 20


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What viewers and processes saw, after a warm-up."""

    p50_ms: float
    p99_ms: float
    #: Events in a transaction.
    group: float
    #: Of the time, in which the worker's transaction ran, and the web process worked.
    committing: float
    web_busy: float
    #: Of the events, replaced by a newer one before they were committed.
    replaced: float


def simulate(
    *,
    jobs: int,
    viewers: int,
    events_per_second: float,
    journal: Grouped,
    fanout: Fanout,
    events: int = 20_000,
    seed: int = 1,
) -> Simulated:
    """Run until so many events have been reported; the first tenth of them warms up.

    `viewers` of each job; each job reports at a random moment of each of its intervals. `journal`
    is wall time. Events that two processes exchange take no time here.
    """
    arrivals = _arrivals(jobs, events_per_second, random.Random(seed))
    waiting: dict[int, float] = {}
    latencies: list[float] = []
    frame_us = fanout.frame_us(jobs * viewers)
    at, job = next(arrivals)
    now = web_free = busy = committing = since = 0.0
    seen = groups = taken = replaced = 0
    while seen < events:
        if not waiting:
            now = max(now, at)
        while at <= now:
            seen += 1
            replaced += job in waiting
            waiting[job] = at
            at, job = next(arrivals)
        group, waiting = list(waiting.values()), {}
        commit = len(group) * journal.per_event_us(len(group)) / 1e6
        now += commit
        begun = max(now, web_free) + (fanout.publish_us + len(group) * fanout.event_us) / 1e6
        web_free = begun + len(group) * viewers * frame_us / 1e6
        if seen < events / 10:
            since, replaced = now, 0
            continue
        groups, taken, committing = groups + 1, taken + len(group), committing + commit
        busy += web_free - begun + (fanout.publish_us + len(group) * fanout.event_us) / 1e6
        for index, reported in enumerate(group):
            for part in range(min(viewers, NOTED)):
                sent = (index + (part + 1) / min(viewers, NOTED)) * viewers
                latencies.append(begun + sent * frame_us / 1e6 - reported)
    latencies.sort()
    span = max(now - since, 1e-9)
    return Simulated(
        p50_ms=latencies[len(latencies) // 2] * 1e3,
        p99_ms=latencies[int(len(latencies) * 0.99)] * 1e3,
        group=taken / groups,
        committing=committing / span,
        web_busy=busy / span,
        replaced=replaced / (replaced + taken),
    )


def closed_loop_ms(fanout: Fanout, jobs: int, viewers: int, share: float) -> float:
    """Latency that `share` of the frames keep if an update has reached all before the next."""
    return (fanout.publish_us + share * (fanout.total_us(jobs, viewers) - fanout.publish_us)) / 1e3


def _arrivals(jobs: int, rate: float, numbers: random.Random) -> Iterator[tuple[float, int]]:
    """Moments and jobs, in order, without an end."""
    interval = 1 / rate
    coming = [(numbers.random() * interval, job, 0) for job in range(jobs)]
    heapq.heapify(coming)
    while True:
        at, job, turn = coming[0]
        yield at, job
        following = (turn + 1 + numbers.random()) * interval
        heapq.heapreplace(coming, (following, job, turn + 1))
