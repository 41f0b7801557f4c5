"""What people and programs do with jobs: submit, cancel, retry. Pages, API, admin, Python."""

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
from denoise_relay.events import Fact, Stage
from denoise_relay.jobs import queue_positions, validation
from denoise_relay.jobs.validation import Recording
from denoise_relay.journal.append import Entry, append_entries
from denoise_relay.lifecycle import Status
from denoise_relay.media import storage
from denoise_relay.models import ApiKey, Job, media_name, media_storage
from denoise_relay.pubsub import publisher
from denoise_relay.runtime import metrics
from denoise_relay.runtime.database import write_transaction


async def asubmit(
    file: File[bytes],
    *,
    owner: AbstractBaseUser | None = None,
    name: str | None = None,
    visitor: str = "",
    api_key: ApiKey | None = None,
    job_id: UUID | None = None,
) -> Job:
    """Store a recording as a new job and ring for a runner.

    `file` is any Django `File` of a known size; `name` is shown instead of its own; a second
    job with the same `job_id` is an `IntegrityError`.
    Raises `UploadRejected`, with words for a person, when it cannot be processed.
    """
    recording = await validation.receive(file, name)
    job = Job(id=job_id or uuid4(), owner=cast(Any, owner), visitor=visitor, api_key=api_key)
    return await sync_to_async(_store)(job, file, recording)


def submit(
    file: File[bytes],
    *,
    owner: AbstractBaseUser | None = None,
    name: str | None = None,
) -> Job:
    """`asubmit` for synchronous code."""
    return async_to_sync(asubmit)(file, owner=owner, name=name)


def _store(job: Job, file: File[bytes], recording: Recording) -> Job:
    job.file_name = recording.name
    job.size_bytes = recording.size_bytes
    job.duration_seconds = recording.duration_seconds
    job.is_video = recording.is_video
    file.seek(0)
    # Written before the row, so that no row ever names a file that is not there.
    job.original.name = media_storage().save(media_name(job, recording.name), file)
    metrics.UPLOAD_BYTES.inc(recording.size_bytes)
    try:
        return _enqueue(job)
    except Exception:
        storage.discard(job.original.name)
        raise


def _enqueue(job: Job) -> Job:
    """Insert the job with its first event, and ring once that is committed."""
    with write_transaction() as alias, _journal_language():
        place = queue_positions.waiting()
        job.ahead = place
        job.save(using=alias, force_insert=True)
        fact = Fact(message=queue_positions.message(place))
        (outcome,) = append_entries([Entry(job=job.pk, epoch=0, fact=fact)])
        if outcome.event is not None:
            job.seq, job.message = outcome.event.seq, outcome.event.message
        events = [outcome.event] if outcome.event else []
        transaction.on_commit(lambda: publisher.publish_soon(events), using=alias, robust=True)
    return job


def cancel(job: Job) -> bool:
    """End a job on a person's wish; false when it had ended already.

    No upstream cancel exists in the contract: we stop following, and ignore what comes late.
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
                # Fences off the runner, which notices at its next write or renewal.
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
    """Events are read by all who watch: not in the language of who happened to press a button,
    but in the site's, as those of the worker."""
    return translation.override(settings.LANGUAGE_CODE)


async def acancel(job: Job) -> bool:
    """`cancel` for async code."""
    return await sync_to_async(cancel)(job)


def retry(job: Job) -> Job:
    """A new job from the same stored file, for the same person."""
    anew = Job(
        owner=job.owner,
        visitor=job.visitor,
        api_key=job.api_key,
        retry_of=job,
        file_name=job.file_name,
        size_bytes=job.size_bytes,
        duration_seconds=job.duration_seconds,
        is_video=job.is_video,
    )
    anew.original.name = job.original.name
    return _enqueue(anew)


async def aretry(job: Job) -> Job:
    """`retry` for async code."""
    return await sync_to_async(retry)(job)
