"""The extension by which one relay shows what another one cleans."""

from __future__ import annotations

import pytest

from denoise_relay import access, engine
from denoise_relay.backends.upstream.previews import decode, segment_of
from denoise_relay.models import ApiKey, Job
from tests.db.analyses import PIXEL, RATE, SEGMENT_PIXELS, add_segment, add_waveform, peaks
from tests.db.api.calls import ROOT, call
from tests.db.factories import stored_job

ASKING = {"Denoise-Relay-Extensions": "idempotency-key, preview"}


@pytest.fixture
def job(key: ApiKey) -> Job:
    found = stored_job(api_key=key)
    add_waveform(found, "original")
    return found


def test_segments_arrive_as_the_upstream_has_them(job: Job, secret: str) -> None:
    add_segment(job, 0, audio=b"fLaC 0")
    add_segment(job, 1, peaks((-128, 127)) * 3, audio=b"fLaC 1")
    path = f"{ROOT}/{job.pk}/waveform/denoised?from={SEGMENT_PIXELS}"

    found = decode(call(path, secret, headers=ASKING).body)
    audio = call(f"{ROOT}/{job.pk}/preview/1", secret, headers=ASKING).body

    assert segment_of(found, 1, audio) == engine.Segment(
        number=1,
        duration_seconds=3 * PIXEL / RATE,
        sample_rate=RATE,
        samples_per_pixel=PIXEL,
        peaks=b"\x80\x7f" * 3,
        audio=b"fLaC 1",
    )


def test_who_does_not_ask_for_it_finds_nothing(job: Job, secret: str) -> None:
    add_segment(job, 0)
    other = access.create_api_key("other")

    for path in ("waveform/denoised", "waveform/original", "preview/0"):
        url = f"{ROOT}/{job.pk}/{path}"
        unknown = call(f"{ROOT}/{job.pk}/unknown-{path}", secret)
        assert call(url, secret, headers=ASKING).status == 200
        assert call(url, secret).status == unknown.status == 404
        assert call(url, other, headers=ASKING).status == 404
        assert call(url, "", headers=ASKING).status == 401
    assert call(f"{ROOT}/{job.pk}/waveform/both", secret, headers=ASKING).status == 404
    assert call(f"{ROOT}/{job.pk}/preview/1", secret, headers=ASKING).status == 404
