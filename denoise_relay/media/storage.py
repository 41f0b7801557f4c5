"""Writes recordings to Django's storage and reads them for backends. Blocking code."""

from __future__ import annotations

import shutil
from pathlib import Path

from django.core.files import File

from denoise_relay.models import Job, media_name, media_storage


def local_copy(job: Job, workspace: Path) -> Path:
    """A local path of the original: the storage's own, or a copy in `workspace` if it has none."""
    try:
        return Path(job.original.path)
    except NotImplementedError:
        target = workspace / f"original.{job.extension or 'bin'}"
        with job.original.open("rb") as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1024 * 1024)
        return target


def store_result(job: Job, file: Path) -> str:
    """Store a backend's result; return its name in the storage, which nobody can guess."""
    with file.open("rb") as content:
        return media_storage().save(media_name(job, file.name), File(content))


def discard(name: str) -> None:
    """Delete a stored file that no row names. "" and a missing file are ignored."""
    if name:
        media_storage().delete(name)
