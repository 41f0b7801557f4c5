"""Submit and cancel jobs, for pages, the API, the admin and Python code; retries are here, too."""

from __future__ import annotations

from functools import partial
from typing import Any, cast
from uuid import UUID, uuid4

from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import AbstractBaseUser
from django.core.files import File
from django.db import transaction
from django.utils.translation import gettext as _

from denoise_relay import signals
from denoise_relay.events import Fact, Stage
from denoise_relay.jobs import excerpts, limits, options, validation, waveforms
from denoise_relay.jobs.enqueue import certainly_absent, enqueue, journal_language
from denoise_relay.jobs.limits import Origin
from denoise_relay.jobs.options import Options
from denoise_relay.jobs.retries import adenoise_whole, aretry, denoise_whole, retry
from denoise_relay.jobs.validation import ValidatedFile
from denoise_relay.journal import outbox
from denoise_relay.journal.append import Entry, append_entries
from denoise_relay.lifecycle import Status, is_fetchable
from denoise_relay.media import storage
from denoise_relay.models import ApiKey, Job, Segment, current_jobs
from denoise_relay.pubsub import postgres, publisher
from denoise_relay.runtime import metrics
from denoise_relay.runtime.database import write_transaction
from denoise_relay.waveform import Peaks

__all__ = [
    "acancel",
    "adenoise_whole",
    "aretry",
    "asubmit",
    "cancel",
    "denoise_whole",
    "retry",
    "submit",
]

#: For the receivers of a cancel; a supervisor tells them again when they take longer.
SIGNAL_LEASE_SECONDS = 60.0


async def asubmit(
    file: File[bytes],
    *,
    owner: AbstractBaseUser | None = None,
    name: str | None = None,
    preset: str = "",
    excerpt: bool = False,
    max_attenuation_db: float | None = None,
    loudness_lufs: float | None = None,
    visitor: str = "",
    api_key: ApiKey | None = None,
    job_id: UUID | None = None,
    origin: Origin | None = None,
) -> Job:
    """Validate a file, store it as a new job, and wake the supervisors.

    `file` is any Django `File` of known size; `name` is shown instead of the file's own.
    `preset` is the name of one of the backend's presets; "" is the default (`PRESET`). With
    `excerpt` the job is for the 30 seconds with most speech, if the recording is much longer;
    `denoise_whole` then submits all of it. `max_attenuation_db` is the strength: by how much noise
    is lowered at the most, 3 to 100 dB, where None and 100 remove all; `loudness_lufs` brings the
    result to that loudness, -31 to -9 LUFS (`jobs.options`).
    Raises `UploadRejected` with a message for the person if the file cannot be processed, there is
    no such preset or an option cannot be had, and `IntegrityError` if there is a job with this
    `job_id`. `origin` is for requests from outside: raises `UploadDeferred` when a limit is reached
    (`jobs.limits`). If cancelled, the job may exist.
    """
    chosen = validation.validated_preset(preset)
    wanted = Options(max_attenuation_db=max_attenuation_db, loudness_lufs=loudness_lufs)
    columns = options.validated(wanted).columns()
    job = Job(
        id=job_id or uuid4(),
        owner=cast(Any, owner),
        visitor=visitor,
        api_key=api_key,
        preset=chosen,
        **columns,
    )
    if origin is not None:
        await limits.acheck(job, origin)
    validated = await validation.validate(file, name)
    if not excerpt:
        return await sync_to_async(_store)(job, file, validated, None, origin)
    async with excerpts.cut(file, validated) as cut:
        return await sync_to_async(_store)(job, file, validated, cut, origin)


def submit(
    file: File[bytes],
    *,
    owner: AbstractBaseUser | None = None,
    name: str | None = None,
    preset: str = "",
    excerpt: bool = False,
    max_attenuation_db: float | None = None,
    loudness_lufs: float | None = None,
) -> Job:
    """`asubmit` for synchronous code."""
    return async_to_sync(asubmit)(
        file,
        owner=owner,
        name=name,
        preset=preset,
        excerpt=excerpt,
        max_attenuation_db=max_attenuation_db,
        loudness_lufs=loudness_lufs,
    )


