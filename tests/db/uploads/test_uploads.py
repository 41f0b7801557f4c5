"""Uploads in parts: the protocol, whose they are, and what becomes of them."""

from __future__ import annotations

import base64
import errno
import fcntl
import os
import time
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.http import HttpResponse
from django.test import Client, override_settings
from pytest_django import Settings

from denoise_relay import access
from denoise_relay.access import SESSION_KEY, Viewer
from denoise_relay.jobs import actions
from denoise_relay.models import Job, media_storage
from denoise_relay.testing import silent_wav
from denoise_relay.uploads import spool

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]

TUS = {"Tus-Resumable": "1.0.0"}
WAV = silent_wav(0.5)
HALF = len(WAV) // 2


@pytest.fixture
def small_parts(settings: Settings) -> None:
    settings.DENOISE_RELAY = {**settings.DENOISE_RELAY, "UPLOAD_PART_BYTES": HALF + 1}


def named(name: str) -> str:
    return f"filename {base64.b64encode(name.encode()).decode()}"


def announce(client: Client, length: int | str = len(WAV), name: str = "talk.wav") -> HttpResponse:
    headers = {**TUS, "Upload-Length": str(length), "Upload-Metadata": named(name)}
    return client.post("/uploads/", headers=headers)  # type: ignore[return-value]


def begin(client: Client, **about: Any) -> str:
    answer = announce(client, **about)
    assert answer.status_code == 201, answer.content
    return answer["Location"]


def patch(client: Client, url: str, offset: int | str, part: bytes, **headers: str) -> HttpResponse:
    sent = {**TUS, "Upload-Offset": str(offset)} | {
        k.replace("_", "-"): v for k, v in headers.items()
    }
    kind = "application/offset+octet-stream"
    return client.patch(url, part, content_type=kind, headers=sent)  # type: ignore[return-value]


def offset(client: Client, url: str) -> int:
    return int(client.head(url, headers=TUS)["Upload-Offset"])


def finish(client: Client, url: str) -> HttpResponse:
    data = {"upload": upload_id(url)}
    return client.post("/", data, headers={"Accept": "application/json"})  # type: ignore[return-value]


def upload_id(url: str) -> str:
    return url.rstrip("/").rpartition("/")[2]


def sent(client: Client, **about: Any) -> str:
    """A whole upload, not finished yet."""
    url = begin(client, **about)
    assert patch(client, url, 0, WAV).status_code == 204
    return url


def spooled() -> list[str]:
    return sorted(path.name for path in spool.folder().iterdir())


def test_a_file_in_two_parts_becomes_a_job(client: Client, small_parts: None) -> None:
    url = begin(client, name="Meine Aufnahme, süß.wav")
    assert patch(client, url, 0, WAV[:HALF])["Upload-Offset"] == str(HALF)
    assert offset(client, url) == HALF
    assert patch(client, url, HALF, WAV[HALF:]).status_code == 204
    answer = finish(client, url)
    job = Job.objects.get()
    assert (answer.status_code, answer.json()["url"]) == (201, f"/jobs/{job.pk}/")
    with job.original.open() as stored:
        assert stored.read() == WAV
    assert (job.file_name, job.size_bytes) == ("Meine Aufnahme, süß.wav", len(WAV))
    assert client.get(f"/jobs/{job.pk}/").status_code == 200
    assert spooled() == []


def test_every_answer_says_what_we_speak(client: Client) -> None:
    url = begin(client)
    for answer in (
        client.options("/uploads/"),
        client.options(url),
        client.head(url, headers=TUS),
        client.head("/uploads/nothing/", headers=TUS),
        client.get(url, headers=TUS),
        patch(client, url, 7, b"x"),
    ):
        assert answer["Tus-Resumable"] == "1.0.0"
        assert answer["Cache-Control"] == "no-store"


def test_options_tell_what_we_can(client: Client) -> None:
    answer = client.options("/uploads/")
    assert answer.status_code == 204
    assert answer["Tus-Version"] == "1.0.0"
    assert set(answer["Tus-Extension"].split(",")) == {"creation", "termination", "expiration"}
    assert answer["Tus-Max-Size"] == str(200 * 1024 * 1024)


