"""Submit, cancel and retry jobs, for pages, the API, the admin and Python code."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID, uuid4

from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.files import File
from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _

from denoise_relay import signals
from denoise_relay.backends import presets
from denoise_relay.events import Fact, Stage
from denoise_relay.jobs import queue_positions, validation
from denoise_relay.jobs.validation import ValidatedFile
from denoise_relay.journal.append import Entry, append_entries
from denoise_relay.lifecycle import Status
from denoise_relay.media import storage
from denoise_relay.models import ApiKey, Job, media_name, media_storage
from denoise_relay.pubsub import publisher
from denoise_relay.runtime import metrics
from denoise_relay.runtime.database import write_transaction

_COPIED = ("owner", "visitor", "api_key", "file_name", "size_bytes", "duration_seconds", "is_video")


async def asubmit(
    file: File[bytes],
    *,
    owner: AbstractBaseUser | None = None,
    name: str | None = None,
    preset: str = "",
    visitor: str = "",
    api_key: ApiKey | None = None,
    job_id: UUID | None = None,
) -> Job:
    """Validate a file, store it as a new job, and wake the supervisors.

    `file` is any Django `File` of known size; `name` is shown instead of the file's own.
    `preset` is the name of one of the backend's presets; "" is the default (`PRESET`).
    Raises `UploadRejected` with a message for the person if the file cannot be processed or
    there is no such preset, and `IntegrityError` if there is a job with this `job_id`. If
    cancelled, the job may exist.
    """
    chosen = validation.validated_preset(preset)
    validated = await validation.validate(file, name)
    job = Job(id=job_id or uuid4(), owner=cast(Any, owner), visitor=visitor, api_key=api_key)
    job.preset = chosen
    return await sync_to_async(_store)(job, file, validated)


def submit(
    file: File[bytes],
    *,
    owner: AbstractBaseUser | None = None,
    name: str | None = None,
    preset: str = "",
) -> Job:
    """`asubmit` for synchronous code."""
    return async_to_sync(asubmit)(file, owner=owner, name=name, preset=preset)


def _store(job: Job, file: File[bytes], validated: ValidatedFile) -> Job:
    job.file_name = validated.name
    job.size_bytes = validated.size_bytes
    job.duration_seconds = validated.duration_seconds
    job.is_video = validated.is_video
    file.seek(0)
    # Stored before the row is inserted, so that no row names a file that does not exist.
    job.original.name = media_storage().save(media_name(job, validated.name), file)
    metrics.UPLOAD_BYTES.inc(validated.size_bytes)
    try:
        return _enqueue(job)
    except Exception:
        storage.discard(job.original.name)
        raise


def _enqueue(job: Job) -> Job:
    """Insert the job with its first event; publish the event once it is committed."""
    with write_transaction() as alias, _journal_language():
        job.ahead = queue_positions.waiting()
        job.save(using=alias, force_insert=True)
        fact = Fact(message=queue_positions.message(job.ahead))
        (outcome,) = append_entries([Entry(job=job.pk, epoch=0, fact=fact)])
        if outcome.event is not None:
            job.seq, job.message = outcome.event.seq, outcome.event.message
        events = [outcome.event] if outcome.event else []
        transaction.on_commit(lambda: publisher.publish_soon(events), using=alias, robust=True)
    return job


def cancel(job: Job) -> bool:
    """End a job as canceled; return whether it was still active. May be repeated.

    The contract has no request to cancel upstream: we stop following the job and ignore
    what the upstream reports later.
    """
    with write_transaction() as alias, _journal_language():
        locked = Job.objects.using(alias).select_for_update().filter(pk=job.pk).first()
        if locked is None or locked.ended:
            return False
        entry = Entry(
            job=locked.pk,
            epoch=locked.epoch,
            fact=Fact(stage=Stage.ERROR, message=_("Canceled.")),
            changes={
                "status": Status.CANCELED,
                # Fences off the runner, which notices at its next write or lease renewal.
                "epoch": locked.epoch + 1,
                "lease_owner": "",
                "lease_until": None,
                "ahead": None,
            },
        )
        events = [o.event for o in append_entries([entry]) if o.event]
        transaction.on_commit(lambda: publisher.publish_soon(events), using=alias, robust=True)
        transaction.on_commit(
            lambda: signals.send_now(signals.job_failed, Job.objects.get(pk=job.pk)),
            using=alias,
            robust=True,
        )
    return True


def _journal_language() -> translation.override:
    """The site's language, in which the worker writes events too. All viewers read the same
    events, so the language of the person who pressed a button does not count."""
    return translation.override(settings.LANGUAGE_CODE)


async def acancel(job: Job) -> bool:
    """`cancel` for async code."""
    return await sync_to_async(cancel)(job)


def retry(job: Job, preset: str = "") -> Job:
    """Submit the same stored file again, as a new job of the same owner.

    `preset` is as in `asubmit`, but "" is the job's own, as long as the backend offers it. Raises
    `UploadRejected` if there is no such preset, and `IntegrityError` if the job was deleted in
    the meantime.
    """
    kept = job.preset if presets.is_offered(job.preset) else ""
    chosen = validation.validated_preset(preset or kept)
    copied = {name: getattr(job, name) for name in _COPIED}
    return _enqueue(Job(retry_of=job, original=job.original.name, preset=chosen, **copied))


async def aretry(job: Job, preset: str = "") -> Job:
    """`retry` for async code."""
    return await sync_to_async(retry)(job, preset)