def _store(
    job: Job,
    file: File[bytes],
    validated: ValidatedFile,
    cut: excerpts.Cut | None = None,
    origin: Origin | None = None,
) -> Job:
    file.seek(0)
    # Stored before the row is inserted, so that no row names a file that does not exist.
    stored = [storage.store(job, validated.name, file)]
    metrics.UPLOAD_BYTES.inc(validated.size_bytes)
    try:
        if cut is None:
            job.original.name = stored[0]
            job.file_name = validated.name
            job.size_bytes = validated.size_bytes
            job.duration_seconds = validated.duration_seconds
            job.is_video = validated.is_video
            job.container, job.codec = validated.container, validated.codec
            job.damaged, job.announced_seconds = validated.damaged, validated.announced_seconds
        else:
            job.file_name = excerpts.excerpt_name(validated.name)
            with cut.path.open("rb") as content:
                stored.append(storage.store(job, job.file_name, File(content)))
            job.whole.name, job.original.name = stored
            job.size_bytes = cut.path.stat().st_size
            job.duration_seconds = cut.duration_seconds
            job.excerpt_start_seconds = cut.start_seconds
            job.whole_name = validated.name
            job.whole_duration_seconds = validated.duration_seconds
        return enqueue(job, origin, drawn=_drawn(validated, cut))
    except Exception as error:
        if certainly_absent(job, error):
            for name in stored:
                storage.discard(name)
        raise


def _drawn(validated: ValidatedFile, cut: excerpts.Cut | None) -> dict[str, Peaks]:
    """The waveforms of the job's recordings, by side."""
    peaks = validated.waveform
    if peaks is None:
        return {}
    if cut is None:
        return {"original": peaks}
    part = peaks.between(cut.start_seconds, cut.duration_seconds)
    return {"original": part, waveforms.WHOLE: peaks}


def cancel(job: Job) -> bool:
    """End a job as canceled; return whether it was still active. May be repeated.

    The contract has no request to cancel upstream: we stop following the job and ignore
    what the upstream reports later.
    """
    with write_transaction() as alias, journal_language():
        locked = Job.objects.using(alias).select_for_update().filter(pk=job.pk).first()
        if locked is None or locked.ended:
            return False
        entry = Entry(
            job=locked.pk,
            epoch=locked.epoch,
            fact=Fact(stage=Stage.ERROR, message=_("Canceled.")),
            changes={
                "status": Status.CANCELED,
                # The upstream goes on, so its result can be fetched later.
                "fetchable": is_fetchable(locked.pk, locked.upstream_id),
                # Fences off the runner, which notices at its next write or lease renewal.
                "epoch": locked.epoch + 1,
                "lease_owner": "",
                "lease_until": None,
                "ahead": None,
            },
        )
        events = [o.event for o in append_entries([entry]) if o.event]
        # Now, because the same transaction may go on to delete it.
        locked.refresh_from_db(using=alias)
        Segment.objects.using(alias).filter(job=locked.pk).delete()
        postgres.notify_work(alias)
        transaction.on_commit(lambda: publisher.publish_soon(events), using=alias, robust=True)
        transaction.on_commit(partial(_tell_receivers, locked), using=alias, robust=True)
    return True


def _tell_receivers(job: Job) -> None:
    """Send the signal of a job that was canceled here. A supervisor does it if this process dies
    on the way, or the database is lost; nobody, if the job was also deleted."""
    if outbox.claim_one(job.pk, SIGNAL_LEASE_SECONDS):
        signals.send_now(job)
        outbox.clear(job.pk)
    elif not current_jobs().filter(pk=job.pk).exists():
        signals.send_now(job)


async def acancel(job: Job) -> bool:
    """`cancel` for async code."""
    return await sync_to_async(cancel)(job)
