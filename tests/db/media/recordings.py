"""A recording with known bytes, and its URL."""

from __future__ import annotations

from denoise_relay.models import Job

CONTENT = bytes(range(256)) * 4
SIZE = len(CONTENT)


def audio(job: Job, kind: str = "original") -> str:
    """The URL of a job's recording."""
    return f"/jobs/{job.pk}/audio/{kind}/"
