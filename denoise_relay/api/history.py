"""The history list: jobs as the contract's records, read in pages so that memory is bounded."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from asgiref.sync import sync_to_async
from django.db.models import DateTimeField, OuterRef, Q, QuerySet, Subquery

from denoise_relay import access
from denoise_relay.access import Viewer
from denoise_relay.frames import timestamp, to_json
from denoise_relay.lifecycle import ACTIVE, Status
from denoise_relay.models import Event, Job
from denoise_relay.presentation import Link, denoised_url

PAGE = 500
"""Records read at a time, in one query."""
CEILING = 50_000
"""Records in one answer, also when `limit` is omitted: about 40 MB of JSON."""


def record(job: Job, link: Link) -> dict[str, Any]:
    """One record; `job` comes from a query of `_records`, which knows when it changed last."""
    status = Status(job.status)
    return {
        "id": str(job.pk),
        "user_id": str(job.owner_id) if job.owner_id is not None else f"key-{job.api_key_id}",
        "transaction_id": None,
        "audio_url": _audio_url(job, link) if status is Status.DONE else None,
        "original_audio_url": link(job.pk, "original"),
        "file_name": job.file_name,
        # Measured where the engine is installed; a number all the same.
        "audio_duration": job.duration_seconds or 0.0,
        "audio_size": job.size_bytes,
        "audio_format": job.extension,
        "source_type": "video" if job.is_video else "audio",
        "status": _status(status),
        "error": job.message if _status(status) == "failed" else None,
        "created_at": timestamp(job.created_at),
        "updated_at": timestamp(getattr(job, "changed_at", None) or job.created_at),
    }


def _status(status: Status) -> str:
    if status in ACTIVE:
        return "pending"
    return "success" if status is Status.DONE else "failed"


def _audio_url(job: Job, link: Link) -> str | None:
    if not job.result:
        return job.result_url or None
    return denoised_url(job.pk, "", link)


async def pages(
    viewer: Viewer, offset: int, limit: int, link: Link
) -> AsyncGenerator[list[str], None]:
    """The viewer's records, newest first, encoded, in non-empty lists of at most `PAGE`.

    Only the first page counts off `offset` rows; the next ones continue where it ended, so
    that jobs which arrive meanwhile neither repeat a record nor hide one.
    """
    left = min(limit, CEILING)
    last: Job | None = None
    while left > 0:
        take = min(left, PAGE)
        skip = 0 if last else offset
        records, last = await sync_to_async(_page)(viewer, last, skip, take, link)
        if records:
            yield records
        if len(records) < take:
            return
        left -= take


def _page(
    viewer: Viewer, last: Job | None, offset: int, take: int, link: Link
) -> tuple[list[str], Job | None]:
    """Encoded records and the last job; in a thread, because signing and encoding a page
    takes as long as a few hundred events."""
    query = _records(viewer)
    if last is not None:
        query = query.filter(
            Q(created_at__lt=last.created_at) | Q(created_at=last.created_at, pk__lt=last.pk)
        )
    jobs = list(query[offset : offset + take])
    return [to_json(record(job, link)) for job in jobs], jobs[-1] if jobs else None


def _records(viewer: Viewer) -> QuerySet[Job]:
    # The row has no column for it, and one event of a job is found by its unique index.
    latest = Event.objects.filter(job=OuterRef("pk"), seq=OuterRef("seq")).values("at")
    changed = Subquery(latest, output_field=DateTimeField())
    return access.jobs_of(viewer).annotate(changed_at=changed).order_by("-created_at", "-pk")
