"""What a runner prepares for its backend: a folder, and in it the recording."""

from __future__ import annotations

import asyncio
from pathlib import Path

from denoise_relay.backends.base import Assignment
from denoise_relay.media import storage
from denoise_relay.media.workspaces import (
    ABANDONED_SECONDS,
    FOLDER,
    PREFIX,
    delete_abandoned,
    new_folder,
)
from denoise_relay.models import Job

__all__ = [
    "ABANDONED_SECONDS",
    "FOLDER",
    "PREFIX",
    "assignment",
    "delete_abandoned",
    "new_folder",
]


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
