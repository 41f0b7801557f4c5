"""The extension `preview`: another relay asks for what our pages show of a job that runs."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from denoise_relay.models import ApiKey, Job
from tests.db.analyses import SEGMENT_PIXELS, add_segment, add_waveform, analyse
from tests.db.api.calls import ROOT, UNKNOWN_ID, call
from tests.db.factories import stored_job
from tests.db.requests import Response

HEADER = "Denoise-Relay-Extensions"


@pytest.fixture
def running(key: ApiKey) -> Job:
    """A job of the key whose original has a waveform."""
    job = stored_job(api_key=key)
    add_waveform(job, "original")
    return job


def asked(path: str, secret: str, extensions: str = "preview", **kwargs: Any) -> Response:
    """What a relay gets."""
    return call(path, secret, headers={HEADER: extensions}, **kwargs)


def test_another_relay_hears_and_sees_what_grows(running: Job, secret: str) -> None:
    url = f"{ROOT}/{running.pk}"
    assert asked(f"{url}/waveform/original", secret).json()["complete"]
    assert asked(f"{url}/waveform/denoised", secret).json()["segments"] == 0
    add_segment(running, 0, audio=b"fLaC first")
    add_segment(running, 1, audio=b"fLaC second")

    shape = asked(f"{url}/waveform/denoised?from={SEGMENT_PIXELS}", secret, "cancel, preview")
    sound = asked(f"{url}/preview/1", secret)

    assert (shape.json()["first"], shape.json()["segments"]) == (SEGMENT_PIXELS, 2)
    assert shape.json()["data"] == [-1, 1] * SEGMENT_PIXELS
    assert (sound.body, sound["Content-Type"]) == (b"fLaC second", "audio/flac")
    assert "preview" in sound[HEADER]


def test_strangers_are_told_that_there_is_nothing(running: Job, secret: str) -> None:
    """The contract has no such URLs, for clients that know only the contract."""
    add_segment(running, 0)

    for path in ("waveform/original", "waveform/denoised", "preview/0"):
        for extensions in ("", "idempotency-key", "no-preview"):
            answer = asked(f"{ROOT}/{running.pk}/{path}", secret, extensions)
            assert (answer.status, answer.json()["errorCode"]) == (404, "40401")
        assert asked(f"{ROOT}/{running.pk}/{path}", secret).status == 200


def test_what_is_missing_or_not_theirs_is_the_same_error(
    running: Job, secret: str, key: ApiKey
) -> None:
    add_segment(running, 0)
    others = analyse(stored_job())
    add_segment(others, 0)

    for path in (
        f"{running.pk}/waveform/both",
        f"{running.pk}/preview/1",
        f"{running.pk}/preview/x",
        f"{others.pk}/waveform/original",
        f"{others.pk}/waveform/denoised",
        f"{others.pk}/preview/0",
        f"{UNKNOWN_ID}/preview/0",
        "no-id/preview/0",
    ):
        answer = asked(f"{ROOT}/{path}", secret)
        assert answer.status == 404, path
        assert answer.json() == {"errorCode": "40401", "errorMessage": "No such record"}, path


def test_the_key_is_needed_and_nothing_is_changed(running: Job, secret: str) -> None:
    url = f"{ROOT}/{running.pk}/waveform/original"
    assert asked(url, "wrong").json()["errorCode"] == "40101"
    assert asked(url, secret, method="POST").json()["errorCode"] == "40501"
    assert asked(url, secret, method="HEAD").status == 200


def test_a_site_without_previews_says_so(running: Job, secret: str, settings: Settings) -> None:
    settings.DENOISE_RELAY = {**settings.DENOISE_RELAY, "PREVIEW": False}

    answer = asked(f"{ROOT}/{running.pk}/waveform/original", secret)

    assert (answer.status, answer[HEADER]) == (404, "idempotency-key, cancel")
