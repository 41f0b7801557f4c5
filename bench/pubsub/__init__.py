"""Between processes: 1,000 jobs with a viewer each, published in one process, watched in another.

What the web process and the publisher spend on each frame, over a channel layer on Valkey, over
PostgreSQL and in one process, beside the way of the tutorial.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

from bench.fanout.viewers import WEBSOCKET, Missed, Viewers, connected
from bench.process import manage, pin_load
from bench.pubsub.publishing import job_id
from bench.pubsub.ways import (
    RELAY,
    RELAY_CORE,
    RELAY_POSTGRES,
    TUTORIAL,
    TUTORIAL_CORE,
    WAYS,
    Running,
    Way,
    running,
)
from bench.report import Figure, Goal

JOBS = 1000
TITLE = "Between processes"
#: Frames published in one commit, and how often all jobs get one in a round.
COMMITS = {500: 10, 10: 3, 1: 1}
UPDATE_SECONDS = 20.0
_MAKE = """
from bench.pubsub.publishing import job_id
from denoise_relay import access
from denoise_relay.models import ApiKey, Job
secret = access.create_api_key("bench")
key = ApiKey.objects.get()
Job.objects.bulk_create(
    Job(pk=job_id(n), api_key=key, file_name="bench.wav", seq=0) for n in range({jobs})
)
print(secret)
"""


def case(commit: int, who: str = "web process") -> str:
    """The name of a case: the CPU of whom, and in which commits."""
    return f"{JOBS:,} jobs x 1 viewer, commits of {commit}, {who}"


GOALS = (
    Goal(case=case(500), metric="CPU µs/frame", way=RELAY.name, beside="", limit=60),
    Goal(case=case(500), metric="CPU µs/frame", way=RELAY.name, beside=TUTORIAL.name, limit=0.25),
    Goal(
        case=case(500),
        metric="CPU µs/frame",
        way=RELAY_CORE.name,
        beside=TUTORIAL_CORE.name,
        limit=0.5,
    ),
    Goal(
        case=case(500, "publisher"),
        metric="CPU µs/frame",
        way=RELAY.name,
        beside=TUTORIAL.name,
        limit=0.25,
    ),
)


def run(rounds: int) -> list[Figure]:
    """Measure all ways side by side. All servers run, and all viewers watch, from the start."""
    return measure(WAYS, COMMITS, rounds)


def measure(ways: Sequence[Way], commits: dict[int, int], rounds: int) -> list[Figure]:
    """Each way in turn, in each round."""
    from tests.live.state_servers import Postgres, Valkey

    values: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="denoise-bench-"))
        environment = {
            "DJANGO_SETTINGS_MODULE": "bench.pubsub.settings",
            "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3",
            "MEDIA_ROOT": f"{folder}/media",
            "DENOISE_RELAY_WORKER": "external",
            # Events of the bench are in no journal.
            "DENOISE_RELAY_POSITION_CHECK_SECONDS": "3600",
        }
        stack.enter_context(pin_load())
        valkey = stack.enter_context(Valkey())
        environment["REDIS_URL"] = valkey.url
        secret = _prepare(environment)
        watched: list[tuple[Running, Viewers]] = []
        for way in ways:
            own, key = environment, secret
            if way is RELAY_POSTGRES:
                postgres = stack.enter_context(Postgres())
                own = environment | {"DATABASE_URL": postgres.url("postgres")}
                key = _prepare(own)
            server = stack.enter_context(running(way, own))
            paths = [f"/ws/denoise/{job_id(number)}/" for number in range(JOBS)]
            viewers = connected(server.web.port, paths, WEBSOCKET, f"x-api-key: {key}\r\n")
            watched.append((server, stack.enter_context(viewers)))
        seqs = {server.way.name: _warm_up(server, viewers) for server, viewers in watched}
        for _ in range(rounds):
            for commit, updates in commits.items():
                for server, viewers in watched:
                    before = _cpu_seconds(valkey.command("INFO", "cpu"))
                    measured = _round(server, viewers, seqs, commit, updates)
                    if server.way.layer:
                        spent = _cpu_seconds(valkey.command("INFO", "cpu")) - before
                        figure = (
                            case(commit, "Valkey"),
                            "CPU µs/frame",
                            spent * 1e6 / (updates * JOBS),
                        )
                        measured.append(figure)
                    for name, metric, value in measured:
                        values[name, server.way.name, metric].append(value)
                        print(f"  {name}: {server.way.name}: {value:.1f} {metric}", flush=True)
    return [
        Figure(case=name, way=way, metric=metric, values=tuple(each))
        for (name, way, metric), each in values.items()
    ]


def _prepare(environment: dict[str, str]) -> str:
    """Make the tables and the jobs; returns the secret that may see them."""
    manage(environment, "migrate", "--verbosity", "0")
    code = _MAKE.format(jobs=JOBS)
    return manage(environment, "shell", "--verbosity", "0", "-c", code).splitlines()[-1]


def _round(
    server: Running, viewers: Viewers, seqs: dict[str, int], commit: int, updates: int
) -> list[tuple[str, str, float]]:
    """Cases, metrics and values of `updates` updates, one at a time."""
    latencies: list[float] = []
    web, publisher = server.web.cpu_seconds(), server.publisher.cpu_seconds()
    for _ in range(updates):
        seq = seqs[server.way.name] = seqs[server.way.name] + 1
        publish = partial(server.publish, seq, JOBS, commit)
        latencies += viewers.seen(publish, JOBS, UPDATE_SECONDS)
    web = server.web.cpu_seconds() - web
    publisher = server.publisher.cpu_seconds() - publisher
    cuts = statistics.quantiles(latencies, n=100)
    measured = [
        (case(commit), "CPU µs/frame", web * 1e6 / len(latencies)),
        (case(commit), "p50 ms", cuts[49] * 1e3),
        (case(commit), "p99 ms", cuts[98] * 1e3),
    ]
    if not server.way.inside:
        spent = publisher * 1e6 / len(latencies)
        measured.append((case(commit, "publisher"), "CPU µs/frame", spent))
    return measured


def _cpu_seconds(info: dict[str, float]) -> float:
    """Of Valkey's process so far, as it says itself."""
    return float(info["used_cpu_sys"]) + float(info["used_cpu_user"])


def _warm_up(server: Running, viewers: Viewers) -> int:
    """Let all viewers get a first update, each alone: then all groups are joined. Returns its seq.

    It is the same until all have it: what is missed here is in no journal.
    """
    missing = JOBS
    for _ in range(10):
        try:
            viewers.seen(partial(server.publish, 1, JOBS, 1), missing, 5.0)
        except Missed as error:
            missing -= error.came
        else:
            viewers.drain(1.0)  # the tutorial sends what comes twice
            return 1
    raise RuntimeError(f"{server.way.name}: not all viewers get frames")
