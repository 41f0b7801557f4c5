"""The measured process of the journal's bench, for the database of DATABASE_URL.

In the journal's own thread, as in a worker. Prints JSON: for each round and way, CPU and wall time
per event in microseconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Final

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
if "TEST_DATABASE_URL" in os.environ:  # of `scripts/with-postgres`
    os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]
django.setup()

from django.core.management import call_command  # noqa: E402
from django.utils import timezone  # noqa: E402

from denoise_relay.events import Fact  # noqa: E402
from denoise_relay.journal.append import Entry, append_entries  # noqa: E402
from denoise_relay.lifecycle import Status  # noqa: E402
from denoise_relay.models import Event, Job  # noqa: E402
from denoise_relay.runtime import database  # noqa: E402

JOBS: Final = 500
#: Group size, and how many groups of it one turn takes. Turns alternate, so that all ways share
#: the machine's good and bad moments.
GROUPS: Final = ((1, 30), (20, 3), (500, 1))
TURNS: Final = 4
#: Events of one turn of the rivals.
SAVED: Final = 30
MESSAGE: Final = "Running noise reduction"

Way = Callable[[int], int]


def save_and_create(jobs: list[Job], fields: list[str] | None) -> Way:
    """What tutorials show: the mirror of the newest event saved, and the event created."""

    def events(turn: int) -> int:
        for number in range(SAVED):
            job = jobs[(turn * SAVED + number) % len(jobs)]
            job.seq, job.pct, job.message = job.seq + 1, min(99.0, job.pct + 0.1), MESSAGE
            job.save(update_fields=fields)
            Event.objects.create(
                job=job,
                seq=job.seq,
                stage="processing",
                pct=job.pct,
                message=MESSAGE,
                at=timezone.now(),
            )
        return SAVED

    return events


def groups(jobs: list[Job], size: int, times: int) -> Way:
    """The journal: groups of `size` events, each of another job."""

    def events(turn: int) -> int:
        for number in range(times):
            start = (turn * times + number) * size
            entries = [
                Entry(
                    job=jobs[(start + offset) % len(jobs)].pk,
                    epoch=1,
                    fact=Fact(pct=min(99.0, turn + number / 10), message=MESSAGE),
                )
                for offset in range(size)
            ]
            if not all(outcome.written for outcome in append_entries(entries)):
                raise RuntimeError("an event was not written")
        return size * times

    return events


def measure(rounds: int) -> dict[str, list[tuple[float, float]]]:
    """CPU and wall time per event in µs, one pair per round, for each way."""
    fields = ["seq", "pct", "message"]
    ways: dict[str, Way] = {
        "save and create": save_and_create(_jobs(), fields),
        "save of all columns and create": save_and_create(_jobs(), None),
    }
    ways |= {f"group of {size}": groups(_jobs(), size, times) for size, times in GROUPS}
    for way in ways.values():
        way(0)  # connections, prepared statements, caches
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(rounds):
        spent = {name: [0.0, 0.0, 0] for name in ways}
        for turn in range(TURNS):
            for name, way in ways.items():
                wall, cpu = time.perf_counter(), time.thread_time()
                spent[name][2] += way(1 + number * TURNS + turn)
                spent[name][0] += time.thread_time() - cpu
                spent[name][1] += time.perf_counter() - wall
        for name, (cpu, wall, events) in spent.items():
            found[name].append((cpu / events * 1e6, wall / events * 1e6))
    return found


def _jobs() -> list[Job]:
    return Job.objects.bulk_create(
        Job(file_name="voice.wav", status=Status.PROCESSING.value, epoch=1) for _ in range(JOBS)
    )


if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    print(json.dumps(asyncio.run(database.JOURNAL.call(measure, int(sys.argv[1])))))
    database.close()
