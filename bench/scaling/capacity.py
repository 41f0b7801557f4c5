"""What a load costs, from few constants: how much each core, server and gigabyte can carry.

Pure arithmetic. Times are µs of one core, memory is in KiB, rates are per second. `constants.py`
takes the constants from the results of the bench, and checks them against what was measured.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from bench.scaling.costs import Fanout, Grouped

#: Share of a core that is planned; the rest is for bursts, pages and garbage collection.
PLANNED = 0.6
#: TCP ports that Linux gives to one address for connections to one other (32768 to 60999): more
#: viewers than that reach a web process only from several addresses of the proxy.
PORTS = 28_232
#: Messages that a process sends to others in a second, at the most (`pubsub/`).
MESSAGES = 200.0
#: A frame between processes, with its envelope; and what 10 Gbit/s carry in a second.
EVENT_BYTES, NETWORK_BYTES = 250, 1.25e9


@dataclass(frozen=True, kw_only=True)
class Constants:
    """Everything that the plan needs, as measured on one machine."""

    #: A web process of which viewers are reached by `publish`, in its own process.
    fanout: Fanout
    #: What a web process spends on events of other processes, beside its frames.
    receive: Grouped
    #: What a worker spends on telling others.
    tell: Grouped
    #: What a worker spends on reading an event of the upstream.
    read_us: float
    #: The journal on PostgreSQL: wall time, CPU of the worker, and of the server.
    commit: Grouped
    journal: Grouped
    database: Grouped
    #: Of the server between processes (Valkey), for each process that a commit goes to.
    valkey: Grouped
    #: Of a web process for each viewer and second in which nothing happens: pings, and asking
    #: again whether they may still see their job.
    idle_us: float
    viewer_kib: float
    stream_kib: float
    #: Of a process that does nothing yet.
    process_kib: float


@dataclass(frozen=True, kw_only=True)
class Load:
    """What people do."""

    jobs: int
    viewers: int
    #: Of each job, in the journal; `EVENTS_PER_SECOND` at most.
    events_per_second: float = 1.0

    @property
    def events(self) -> float:
        """Of all jobs together."""
        return self.jobs * self.events_per_second

    @property
    def frames(self) -> float:
        """To all viewers, who watch one job each."""
        return self.viewers * self.events_per_second

    def part(self, sites: int) -> Load:
        """What each of several sites has of it."""
        return Load(
            jobs=-(-self.jobs // sites),
            viewers=-(-self.viewers // sites),
            events_per_second=self.events_per_second,
        )


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The processes of one site, each with a core of its own; one database, one Valkey."""

    web: int
    workers: int
    #: Cores of the database's machine.
    database_cores: int = 8
    sites: int = 1
    #: One process does it all.
    together: bool = False


@dataclass(frozen=True, kw_only=True)
class Use:
    """Of one thing that can run out, how much a load takes; 1 is all that is planned."""

    name: str
    share: float


def uses(load: Load, layout: Layout, constants: Constants) -> list[Use]:
    """What each site of a layout uses, the scarcest first."""
    part = load.part(layout.sites)
    web, worker = web_core(part, layout, constants), worker_core(part, layout, constants)
    if layout.together:
        return [Use(name="the process's core", share=(web + worker) / PLANNED)]
    commits = commits_per_second(part, layout, constants)
    database = _grouped(constants.database, commits, part.events)
    # A commit's message goes to every web process: each has a viewer of some job in it.
    messages = messages_per_second(part, layout, constants)
    valkey = layout.web * _grouped(constants.valkey, messages, part.events)
    network = layout.web * part.events * EVENT_BYTES
    found = [
        Use(name="core of a web process", share=web / PLANNED),
        Use(name="core of a worker", share=worker / PLANNED),
        Use(name="PostgreSQL", share=database / (PLANNED * layout.database_cores)),
        Use(name="Valkey's core", share=valkey / PLANNED),
        Use(name="Valkey's network", share=network / (PLANNED * NETWORK_BYTES)),
        Use(name="ports from the proxy", share=part.viewers / layout.web / PORTS),
    ]
    return sorted(found, key=lambda use: -use.share)


def web_core(load: Load, layout: Layout, constants: Constants) -> float:
    """Share of a core that each web process takes: its frames, all events, and rechecks."""
    sockets = load.viewers / layout.web
    frames = load.frames / layout.web * constants.fanout.frame_us(sockets)
    # Every process gets every event: with thousands of viewers it has one of nearly each job.
    messages = messages_per_second(load, layout, constants)
    events = _grouped(constants.receive, messages, load.events)
    return events + (frames + sockets * constants.idle_us) / 1e6


def worker_core(load: Load, layout: Layout, constants: Constants) -> float:
    """Share of a core that each worker takes: reading, committing, telling."""
    commits = commits_per_second(load, layout, constants)
    spent = _grouped(constants.journal, commits, load.events)
    messages = messages_per_second(load, layout, constants)
    spent += _grouped(constants.tell, messages, load.events)
    return (spent + load.events * constants.read_us / 1e6) / layout.workers


def _grouped(cost: Grouped, groups: float, events: float) -> float:
    """Share of a core for so many groups and events in a second."""
    return (groups * cost.group_us + events * cost.each_us) / 1e6


def commits_per_second(load: Load, layout: Layout, constants: Constants) -> float:
    """Of all workers together."""
    return layout.workers * _commits(load.events / layout.workers, constants.commit)


def messages_per_second(load: Load, layout: Layout, constants: Constants) -> float:
    """Of all workers together: commits that follow at once go into the same message."""
    commits = commits_per_second(load, layout, constants)
    return min(commits, layout.workers * MESSAGES)


@functools.lru_cache(maxsize=1024)
def _commits(events: float, commit: Grouped) -> float:
    """Of one writer, whose transaction takes all that came during the last one."""
    if events <= 0:
        return 0.0
    commits = events
    for _ in range(20):  # until it no longer changes: the size of a group depends on it
        seconds = commit.total_us(events / commits) / 1e6
        # Where nothing came during a transaction (Poisson), the writer waits for the next event.
        commits = 1 / (seconds + math.exp(-events * seconds) / events)
    return commits


def memory_gib(load: Load, layout: Layout, constants: Constants) -> float:
    """Of all processes of all sites."""
    processes = layout.sites * (layout.web + layout.workers)
    kib = processes * constants.process_kib
    kib += load.viewers * constants.viewer_kib + load.jobs * constants.stream_kib
    return kib / 2**20


def plan(load: Load, constants: Constants, *, site_web: int = 32, site_workers: int = 32) -> Layout:
    """The fewest sites in which nothing runs out, and the fewest processes in them.

    Raises `ValueError` where even a site for each job would not do.
    """
    sites = 1
    while sites <= max(1, load.jobs):
        if layout := _smallest(load, constants, sites, site_web, site_workers):
            return layout
        sites += max(1, sites // 8)
    raise ValueError("no layout carries this")


def _smallest(
    load: Load, constants: Constants, sites: int, most_web: int, most_workers: int
) -> Layout | None:
    best: Layout | None = None
    part = load.part(sites)
    for workers in range(1, most_workers + 1):
        widest = Layout(web=most_web, workers=workers, sites=sites)
        busiest = max(web_core(part, widest, constants), worker_core(part, widest, constants))
        if busiest > PLANNED:
            continue
        for web in range(1, most_web + 1):
            if best and web + workers >= best.web + best.workers:
                break
            layout = Layout(web=web, workers=workers, sites=sites)
            if uses(load, layout, constants)[0].share <= 1:
                best = layout
                break
    return best
