"""Recordings over HTTP: who gets them, and in which pieces."""

from __future__ import annotations

import asyncio
import io
import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, Storage
from django.test import AsyncClient, AsyncRequestFactory
from pytest_django import Settings

from denoise_relay import access
from denoise_relay.media import file_stream
from denoise_relay.media import views as media_views
from denoise_relay.media.file_stream import FileStream
from denoise_relay.media.views import recording_response
from denoise_relay.models import Job, media_storage
from tests.db.factories import finish, stored_job
from tests.db.requests import Answer, ask

CONTENT = bytes(range(256)) * 4
SIZE = len(CONTENT)


@pytest.fixture(autouse=True)
def _storage(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create_user("owner")


@pytest.fixture
def job(owner: User) -> Job:
    return finish(stored_job(CONTENT, owner=owner), CONTENT[::-1])


@pytest.fixture
def client(owner: User) -> AsyncClient:
    client = AsyncClient()
    client.force_login(owner)
    return client


def audio(job: Job, kind: str = "original") -> str:
    return f"/jobs/{job.pk}/audio/{kind}/"


def test_whole_file_says_what_it_is(job: Job, client: AsyncClient) -> None:
    answer = ask(audio(job), client=client)

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


def test_denoised_is_the_result_under_a_name_of_its_own(job: Job, client: AsyncClient) -> None:
    answer = ask(audio(job, "denoised"), client=client)

    assert answer.body == CONTENT[::-1]
    assert answer["Content-Type"] == "audio/flac"
    assert answer["Content-Disposition"] == 'inline; filename="voice-denoised.flac"'


def test_download_is_an_attachment_with_the_persons_own_name(
    owner: User, client: AsyncClient
) -> None:
    job = stored_job(CONTENT, owner=owner, file_name='مقابلة "1".mp3')

    answer = ask(f"{audio(job)}?download=1", client=client)

    assert answer["Content-Type"] == "audio/mpeg"
    assert answer["Content-Disposition"] == (
        "attachment; filename*=utf-8''%D9%85%D9%82%D8%A7%D8%A8%D9%84%D8%A9%20%221%22.mp3"
    )


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=100-", 100, SIZE - 1),
        ("bytes=-24", SIZE - 24, SIZE - 1),
        (f"bytes={SIZE - 1}-{SIZE + 5}", SIZE - 1, SIZE - 1),
    ],
)
def test_range_is_partial_content(
    job: Job, client: AsyncClient, header: str, first: int, last: int
) -> None:
    answer = ask(audio(job), client=client, headers={"range": header})

    assert answer.status == 206
    assert answer.body == CONTENT[first : last + 1]
    assert answer["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert answer["Content-Length"] == str(last - first + 1)


@pytest.mark.parametrize("header", ["bytes=0-1,4-5", "bytes=9-3", "seconds=0-1", "nonsense"])
def test_range_that_is_not_served_is_ignored(job: Job, client: AsyncClient, header: str) -> None:
    answer = ask(audio(job), client=client, headers={"range": header})

    assert answer.status == 200
    assert answer.body == CONTENT


@pytest.mark.parametrize("header", [f"bytes={SIZE}-", "bytes=-0"])
def test_range_outside_is_refused_with_the_size(job: Job, client: AsyncClient, header: str) -> None:
    answer = ask(audio(job), client=client, headers={"range": header})

    assert answer.status == 416
    assert answer["Content-Range"] == f"bytes */{SIZE}"
    assert answer.body == b""


def test_head_has_the_headers_of_the_whole_file(job: Job, client: AsyncClient) -> None:
    answer = ask(audio(job), client=client, method="HEAD", headers={"range": "bytes=0-1"})

    assert answer.status == 200
    assert answer["Content-Length"] == str(SIZE)
    assert answer["Content-Type"] == "audio/wav"
    assert answer.body == b""


def test_known_file_is_not_sent_again(job: Job, client: AsyncClient) -> None:
    etag = ask(audio(job), client=client)["ETag"]

    answer = ask(audio(job), client=client, headers={"if-none-match": f'"x", {etag}'})

    assert answer.status == 304
    assert answer.body == b""
    assert answer["ETag"] == etag
    assert ask(audio(job, "denoised"), client=client)["ETag"] != etag


def test_if_range_continues_the_same_file_only(job: Job, client: AsyncClient) -> None:
    etag = ask(audio(job), client=client)["ETag"]
    ranged = {"range": "bytes=5-9"}

    same = ask(audio(job), client=client, headers={**ranged, "if-range": etag})
    other = ask(audio(job), client=client, headers={**ranged, "if-range": '"other"'})

    assert (same.status, same.body) == (206, CONTENT[5:10])
    assert (other.status, other.body) == (200, CONTENT)


def test_open_range_of_a_large_file_comes_in_parts_unless_saved(
    job: Job, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_views, "PARTS_FROM_BYTES", 500)
    monkeypatch.setattr(media_views, "PART_BYTES", 300)

    def get(query: str, header: str) -> Answer:
        return ask(f"{audio(job)}{query}", client=client, headers={"range": header})

    part = get("", "bytes=0-")
    assert part["Content-Range"] == f"bytes 0-299/{SIZE}"
    assert part["Cache-Control"] == "private, no-store"
    assert get("", "bytes=900-")["Content-Range"] == f"bytes 900-{SIZE - 1}/{SIZE}"
    assert get("", "bytes=0-999")["Content-Range"] == f"bytes 0-999/{SIZE}"
    assert get("?download=1", "bytes=0-")["Content-Range"] == f"bytes 0-{SIZE - 1}/{SIZE}"
    assert ask(audio(job), client=client).body == CONTENT


def test_other_methods_are_refused(job: Job, client: AsyncClient) -> None:
    answer = ask(audio(job), client=client, method="POST")

    assert answer.status == 405
    assert answer["Allow"] == "GET, HEAD"


def test_not_there_not_yours_and_not_yet_are_one_answer(job: Job, client: AsyncClient) -> None:
    pending = stored_job(owner=job.owner)
    vanished = stored_job(owner=job.owner)
    media_storage().delete(vanished.original.name)
    answers = [
        ask(f"/jobs/{uuid4()}/audio/original/", client=client),
        ask(audio(job)),
        ask(audio(job, "stems"), client=client),
        ask(audio(pending, "denoised"), client=client),
        ask(audio(vanished), client=client),
    ]

    assert [answer.status for answer in answers] == [404] * len(answers)
    # Django's page does not echo the path, so that even the bodies agree.
    assert len({answer.body for answer in answers}) == 1


def test_staff_listen_by_model_permission(job: Job) -> None:
    staff = User.objects.create_user("staff", is_staff=True)
    client = AsyncClient()
    client.force_login(staff)
    assert ask(audio(job), client=client).status == 404

    staff.user_permissions.add(Permission.objects.get(codename="view_job"))

    assert ask(audio(job), client=client).status == 200


def test_api_key_and_visitor_listen_to_their_own(job: Job) -> None:
    secret = access.create_api_key("site")
    key = access.ApiKey.objects.get()
    theirs = stored_job(CONTENT, api_key=key)
    headers = {"x-api-key": secret}

    assert ask(audio(theirs), headers=headers).body == CONTENT
    assert ask(audio(job), headers=headers).status == 404


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

    assert ask(audio(job), client=client)["Content-Type"] == content_type


class _Remote(Storage):
    """A storage whose files have no path on this machine, nor a URL of their own."""

    def __init__(self) -> None:
        self.inner = FileSystemStorage()

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        return self.inner.open(name, mode)

    def _save(self, name: str, content: File[bytes]) -> str:
        return self.inner.save(name, content)

    def exists(self, name: str) -> bool:
        return self.inner.exists(name)

    def size(self, name: str) -> int:
        return self.inner.size(name)

    def url(self, name: str | None) -> str:
        return f"/media/{name}"


class _Bucket(_Remote):
    """A storage that serves its files itself, as object stores do."""

    def url(self, name: str | None) -> str:
        return f"https://bucket.example/{name}?signature=1"


def _use_storage(settings: Settings, storage: type[Any]) -> None:
    path = f"{storage.__module__}.{storage.__qualname__}"
    settings.STORAGES = {**settings.STORAGES, "denoise_relay": {"BACKEND": path}}


def test_file_of_an_object_store_is_fetched_there(
    settings: Settings, owner: User, client: AsyncClient
) -> None:
    _use_storage(settings, _Bucket)
    job = stored_job(CONTENT, owner=owner)

    answer = ask(audio(job), client=client)

    assert answer.status == 302
    assert answer["Location"].startswith("https://bucket.example/denoise/")
    assert answer["Cache-Control"] == "no-store"


def test_storage_with_neither_path_nor_url_of_its_own_is_streamed(
    settings: Settings, owner: User, client: AsyncClient
) -> None:
    _use_storage(settings, _Remote)
    job = stored_job(CONTENT, owner=owner)

    answer = ask(audio(job), client=client, headers={"range": "bytes=3-5"})

    assert (answer.status, answer.body) == (206, CONTENT[3:6])


@pytest.mark.parametrize(
    ("url", "status"), [("https://cdn.example/a.wav", 302), ("javascript:alert(1)", 404)]
)
def test_result_that_stayed_upstream_is_fetched_there(
    owner: User, client: AsyncClient, url: str, status: int
) -> None:
    job = finish(stored_job(owner=owner))
    Job.objects.filter(pk=job.pk).update(result="", result_url=url)

    answer = ask(audio(job, "denoised"), client=client)

    assert answer.status == status
    assert answer.headers.get("Location", url) == url


class _Frozen(_Remote):
    """A storage that has stopped to answer."""

    thaw = threading.Event()

    def size(self, name: str) -> int:
        assert self.thaw.wait(10)
        return super().size(name)


async def test_storage_that_hangs_is_a_503_at_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_views, "LOCATE_SECONDS", 0.05)
    _use_storage(settings, _Frozen)
    job = Job(file_name="voice.wav", original="voice.wav")

    try:
        async with asyncio.timeout(5):
            request = AsyncRequestFactory().get("/")
            answer = await recording_response(request, job, "original", attachment=False)
    finally:
        _Frozen.thaw.set()

    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"


