"""Waveforms come with the upload, and go with the recordings from job to job."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from django.core.files import File
from pytest_django import Settings

from denoise_relay import engine
from denoise_relay.jobs import actions, fetching, waveforms
from denoise_relay.media.waveforms import unpacked
from denoise_relay.models import Job
from denoise_relay.testing import tone_wav
from denoise_relay.waveform import Peaks
from tests.db.factories import fail
from tests.db.interviews import interview

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("media"),
    pytest.mark.skipif(not engine.available(), reason="needs the local engine"),
]


@pytest.fixture(autouse=True)
def _analysed(settings: Settings) -> None:
    settings.DENOISE_RELAY = {**settings.DENOISE_RELAY, "ANALYSE_RESULTS": True}


def rows(job: Job) -> dict[str, Peaks]:
    return {row.side: unpacked(row) for row in job.waveforms.all()}


def test_an_upload_brings_its_waveform() -> None:
    job = actions.submit(File(BytesIO(tone_wav(2.0)), name="tone.wav"))

    peaks = rows(job)["original"]
    seconds = peaks.length * peaks.samples_per_pixel / peaks.sample_rate
    assert 2.0 <= seconds < 2.01
    assert max(peaks.data) > 0


def test_an_excerpt_has_its_part_and_the_whole_gets_it_all_back() -> None:
    job = actions.submit(File(BytesIO(interview()), name="interview.wav"), excerpt=True)
    drawn = rows(job)
    assert drawn.keys() == {"original", "whole"}
    start = job.excerpt_start_seconds
    assert start is not None
    assert drawn["original"] == drawn["whole"].between(start, 30.0)

    whole = actions.denoise_whole(job)
    assert rows(whole) == {"original": drawn["whole"]}
    again = actions.retry(fail(job, "No."))
    assert rows(again) == drawn


def test_a_job_that_is_fetched_again_has_it() -> None:
    job = actions.submit(File(BytesIO(tone_wav(1.0)), name="tone.wav"))
    Job.objects.filter(pk=job.pk).update(fetchable=True, upstream_id="u")
    failed = fail(job, "No.")

    assert rows(fetching.fetch_again(failed)) == rows(job)


def test_it_can_be_turned_off(settings: Settings) -> None:
    settings.DENOISE_RELAY = {**settings.DENOISE_RELAY, "ANALYSE_RESULTS": False}

    assert rows(actions.submit(File(BytesIO(tone_wav(1.0)), name="tone.wav"))) == {}


def test_what_a_child_writes_is_no_link_and_not_endless(tmp_path: Path) -> None:
    secret, link, large = tmp_path / "secret", tmp_path / "link", tmp_path / "large"
    secret.write_bytes(b"secret")
    link.symlink_to(secret)
    with large.open("wb") as file:
        file.truncate(10**7)

    assert waveforms.read_peaks(secret) == b"secret"
    for path in (link, large, tmp_path / "missing"):
        with pytest.raises(OSError, match="is not what it should be"):
            waveforms.read_peaks(path)
