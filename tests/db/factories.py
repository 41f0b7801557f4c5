"""Creates jobs and events: rows that name a file that does not exist, or a stored recording."""

from __future__ import annotations

from typing import Any

from django.core.files.base import ContentFile
from django.utils import timezone

from denoise_relay.events import Fact, Stage
from denoise_relay.journal.append import Entry, Outcome, append_entries
from denoise_relay.lifecycle import Status
from denoise_relay.models import Job, media_name, media_storage

DONE = Fact(stage=Stage.DONE, pct=100.0, message="Done")
FAILED = Fact(stage=Stage.ERROR, message="No audio")


def make_job(**columns: Any) -> Job:
    """A queued job with its first event; its file does not exist."""
    job = Job(**{"file_name": "voice.wav", "size_bytes": 4} | columns)
    job.original.name = "denoise/none/voice.wav"
    job.save(force_insert=True)
    append(job, Fact(message="Queued"))
    job.refresh_from_db(using=job._state.db)
    return job


def append(job: Job, fact: Fact | None, *, epoch: int | None = None, **changes: Any) -> Outcome:
    """Append one event, under the object's own epoch by default. Does not refresh the object."""
    number = job.epoch if epoch is None else epoch
    (outcome,) = append_entries([Entry(job=job.pk, epoch=number, fact=fact, changes=changes)])
    return outcome


def end(job: Job, fact: Fact = DONE) -> Outcome:
    """End a job, without a stored result."""
    status = Status.DONE if fact.stage is Stage.DONE else Status.ERROR
    return append(job, fact, status=status)


def stored_job(
    content: bytes = b"original bytes", *, file_name: str = "voice.wav", **columns: Any
) -> Job:
    """A queued job whose original is stored, with its first event."""
    job = Job(file_name=file_name, size_bytes=len(content), **columns)
    job.original.name = media_storage().save(media_name(job, file_name), ContentFile(content))
    job.save(force_insert=True)
    append_and_refresh(job, Fact(message="Queued"))
    return job


def with_warning(job: Job, warning: str) -> Job:
    """The job as it is once its result was found doubtful."""
    Job.objects.filter(pk=job.pk).update(warning=warning)
    job.refresh_from_db()
    return job


def append_and_refresh(job: Job, fact: Fact | None, **changes: Any) -> None:
    """Append one event, which must be written, and refresh the object."""
    assert append(job, fact, epoch=0, **changes).written
    job.refresh_from_db()


def finish(job: Job, content: bytes = b"denoised bytes", *, suffix: str = "flac") -> Job:
    """End the job well, with a stored result."""
    name = media_storage().save(media_name(job, f"result.{suffix}"), ContentFile(content))
    append_and_refresh(job, DONE, status=Status.DONE, finished_at=timezone.now(), result=name)
    return job


def fail(job: Job, message: str, *, status: Status = Status.ERROR, detail: str = "") -> Job:
    """End the job badly."""
    fact = Fact(stage=Stage.ERROR, message=message)
    append_and_refresh(job, fact, status=status, finished_at=timezone.now(), error_detail=detail)
    return job
