"""Extensions of the contract: `excerpt` beside `audio`, and the whole recording after it."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from denoise_relay import engine
from denoise_relay.models import ApiKey, Job
from tests.db.api.calls import ROOT, UNKNOWN_ID, call
from tests.db.factories import stored_job
from tests.db.interviews import interview

pytestmark = pytest.mark.skipif(not engine.available(), reason="needs the local engine")


def submit(secret: str, **fields: str) -> Job:
    audio = SimpleUploadedFile("interview.wav", interview(), content_type="audio/wav")
    answer = call(ROOT, secret, method="POST", data={"audio": audio, **fields})
    assert answer.status == 200, answer.body
    return Job.objects.get(pk=UUID(answer.json()["denoiseId"]))


@pytest.mark.parametrize("yes", ["1", "true", "True"])
def test_an_excerpt_and_then_the_whole(yes: str, secret: str, key: ApiKey) -> None:
    excerpt = submit(secret, excerpt=yes)
    (record,) = call(ROOT, secret).json()
    assert record["file_name"] == "interview-excerpt.flac"
    assert (record["audio_duration"], record["audio_format"]) == (30.0, "flac")
    assert record["excerpt"]["whole"] == 70.0

    url = f"{ROOT}/{excerpt.pk}/whole"
    answers = [call(url, secret, method="POST").json() for _ in range(2)]
    assert answers[0] == answers[1]
    whole = Job.objects.get(pk=answers[0]["jobId"])
    assert (whole.file_name, whole.api_key) == ("interview.wav", key)
    assert "excerpt" not in call(ROOT, secret).json()[0]


@pytest.mark.parametrize("no", ["0", "false", ""])
def test_no_excerpt(no: str, secret: str, key: ApiKey) -> None:
    assert submit(secret, excerpt=no).file_name == "interview.wav"


def test_neither_yes_nor_no(secret: str, key: ApiKey) -> None:
    audio = SimpleUploadedFile("interview.wav", interview())
    answer = call(ROOT, secret, method="POST", data={"audio": audio, "excerpt": "maybe"})
    assert answer.status == 400
    assert answer.json()["errorCode"] == "40007"
    assert not Job.objects.exists()


def test_whole_of_what_is_no_excerpt(secret: str, key: ApiKey) -> None:
    own, others = stored_job(api_key=key), stored_job()

    refused = call(f"{ROOT}/{own.pk}/whole", secret, method="POST")
    assert (refused.status, refused.json()["errorCode"]) == (400, "40007")
    for job_id in (others.pk, UNKNOWN_ID, "nonsense"):
        assert call(f"{ROOT}/{job_id}/whole", secret, method="POST").status == 404
    assert call(f"{ROOT}/{own.pk}/whole", "wrong", method="POST").status == 401
    assert call(f"{ROOT}/{own.pk}/whole", secret).status == 405
