"""POST /denoise with an `Idempotency-Key`, and cancel: extensions for other relays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections

from denoise_relay import access, engine
from denoise_relay.models import ApiKey, Job
from tests.db.api.calls import ROOT, Response, call
from tests.db.factories import fail, stored_job

HEADER = "Denoise-Relay-Extensions"


@pytest.fixture(autouse=True)
def _no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "available", lambda *_: False)


def submit(secret: str, key: str, *, name: str = "a-1.wav", size: int = 100) -> Response:
    file = SimpleUploadedFile(name, b"RIFF" + bytes(size), content_type="audio/wav")
    headers = {"Idempotency-Key": key} if key else {}
    return call(ROOT, secret, method="POST", data={"audio": file}, headers=headers)


def test_the_same_key_is_the_same_job(secret: str, key: ApiKey) -> None:
    first = submit(secret, "k")
    again = submit(secret, "k", name="a-2.wav")
    assert (first.status, again.status) == (200, 200)
    assert first.json() == again.json()
    assert Job.objects.get().file_name == "a-1.wav"

    fail(Job.objects.get(), "No.")
    assert submit(secret, "k").json() == first.json(), "an outcome does not change it"


def test_another_key_or_none_is_another_job(secret: str, key: ApiKey) -> None:
    for each in ("k", "l", "", ""):
        submit(secret, each)
    other = access.create_api_key("other")
    assert submit(other, "k").status == 200
    assert Job.objects.count() == 5


def test_a_key_that_was_used_for_another_file(secret: str, key: ApiKey) -> None:
    submit(secret, "k")
    answer = submit(secret, "k", size=101)
    assert (answer.status, answer.json()["errorCode"]) == (422, "42201")


def test_a_key_that_is_too_long(secret: str, key: ApiKey) -> None:
    answer = submit(secret, "k" * 256)
    assert (answer.status, answer.json()["errorCode"]) == (400, "40008")
    assert not Job.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("media")
def test_many_at_once_make_one_job() -> None:
    secret = access.create_api_key("client")

    def post(_number: int) -> Response:
        try:
            return submit(secret, "k")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as clients:
        found = {str(answer.json()) for answer in clients.map(post, range(4))}
    assert len(found) == 1
    assert Job.objects.count() == 1


def test_every_answer_says_what_is_understood(secret: str, key: ApiKey) -> None:
    answers = [call(ROOT, secret), call(f"{ROOT}/{Job().pk}/progress", secret), submit(secret, "")]
    assert [answer.status for answer in answers] == [200, 404, 200]
    assert {answer[HEADER] for answer in answers} == {"idempotency-key, cancel, preview"}


def test_a_cancel(secret: str, key: ApiKey) -> None:
    job = stored_job(api_key=key)
    for _ in range(2):
        answer = call(f"{ROOT}/{job.pk}/cancel", secret, method="POST")
        assert (answer.status, answer.json()["denoiseId"]) == (200, str(job.pk))
    job.refresh_from_db()
    assert job.status == "canceled"
    others = stored_job()
    assert call(f"{ROOT}/{others.pk}/cancel", secret, method="POST").status == 404
