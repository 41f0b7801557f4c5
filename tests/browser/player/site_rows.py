"""Rows of a site, made by its own `manage.py shell`: done jobs whose comparison is given."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.files import File
from django.core.files.base import ContentFile
from django.db import transaction
from django.test import Client

from denoise_relay.models import DerivedFile, Job, Waveform
from tests.db.factories import finish, stored_job
from tests.live.recordings import tone_in_noise

#: A picture of one pixel.
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
#: Of waveforms: pixels per second, and samples of each.
PIXELS, SAMPLES = 100, 480


def create_user() -> None:
    """Create a superuser, who may see every job; print the key of their session."""
    user, _ = User.objects.get_or_create(username="listener", is_superuser=True, is_staff=True)
    client = Client()
    client.force_login(user)
    print(client.session.session_key)  # noqa: T201


def create_job(comparison: str, seconds: int, statistics: dict[str, Any] | None) -> None:
    """Create a job that is done, and print its id. `comparison` is the path of a file, or ""."""
    content = tone_in_noise(4)
    # At once: the site's worker would run a job that it sees waiting.
    with transaction.atomic():
        job = stored_job(content, file_name="click track.wav", duration_seconds=float(seconds))
        finish(job, content, suffix="wav")
    for height, side in ((90, "original"), (60, "denoised")):
        _draw(job, side, height, seconds)
    if comparison:
        derived = DerivedFile(job=job, kind="comparison")
        with Path(comparison).open("rb") as file:
            derived.file.save("comparison.flac", File(file))
    if statistics is not None:
        job.statistics = statistics
        job.save(update_fields=["statistics"])
    print(job.pk)  # noqa: T201


def _draw(job: Job, side: str, height: int, seconds: int) -> None:
    """Add a waveform of bursts, and a picture for a spectrogram."""
    second = [-height, height] * (PIXELS // 2) + [-9, 9] * (PIXELS // 2)
    Waveform.objects.create(
        job=job,
        side=side,
        sample_rate=PIXELS * SAMPLES,
        samples_per_pixel=SAMPLES,
        peaks=zlib.compress(bytes(it & 0xFF for it in second) * seconds),
    )
    picture = DerivedFile(job=job, kind=f"spectrogram-{side}")
    picture.file.save("picture.png", ContentFile(PICTURE))
