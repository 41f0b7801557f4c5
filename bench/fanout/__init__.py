"""Fan-out: what it costs to send one frame to one viewer, ours beside what people build instead.

One update at a time: the next is published when all viewers have this one. Polling is arithmetic.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping
from functools import partial

from bench.fanout import ways
from bench.fanout.measuring import measure
from bench.fanout.viewers import Missed
from bench.fanout.ways import Way
from bench.process import manage, pin_load
from bench.report import Figure, Goal

TITLE = "Fan-out"
CPU, P50, P99, MEMORY = "CPU µs/frame", "p50 ms", "p99 ms", "KiB/viewer"
ONE, FEW, MANY = "1 job x 1,000 viewers", "100 jobs x 1 viewer", "1,000 jobs x 1 viewer"
#: Jobs and viewers. The first also measures memory: later ones find memory that is free.
CASES = {ONE: (1, 1000), FEW: (100, 100), MANY: (1000, 1000)}
#: Of the relay only: a case that the model of docs/scaling.md has not seen, to be checked there.
UNSEEN, UNSEEN_SHAPE = "10 jobs x 100 viewers", (10, 1000)
UPDATES, FEW_UPDATES = 40, 6
POLL_SECONDS = 0.5
_DAPHNE, _UVICORN = ways.RELAY_DAPHNE.name, ways.RELAY_UVICORN.name
_BROADCAST, _TUTORIAL = ways.BROADCAST.name, ways.TUTORIAL.name

GOALS = (
    Goal(case=ONE, metric=CPU, way=_DAPHNE, beside=_BROADCAST, limit=0.9),
    Goal(case=ONE, metric=CPU, way=_DAPHNE, beside=_TUTORIAL, limit=1 / 40),
    Goal(case=ONE, metric=CPU, way=_UVICORN, beside=_BROADCAST, limit=1.3),
    Goal(case=ONE, metric=P99, way=_DAPHNE, beside=_BROADCAST, limit=1.0),
    Goal(case=ONE, metric=P99, way=_UVICORN, beside=_BROADCAST, limit=1.0),
    Goal(case=MANY, metric=CPU, way=_DAPHNE, beside=_BROADCAST, limit=2.0),
    Goal(case=MANY, metric=CPU, way=_UVICORN, beside=_BROADCAST, limit=2.0),
    Goal(case=MANY, metric=CPU, way=_DAPHNE, beside=_DAPHNE, beside_case=FEW, limit=1.15),
    Goal(case=ONE, metric=MEMORY, way=_DAPHNE, beside="", limit=26),
    Goal(case=ONE, metric=MEMORY, way=_UVICORN, beside="", limit=26),
)

_MAKE = """
from django.contrib.sessions.backends.db import SessionStore
from bench.fanout import frames
from denoise_relay import access
from denoise_relay.models import Job
session = SessionStore()
session[access.SESSION_KEY] = frames.VISITOR
session.save()
Job.objects.bulk_create(
    Job(pk=frames.job_id(n), visitor=frames.VISITOR, file_name="bench.wav", seq=0)
    for n in range(1000)
)
print(session.session_key)
"""


def run(rounds: int) -> list[Figure]:
    """Measure all ways in turn, `rounds` times. About six minutes a round."""
    return run_some(rounds, ways.ALL, CASES)


def run_some(rounds: int, some: tuple[Way, ...], cases: dict[str, tuple[int, int]]) -> list[Figure]:
    """Measure these ways and cases only."""
    values: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="bench-fanout-") as folder, pin_load():
        environment = {
            "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3",
            "MEDIA_ROOT": f"{folder}/media",
            "DENOISE_RELAY_WORKER": "external",
            # Django's DEBUG keeps the text of 9,000 queries.
            "DEBUG": "0",
            "SECRET_KEY": "bench only",
            # What is published here is in no journal, and looks like a loss.
            "DENOISE_RELAY_POSITION_CHECK_SECONDS": "3600",
            "DJANGO_SETTINGS_MODULE": "bench.fanout.settings",
        }
        manage(environment, "migrate", "--verbosity", "0")
        session = manage(environment, "shell", "--verbosity", "0", "-c", _MAKE).splitlines()[-1]
        for number in range(rounds):
            for way in some:
                if why := ways.missing(way):
                    print(f"{way.name} is left out: {why}", flush=True)
                    continue
                for figure, value in _again_if_it_fails(number, way, cases, environment, session):
                    values[figure].append(value)
    _add_polling(values, rounds)
    return [
        Figure(case=case, way=way, metric=metric, values=tuple(each))
        for (case, way, metric), each in values.items()
    ]


Values = list[tuple[tuple[str, str, str], float]]


def _again_if_it_fails(
    number: int,
    way: Way,
    cases: Mapping[str, tuple[int, int]],
    environment: dict[str, str],
    session: str,
) -> Values:
    """What a way measured. On a busy machine a server may refuse one of thousands of viewers."""
    measured = partial(_measured, number, way, cases, environment, session)
    try:
        return measured()
    except (OSError, RuntimeError) as error:
        print(f"{way.name} is measured again, after {type(error).__name__}: {error}", flush=True)
        return measured()


def _measured(
    number: int,
    way: Way,
    cases: Mapping[str, tuple[int, int]],
    environment: dict[str, str],
    session: str,
) -> Values:
    """Case, way and metric with the value, for all cases of one way in one round."""
    found: Values = []
    unseen = {UNSEEN: UNSEEN_SHAPE} if way.name.startswith("relay") else {}
    with ways.running(way, environment) as (server, publish):
        for case, (jobs, viewers) in {**cases, **unseen}.items():
            updates = FEW_UPDATES if way.slow else UPDATES * 1000 // viewers
            try:
                got = measure(
                    server, publish, way, session, jobs=jobs, viewers=viewers, updates=updates
                )
            except Missed as error:  # the other cases are worth having
                print(f"{number + 1}: {case:24}{way.name:30}left out: {error}", flush=True)
                continue
            found += [
                ((case, way.name, CPU), got.cpu_us),
                ((case, way.name, P50), got.p50_ms),
                ((case, way.name, P99), got.p99_ms),
            ]
            if case == ONE:
                found.append(((case, way.name, MEMORY), got.kib_per_viewer))
            print(
                f"{number + 1}: {case:24}{way.name:30}{got.cpu_us:8.1f} µs/frame"
                f"{got.p50_ms:8.1f} {got.p99_ms:8.1f} ms{got.kib_per_viewer:7.1f} KiB",
                flush=True,
            )
    return found


def _add_polling(values: dict[tuple[str, str, str], list[float]], rounds: int) -> None:
    """A page that asks each 500 ms waits for 0 to 500 ms, besides the request itself."""
    way = "polling each 500 ms (arithmetic)"
    values[ONE, way, P50] = [POLL_SECONDS * 0.5 * 1e3] * rounds
    values[ONE, way, P99] = [POLL_SECONDS * 0.99 * 1e3] * rounds
