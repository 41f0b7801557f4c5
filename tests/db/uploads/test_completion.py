"""A complete upload becomes a job, once, whatever happens in between."""

from __future__ import annotations

import errno
import os
from types import ModuleType
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from denoise_relay import access, engine
from denoise_relay.jobs import actions
from denoise_relay.models import Job, media_storage
from denoise_relay.uploads import spool
from tests.db.jobs.test_validation import fail_probes
from tests.db.uploads import tus_requests as tus
from tests.db.uploads.tus_requests import HALF, TUS, WAV

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]


def check_stored(job: Job) -> None:
    """The job has the file, and the spool nothing."""
    with job.original.open() as stored:
        assert stored.read() == WAV
    assert tus.spool_files() == []


def test_a_file_in_two_parts_becomes_a_job(client: Client, small_parts: None) -> None:
    url = tus.create_upload(client, name="Meine Aufnahme, süß.wav")
    assert tus.patch(client, url, 0, WAV[:HALF])["Upload-Offset"] == str(HALF)
    assert tus.offset_of(client, url) == HALF
    assert tus.patch(client, url, HALF, WAV[HALF:]).status_code == 204
    answer = tus.complete(client, url)
    job = Job.objects.get()
    assert (answer.status_code, answer.json()["url"]) == (201, f"/jobs/{job.pk}/")
    check_stored(job)
    assert (job.file_name, job.size_bytes) == ("Meine Aufnahme, süß.wav", len(WAV))
    assert client.get(f"/jobs/{job.pk}/").status_code == 200


def test_a_malicious_name_is_cleaned(client: Client) -> None:
    url = tus.upload_all(client, name="../../etc/\x00passwd\n.wav")
    tus.complete(client, url)
    assert Job.objects.get().file_name == "passwd.wav"


def test_an_upload_belongs_to_its_visitor(client: Client, django_user_model: Any) -> None:
    url = tus.upload_all(client)
    other, stranger = Client(), Client()
    tus.create_upload(other)
    user = Client()
    user.force_login(django_user_model.objects.create_user("ada", password="x"))
    for somebody in (other, stranger, user):
        assert somebody.head(url, headers=TUS).status_code == 404
        assert tus.patch(somebody, url, 0, b"x").status_code == 404
        assert somebody.delete(url, headers=TUS).status_code == 404
        assert tus.complete(somebody, url).status_code == 404
    assert not Job.objects.exists()
    assert tus.complete(client, url).status_code == 201


def test_a_users_upload_becomes_the_users_job(client: Client, django_user_model: Any) -> None:
    user = django_user_model.objects.create_user("ada", password="x")
    client.force_login(user)
    tus.complete(client, tus.upload_all(client))
    job = Job.objects.get()
    assert (job.owner, job.visitor) == (user, "")


@pytest.mark.parametrize(
    "upload", ["", "x", "../../secret", "0" * 16 + "-" + "0" * 32, "%2e%2e%2f", "a" * 5000]
)
def test_invalid_ids_are_unknown(client: Client, upload: str) -> None:
    tus.create_upload(client)
    if upload:
        assert client.head(f"/uploads/{upload}/", headers=TUS).status_code == 404
        answer = client.post("/", {"upload": upload}, headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "unknown_upload")
    assert not Job.objects.exists()


def test_one_request_at_a_time(client: Client) -> None:
    url = tus.create_upload(client)
    found = spool.find(access.upload_owner(tus.viewer_of(client)), tus.upload_id(url))
    assert found
    with spool.complete_file(found):
        answer = tus.patch(client, url, 0, b"x")
        assert (answer.status_code, answer["Retry-After"]) == (423, "1")
    assert tus.offset_of(client, url) == 0
    assert tus.patch(client, url, 0, WAV).status_code == 204
    with spool.complete_file(found):
        answer = tus.complete(client, url)
        assert (answer.status_code, answer["Retry-After"]) == (423, "1")
    assert tus.complete(client, url).status_code == 201


def test_a_file_with_parts_missing_is_no_job(client: Client) -> None:
    url = tus.create_upload(client)
    tus.patch(client, url, 0, WAV[:HALF])
    answer = tus.complete(client, url)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "incomplete")
    assert tus.offset_of(client, url) == HALF


def test_asking_again_finds_the_same_job(client: Client) -> None:
    url = tus.upload_all(client)
    first, second = tus.complete(client, url), tus.complete(client, url)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["job"] == second.json()["job"]
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    ("module", "function", "jobs"),
    # Called before the job is committed, with the file stored; called after that.
    [(actions, "enqueue", 0), (spool, "discard", 1)],
)
def test_a_crash_leaves_an_upload_that_becomes_one_job(
    client: Client, monkeypatch: pytest.MonkeyPatch, module: ModuleType, function: str, jobs: int
) -> None:
    url = tus.upload_all(client)

    def crash(*_args: Any, **_more: Any) -> None:
        raise SystemError("killed here")

    with monkeypatch.context() as patched:
        patched.setattr(module, function, crash)
        with pytest.raises(SystemError):
            tus.complete(client, url)
    assert Job.objects.count() == jobs
    assert tus.complete(client, url).status_code == 201
    check_stored(Job.objects.get())


def test_a_disk_without_hard_links(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert tus.complete(client, tus.upload_all(client)).status_code == 201
    check_stored(Job.objects.get())


def test_a_rejected_file_is_deleted(client: Client) -> None:
    url = tus.create_upload(client, length=5, name="notes.txt")
    tus.patch(client, url, 0, b"hello")
    answer = tus.complete(client, url)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "unsupported")
    assert answer.json()["errors"][0]["message"]
    assert tus.spool_files() == []
    assert tus.complete(client, url).status_code == 404


def test_a_server_too_busy_to_check_keeps_the_file(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = tus.upload_all(client)
    with monkeypatch.context() as busy:
        fail_probes(busy, engine.MediaRejected("too_slow"))
        answer = tus.complete(client, url)
        assert (answer.status_code, answer["Retry-After"]) == (503, "10")
        assert answer.json()["errors"][0]["code"] == "too_slow"
    assert tus.offset_of(client, url) == len(WAV)
    assert tus.complete(client, url).status_code == 201
    check_stored(Job.objects.get())


def test_somebody_elses_job_does_not_answer_for_an_upload(client: Client) -> None:
    url = tus.upload_all(client)
    Job(id=spool.job_id(tus.upload_id(url)), file_name="x.wav", visitor="other").save()
    assert tus.complete(client, url).status_code == 423
    assert Job.objects.count() == 1


def test_a_remote_storage_gets_a_copy(client: Client, settings: Settings) -> None:
    memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = {**settings.STORAGES, "denoise_relay": memory}
    tus.complete(client, tus.upload_all(client))
    # Not `original.open()`: the field keeps the storage that Django had at its start.
    with media_storage().open(Job.objects.get().original.name) as stored:
        assert stored.read() == WAV
    assert tus.spool_files() == []
