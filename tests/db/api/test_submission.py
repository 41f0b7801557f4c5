"""POST /denoise: a file becomes a job, or is rejected with the contract's codes and texts."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import AsyncClient
from pytest_django import Settings

from denoise_relay import access, engine
from denoise_relay.jobs import validation
from denoise_relay.lifecycle import Status
from denoise_relay.models import ApiKey, Job
from tests.db.api.calls import ROOT, call
from tests.db.jobs.test_validation import fail_probes
from tests.db.presets import TWO_PRESETS

needs_engine = pytest.mark.skipif(not engine.available(), reason="the engine is not installed")


def wav(name: str = "voice.wav") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, b"RIFF" + bytes(100), content_type="audio/wav")


@needs_engine
def test_submission_is_answered_with_its_id_twice(secret: str, key: ApiKey) -> None:
    answer = call(ROOT, secret, method="POST", data={"audio": validation.sample()})

    assert answer.status == 200
    assert answer["Content-Type"] == "application/json"
    body = answer.json()
    assert body == {"jobId": body["denoiseId"], "denoiseId": body["denoiseId"]}
    job = Job.objects.get(pk=UUID(body["denoiseId"]))
    assert (job.status, job.api_key, job.owner) == (Status.QUEUED, key, None)
    assert job.original.size == validation.sample().size


@needs_engine
@pytest.mark.django_db
def test_job_of_a_users_key_is_the_users() -> None:
    user = User.objects.create_user("u")
    secret = access.create_api_key("client", user)

    call(ROOT, secret, method="POST", data={"audio": validation.sample()})

    assert Job.objects.get().owner == user


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"data": {"audio": "text, not a file"}},
        {"data": {"file": "x"}},
        {"data": '{"audio": 1}', "content_type": "application/json"},
        {"data": b"no boundary in it", "content_type": "multipart/form-data; boundary=x"},
        {"data": b"x", "content_type": "multipart/form-data"},
    ],
)
def test_audio_must_be_a_file(secret: str, form: dict[str, Any]) -> None:
    answer = call(ROOT, secret, method="POST", **form)

    assert answer.status == 400
    assert answer.json() == {
        "errorCode": "40001",
        "errorMessage": "audio is required and must be a file",
    }


def test_error_of_a_large_file_has_both_sizes(secret: str, settings: Settings) -> None:
    settings.DENOISE_RELAY = {**settings.DENOISE_RELAY, "MAX_UPLOAD_BYTES": 2 * 1024 * 1024}
    file = SimpleUploadedFile("a.wav", bytes(2 * 1024 * 1024 + 1))

    answer = call(ROOT, secret, method="POST", data={"audio": file})

    assert answer.status == 400
    assert answer.json() == {
        "errorCode": "40002",
        "errorMessage": "File size exceeds the maximum limit of 2MB. File size: 2.01MB",
    }


@needs_engine
def test_error_of_a_long_recording_has_both_durations(secret: str, settings: Settings) -> None:
    settings.DENOISE_RELAY = {**settings.DENOISE_RELAY, "MAX_DURATION_SECONDS": 3}

    answer = call(ROOT, secret, method="POST", data={"audio": validation.sample()})

    assert answer.status == 400
    assert answer.json()["errorCode"] == "40003"
    assert re.fullmatch(
        r"Duration exceeds the maximum limit of 0\.05 minutes\. Duration: 0\.\d minutes",
        answer.json()["errorMessage"],
    )


@needs_engine
@pytest.mark.parametrize("name", ["notes.txt", "broken.wav"])
def test_unusable_file_is_a_400_with_a_reason(secret: str, name: str) -> None:
    answer = call(ROOT, secret, method="POST", data={"audio": wav(name)})

    assert answer.status == 400
    assert answer.json()["errorCode"] == "40005"
    assert answer.json()["errorMessage"]
    assert not Job.objects.exists()


@needs_engine
def test_a_server_too_busy_to_check_says_when_to_come_back(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_probes(monkeypatch, engine.MediaRejected("too_slow"))
    answer = call(ROOT, secret, method="POST", data={"audio": wav()})
    assert (answer.status, answer["Retry-After"]) == (503, "10")
    assert answer.json()["errorCode"] == "50302"


def test_no_csrf_token_is_needed(secret: str) -> None:
    client = AsyncClient(enforce_csrf_checks=True)

    answer = call(ROOT, secret, client=client, method="POST", data={"audio": validation.sample()})

    assert answer.status == 200


def test_error_texts_are_english_in_any_language(secret: str) -> None:
    answer = call(ROOT, secret, method="POST", headers={"accept-language": "ar"})

    assert answer.json()["errorMessage"] == "audio is required and must be a file"


@needs_engine
def test_a_preset_is_a_field_of_the_form(secret: str, settings: Settings) -> None:
    settings.DENOISE_RELAY = TWO_PRESETS
    form = {"audio": validation.sample(), "preset": "swift"}

    assert call(ROOT, secret, method="POST", data=form).status == 200
    assert Job.objects.get().preset == "swift"


def test_an_unknown_preset_is_a_400_in_english(secret: str, settings: Settings) -> None:
    settings.DENOISE_RELAY = TWO_PRESETS
    form = {"audio": wav(), "preset": "gone"}

    answer = call(ROOT, secret, method="POST", data=form, headers={"accept-language": "ar"})

    assert answer.status == 400
    assert answer.json() == {
        "errorCode": "40006",
        "errorMessage": "There is no preset “gone”. There are: fine, swift.",
    }
    assert not Job.objects.exists()
