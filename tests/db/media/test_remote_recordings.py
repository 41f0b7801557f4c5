"""Recordings that are not on this machine's disk: in another storage, or still upstream."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, Storage
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, AsyncRequestFactory, RequestFactory
from pytest_django import Settings

from denoise_relay.media import responses
from denoise_relay.media.responses import blind_response
from denoise_relay.media.views import recording_response
from denoise_relay.models import Job
from project.content_policy import ContentPolicyMiddleware
from tests.db.factories import finish, stored_job
from tests.db.media.recordings import CONTENT, audio
from tests.db.requests import fetch


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

    answer = fetch(audio(job), client=client)

    assert answer.status == 302
    assert answer["Location"].startswith("https://bucket.example/denoise/")
    assert answer["Cache-Control"] == "no-store"


UPSTREAM = {"BACKEND": "upstream", "UPSTREAM_URL": "http://relay.example:8001/api/v1"}


@pytest.mark.parametrize(
    ("relay", "storage", "sources"),
    [
        (UPSTREAM, FileSystemStorage, []),
        (UPSTREAM, _Remote, []),
        (UPSTREAM, _Bucket, ["https://bucket.example"]),
        ({**UPSTREAM, "STORE_RESULTS": False}, _Remote, ["https:", "relay.example:8001"]),
        (
            {
                **UPSTREAM,
                "STORE_RESULTS": False,
                "ALLOWED_RESULT_HOSTS": ["cdn.example", "[::1]:8001", "relay.example:8001"],
            },
            _Bucket,
            ["https://bucket.example", "https:", "relay.example:8001", "cdn.example"],
        ),
        ({"BACKEND": "local", "STORE_RESULTS": False}, FileSystemStorage, []),
    ],
)
def test_content_policy_lets_players_load_recordings_from_where_they_are(
    settings: Settings, relay: dict[str, Any], storage: type[Any], sources: list[str]
) -> None:
    _use_storage(settings, storage)
    settings.DENOISE_RELAY = relay
    settings.CONTENT_SECURITY_POLICY = {
        "DIRECTIVES": {"default-src": ["'self'"], "media-src": ["'self'", "blob:"]}
    }

    answer = ContentPolicyMiddleware(lambda _: HttpResponse())(RequestFactory().get("/"))

    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert "default-src 'self'" in policy
    assert " ".join(["media-src 'self' blob:", *sources]) in policy


async def test_blind_recording_never_names_the_store(settings: Settings) -> None:
    _use_storage(settings, _Bucket)
    name = _Bucket().save("denoise/x/voice.wav", ContentFile(CONTENT))

    answer = await blind_response(AsyncRequestFactory().get("/"), name)

    assert answer.status_code == 200
    assert isinstance(answer, StreamingHttpResponse)
    assert b"".join([chunk async for chunk in answer]) == CONTENT
    answer.close()
    assert "voice" not in str(answer.headers)


async def test_blind_recording_that_is_gone_is_not_found() -> None:
    with pytest.raises(Http404):
        await blind_response(AsyncRequestFactory().get("/"), "denoise/x/gone.wav")


def test_storage_with_neither_path_nor_url_of_its_own_is_streamed(
    settings: Settings, owner: User, client: AsyncClient
) -> None:
    _use_storage(settings, _Remote)
    job = stored_job(CONTENT, owner=owner)

    answer = fetch(audio(job), client=client, headers={"range": "bytes=3-5"})

    assert (answer.status, answer.body) == (206, CONTENT[3:6])


@pytest.mark.parametrize(
    ("url", "status"), [("https://cdn.example/a.wav", 302), ("javascript:alert(1)", 404)]
)
def test_result_that_stays_upstream_is_fetched_there(
    owner: User, client: AsyncClient, url: str, status: int
) -> None:
    job = finish(stored_job(owner=owner))
    Job.objects.filter(pk=job.pk).update(result="", result_url=url)

    answer = fetch(audio(job, "denoised"), client=client)

    assert answer.status == status
    assert answer.headers.get("Location", url) == url


class _Frozen(_Remote):
    """A storage that does not answer."""

    thaw = threading.Event()

    def size(self, name: str) -> int:
        assert self.thaw.wait(10)
        return super().size(name)


@pytest.mark.parametrize("blind", [False, True])
async def test_storage_that_hangs_is_a_503_at_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, blind: bool
) -> None:
    _Frozen.thaw.clear()
    monkeypatch.setattr(responses, "LOCATE_SECONDS", 0.05)
    _use_storage(settings, _Frozen)
    job = Job(file_name="voice.wav", original="voice.wav")

    try:
        async with asyncio.timeout(5):
            request = AsyncRequestFactory().get("/")
            if blind:
                answer = await blind_response(request, "voice.wav")
            else:
                answer = await recording_response(request, job, "original", attachment=False)
    finally:
        _Frozen.thaw.set()

    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
