"""The preset of a job reaches its backend, whose name is noted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from denoise_relay.conf import RelaySettings
from denoise_relay.models import Job
from denoise_relay.worker.supervisor import Supervisor
from tests.db.scripted_backends import PresetBackend, QuickBackend
from tests.db.worker.working import ended, new_job

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("media")]


async def run(backend: type[Any], preset: str, **settings: Any) -> Job:
    """A job with this preset, after its end."""
    relay = RelaySettings(**settings)
    job = await new_job(preset=preset)
    supervisor = Supervisor(backend(relay), relay)
    await supervisor.start()
    try:
        (found,) = await ended(job)
    finally:
        await supervisor.stop()
    return found


@pytest.mark.parametrize(
    ("asked", "relay", "given"),
    [
        ("swift", {}, b"swift"),
        # Submitted where there was nothing to choose.
        ("", {}, b"fine"),
        ("", {"PRESET": "swift"}, b"swift"),
    ],
)
async def test_the_backend_gets_the_preset(asked: str, relay: dict[str, Any], given: bytes) -> None:
    job = await run(PresetBackend, asked, **relay)

    assert (job.status, job.backend, job.preset) == ("done", "with-presets", asked)
    assert Path(job.result.path).read_bytes() == given


async def test_a_preset_that_is_gone_fails_in_words() -> None:
    job = await run(PresetBackend, "gone")

    assert (job.status, job.backend) == ("error", "with-presets")
    assert job.message == ("The quality “gone” is no longer available. Try again with another one.")
    assert job.error_detail == "preset 'gone' is not one of fine, swift"


async def test_a_backend_without_presets_does_the_job_in_its_own_way() -> None:
    job = await run(QuickBackend, "swift")

    assert (job.status, job.backend) == ("done", "quick")
