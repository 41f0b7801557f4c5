"""The list of a key's jobs as the contract's records, read in pages so that memory is bounded."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.db import router
from django.db.models import DateTimeField, OuterRef, Subquery

from denoise_relay import access
from denoise_relay.access import Viewer
from denoise_relay.frames import timestamp, to_json
from denoise_relay.jobs import options
from denoise_relay.jobs.lists import OwnJobs
from denoise_relay.lifecycle import ACTIVE, Status
from denoise_relay.models import Event, Job
from denoise_relay.presentation import Link, denoised_url, excerpt_of, upstream_url

#: Records of one query.
PAGE_SIZE = 500
#: Records of one answer at most, also without `limit`: about 40 MB of JSON.
MAX_RECORDS = 50_000


def record(job: Job, link: Link) -> dict[str, Any]:
    """One record of the contract. `job` comes from `_jobs`, which adds when it last changed."""
    status = Status(job.status)
    is_done = status is Status.DONE
    # The contract has none of these: without them a record is as it says.
    extensions = {
        "preset": job.preset,
        "warning": job.warning,
        "excerpt": excerpt_of(job),
        **options.of(job).columns(),
    }
    return {
        "id": str(job.pk),
        "user_id": str(job.owner_id) if job.owner_id is not None else f"key-{job.api_key_id}",
        "transaction_id": None,
        "audio_url": denoised_url(job.pk, upstream_url(job), link) if is_done else None,
        "original_audio_url": link(job.pk, "original"),
        "file_name": job.file_name,
        # Not measured where the engine is not installed; the contract wants a number.
        "audio_duration": job.duration_seconds or 0.0,
        "audio_size": job.size_bytes,
        "audio_format": job.extension,
        "source_type": "video" if job.is_video else "audio",
        "status": _status(status),
        "error": job.message if _status(status) == "failed" else None,
        "created_at": timestamp(job.created_at),
        "updated_at": timestamp(getattr(job, "changed_at", None) or job.created_at),
        **{name: value for name, value in extensions.items() if value},
    }


def _status(status: Status) -> str:
    if status in ACTIVE:
        return "pending"
    return "success" if status is Status.DONE else "failed"


async def pages(
    viewer: Viewer, offset: int, limit: int, link: Link
) -> AsyncGenerator[list[str], None]:
    """The viewer's records as JSON, newest first, in non-empty lists; only the last is shorter
    than `PAGE_SIZE`.

    Only the first query skips `offset` rows. The next ones continue after the last job of the
    one before, so that new jobs neither repeat a record nor hide one. Under a policy without a
    filter, all of the viewer's jobs are read and asked about, until there are enough.
    """
    left, page = min(limit, MAX_RECORDS), _Page(skip=offset)
    collected: list[str] = []
    while left > 0 and page.more:
        page = await sync_to_async(_next_page)(viewer, page, left, link)
        left -= len(page.records)
        collected += page.records
        if len(collected) >= PAGE_SIZE:
            yield collected
            collected = []
    if collected:
        yield collected


@dataclass(frozen=True, kw_only=True, slots=True)
class _Page:
    """What one query found."""

    records: Sequence[str] = ()
    #: The last job read; the next query continues after it.
    last: Job | None = None
    #: Visible jobs that are still to be skipped.
    skip: int = 0
    #: Whether there may be more jobs.
    more: bool = True


def _next_page(viewer: Viewer, before: _Page, left: int, link: Link) -> _Page:
    """Called in a thread: to sign and encode a page takes as long as a few hundred events."""
    query = _jobs(viewer, before.last)
    if access.filters_lists():
        take = min(left, PAGE_SIZE)
        jobs = visible = query[before.skip : before.skip + take]
        skip = 0
    else:
        take = PAGE_SIZE
        jobs = query[:take]
        visible = access.visible(viewer, jobs)
        skip = max(before.skip - len(visible), 0)
        visible = visible[before.skip :][:left]
    return _Page(
        records=[to_json(record(job, link)) for job in visible],
        last=jobs[-1] if jobs else None,
        skip=skip,
        more=len(jobs) == take,
    )


def _jobs(viewer: Viewer, before: Job | None) -> OwnJobs:
    # A job has no column for the time of its last change. Its last event is found by index.
    latest = Event.objects.filter(job=OuterRef("pk"), seq=OuterRef("seq")).order_by()
    changed = Subquery(latest.values("at"), output_field=DateTimeField())
    # The database that is written to: clients search here for submissions whose answers they lost,
    # and would submit again what a replica that lags does not know.
    alias = router.db_for_write(Job)
    return OwnJobs(viewer, before=before, using=alias, changed_at=changed)
