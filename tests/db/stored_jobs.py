"""Jobs with real files in the storage, made without a worker."""

from __future__ import annotations

from typing import Any

from django.core.files.base import ContentFile
from django.utils import timezone

from denoise_relay.events import Fact, Stage
from denoise_relay.journal.append import Entry, append_entries
from denoise_relay.lifecycle import Status
from denoise_relay.models import Job, media_name, media_storage


def stored_job(
    content: bytes = b"original bytes", *, file_name: str = "voice.wav", **columns: Any
) -> Job:
    """A queued job whose original is stored, with its first event."""
    job = Job(file_name=file_name, size_bytes=len(content), **columns)
    job.original.name = media_storage().save(media_name(job, file_name), ContentFile(content))
    job.save(force_insert=True)
    say(job, Fact(message="Queued"))
    return job


def say(job: Job, fact: Fact | None, **changes: Any) -> None:
    """Journal a fact about the job, and refresh it."""
    (outcome,) = append_entries([Entry(job=job.pk, epoch=0, fact=fact, changes=changes)])
    assert outcome.written
    job.refresh_from_db()


def finish(job: Job, content: bytes = b"denoised bytes", *, suffix: str = "flac") -> Job:
    """End the job well, with a stored result."""
    name = media_storage().save(media_name(job, f"result.{suffix}"), ContentFile(content))
    fact = Fact(stage=Stage.DONE, pct=100.0, message="Done")
    say(job, fact, status=Status.DONE, finished_at=timezone.now(), result=name)
    return job


def fail(job: Job, message: str, *, status: Status = Status.ERROR, detail: str = "") -> Job:
    """End the job badly."""
    fact = Fact(stage=Stage.ERROR, message=message)
    say(job, fact, status=status, finished_at=timezone.now(), error_detail=detail)
    return job