@pytest.mark.parametrize("version", [None, "0.2.2", "1.0.1"])
def test_other_versions_are_refused_before_anything_else(
    client: Client, version: str | None
) -> None:
    url = begin(client)
    headers = {"Tus-Resumable": version} if version else {}
    for method in ("head", "patch", "delete"):
        answer = getattr(client, method)(url, headers=headers)
        assert (answer.status_code, answer["Tus-Version"]) == (412, "1.0.0")
    assert client.post("/uploads/", headers=headers).status_code == 412
    assert offset(client, url) == 0


def test_head_repeats_what_was_announced(client: Client) -> None:
    url = begin(client)
    answer = client.head(url, headers=TUS)
    assert answer["Upload-Length"] == str(len(WAV))
    assert answer["Upload-Metadata"] == named("talk.wav")
    assert answer["Upload-Expires"].endswith("GMT")
    assert answer.content == b""


@pytest.mark.parametrize("length", ["", "-1", "0", "1.5", "x", "9" * 30, "١٢"])
def test_a_length_that_is_none(client: Client, length: str) -> None:
    assert announce(client, length=length).status_code == 400
    assert spooled() == []


def test_a_file_that_is_too_large_is_refused_before_it_comes(client: Client) -> None:
    answer = announce(client, length=200 * 1024 * 1024 + 1)
    assert answer.status_code == 413
    assert answer.json()["errors"][0]["code"] == "too_large"
    assert spooled() == []


@pytest.mark.parametrize(
    "sent",
    ["filename !!!", "filename " + "A" * 5000, "filename \x7f", "filename é"],
)
def test_metadata_that_is_none(client: Client, sent: str) -> None:
    headers = {**TUS, "Upload-Length": "5", "Upload-Metadata": sent}
    assert client.post("/uploads/", headers=headers).status_code == 400


def test_a_name_is_a_name_whatever_is_sent(client: Client) -> None:
    url = sent(client, name="../../etc/\x00passwd\n.wav")
    finish(client, url)
    assert Job.objects.get().file_name == "passwd.wav"


@pytest.mark.parametrize("wrong", [HALF - 1, HALF + 1, 0])
def test_a_wrong_offset_changes_nothing(client: Client, wrong: int) -> None:
    url = begin(client)
    patch(client, url, 0, WAV[:HALF])
    answer = patch(client, url, wrong, b"xx")
    assert (answer.status_code, answer["Upload-Offset"]) == (409, str(HALF))
    assert offset(client, url) == HALF


def test_bad_parts_change_nothing(client: Client, small_parts: None) -> None:
    url = begin(client)
    assert patch(client, url, "x", b"xx").status_code == 400
    assert patch(client, url, "-1", b"xx").status_code == 400
    assert patch(client, url, 0, b"x" * (HALF + 2)).status_code == 413
    assert patch(client, url, len(WAV) - 1, b"xx").status_code == 400
    wrong_type = client.patch(url, b"xx", headers={**TUS, "Upload-Offset": "0"})
    assert wrong_type.status_code == 415
    assert patch(client, url, 0, b"xx", Content_Length="").status_code == 411
    assert offset(client, url) == 0


def test_delete_forgets(client: Client) -> None:
    url = begin(client)
    assert client.delete(url, headers=TUS).status_code == 204
    assert client.head(url, headers=TUS).status_code == 404
    assert patch(client, url, 0, b"x").status_code == 404
    assert spooled() == []


@pytest.mark.parametrize("method", ["get", "put", "post"])
def test_other_methods(client: Client, method: str) -> None:
    url = begin(client)
    answer = getattr(client, method)(url, headers=TUS)
    assert (answer.status_code, answer["Allow"]) == (405, "DELETE, HEAD, OPTIONS, PATCH")
    assert client.get("/uploads/", headers=TUS).status_code == 405


