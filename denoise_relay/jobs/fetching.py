"""Fetches a result again that the backend has, or may have: without a new submission."""

from __future__ import annotations

from uuid import UUID

from asgiref.sync import sync_to_async

from denoise_relay.jobs.enqueue import enqueue
from denoise_relay.jobs.limits import Origin
from denoise_relay.jobs.options import Options
from denoise_relay.jobs.retries import arequire_repeatable, repetition, require_repeatable
from denoise_relay.models import Job


def fetch_again(
    job: Job,
    *,
    changed: Options | None = None,
    job_id: UUID | None = None,
    origin: Origin | None = None,
) -> Job:
    """Follow the job that the backend has already, as a new job here: nothing is submitted, and so
    nothing is billed again. Its options, or those in `changed`, are applied here.

    Raises `UploadRejected` if options cannot be had, `NotEnded` and `RecordingDeleted` as `retry`
    does, `ValueError` if `job.fetchable` is false, and `IntegrityError` if the job was deleted in
    the meantime or there is one with this `job_id`. `origin` is as in `enqueue`.
    """
    require_repeatable(job)
    return _fetch_again(job, changed, job_id, origin)


def _fetch_again(
    job: Job, changed: Options | None, job_id: UUID | None, origin: Origin | None
) -> Job:
    if not job.fetchable:
        raise ValueError("the backend has no result of this job")
    begun = {name: getattr(job, name) for name in ("preset", "upstream_id", "attempt")}
    return enqueue(repetition(job, job_id, changed, **begun), origin)


async def afetch_again(
    job: Job,
    *,
    changed: Options | None = None,
    job_id: UUID | None = None,
    origin: Origin | None = None,
) -> Job:
    """`fetch_again` for async code."""
    await arequire_repeatable(job)
    return await sync_to_async(_fetch_again)(job, changed, job_id, origin)
