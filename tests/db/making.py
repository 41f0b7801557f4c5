"""Rows for tests of the journal and what stands on it: no files, unless they are asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from uuid import UUID

from django.db import connections

from denoise_relay import models
from denoise_relay.events import Event, Fact, Stage
from denoise_relay.journal import read
from denoise_relay.journal.append import Entry, Outcome, append_entries
from denoise_relay.lifecycle import Status
from denoise_relay.models import Job

T = TypeVar("T")
DONE = Fact(stage=Stage.DONE, pct=100.0, message="Done")
FAILED = Fact(stage=Stage.ERROR, message="No audio")


def make_job(**columns: Any) -> Job:
    """A queued job with its first event."""
    job = Job(file_name="voice.wav", size_bytes=4, **columns)
    job.original.name = "denoise/none/voice.wav"
    job.save(force_insert=True)
    append(job, Fact(message="Queued"))
    job.refresh_from_db()
    return job


def append(job: Job, fact: Fact | None, *, epoch: int | None = None, **changes: Any) -> Outcome:
    """Journal one fact, under the epoch that the object knows."""
    number = job.epoch if epoch is None else epoch
    (outcome,) = append_entries([Entry(job=job.pk, epoch=number, fact=fact, changes=changes)])
    return outcome


def end(job: Job, fact: Fact = DONE) -> Outcome:
    """End a job."""
    status = Status.DONE if fact.stage is Stage.DONE else Status.ERROR
    return append(job, fact, status=status)


def story(job: UUID) -> list[Event]:
    """All events of a job, after checking what is true of every journal (invariant 2)."""
    rows = models.Event.objects.filter(job=job).order_by("seq")
    told = [read.as_event(row) for row in rows]
    assert [event.seq for event in told] == list(range(1, len(told) + 1))
    percents = [event.pct for event in told]
    assert percents == sorted(percents)
    moments = [event.at for event in told]
    assert moments == sorted(moments)
    assert not any(event.stage.terminal for event in told[:-1])
    mirror = Job.objects.get(pk=job)
    if told:
        last = told[-1]
        assert (mirror.seq, mirror.stage, mirror.pct, mirror.message) == (
            last.seq,
            last.stage,
            last.pct,
            last.message,
        )
        assert mirror.ended == last.stage.terminal
    return told


def parallel(functions: Sequence[Callable[[], T]]) -> list[T]:
    """Call each in a thread of its own, all at once, and return what they return."""
    start = threading.Barrier(len(functions), timeout=10)

    def run(function: Callable[[], T]) -> T:
        try:
            start.wait()
            return function()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(functions)) as pool:
        return [future.result(timeout=50) for future in [pool.submit(run, f) for f in functions]]
