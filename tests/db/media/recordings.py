"""A recording with known bytes, and its URL."""

from __future__ import annotations

from typing import Any

from django.test import AsyncClient

from denoise_relay import presentation
from denoise_relay.models import Job
from tests.db.requests import fetch

CONTENT = bytes(range(256)) * 4
SIZE = len(CONTENT)


def audio(job: Job, kind: str = "original") -> str:
    """The URL of a job's recording."""
    return f"/jobs/{job.pk}/audio/{kind}/"


def waveform(job: Job, client: AsyncClient, side: str, query: str = "") -> Any:
    """The JSON of a waveform."""
    links = presentation.links_of(job)
    url = links.waveform_original if side == "original" else links.waveform_denoised
    answer = fetch(f"{url}{query}", client=client)
    assert answer.status == 200
    return answer.json()
