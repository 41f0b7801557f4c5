"""Fetches a result again that the backend has, or may have: without a new submission."""

from __future__ import annotations

from uuid import UUID, uuid4

from asgiref.sync import sync_to_async

from denoise_relay.jobs.actions import COPIED
from denoise_relay.jobs.enqueue import enqueue
from denoise_relay.jobs.limits import Origin
from denoise_relay.models import Job


def fetch_again(job: Job, *, job_id: UUID | None = None, origin: Origin | None = None) -> Job:
    """Follow the job that the backend has already, as a new job here: nothing is submitted, and so
    nothing is billed again.

    Raises `ValueError` if `job.fetchable` is false, and `IntegrityError` if the job was deleted in
    the meantime or there is one with this `job_id`. `origin` is as in `enqueue`.
    """
    if not job.fetchable:
        raise ValueError("the backend has no result of this job")
    copied = {name: getattr(job, name) for name in (*COPIED, "preset", "upstream_id", "attempt")}
    files = {"original": job.original.name, "whole": job.whole.name}
    return enqueue(Job(id=job_id or uuid4(), retry_of=job, **files, **copied), origin)


async def afetch_again(
    job: Job, *, job_id: UUID | None = None, origin: Origin | None = None
) -> Job:
    """`fetch_again` for async code."""
    return await sync_to_async(fetch_again)(job, job_id=job_id, origin=origin)
