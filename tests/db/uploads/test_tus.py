"""The tus protocol: creation, parts, offsets, termination, and errors."""

from __future__ import annotations

import errno
import fcntl
from typing import Any

import pytest
from django.test import Client

from denoise_relay import access
from denoise_relay.runtime import disk
from denoise_relay.uploads import spool
from tests.db.uploads import tus_requests as tus
from tests.db.uploads.tus_requests import HALF, TUS, WAV

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]


def test_every_answer_has_the_protocol_version(client: Client) -> None:
    url = tus.create_upload(client)
    for answer in (
        client.options("/uploads/"),
        client.options(url),
        client.head(url, headers=TUS),
        client.head("/uploads/nothing/", headers=TUS),
        client.get(url, headers=TUS),
        tus.patch(client, url, 7, b"x"),
    ):
        assert answer["Tus-Resumable"] == "1.0.0"
        assert answer["Cache-Control"] == "no-store"


def test_options_list_the_extensions(client: Client) -> None:
    answer = client.options("/uploads/")
    assert answer.status_code == 204
    assert answer["Tus-Version"] == "1.0.0"
    assert set(answer["Tus-Extension"].split(",")) == {"creation", "termination", "expiration"}
    assert answer["Tus-Max-Size"] == str(200 * 1024 * 1024)


@pytest.mark.parametrize("version", [None, "0.2.2", "1.0.1"])
def test_other_versions_are_refused_before_anything_else(
    client: Client, version: str | None
) -> None:
    url = tus.create_upload(client)
    headers = {"Tus-Resumable": version} if version else {}
    for method in ("head", "patch", "delete"):
        answer = getattr(client, method)(url, headers=headers)
        assert (answer.status_code, answer["Tus-Version"]) == (412, "1.0.0")
    assert client.post("/uploads/", headers=headers).status_code == 412
    assert tus.offset_of(client, url) == 0


def test_head_repeats_what_was_declared(client: Client) -> None:
    url = tus.create_upload(client)
    answer = client.head(url, headers=TUS)
    assert answer["Upload-Length"] == str(len(WAV))
    assert answer["Upload-Metadata"] == tus.metadata("talk.wav")
    assert answer["Upload-Expires"].endswith("GMT")
    assert answer.content == b""


@pytest.mark.parametrize("length", ["", "-1", "0", "1.5", "x", "9" * 30, "١٢"])
def test_invalid_lengths_are_refused(client: Client, length: str) -> None:
    assert tus.post_upload(client, length=length).status_code == 400
    assert tus.spool_files() == []


def test_a_file_that_is_too_large_is_refused_before_it_comes(client: Client) -> None:
    answer = tus.post_upload(client, length=200 * 1024 * 1024 + 1)
    assert answer.status_code == 413
    assert answer.json()["errors"][0]["code"] == "too_large"
    assert tus.spool_files() == []


@pytest.mark.parametrize(
    "sent",
    ["filename !!!", "filename " + "A" * 5000, "filename \x7f", "filename é"],
)
def test_invalid_metadata_is_refused(client: Client, sent: str) -> None:
    headers = {**TUS, "Upload-Length": "5", "Upload-Metadata": sent}
    assert client.post("/uploads/", headers=headers).status_code == 400


@pytest.mark.parametrize("wrong", [HALF - 1, HALF + 1, 0])
def test_a_wrong_offset_changes_nothing(client: Client, wrong: int) -> None:
    url = tus.create_upload(client)
    tus.patch(client, url, 0, WAV[:HALF])
    answer = tus.patch(client, url, wrong, b"xx")
    assert (answer.status_code, answer["Upload-Offset"]) == (409, str(HALF))
    assert tus.offset_of(client, url) == HALF


