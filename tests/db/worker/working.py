"""A supervisor at work for a test, and the jobs that it runs."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile

from denoise_relay.backends.base import Result, Run
from denoise_relay.conf import RelaySettings
from denoise_relay.models import Job
from denoise_relay.runtime import database
from denoise_relay.worker.supervisor import Supervisor
from tests.db.checks import checked_events
from tests.db.factories import make_job
from tests.db.scripted_backends import Scripted
from tests.waiting import eventually

QUICK = RelaySettings(EVENTS_PER_SECOND=50, VERIFY_RESULTS=False, ANALYSE_RESULTS=False)


@contextlib.asynccontextmanager
async def working(backend: Scripted) -> AsyncIterator[Supervisor]:
    """A supervisor that works until the end of the block."""
    supervisor = Supervisor(backend, backend.settings)
    await supervisor.start()
    try:
        yield supervisor
    finally:
        await supervisor.stop()


async def new_job(**columns: Any) -> Job:
    """A queued job with a stored file."""
    job = await database.call(make_job, **columns)
    await database.call(job.original.save, "voice.wav", ContentFile(b"RIFF"))
    return job


async def fresh(job: Job) -> Job:
    """The job as it is in the database now."""
    return await database.call(Job.objects.get, pk=job.pk)


async def accepted(job: Job) -> None:
    """Wait until the job's backend has accepted it."""

    async def processing() -> bool:
        return (await fresh(job)).status == "processing"

    await eventually(processing, within=20)


async def ended(*some: Job, within: float = 20) -> list[Job]:
    """Wait until the jobs have ended, and return them as they are then."""

    async def all_ended() -> list[Job]:
        found = [await fresh(job) for job in some]
        return found if all(job.ended for job in found) else []

    return await eventually(all_ended, within=within)


async def run_one(behaviour: Callable[[Run], Awaitable[Result]], **settings: Any) -> Job:
    """Run one job with a backend that behaves like this, and return the job after its end."""
    job = await new_job()
    async with working(Scripted(replace(QUICK, **settings), behaviour)):
        (found,) = await ended(job)
    await database.call(checked_events, job.pk)
    return found


async def analysed(job: Job) -> Job:
    """Wait until the job's result has been analysed, and return it as it is then."""

    async def has_numbers() -> bool:
        return (await fresh(job)).statistics is not None

    await eventually(has_numbers, within=30)
    return await fresh(job)


def stored(media: Path) -> list[bytes]:
    """The content of all files in the storage."""
    return sorted(path.read_bytes() for path in media.rglob("denoise/*/*"))
