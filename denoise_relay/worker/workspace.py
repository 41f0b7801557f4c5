"""What a runner prepares for its backend: a folder, and in it the recording."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from denoise_relay.backends.base import Assignment
from denoise_relay.media import storage
from denoise_relay.models import Job


def new_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for one run, deleted with all that the backend leaves in it."""
    # An error about files that the backend left must not hide the backend's own error.
    return tempfile.TemporaryDirectory(prefix="denoise-", ignore_cleanup_errors=True)


async def assignment(job: Job, folder: Path, preset: str) -> Assignment:
    """The facts of the job, with its recording as a local file."""
    # Not in the database's threads: files may be large and the storage remote.
    source = await asyncio.to_thread(storage.local_copy, job, folder)
    return Assignment(
        job=job.pk,
        extension=job.extension,
        size_bytes=job.size_bytes,
        source=source,
        workspace=folder,
        attempt=job.attempt,
        submitted_at=job.submitted_at,
        upstream_id=job.upstream_id,
        preset=preset,
    )
