"""What is true of every journal, and calls that run at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from uuid import UUID

from django.db import connections

from denoise_relay import models
from denoise_relay.events import Event
from denoise_relay.journal import read
from denoise_relay.models import Job

T = TypeVar("T")


def check_whole(events: Sequence[Event], row: Job) -> None:
    """What is true of every journal at every moment (invariant 2)."""
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    percents = [event.pct for event in events]
    assert percents == sorted(percents)
    moments = [event.at for event in events]
    assert moments == sorted(moments)
    assert not any(event.stage.terminal for event in events[:-1])
    last = events[-1]
    mirrored = (row.seq, row.stage, row.pct, row.message)
    assert mirrored == (last.seq, last.stage, last.pct, last.message)
    assert row.ended == last.stage.terminal


def story(job: UUID) -> list[Event]:
    """All events of a job, after checking what is true of every journal."""
    rows = models.Event.objects.filter(job=job).order_by("seq")
    events = [read.as_event(row) for row in rows]
    if events:
        check_whole(events, Job.objects.get(pk=job))
    return events


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
