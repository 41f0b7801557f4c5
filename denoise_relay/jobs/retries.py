"""Submits the recording of an earlier job again: the same, or the whole of an excerpt."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from asgiref.sync import sync_to_async
from django.db import IntegrityError

from denoise_relay.backends import presets
from denoise_relay.exceptions import NotEnded, RecordingDeleted
from denoise_relay.formats import MORE_VIDEO, VIDEO, extension_of
from denoise_relay.jobs import options, validation
from denoise_relay.jobs.enqueue import enqueue
from denoise_relay.jobs.limits import Origin
from denoise_relay.jobs.options import Options
from denoise_relay.lifecycle import TERMINAL, Status
from denoise_relay.models import Job, current_jobs
from denoise_relay.runtime.database import write_transaction

#: What a retry takes from its job, besides the files, the preset and the options.
_OWNERSHIP = ("owner", "visitor", "api_key")
_COPIED = (
    *_OWNERSHIP,
    "file_name",
    "size_bytes",
    "duration_seconds",
    "is_video",
    "container",
    "codec",
    "damaged",
    "announced_seconds",
    "whole_name",
    "whole_duration_seconds",
    "excerpt_start_seconds",
)


def retry(
    job: Job,
    preset: str = "",
    *,
    changed: Options | None = None,
    job_id: UUID | None = None,
    origin: Origin | None = None,
) -> Job:
    """Submit the same stored file again, as a new job of the same owner.

    `preset` is as in `asubmit`, but "" is the job's own, as long as the backend offers it; so are
    the options, unless there are others in `changed`. Raises `NotEnded` while the job is active,
    `RecordingDeleted` if the storage has no such file, `UploadRejected` if there is no such preset
    or options cannot be had, and `IntegrityError` if the job was deleted in the meantime or there
    is a job with this `job_id`. `origin` is as in `asubmit`.
    """
    require_repeatable(job)
    return _retry(job, preset, changed, job_id, origin)


async def aretry(
    job: Job,
    preset: str = "",
    *,
    changed: Options | None = None,
    job_id: UUID | None = None,
    origin: Origin | None = None,
) -> Job:
    """`retry` for async code."""
    await arequire_repeatable(job)
    return await sync_to_async(_retry)(job, preset, changed, job_id, origin)


def _retry(
    job: Job, preset: str, changed: Options | None, job_id: UUID | None, origin: Origin | None
) -> Job:
    chosen = validation.validated_preset(preset or _kept_preset(job))
    return enqueue(repetition(job, job_id, changed, preset=chosen), origin)


def repetition(job: Job, job_id: UUID | None, changed: Options | None, **more: Any) -> Job:
    """A new job of the same files and owner, not inserted yet; `more` are further columns.

    Raises `UploadRejected` if the options in `changed` cannot be had.
    """
    copied = {name: getattr(job, name) for name in _COPIED}
    files = {name: getattr(job, name).name for name in ("original", "whole", "sent")}
    kept = options.kept(job, changed).columns()
    return Job(id=job_id or uuid4(), retry_of=job, **files, **copied, **kept, **more)


def require_repeatable(job: Job) -> None:
    """Raise `NotEnded` or `RecordingDeleted` if the job cannot be repeated."""
    require_ended(job)
    require_recording(job)


async def arequire_repeatable(job: Job) -> None:
    """`require_repeatable` for async code."""
    await sync_to_async(require_ended)(job)
    # Not the thread-sensitive thread, which all requests need.
    await sync_to_async(require_recording, thread_sensitive=False)(job)


def require_ended(job: Job) -> None:
    """Raise `NotEnded` while the job is active. Its row counts: the object may be older."""
    if not job.ended:
        rows = current_jobs().filter(pk=job.pk)
        status = rows.values_list("status", flat=True).first()
        # Without a row, the insertion says that the job has been deleted.
        if status is not None and status not in TERMINAL:
            raise NotEnded


def require_recording(job: Job) -> None:
    """Raise `RecordingDeleted` if the storage does not have the job's recording. Blocking: it may
    be slow."""
    name = job.original.name or ""
    if not name or not job.original.storage.exists(name):
        raise RecordingDeleted


def denoise_whole(job: Job, *, changed: Options | None = None, origin: Origin | None = None) -> Job:
    """Submit the whole recording of an excerpt, as a new job of the same owner and preset, with the
    same options or those in `changed`.

    If there is such a job already that has not failed, or a retry of one, it is returned. Raises
    `UploadRejected` if options cannot be had, `ValueError` if the job is for no excerpt,
    `IntegrityError` if it was deleted in the meantime, and `FileNotFoundError` if the recording
    was. `origin` is as in `asubmit`.
    """
    whole = job.whole.name
    if not whole:
        raise ValueError("this job is for no excerpt")
    preset = validation.validated_preset(_kept_preset(job))
    kept = options.kept(job, changed).columns()
    size_bytes = job.whole.size
    with write_transaction() as alias:
        # All that could make the same job are locked, retries of the excerpt too, so that of two
        # requests at a time the second finds the job of the first.
        # (`no_key`: a retry that refers to one of them must not wait, because it may hold the
        # lock of `turns.serialize`.)
        same = Job.objects.using(alias).filter(whole=whole)
        makers = same.select_for_update(no_key=True).order_by("pk")
        if job.pk not in [maker.pk for maker in makers]:
            raise IntegrityError("the job has been deleted")
        made = Job.objects.using(alias).filter(original=whole)
        existing = made.exclude(status__in=[Status.ERROR, Status.CANCELED]).first()
        return existing or enqueue(
            Job(
                retry_of=job,
                preset=preset,
                original=whole,
                file_name=job.whole_name,
                size_bytes=size_bytes,
                duration_seconds=job.whole_duration_seconds,
                is_video=extension_of(job.whole_name) in VIDEO | MORE_VIDEO,
                **{name: getattr(job, name) for name in _OWNERSHIP},
                **kept,
            ),
            origin,
        )


async def adenoise_whole(
    job: Job, *, changed: Options | None = None, origin: Origin | None = None
) -> Job:
    """`denoise_whole` for async code."""
    return await sync_to_async(denoise_whole)(job, changed=changed, origin=origin)


def _kept_preset(job: Job) -> str:
    """The job's own preset, as long as the backend offers it."""
    return job.preset if presets.is_offered(job.preset) else ""