def test_bad_parts_change_nothing(client: Client, small_parts: None) -> None:
    url = tus.create_upload(client)
    assert tus.patch(client, url, "x", b"xx").status_code == 400
    assert tus.patch(client, url, "-1", b"xx").status_code == 400
    assert tus.patch(client, url, 0, b"x" * (HALF + 2)).status_code == 413
    assert tus.patch(client, url, len(WAV) - 1, b"xx").status_code == 400
    wrong_type = client.patch(url, b"xx", headers={**TUS, "Upload-Offset": "0"})
    assert wrong_type.status_code == 415
    assert tus.patch(client, url, 0, b"xx", Content_Length="").status_code == 411
    assert tus.offset_of(client, url) == 0


def test_delete_removes_the_upload(client: Client) -> None:
    url = tus.create_upload(client)
    assert client.delete(url, headers=TUS).status_code == 204
    assert client.head(url, headers=TUS).status_code == 404
    assert tus.patch(client, url, 0, b"x").status_code == 404
    assert tus.spool_files() == []


@pytest.mark.parametrize("method", ["get", "put", "post"])
def test_other_methods_get_the_allowed_ones(client: Client, method: str) -> None:
    url = tus.create_upload(client)
    answer = getattr(client, method)(url, headers=TUS)
    assert (answer.status_code, answer["Allow"]) == (405, "DELETE, HEAD, OPTIONS, PATCH")
    assert client.get("/uploads/", headers=TUS).status_code == 405


def test_a_post_may_stand_for_patch_and_delete(client: Client) -> None:
    url = tus.create_upload(client)
    kind = "application/offset+octet-stream"
    headers = {**TUS, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert client.post(url, b"abc", content_type=kind, headers=headers).status_code == 204
    assert tus.offset_of(client, url) == 3
    headers = {**TUS, "X-HTTP-Method-Override": "DELETE"}
    assert client.get(url, headers=headers).status_code == 405
    assert client.post(url, headers=headers).status_code == 204
    assert tus.spool_files() == []


def test_requests_of_other_sites_are_refused() -> None:
    strict = Client(enforce_csrf_checks=True)
    assert tus.post_upload(strict).status_code == 403
    strict.get("/")
    token = strict.cookies["csrftoken"].value
    headers = {**TUS, "Upload-Length": "3", "X-CSRFToken": token}
    url = strict.post("/uploads/", headers=headers)["Location"]
    assert tus.patch(strict, url, 0, b"abc").status_code == 403
    assert tus.patch(strict, url, 0, b"abc", X_CSRFToken=token).status_code == 204
    assert strict.delete(url, headers=TUS).status_code == 403
    override = {**TUS, "X-HTTP-Method-Override": "DELETE"}
    assert strict.get(url, headers=override).status_code == 405
    assert tus.offset_of(strict, url) == 3


def test_unfinished_uploads_of_one_visitor_are_bounded(client: Client) -> None:
    urls = [tus.create_upload(client) for _ in range(spool.OPEN_UPLOADS)]
    answer = tus.post_upload(client)
    assert (answer.status_code, answer["Retry-After"]) == (429, "60")
    assert answer.json()["errors"][0]["message"]
    assert tus.post_upload(Client()).status_code == 201
    client.delete(urls[0], headers=TUS)
    assert tus.post_upload(client).status_code == 201


def test_a_full_disk_is_reported_before_the_file_comes(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "SPARE_BYTES", 2**60)
    answer = tus.post_upload(client)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (507, "no_space")


def test_a_disk_that_fills_up_keeps_what_fitted(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = tus.create_upload(client)

    def full(*_args: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(spool, "append", full)
        assert tus.patch(client, url, 0, WAV).status_code == 507
    assert tus.patch(client, url, 0, WAV).status_code == 204


def test_an_upload_that_ends_while_a_request_comes_for_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening the file and locking it, another request has finished with it."""
    url = tus.create_upload(client)
    upload = spool.find(access.upload_owner(tus.viewer_of(client)), tus.upload_id(url))
    lock = fcntl.flock

    def late(*args: Any) -> None:
        assert upload
        spool.discard(upload)
        lock(*args)

    monkeypatch.setattr(fcntl, "flock", late)
    assert tus.patch(client, url, 0, WAV).status_code == 404
    assert tus.spool_files() == []
