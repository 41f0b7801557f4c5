"""Commits the end of a job, once, also where the database's answer is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from django.db import Error as DatabaseFailure

from denoise_relay.events import Event, Fact
from denoise_relay.exceptions import LeaseLost
from denoise_relay.journal import leases, read
from denoise_relay.journal.leases import Lease
from denoise_relay.journal.writer import JournalWriter
from denoise_relay.pubsub import publisher
from denoise_relay.runtime import database, logs
from denoise_relay.runtime.background import spawn

#: How long a cancelled runner still waits until its job's end is committed.
CONCLUDE_SECONDS: Final = 3.0


async def conclude(
    lease: Lease,
    writer: JournalWriter,
    fact: Fact,
    changes: Mapping[str, Any],
    *clean_up: Callable[[UUID], None],
) -> None:
    """Commit the job's end; its signal is sent by the `SignalSender`. Then call each `clean_up`.

    A cancellation waits up to `CONCLUDE_SECONDS`, so that finished work is not done again. Raises
    `LeaseLost` if the job is not ours. What a `clean_up` raises of the database is logged.
    """

    async def end() -> None:
        try:
            await writer.write(lease, fact, **changes)
        except LeaseLost:
            # A commit whose answer was lost is repeated, and the repetition is fenced off,
            # because the job has ended.
            last = await database.call_with_retry(_end_in_journal, lease, changes)
            if last is None:
                raise
            await publisher.publish([last])
        for each in clean_up:
            await _cleaned(lease.job, each)

    task = spawn(end(), f"denoise-end-{lease.job.hex[:8]}")
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=CONCLUDE_SECONDS)
        raise
    finally:
        task.cancel()


def _end_in_journal(lease: Lease, changes: Mapping[str, Any]) -> Event | None:
    """The job's last event, if the job ended with these changes under our lease."""
    ours = leases.leased(lease).filter(**changes)
    return read.latest(lease.job) if ours.exists() else None


async def _cleaned(job: UUID, clean_up: Callable[[UUID], None]) -> None:
    try:
        await database.call(clean_up, job)
    except DatabaseFailure as error:
        # The job has ended all the same.
        logs.logger.warning(
            "What job %s leaves behind was not deleted: %s",
            job,
            type(error).__name__,
            extra=logs.fields("clean_up_failed", job=str(job), error=repr(error)),
        )
