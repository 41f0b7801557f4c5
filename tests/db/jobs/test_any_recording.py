"""Files as devices and programs write them become jobs, whatever they are called: by each door."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from denoise_relay import access, engine
from denoise_relay.exceptions import UploadRejected
from denoise_relay.jobs import validation
from denoise_relay.models import Job
from tests import corpus
from tests.db.api.calls import ROOT, call
from tests.db.uploads import tus_requests as tus

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("media"),
    pytest.mark.skipif(not engine.available(), reason="needs the local engine"),
]
Door = Callable[[Client, str, bytes], None]


def by_page(client: Client, name: str, content: bytes) -> None:
    file = SimpleUploadedFile(name, content)
    assert client.post("/", {"audio": file}).status_code == 302


def by_tus(client: Client, name: str, content: bytes) -> None:
    url = tus.create_upload(client, length=len(content), name=name)
    assert tus.patch(client, url, 0, content).status_code == 204
    assert tus.complete(client, url).status_code == 201


def by_api(_client: Client, name: str, content: bytes) -> None:
    secret = access.create_api_key("client")
    file = SimpleUploadedFile(name, content)
    assert call(ROOT, secret, method="POST", data={"audio": file}).status == 200


@pytest.mark.parametrize("door", [by_page, by_tus, by_api])
@pytest.mark.parametrize("name", corpus.ONCE_REFUSED)
def test_what_was_refused_is_taken(name: str, door: Door, client: Client) -> None:
    """What then becomes of it with either backend is for `tests/db/worker/test_conversion.py`."""
    content = corpus.content(name)
    door(client, name, content)
    job = Job.objects.get()
    assert (job.file_name, job.status, job.size_bytes) == (name, "queued", len(content))
    assert job.duration_seconds == pytest.approx(corpus.SECONDS, abs=0.08)
    assert job.container
    assert job.codec
    assert not job.is_video
    with job.original.open() as file:
        assert file.read() == content


@pytest.mark.parametrize("name", ["voice.pdf", "voice", "voice.doc.bin", "voice.mp4"])
async def test_the_content_counts_and_not_the_name(name: str) -> None:
    found = await validation.validate(ContentFile(corpus.content("old.amr"), name))
    assert (found.name, found.container, found.codec) == (name, "amr", "amrnb")


@pytest.mark.parametrize(
    ("name", "is_video"),
    [
        ("clip.3gp", True),
        ("call.3gp", False),
        ("windows.wmv", True),
        # By the contract these are videos, whatever is in them.
        ("meeting.webm", True),
        ("safari.mp4", True),
    ],
)
async def test_what_is_a_video(name: str, is_video: bool) -> None:
    found = await validation.validate(ContentFile(corpus.content(name), name))
    assert found.is_video is is_video


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("notes.txt", b"hello", "unsupported"),
        ("notes.amr", b"hello", "not_media"),
        ("notes.amr", b"#!AMR\n", "empty"),
        ("list.aiff", b"#EXTM3U\nhttp://example.com/a.mp3\n", "not_media"),
    ],
)
async def test_what_nobody_can_read_is_refused(name: str, content: bytes, code: str) -> None:
    with pytest.raises(UploadRejected) as refused:
        await validation.validate(ContentFile(content, name))
    assert refused.value.code == code


async def test_without_the_engine_names_are_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "available", lambda *_: False)
    for name, is_video in (("a.opus", False), ("a.3gp", True), ("a.mp4", True)):
        found = await validation.validate(ContentFile(b"x", name))
        assert (found.is_video, found.container) == (is_video, "")
    with pytest.raises(UploadRejected, match="This kind of file"):
        await validation.validate(ContentFile(b"x", "a.exe"))
