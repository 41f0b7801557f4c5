"""Fetches a result again that the backend has, or may have: without a new submission."""

from __future__ import annotations

from uuid import UUID, uuid4

from asgiref.sync import sync_to_async

from denoise_relay.jobs.enqueue import enqueue
from denoise_relay.jobs.limits import Origin
from denoise_relay.jobs.retries import (
    COPIED,
    arequire_repeatable,
    require_ended,
    require_recording,
)
from denoise_relay.models import Job


def fetch_again(job: Job, *, job_id: UUID | None = None, origin: Origin | None = None) -> Job:
    """Follow the job that the backend has already, as a new job here: nothing is submitted, and so
    nothing is billed again.

    Raises `NotEnded` and `RecordingDeleted` as `retry` does, `ValueError` if `job.fetchable` is
    false, and `IntegrityError` if the job was deleted in the meantime or there is one with this
    `job_id`. `origin` is as in `enqueue`.
    """
    require_ended(job)
    require_recording(job)
    return _fetch_again(job, job_id, origin)


def _fetch_again(job: Job, job_id: UUID | None, origin: Origin | None) -> Job:
    if not job.fetchable:
        raise ValueError("the backend has no result of this job")
    copied = {name: getattr(job, name) for name in (*COPIED, "preset", "upstream_id", "attempt")}
    files = {"original": job.original.name, "whole": job.whole.name}
    return enqueue(Job(id=job_id or uuid4(), retry_of=job, **files, **copied), origin)


async def afetch_again(
    job: Job, *, job_id: UUID | None = None, origin: Origin | None = None
) -> Job:
    """`fetch_again` for async code."""
    await arequire_repeatable(job)
    return await sync_to_async(_fetch_again)(job, job_id, origin)
