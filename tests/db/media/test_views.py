"""Recordings over HTTP: who gets them, and with which headers."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.test import AsyncClient

from denoise_relay import access
from denoise_relay.models import Job, media_storage
from tests.db.factories import stored_job
from tests.db.media.recordings import CONTENT, SIZE, audio
from tests.db.requests import fetch


def test_whole_file_has_its_headers(job: Job, client: AsyncClient) -> None:
    answer = fetch(audio(job), client=client)

    assert answer.status == 200
    assert answer.body == CONTENT
    assert answer["Content-Type"] == "audio/wav"
    assert answer["Content-Length"] == str(SIZE)
    assert answer["Accept-Ranges"] == "bytes"
    assert answer["Content-Disposition"] == 'inline; filename="voice.wav"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Cache-Control"] == "private, max-age=3600"
    policy = answer["Content-Security-Policy"]
    assert policy == "sandbox allow-same-origin; default-src 'none'; media-src 'self'"
    assert answer["ETag"].startswith('"')


def test_denoised_is_the_result_with_its_own_file_name(job: Job, client: AsyncClient) -> None:
    answer = fetch(audio(job, "denoised"), client=client)

    assert answer.body == CONTENT[::-1]
    assert answer["Content-Type"] == "audio/flac"
    assert answer["Content-Disposition"] == 'inline; filename="voice-denoised.flac"'


def test_download_is_an_attachment_with_the_persons_own_name(
    owner: User, client: AsyncClient
) -> None:
    job = stored_job(CONTENT, owner=owner, file_name='مقابلة "1".mp3')

    answer = fetch(f"{audio(job)}?download=1", client=client)

    assert answer["Content-Type"] == "audio/mpeg"
    assert answer["Content-Disposition"] == (
        "attachment; filename*=utf-8''%D9%85%D9%82%D8%A7%D8%A8%D9%84%D8%A9%20%221%22.mp3"
    )


def test_head_has_the_headers_of_the_whole_file(job: Job, client: AsyncClient) -> None:
    answer = fetch(audio(job), client=client, method="HEAD", headers={"range": "bytes=0-1"})

    assert answer.status == 200
    assert answer["Content-Length"] == str(SIZE)
    assert answer["Content-Type"] == "audio/wav"
    assert answer.body == b""


def test_known_file_is_not_sent_again(job: Job, client: AsyncClient) -> None:
    etag = fetch(audio(job), client=client)["ETag"]

    answer = fetch(audio(job), client=client, headers={"if-none-match": f'"x", {etag}'})

    assert answer.status == 304
    assert answer.body == b""
    assert answer["ETag"] == etag
    assert fetch(audio(job, "denoised"), client=client)["ETag"] != etag


def test_other_methods_are_refused(job: Job, client: AsyncClient) -> None:
    answer = fetch(audio(job), client=client, method="POST")

    assert answer.status == 405
    assert answer["Allow"] == "GET, HEAD"


def test_unknown_forbidden_and_unfinished_get_the_same_answer(
    job: Job, client: AsyncClient
) -> None:
    pending = stored_job(owner=job.owner)
    vanished = stored_job(owner=job.owner)
    media_storage().delete(vanished.original.name)
    answers = [
        fetch(f"/jobs/{uuid4()}/audio/original/", client=client),
        fetch(audio(job)),
        fetch(audio(job, "stems"), client=client),
        fetch(audio(pending, "denoised"), client=client),
        fetch(audio(vanished), client=client),
    ]

    assert [answer.status for answer in answers] == [404] * len(answers)
    # Django's page does not echo the path, so that even the bodies agree.
    assert len({answer.body for answer in answers}) == 1


def test_staff_listen_by_model_permission(job: Job) -> None:
    staff = User.objects.create_user("staff", is_staff=True)
    client = AsyncClient()
    client.force_login(staff)
    assert fetch(audio(job), client=client).status == 404

    staff.user_permissions.add(Permission.objects.get(codename="view_job"))

    assert fetch(audio(job), client=client).status == 200


def test_api_key_and_visitor_listen_to_their_own(job: Job) -> None:
    secret = access.create_api_key("site")
    key = access.ApiKey.objects.get()
    theirs = stored_job(CONTENT, api_key=key)
    headers = {"x-api-key": secret}

    assert fetch(audio(theirs), headers=headers).body == CONTENT
    assert fetch(audio(job), headers=headers).status == 404


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.WAV", "audio/wav"),
        ("a.m4a", "audio/mp4"),
        ("a.ogg", "audio/ogg"),
        ("a.mp4", "video/mp4"),
        ("a.mov", "video/quicktime"),
        ("a.svg", "application/octet-stream"),
        ("html", "application/octet-stream"),
    ],
)
def test_type_follows_the_extension_and_is_never_a_page(
    owner: User, client: AsyncClient, name: str, content_type: str
) -> None:
    job = stored_job(b"<script>", owner=owner, file_name=name)

    assert fetch(audio(job), client=client)["Content-Type"] == content_type