def test_a_post_may_stand_for_patch_and_delete(client: Client) -> None:
    url = begin(client)
    kind = "application/offset+octet-stream"
    headers = {**TUS, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert client.post(url, b"abc", content_type=kind, headers=headers).status_code == 204
    assert offset(client, url) == 3
    headers = {**TUS, "X-HTTP-Method-Override": "DELETE"}
    assert client.get(url, headers=headers).status_code == 405
    assert client.post(url, headers=headers).status_code == 204
    assert spooled() == []


def test_requests_of_other_sites_are_refused() -> None:
    strict = Client(enforce_csrf_checks=True)
    assert announce(strict).status_code == 403
    strict.get("/")
    token = strict.cookies["csrftoken"].value
    headers = {**TUS, "Upload-Length": "3", "X-CSRFToken": token}
    url = strict.post("/uploads/", headers=headers)["Location"]
    assert patch(strict, url, 0, b"abc").status_code == 403
    assert patch(strict, url, 0, b"abc", X_CSRFToken=token).status_code == 204
    assert strict.delete(url, headers=TUS).status_code == 403
    override = {**TUS, "X-HTTP-Method-Override": "DELETE"}
    assert strict.get(url, headers=override).status_code == 405
    assert offset(strict, url) == 3


def test_an_upload_is_its_visitors_alone(client: Client, django_user_model: Any) -> None:
    url = sent(client)
    other, stranger = Client(), Client()
    begin(other)
    user = Client()
    user.force_login(django_user_model.objects.create_user("ada", password="x"))
    for somebody in (other, stranger, user):
        assert somebody.head(url, headers=TUS).status_code == 404
        assert patch(somebody, url, 0, b"x").status_code == 404
        assert somebody.delete(url, headers=TUS).status_code == 404
        assert finish(somebody, url).status_code == 404
    assert not Job.objects.exists()
    assert finish(client, url).status_code == 201


def test_strangers_are_not_one_owner() -> None:
    pending = spool.create("", "a.wav", 3)
    assert spool.find("", pending.id) is None


def test_a_users_upload_becomes_the_users_job(client: Client, django_user_model: Any) -> None:
    user = django_user_model.objects.create_user("ada", password="x")
    client.force_login(user)
    finish(client, sent(client))
    job = Job.objects.get()
    assert (job.owner, job.visitor) == (user, "")


@pytest.mark.parametrize(
    "upload", ["", "x", "../../secret", "0" * 16 + "-" + "0" * 32, "%2e%2e%2f", "a" * 5000]
)
def test_ids_that_are_none(client: Client, upload: str) -> None:
    begin(client)
    if upload:
        assert client.head(f"/uploads/{upload}/", headers=TUS).status_code == 404
        answer = client.post("/", {"upload": upload}, headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "unknown_upload")
    assert not Job.objects.exists()


def test_unfinished_uploads_of_one_visitor_are_bounded(client: Client) -> None:
    urls = [begin(client) for _ in range(spool.OPEN_UPLOADS)]
    answer = announce(client)
    assert (answer.status_code, answer["Retry-After"]) == (429, "60")
    assert answer.json()["errors"][0]["message"]
    assert announce(Client()).status_code == 201
    client.delete(urls[0], headers=TUS)
    assert announce(client).status_code == 201


def test_a_full_disk_is_said_before_the_file_comes(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "SPARE_BYTES", 2**60)
    answer = announce(client)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (507, "no_space")


def test_a_disk_that_fills_up_keeps_what_fitted(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = begin(client)

    def full(*_args: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(spool, "append", full)
        assert patch(client, url, 0, WAV).status_code == 507
    assert patch(client, url, 0, WAV).status_code == 204


def test_one_request_at_a_time(client: Client) -> None:
    url = begin(client)
    pending = spool.find(access.upload_owner(viewer(client)), upload_id(url))
    assert pending
    with spool.complete_file(pending):
        answer = patch(client, url, 0, b"x")
        assert (answer.status_code, answer["Retry-After"]) == (423, "1")
    assert offset(client, url) == 0
    assert patch(client, url, 0, WAV).status_code == 204
    with spool.complete_file(pending):
        answer = finish(client, url)
        assert (answer.status_code, answer["Retry-After"]) == (423, "1")
    assert finish(client, url).status_code == 201


def test_an_upload_that_ends_while_a_request_comes_for_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening the file and locking it, another request has finished with it."""
    url = begin(client)
    pending = spool.find(access.upload_owner(viewer(client)), upload_id(url))
    lock = fcntl.flock

    def late(*args: Any) -> None:
        assert pending
        spool.discard(pending)
        lock(*args)

    monkeypatch.setattr(fcntl, "flock", late)
    assert patch(client, url, 0, WAV).status_code == 404
    assert spooled() == []


def test_a_file_with_parts_missing_is_no_job(client: Client) -> None:
    url = begin(client)
    patch(client, url, 0, WAV[:HALF])
    answer = finish(client, url)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "incomplete")
    assert offset(client, url) == HALF


def test_asking_again_finds_the_same_job(client: Client) -> None:
    url = sent(client)
    first, second = finish(client, url), finish(client, url)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["job"] == second.json()["job"]
    assert Job.objects.count() == 1


def test_a_crash_after_the_commit_is_no_second_job(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sent(client)

    def crash(_pending: Any) -> None:
        raise SystemError("killed here")

    with monkeypatch.context() as patched:
        patched.setattr(spool, "discard", crash)
        with pytest.raises(SystemError):
            finish(client, url)
    assert Job.objects.count() == 1
    assert finish(client, url).status_code == 201
    assert Job.objects.count() == 1
    assert spooled() == []


def test_a_crash_before_the_commit_can_be_finished(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sent(client)

    def crash(_job: Job) -> Job:
        raise SystemError("killed here, with the file stored")

    with monkeypatch.context() as patched:
        patched.setattr(actions, "_enqueue", crash)
        with pytest.raises(SystemError):
            finish(client, url)
    assert not Job.objects.exists()
    assert finish(client, url).status_code == 201
    with Job.objects.get().original.open() as stored:
        assert stored.read() == WAV
    assert spooled() == []


def test_a_disk_without_hard_links(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert finish(client, sent(client)).status_code == 201
    with Job.objects.get().original.open() as stored:
        assert stored.read() == WAV
    assert spooled() == []


def test_what_is_no_recording_is_refused_and_freed(client: Client) -> None:
    url = begin(client, length=5, name="notes.txt")
    patch(client, url, 0, b"hello")
    answer = finish(client, url)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "unsupported")
    assert answer.json()["errors"][0]["message"]
    assert spooled() == []
    assert finish(client, url).status_code == 404


def test_somebody_elses_job_does_not_answer_for_an_upload(client: Client) -> None:
    url = sent(client)
    Job(id=spool.job_id(upload_id(url)), file_name="x.wav", visitor="other").save()
    assert finish(client, url).status_code == 423
    assert Job.objects.count() == 1


def test_uploads_expire_and_are_deleted(client: Client) -> None:
    urls = [sent(client), begin(client)]
    assert spool.expire() == 0
    (spool.folder() / "README").touch()
    assert spool.expire(time.time() + 86_401) == 4
    assert spooled() == ["README"]
    for url in urls:
        assert client.head(url, headers=TUS).status_code == 404


def test_an_expired_upload_is_gone_before_it_is_deleted(client: Client, settings: Settings) -> None:
    settings.DENOISE_RELAY = {**settings.DENOISE_RELAY, "UPLOAD_EXPIRE_SECONDS": 0.001}
    url = begin(client)
    time.sleep(0.002)
    assert len(spooled()) == 2
    assert client.head(url, headers=TUS).status_code == 404
    begin(client)
    assert len(spooled()) <= 4


def test_prune_deletes_expired_uploads(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    sent(client)
    for path in spool.folder().iterdir():
        os.utime(path, (1, 1))
    call_command("denoise_prune", dry_run=True)
    assert len(spooled()) == 2
    call_command("denoise_prune")
    assert spooled() == []
    assert "2 files of expired uploads" in capsys.readouterr().out


def test_the_spool_is_where_the_site_says(client: Client, tmp_path: Path) -> None:
    relay = {"BACKEND": "local", "WORKER": "external", "UPLOAD_DIR": str(tmp_path / "spool")}
    with override_settings(DENOISE_RELAY=relay):
        finish(client, sent(client))
        assert spool.folder() == tmp_path / "spool"
    with Job.objects.get().original.open() as stored:
        assert stored.read() == WAV


def test_files_of_the_spool_are_ours_alone(client: Client) -> None:
    begin(client)
    assert spool.folder().stat().st_mode & 0o077 == 0
    for path in spool.folder().iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_spool_that_is_a_link_is_refused(tmp_path: Path, media: Path) -> None:
    media.mkdir()
    (media / spool.FOLDER).symlink_to(tmp_path)
    with pytest.raises(ImproperlyConfigured, match="UPLOAD_DIR"):
        spool.create("visitor x", "a.wav", 3)


def test_a_remote_storage_gets_a_copy(client: Client, settings: Settings) -> None:
    memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = {**settings.STORAGES, "denoise_relay": memory}
    finish(client, sent(client))
    # The field has kept the storage of the start.
    with media_storage().open(Job.objects.get().original.name) as stored:
        assert stored.read() == WAV
    assert spooled() == []


def viewer(client: Client) -> Viewer:
    """Whom the client's session makes."""
    return Viewer(user=AnonymousUser(), visitor=client.session[SESSION_KEY])
