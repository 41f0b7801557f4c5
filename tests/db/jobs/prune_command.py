"""Runs `denoise_prune`, on jobs and files of any age."""

from __future__ import annotations

import io
import os
import time
from datetime import timedelta

from django.core.files.base import ContentFile
from django.core.management import call_command
from django.utils import timezone

from denoise_relay.models import Job, media_name, media_storage


def exists(*names: str | None) -> list[bool]:
    """For each file, whether the storage has it."""
    return [bool(name) and media_storage().exists(name or "") for name in names]


def prune(*arguments: str) -> str:
    """Run the command; return what it prints."""
    out = io.StringIO()
    call_command("denoise_prune", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def aged(job: Job, days: float) -> Job:
    """Make a job look as old as that."""
    moment = timezone.now() - timedelta(days=days)
    columns = {"created_at": moment}
    if job.ended:
        columns["finished_at"] = moment
    Job.objects.filter(pk=job.pk).update(**columns)
    job.refresh_from_db()
    return job


def orphan(days: float, name: str = "") -> str:
    """A file in the storage that no job names."""
    stored = media_storage().save(name or media_name(Job(), "x.flac"), ContentFile(b"orphan"))
    moment = time.time() - days * 86400
    os.utime(media_storage().path(stored), (moment, moment))
    return stored
