"""What an event costs in the journal, beside what tutorials do: `save()` and `create()`.

On SQLite (a file in WAL mode) and on PostgreSQL (its own server's CPU is in the wall time only).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import Final

from bench.process import ROOT, STOP_SECONDS
from bench.report import Figure, Goal

TITLE: Final = "The journal: one event, committed"
CASES: Final = {"SQLite": "journal on SQLite", "PostgreSQL": "journal on PostgreSQL"}
RIVAL: Final = "save and create"
#: Wall time per event in a group of 500: µs, and beside the rival, for machines that are slower or
#: busier than the one where that took 243 and 866 µs.
LARGE_GROUP: Final = {"SQLite": 25.0, "PostgreSQL": 30.0}
LARGE_RATIO: Final = {"SQLite": 0.103, "PostgreSQL": 0.035}
SECONDS: Final = 80.0

GOALS: Final = tuple(
    goal
    for database, case in CASES.items()
    for goal in (
        Goal(case=case, metric="wall µs/event", way="group of 1", beside=RIVAL, limit=0.9),
        Goal(case=case, metric="CPU µs/event", way="group of 1", beside=RIVAL, limit=0.9),
        *(
            Goal(case=case, metric="wall µs/event", way="group of 500", beside=beside, limit=limit)
            for beside, limit in (("", LARGE_GROUP[database]), (RIVAL, LARGE_RATIO[database]))
        ),
    )
)


def run(rounds: int) -> list[Figure]:
    """Measure both databases, the ways in turn."""
    with tempfile.TemporaryDirectory(prefix="denoise-bench-") as folder:
        return [
            *_figures("SQLite", _measure([], rounds, f"sqlite:///{folder}/bench.sqlite3")),
            *_figures("PostgreSQL", _measure(["scripts/with-postgres"], rounds, "")),
        ]


def _measure(wrapper: list[str], rounds: int, url: str) -> dict[str, list[tuple[float, float]]]:
    program = [sys.executable, *wrapper, sys.executable, "-m", "bench.journal.commits", str(rounds)]
    process = subprocess.Popen(
        program if wrapper else program[1:],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url, "DEBUG": "0", "SECRET_KEY": "bench"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        printed, _ = process.communicate(timeout=SECONDS)
    finally:
        # Not SIGKILL at once: the wrapper stops its server. Nothing where it has ended.
        process.terminate()
        with process:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
    if process.returncode:
        raise RuntimeError(f"bench.journal.commits ended with code {process.returncode}")
    return dict(json.loads(printed.splitlines()[-1]))


def _figures(database: str, found: dict[str, list[tuple[float, float]]]) -> list[Figure]:
    figures = []
    for way, rounds in found.items():
        cpu = tuple(pair[0] for pair in rounds)
        wall = tuple(pair[1] for pair in rounds)
        print(f"{database:12}{way:36}CPU {_middle(cpu):7.0f}   wall {_middle(wall):7.0f} µs/event")
        figures += [
            Figure(case=CASES[database], way=way, metric=metric, values=values)
            for metric, values in (("CPU µs/event", cpu), ("wall µs/event", wall))
        ]
    return figures


def _middle(values: tuple[float, ...]) -> float:
    return sorted(values)[len(values) // 2]
