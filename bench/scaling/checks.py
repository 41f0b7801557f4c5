"""How near the model comes to what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.scaling.costs import Fanout, Grouped, fit
from bench.scaling.measured import (
    CPU_EVENT,
    CPU_FRAME,
    DATABASES,
    INSIDE,
    PIPE,
    SERVERS,
    WALL_EVENT,
    Measured,
    NotMeasured,
)
from bench.scaling.pipeline import closed_loop_ms

#: How far the model may be from what was measured.
TOLERANCE = 0.2


@dataclass(frozen=True, kw_only=True)
class Check:
    """A measured point, and what the model says of it."""

    what: str
    metric: str
    measured: float
    predicted: float

    @property
    def off(self) -> float:
        """Of the measured value; above zero: the model says more."""
        return self.predicted / self.measured - 1

    @property
    def good(self) -> bool:
        """Within the tolerance."""
        return abs(self.off) <= TOLERANCE


def checks(found: Measured) -> Iterator[Check]:
    """All measured points that the model has something to say about."""
    for server in SERVERS:
        try:
            points = found.shapes(server, CPU_FRAME)
        except NotMeasured:
            continue
        fanout = found.fanout(server)
        for (jobs, viewers), measured in points.items():
            what = f"{server}, {jobs:,} x {viewers:,}"
            predicted = fanout.per_frame_us(jobs, viewers)
            yield Check(what=what, metric=CPU_FRAME, measured=measured, predicted=predicted)
        if server == SERVERS[0]:
            yield from _latencies(found, server, fanout)
    for database in DATABASES:
        for metric in (CPU_EVENT, WALL_EVENT):
            sizes = found.groups(database, metric)
            grouped = Grouped.fitted(sizes)
            for size, measured in sizes.items():
                what = f"journal on {database}, groups of {size}"
                predicted = grouped.per_event_us(size)
                yield Check(what=what, metric=metric, measured=measured, predicted=predicted)
    streams = found.cases("ingest", "relay", CPU_EVENT)
    read = fit([[1.0]] * len(streams), list(streams.values()))[0]
    for case, measured in streams.items():
        yield Check(what=f"reading, {case}", metric=CPU_EVENT, measured=measured, predicted=read)
    watched, fanout = found.jobs_between(), found.fanout(SERVERS[0])
    for size, measured in found.commits(INSIDE, "web").items():
        predicted = fanout.publish_us / size + fanout.event_us + fanout.frame_us(watched)
        what = f"{INSIDE}, {watched:,} x 1, commits of {size}"
        yield Check(what=what, metric=CPU_FRAME, measured=measured, predicted=predicted)
    yield from _end_to_end(found, fanout)


def _end_to_end(found: Measured, fanout: Fanout) -> Iterator[Check]:
    """A bare pipe's latency, and what the relay does besides: commit and publish. Not fitted."""
    for database in DATABASES:
        case, metric = f"1 job, {database}", "p50 ms"
        try:
            measured = found.value("latency", case, SERVERS[0], metric)
            pipe = found.value("latency", case, PIPE, metric)
        except NotMeasured:
            continue
        commit = Grouped.fitted(found.groups(database, WALL_EVENT)).per_event_us(1)
        predicted = pipe + (commit + fanout.total_us(1, 1)) / 1e3
        what = f"upstream write to viewer, {database}"
        yield Check(what=what, metric=metric, measured=measured, predicted=predicted)


def _latencies(found: Measured, server: str, fanout: Fanout) -> Iterator[Check]:
    """Nothing of this was fitted: latency is the CPU time of those who come before."""
    for metric, share in (("p50 ms", 0.5), ("p99 ms", 0.99)):
        for (jobs, viewers), measured in found.shapes(server, metric).items():
            yield Check(
                what=f"{server}, {jobs:,} x {viewers:,}",
                metric=metric,
                measured=measured,
                predicted=closed_loop_ms(fanout, jobs, viewers, share),
            )
