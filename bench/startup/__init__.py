"""Starts: a command, a worker with 5,000 jobs that wait, 1,000 viewers who come back at once."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import large_database as large
from bench.process import ROOT
from bench.report import Figure, Goal
from bench.startup import returning, workers

TITLE = "Starts"
#: Commands of each way in a round: in turn, because the machine is not quiet.
COMMANDS = 5
CHECK, WORKER = "manage.py check", "a worker's start, 100,000 jobs"
RETURN = "1,000 viewers of a job return at once"
OURS, BARE, TUTORIAL = "denoise_relay", "Django and Channels alone", "tutorial"
FEW, MANY = "5 unfinished", "5,000 unfinished"

GOALS: tuple[Goal, ...] = (
    Goal(case=CHECK, metric="CPU ms", way=OURS, beside=BARE, limit=1.2),
    Goal(case=f"{WORKER}, first job begun", metric="s", way=MANY, beside=FEW, limit=1.5),
    Goal(case=f"{WORKER}, all begun", metric="s", way=MANY, beside="", limit=30.0),
    Goal(case=RETURN, metric="s", way=OURS, beside="", limit=3.0),
    Goal(case=RETURN, metric="CPU ms", way=OURS, beside=TUTORIAL, limit=1.0),
)


def run(rounds: int) -> list[Figure]:
    """Measure all three."""
    values: dict[tuple[str, str, str], list[float]] = {}

    def note(case: str, way: str, metric: str, value: float) -> None:
        values.setdefault((case, way, metric), []).append(value)
        print(f"{case:52}{way:28}{value:9.2f} {metric}")

    for _ in range(rounds):
        ways = {BARE: "bench.bare.settings", OURS: "bench.bare.with_us"}
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(COMMANDS):
            for way, settings in ways.items():
                times[way].append(_check(settings))
        for way, found in times.items():
            note(CHECK, way, "CPU ms", statistics.median(found))
    with tempfile.TemporaryDirectory(prefix="denoise-bench-") as folder:
        media, url = Path(folder), f"sqlite:///{folder}/db.sqlite3"
        large.make("SQLite", url, events_per_job=1)
        job = returning.make_job(url)
        environment = large.ENVIRONMENT | {
            "DATABASE_URL": url,
            "DENOISE_RELAY_WORKER": "external",
            "DENOISE_RELAY_ACCESS_POLICY": "bench.startup.idle_backend.anybody",
        }
        applications = {OURS: "project.asgi", TUTORIAL: "bench.startup.tutorial"}
        for _ in range(rounds):
            for way, module in applications.items():
                seconds, cpu = returning.come_back(f"{module}:application", environment, job)
                note(RETURN, way, "s", seconds)
                note(RETURN, way, "CPU ms", cpu)
            for way, unfinished in ((FEW, 5), (MANY, large.UNFINISHED)):
                first, all_of_them, cpu = workers.start(url, media, unfinished)
                note(f"{WORKER}, first job begun", way, "s", first)
                note(f"{WORKER}, all begun", way, "s", all_of_them)
                note(f"{WORKER}, all begun", way, "CPU ms", cpu * 1e3)
    return [
        Figure(case=case, way=way, metric=metric, values=tuple(found))
        for (case, way, metric), found in values.items()
    ]


def _check(settings: str) -> float:
    """Milliseconds of CPU."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"manage.py check ended with {process.returncode} under {settings}")
    return (usage.ru_utime + usage.ru_stime) * 1e3
