"""A journal writer at work for a test, and leases to write under."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from denoise_relay.events import Event
from denoise_relay.journal import read
from denoise_relay.journal.append import Entry, Outcome, append_entries
from denoise_relay.journal.leases import Lease
from denoise_relay.journal.writer import JournalWriter
from denoise_relay.runtime import database
from denoise_relay.runtime.background import spawn
from tests.db.checks import checked_events
from tests.db.factories import make_job

Append = Callable[[Sequence[Entry]], list[Outcome]]


class Published:
    """What was published, and whether it was in the journal by then."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.committed: list[bool] = []

    async def __call__(self, events: Sequence[Event]) -> None:
        for event in events:
            known = await database.call(read.latest, event.job)
            self.committed.append(known is not None and known.seq >= event.seq)
            self.events.append(event)


@contextlib.asynccontextmanager
async def running(
    append: Append = append_entries, *, rate: float = 1000, publish: Any = None
) -> AsyncIterator[JournalWriter]:
    writer = JournalWriter(events_per_second=rate, append=append, publish=publish or Published())
    task = spawn(writer.run(), "test-writer")
    try:
        yield writer
    finally:
        task.cancel()
        await asyncio.wait({task})


async def leased() -> Lease:
    job = await database.call(make_job, epoch=1)
    return Lease(job=job.pk, epoch=1)


async def journaled(lease: Lease) -> list[Event]:
    return await database.call(checked_events, lease.job)
