"""What is true of every journal, and calls that really run at the same time."""

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
