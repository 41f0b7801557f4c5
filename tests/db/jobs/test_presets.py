"""The preset of a job: chosen, defaulted, refused, kept on retry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from pytest_django import Settings

import denoise_relay
from denoise_relay.backends import presets
from denoise_relay.exceptions import UploadRejected
from denoise_relay.jobs import actions
from denoise_relay.models import Job
from denoise_relay.testing import tone_wav
from tests.db.factories import finish, stored_job
from tests.db.presets import TWO_PRESETS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _two_presets(settings: Settings, media: Path) -> None:
    settings.DENOISE_RELAY = TWO_PRESETS


def recording() -> ContentFile[bytes]:
    return ContentFile(tone_wav(0.5), "talk.wav")


@pytest.mark.parametrize(
    ("relay", "asked", "stored"),
    [
        ({}, "swift", "swift"),
        ({}, "", "fine"),
        ({"PRESET": "swift"}, "", "swift"),
        ({"PRESET": "swift"}, "fine", "fine"),
        # Reported by the system checks.
        ({"PRESET": "gone"}, "", "fine"),
        # Nothing to choose.
        ({"BACKEND": "upstream"}, "", ""),
    ],
)
def test_a_job_has_the_preset_that_was_chosen_or_the_default(
    settings: Settings, relay: dict[str, Any], asked: str, stored: str
) -> None:
    settings.DENOISE_RELAY = TWO_PRESETS | relay

    denoise_relay.submit(recording(), preset=asked)

    assert Job.objects.get().preset == stored


@pytest.mark.parametrize(
    ("backend", "says"),
    [
        (TWO_PRESETS["BACKEND"], "There is no preset “fa\ufffdst”. There are: fine, swift."),
        ("upstream", "There is no preset “fa\ufffdst”. There is nothing to choose here."),
    ],
)
def test_an_unknown_preset_is_refused_before_the_file_is_stored(
    settings: Settings, media: Path, backend: str, says: str
) -> None:
    settings.DENOISE_RELAY = TWO_PRESETS | {"BACKEND": backend}

    with pytest.raises(UploadRejected) as refused:
        denoise_relay.submit(recording(), preset="fa\ufffdst")

    assert (refused.value.code, str(refused.value)) == ("unknown_preset", says)
    assert not Job.objects.exists()
    assert [path for path in media.rglob("*") if path.is_file()] == []


def test_a_retry_keeps_the_preset_or_takes_another() -> None:
    job = finish(stored_job(preset="swift"))

    assert actions.retry(job).preset == "swift"
    assert actions.retry(job, "fine").preset == "fine"
    with pytest.raises(UploadRejected):
        actions.retry(job, "gone")
    assert Job.objects.count() == 3


def test_a_retry_of_a_preset_that_is_gone_takes_the_default() -> None:
    assert actions.retry(finish(stored_job(preset="gone"))).preset == "fine"


def test_what_a_job_can_be_tried_again_with(settings: Settings) -> None:
    assert [preset.name for preset in presets.others("swift")] == ["fine"]
    assert [preset.name for preset in presets.others("")] == ["swift"]
    assert [preset.name for preset in presets.others("gone")] == ["fine", "swift"]
    settings.DENOISE_RELAY = {"BACKEND": "upstream"}
    assert presets.others("swift") == []
