"""Extensions of the contract: `max_attenuation_db` and `loudness_lufs` beside `audio`."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from denoise_relay import engine
from denoise_relay.models import ApiKey, Job
from denoise_relay.testing import tone_wav
from tests.db.api.calls import ROOT, Response, call

needs_engine = pytest.mark.skipif(not engine.available(), reason="needs the local engine")


def submit(secret: str, idempotency_key: str = "", **fields: str) -> Response:
    audio = SimpleUploadedFile("talk.wav", tone_wav(0.5), content_type="audio/wav")
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    return call(ROOT, secret, method="POST", data={"audio": audio, **fields}, headers=headers)


@needs_engine
def test_options_are_taken_and_shown_in_the_history(secret: str, key: ApiKey) -> None:
    assert submit(secret, max_attenuation_db="12.5", loudness_lufs="-16").status == 200
    job = Job.objects.get()
    assert (job.max_attenuation_db, job.loudness_lufs) == (12.5, -16.0)
    (record,) = call(ROOT, secret).json()
    assert (record["max_attenuation_db"], record["loudness_lufs"]) == (12.5, -16.0)


@needs_engine
def test_a_record_without_options_is_the_contracts(secret: str, key: ApiKey) -> None:
    assert submit(secret, max_attenuation_db="100", loudness_lufs="").status == 200
    (record,) = call(ROOT, secret).json()
    assert {"max_attenuation_db", "loudness_lufs"}.isdisjoint(record)


@needs_engine
@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"max_attenuation_db": "2"}, "“2” is no strength"),
        ({"max_attenuation_db": "lots"}, "“lots” is no strength"),
        ({"loudness_lufs": "-8"}, "“-8” is no loudness"),
    ],
)
def test_wrong_values_are_refused(
    secret: str, key: ApiKey, fields: dict[str, str], says: str
) -> None:
    refused = submit(secret, **fields)
    assert (refused.status, refused.json()["errorCode"]) == (400, "40009")
    assert refused.json()["errorMessage"].startswith(says)
    assert not Job.objects.exists()


def test_options_are_refused_without_the_engine(
    secret: str, key: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "available", lambda *_: False)
    refused = submit(secret, loudness_lufs="-16")
    assert (refused.status, refused.json()["errorCode"]) == (400, "40009")
    assert "cannot be chosen here" in refused.json()["errorMessage"]


@needs_engine
def test_an_idempotency_key_is_for_one_choice(secret: str, key: ApiKey) -> None:
    first = submit(secret, "k-1", max_attenuation_db="12")
    again = submit(secret, "k-1", max_attenuation_db="12.0")
    assert again.json() == first.json()
    for other in ({}, {"max_attenuation_db": "24"}):
        refused = submit(secret, "k-1", **other)
        assert (refused.status, refused.json()["errorCode"]) == (422, "42201")
    assert Job.objects.count() == 1
