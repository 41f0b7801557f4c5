"""The model's constants, from the results of the bench."""

from __future__ import annotations

import re
from dataclasses import replace

from bench.report import Area
from bench.scaling.capacity import Constants
from bench.scaling.costs import Fanout, Grouped

SERVERS = (
    "relay on Daphne",
    "relay on Daphne, public ASGI",
    "relay on uvicorn",
    "relay on granian",
)
DATABASES = ("SQLite", "PostgreSQL")
IDLE, STREAMS = "1,000 visitors, nothing happens", "1,000 streams"
PIPE = "bare httpx pipe"
ACROSS, EACH = "relay over Valkey", "relay over Valkey, a message per job"
INSIDE = "relay, one process"
CPU_FRAME, CPU_EVENT, WALL_EVENT = "CPU µs/frame", "CPU µs/event", "wall µs/event"
SHAPE = re.compile(r"([\d,]+) jobs? x ([\d,]+) viewers?")
COMMITS = re.compile(r"([\d,]+) jobs x 1 viewer, commits of (\d+), (\w+)(?: process)?")
#: Jobs, and viewers of each, that nothing is fitted to.
UNSEEN = (10, 100)


class NotMeasured(Exception):
    """A figure that the model needs is not in the results."""


class Measured:
    """The medians of all figures, by area, case, way and metric."""

    def __init__(self, areas: list[Area]) -> None:
        self._values = {
            (area.name, figure.case, figure.way, figure.metric): figure.median
            for area in areas
            for figure in area.figures
        }

    def value(self, area: str, case: str, way: str, metric: str) -> float:
        """One figure. Raises `NotMeasured`."""
        try:
            return self._values[area, case, way, metric]
        except KeyError:
            raise NotMeasured(f"{area}: {way}, {case}, {metric}") from None

    def cases(self, area: str, way: str, metric: str) -> dict[str, float]:
        """All cases of a way. Raises `NotMeasured` where there is none."""
        wanted = (area, way, metric)
        found = {c: v for (a, c, w, m), v in self._values.items() if (a, w, m) == wanted}
        if not found:
            raise NotMeasured(f"{area}: {way}, {metric}")
        return found

    def shapes(self, way: str, metric: str) -> dict[tuple[int, int], float]:
        """Of the fan-out: by jobs, and viewers of each."""
        found = {}
        for case, value in self.cases("fanout", way, metric).items():
            if match := SHAPE.fullmatch(case):
                found[_whole(match[1]), _whole(match[2])] = value
        return found

    def groups(self, database: str, metric: str) -> dict[int, float]:
        """Of the journal: by the size of the group."""
        case, found = f"journal on {database}", {}
        for area, measured, way, name in self._values:
            if (area, measured, name) == ("journal", case, metric) and way.startswith("group of "):
                found[_whole(way.removeprefix("group of "))] = self.value(area, case, way, metric)
        if not found:
            raise NotMeasured(f"journal: {case}, {metric}")
        return found

    def commits(self, way: str, process: str) -> dict[int, float]:
        """Between processes: µs of CPU per frame, by the size of a commit."""
        found = {}
        for case, value in self.cases("pubsub", way, CPU_FRAME).items():
            if (match := COMMITS.fullmatch(case)) and match[3] == process:
                found[int(match[2])] = value
        if not found:
            raise NotMeasured(f"pubsub: {way}, {process} process")
        return found

    def messages(self, process: str) -> Grouped:
        """Between processes: of each message, and of each event in it."""
        alone = self.commits(EACH, process)
        together = self.commits(ACROSS, process)
        largest = max(together)
        # Smaller commits gather in one message, of a size that was not measured.
        return Grouped.fitted({1: alone[largest], largest: together[largest]})

    def fanout(self, server: str) -> Fanout:
        """The fan-out on a server; what a commit costs comes from the bench between processes."""
        points, commits = self.shapes(server, CPU_FRAME), {}
        points.pop(UNSEEN, None)
        if server == SERVERS[0]:
            jobs = self.jobs_between()
            commits = {(jobs, size): us for size, us in self.commits(INSIDE, "web").items()}
        return Fanout.fitted(points, commits)

    def jobs_between(self) -> int:
        """How many jobs were watched in the bench between processes."""
        case = next(iter(self.cases("pubsub", ACROSS, CPU_FRAME)))
        match = COMMITS.fullmatch(case)
        return _whole(match[1]) if match else 0


def constants(found: Measured) -> Constants:
    """Of a site on PostgreSQL and Valkey. Raises `NotMeasured`."""
    fanout = found.fanout("relay on Daphne")
    jobs = found.jobs_between()
    web = found.messages("web")
    # Its frames are in `fanout`: what is left is for receiving.
    receive = replace(web, each_us=max(0.0, web.each_us - fanout.frame_us(jobs)))
    commit = Grouped.fitted(found.groups("PostgreSQL", WALL_EVENT))
    journal = Grouped.fitted(found.groups("PostgreSQL", CPU_EVENT))
    viewers = max(v for _, v in found.shapes("relay on Daphne", "KiB/viewer"))
    idle = found.value("idle", IDLE, "relay on Daphne", "CPU %")
    return Constants(
        fanout=fanout,
        receive=receive,
        tell=found.messages("publisher"),
        read_us=found.value("ingest", STREAMS, "relay", CPU_EVENT),
        commit=commit,
        journal=journal,
        # What the worker waits for, the disk included, so it is a little more than its CPU.
        database=Grouped(
            group_us=max(0.0, commit.group_us - journal.group_us),
            each_us=max(0.0, commit.each_us - journal.each_us),
        ),
        valkey=found.messages("Valkey"),
        # CPU % of 1,000 viewers: µs of each in a second.
        idle_us=idle * 1e4 / 1000,
        viewer_kib=found.shapes("relay on Daphne", "KiB/viewer")[1, viewers],
        stream_kib=found.value("ingest", STREAMS, "relay", "KiB/stream"),
        process_kib=found.value("idle", "no viewers", "relay on Daphne", "MiB") * 1024,
    )


def embedded(found: Measured, site: Constants) -> Constants:
    """Of one process that does it all on SQLite: nothing goes between processes."""
    nothing = Grouped(group_us=0, each_us=0)
    return replace(
        site,
        receive=nothing,
        tell=nothing,
        valkey=nothing,
        database=nothing,
        commit=Grouped.fitted(found.groups("SQLite", WALL_EVENT)),
        journal=Grouped.fitted(found.groups("SQLite", CPU_EVENT)),
    )


def _whole(text: str) -> int:
    return int(text.replace(",", ""))