# The stream itself


async def _parts(storage: FileSystemStorage, first: int, length: int) -> list[bytes]:
    body = FileStream(storage, "file", first=first, length=length)
    try:
        return [chunk async for chunk in body]
    finally:
        body.close()


async def test_bytes_come_in_bounded_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_stream, "CHUNK_BYTES", 100)
    storage = FileSystemStorage(location=tmp_path)
    storage.save("file", ContentFile(CONTENT))

    parts = await _parts(storage, 10, 250)

    assert [len(part) for part in parts] == [100, 100, 50]
    assert b"".join(parts) == CONTENT[10:260]


async def test_file_that_shrank_breaks_the_connection(tmp_path: Path) -> None:
    storage = FileSystemStorage(location=tmp_path)
    storage.save("file", ContentFile(b"short"))

    with pytest.raises(OSError, match="ends 5 bytes early"):
        await _parts(storage, 0, 10)


class _Stuck(io.BytesIO):
    """A file on a network disk that hangs."""

    def __init__(self) -> None:
        super().__init__(CONTENT)
        self.reading = threading.Event()
        self.go_on = threading.Event()

    def read(self, size: int | None = -1) -> bytes:
        self.reading.set()
        assert self.go_on.wait(10)
        return super().read(size)


class _StuckStorage(FileSystemStorage):
    def __init__(self, file: _Stuck) -> None:
        super().__init__()
        self.file = file

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        return File(self.file)


async def test_cancelled_read_lets_go_at_once_and_the_file_is_closed_after_it() -> None:
    file = _Stuck()
    body = FileStream(_StuckStorage(file), "file", first=0, length=10)
    reader = asyncio.ensure_future(anext(body))
    await asyncio.to_thread(file.reading.wait, 10)

    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    closing = asyncio.create_task(asyncio.to_thread(body.close))
    assert not file.closed  # its thread still reads

    file.go_on.set()
    await closing
    assert file.closed


async def test_read_that_hangs_breaks_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_stream, "READ_SECONDS", 0.05)
    file = _Stuck()
    body = FileStream(_StuckStorage(file), "file", first=0, length=10)

    with pytest.raises(TimeoutError):
        await anext(body)
    file.go_on.set()
    await asyncio.to_thread(body.close)


async def test_closed_body_opens_nothing_more() -> None:
    file = _Stuck()
    body = FileStream(_StuckStorage(file), "file", first=0, length=10)
    body.close()

    with pytest.raises(OSError, match="no longer wanted"):
        await anext(body)
    assert not file.reading.is_set()
