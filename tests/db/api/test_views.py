"""The north API against the contract's tables: fields, texts, codes."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import AsyncClient
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from denoise_relay import access, engine
from denoise_relay.api import history, signed_urls
from denoise_relay.events import Fact
from denoise_relay.jobs import validation
from denoise_relay.journal import read
from denoise_relay.lifecycle import Status
from denoise_relay.live.feed import feed
from denoise_relay.models import ApiKey, Job
from denoise_relay.pubsub import publisher
from denoise_relay.runtime import database
from tests.db.factories import fail, finish, say, stored_job
from tests.db.requests import Answer, aask, ask

ROOT = "/api/v1/denoise"
NOBODY = "00000000-0000-4000-8000-000000000000"
needs_engine = pytest.mark.skipif(not engine.available(), reason="the engine is not installed")


@pytest.fixture(autouse=True)
def _storage(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def secret(db: None) -> str:
    return access.create_api_key("client")


@pytest.fixture
def key(secret: str) -> ApiKey:
    return ApiKey.objects.get(digest=access.digest(secret))


def call(path: str, secret: str, **kwargs: Any) -> Answer:
    return ask(path, headers={"x-api-key": secret, **kwargs.pop("headers", {})}, **kwargs)


def wav(name: str = "voice.wav") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, b"RIFF" + bytes(100), content_type="audio/wav")


# POST /denoise


@needs_engine
def test_submission_is_answered_with_its_id_twice(secret: str, key: ApiKey) -> None:
    answer = call(ROOT, secret, method="POST", data={"audio": validation.sample()})

    assert answer.status == 200
    assert answer["Content-Type"] == "application/json"
    body = answer.json()
    assert body == {"jobId": body["denoiseId"], "denoiseId": body["denoiseId"]}
    job = Job.objects.get(pk=UUID(body["denoiseId"]))
    assert (job.status, job.api_key, job.owner) == (Status.QUEUED, key, None)
    assert job.original.size == validation.sample().size


@needs_engine
@pytest.mark.django_db
def test_job_of_a_users_key_is_the_users() -> None:
    user = User.objects.create_user("u")
    secret = access.create_api_key("client", user)

    call(ROOT, secret, method="POST", data={"audio": validation.sample()})

    assert Job.objects.get().owner == user


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"data": {"audio": "text, not a file"}},
        {"data": {"file": "x"}},
        {"data": '{"audio": 1}', "content_type": "application/json"},
        {"data": b"no boundary in it", "content_type": "multipart/form-data; boundary=x"},
        {"data": b"x", "content_type": "multipart/form-data"},
    ],
)
def test_audio_must_be_a_file(secret: str, form: dict[str, Any]) -> None:
    answer = call(ROOT, secret, method="POST", **form)

    assert answer.status == 400
    assert answer.json() == {
        "errorCode": "40001",
        "errorMessage": "audio is required and must be a file",
    }


def test_file_too_large_is_told_both_sizes(secret: str, settings: Settings) -> None:
    settings.DENOISE_RELAY = {**settings.DENOISE_RELAY, "MAX_UPLOAD_BYTES": 2 * 1024 * 1024}
    file = SimpleUploadedFile("a.wav", bytes(2 * 1024 * 1024 + 1))

    answer = call(ROOT, secret, method="POST", data={"audio": file})

    assert answer.status == 400
    assert answer.json() == {
        "errorCode": "40002",
        "errorMessage": "File size exceeds the maximum limit of 2MB. File size: 2.01MB",
    }


@needs_engine
def test_recording_too_long_is_told_both_durations(secret: str, settings: Settings) -> None:
    settings.DENOISE_RELAY = {**settings.DENOISE_RELAY, "MAX_DURATION_SECONDS": 3}

    answer = call(ROOT, secret, method="POST", data={"audio": validation.sample()})

    assert answer.status == 400
    assert answer.json()["errorCode"] == "40003"
    assert re.fullmatch(
        r"Duration exceeds the maximum limit of 0\.05 minutes\. Duration: 0\.\d minutes",
        answer.json()["errorMessage"],
    )


@needs_engine
@pytest.mark.parametrize("name", ["notes.txt", "broken.wav"])
def test_unusable_file_is_a_400_with_a_reason(secret: str, name: str) -> None:
    answer = call(ROOT, secret, method="POST", data={"audio": wav(name)})

    assert answer.status == 400
    assert answer.json()["errorCode"] == "40005"
    assert answer.json()["errorMessage"]
    assert not Job.objects.exists()


@needs_engine
def test_no_csrf_token_is_asked_of_programs(secret: str) -> None:
    client = AsyncClient(enforce_csrf_checks=True)

    answer = call(ROOT, secret, client=client, method="POST", data={"audio": validation.sample()})

    assert answer.status == 200


# Keys


@pytest.mark.parametrize("header", [{}, {"x-api-key": ""}, {"x-api-key": "dr_wrong"}])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("POST", ""), ("GET", f"/{NOBODY}/progress")]
)
@pytest.mark.django_db
def test_without_a_valid_key_nothing_opens(method: str, path: str, header: dict[str, str]) -> None:
    answer = ask(ROOT + path, method=method, headers=header)

    assert answer.status == 401
    assert answer.json() == {"errorCode": "40101", "errorMessage": "Invalid or missing API key"}


def test_revoked_key_opens_nothing(secret: str, key: ApiKey) -> None:
    assert call(ROOT, secret).status == 200
    ApiKey.objects.update(revoked_at=timezone.now())

    assert call(ROOT, secret).status == 401


def test_session_alone_opens_nothing(db: None) -> None:
    client = AsyncClient()
    client.force_login(User.objects.create_superuser("root"))

    assert ask(ROOT, client=client).status == 401


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "", "GET, HEAD, POST"),
        ("POST", f"/{NOBODY}/progress", "GET"),
        ("POST", f"/{NOBODY}/audio/original", "GET, HEAD"),
    ],
)
def test_other_methods_say_which_there_are(secret: str, method: str, path: str, allow: str) -> None:
    answer = call(ROOT + path, secret, method=method)

    assert (answer.status, answer["Allow"]) == (405, allow)
    assert answer.json()["errorCode"] == "40501"


def test_contract_texts_are_english_whatever_the_client_speaks(secret: str) -> None:
    answer = call(ROOT, secret, method="POST", headers={"accept-language": "ar"})

    assert answer.json()["errorMessage"] == "audio is required and must be a file"


# GET /denoise


def test_record_has_the_contracts_fields(secret: str, key: ApiKey) -> None:
    job = stored_job(
        b"x" * 44, file_name="Team call.MP4", api_key=key, duration_seconds=12.5, is_video=True
    )

    (record,) = call(ROOT, secret).json()

    assert record == {
        "id": str(job.pk),
        "user_id": f"key-{key.pk}",
        "transaction_id": None,
        "audio_url": None,
        "original_audio_url": record["original_audio_url"],
        "file_name": "Team call.MP4",
        "audio_duration": 12.5,
        "audio_size": 44,
        "audio_format": "mp4",
        "source_type": "video",
        "status": "pending",
        "error": None,
        "created_at": record["created_at"],
        "updated_at": record["updated_at"],
    }
    assert datetime.fromisoformat(record["created_at"]).tzinfo is not None
    assert ask(record["original_audio_url"].removeprefix("http://testserver")).body == b"x" * 44


def test_record_of_an_ended_job_says_how(secret: str, key: ApiKey) -> None:
    fail(stored_job(api_key=key, file_name="a.wav"), "No speech found", detail="secret host")
    fail(stored_job(api_key=key, file_name="b.wav"), "Canceled.", status=Status.CANCELED)
    done = finish(stored_job(api_key=key, file_name="c.wav"))

    c, b, a = call(ROOT, secret).json()

    assert (a["status"], a["error"], a["audio_url"]) == ("failed", "No speech found", None)
    assert (b["status"], b["error"], b["audio_url"]) == ("failed", "Canceled.", None)
    assert (c["status"], c["error"]) == ("success", None)
    assert ask(c["audio_url"].removeprefix("http://testserver")).body == b"denoised bytes"
    last = done.events.get(seq=done.seq).at
    assert datetime.fromisoformat(c["updated_at"]) == last.replace(
        microsecond=last.microsecond // 1000 * 1000
    )


def test_result_that_stayed_upstream_keeps_its_url(secret: str, key: ApiKey) -> None:
    job = finish(stored_job(api_key=key))
    Job.objects.filter(pk=job.pk).update(result="", result_url="https://cdn.example/a.wav")

    (record,) = call(ROOT, secret).json()

    assert record["audio_url"] == "https://cdn.example/a.wav"


def many_jobs(key: ApiKey, count: int) -> list[str]:
    """File names, newest first."""
    newest = datetime(2026, 1, 1, tzinfo=UTC)
    jobs = Job.objects.bulk_create(
        [Job(file_name=f"{n}.wav", original="x.wav", api_key=key) for n in range(count)]
    )
    for n, job in enumerate(jobs):
        # Pairs share their moment, so that pages must also break ties.
        Job.objects.filter(pk=job.pk).update(created_at=newest - timedelta(hours=n // 2))
    return list(Job.objects.order_by("-created_at", "-pk").values_list("file_name", flat=True))


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("", slice(None)),
        ("?limit=3", slice(3)),
        ("?offset=2", slice(2, None)),
        ("?offset=3&limit=5", slice(3, 8)),
        ("?offset=99", slice(0, 0)),
        ("?limit=99", slice(None)),
        ("?offset=&limit=", slice(None)),
    ],
)
def test_list_is_newest_first_in_pages_of_any_size(
    secret: str, key: ApiKey, monkeypatch: pytest.MonkeyPatch, query: str, part: slice
) -> None:
    monkeypatch.setattr(history, "PAGE_SIZE", 3)
    names = many_jobs(key, 11)

    records = call(ROOT + query, secret).json()

    assert [record["file_name"] for record in records] == names[part]


def test_list_is_bounded(secret: str, key: ApiKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "PAGE_SIZE", 2)
    monkeypatch.setattr(history, "MAX_RECORDS", 5)
    names = many_jobs(key, 7)

    records = call(f"{ROOT}?limit=6", secret).json()

    assert [record["file_name"] for record in records] == names[:5]


@pytest.mark.parametrize(
    "query",
    ["offset=-1", "offset=x", "limit=0", "limit=-5", "limit=1.5", "limit=٣", "offset=" + "9" * 30],
)
def test_bad_page_is_refused(secret: str, query: str) -> None:
    answer = call(f"{ROOT}?{query}", secret)

    assert answer.status == 400
    assert answer.json()["errorCode"] == "40004"


def test_list_takes_the_same_queries_for_any_number_of_jobs(
    secret: str, key: ApiKey, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    user = User.objects.create_user("u")
    for _ in range(12):
        finish(stored_job(api_key=key, owner=user))

    with django_assert_num_queries(2):  # the key, the page
        assert len(call(ROOT, secret).json()) == 12


def test_head_of_the_list_has_no_body_to_read(secret: str, key: ApiKey) -> None:
    stored_job(api_key=key)

    assert call(ROOT, secret, method="HEAD").status == 200


def test_key_lists_its_own_jobs_and_its_users(secret: str) -> None:
    user = User.objects.create_user("u", is_staff=True, is_superuser=True)
    users_secret = access.create_api_key("u's", user)
    users_key = ApiKey.objects.get(digest=access.digest(users_secret))
    stored_job(file_name="stranger.wav")
    stored_job(file_name="page.wav", owner=user)
    stored_job(file_name="key.wav", api_key=users_key)

    records = call(ROOT, users_secret).json()

    assert [record["file_name"] for record in records] == ["key.wav", "page.wav"]
    assert call(ROOT, secret).json() == []


# GET /denoise/<id>/progress


@pytest.mark.parametrize("job_id", [NOBODY, "not-a-uuid", "1"])
def test_unknown_job_is_a_404_in_json(secret: str, job_id: str) -> None:
    answer = call(f"{ROOT}/{job_id}/progress", secret)

    assert answer.status == 404
    assert answer["Content-Type"] == "application/json"
    assert answer.json() == {"errorCode": "40401", "errorMessage": "No such record"}


def test_job_of_others_is_unknown_even_to_a_key_of_staff(db: None) -> None:
    root = User.objects.create_superuser("root")
    secret = access.create_api_key("root's", root)
    theirs = stored_job()

    answer = call(f"{ROOT}/{theirs.pk}/progress", secret)

    assert answer.status == 404
    assert answer.json() == call(f"{ROOT}/{uuid4()}/progress", secret).json()


def test_sites_own_policy_has_the_last_word(secret: str, key: ApiKey, settings: Settings) -> None:
    settings.DENOISE_RELAY = {
        **settings.DENOISE_RELAY,
        "ACCESS_POLICY": f"{__name__}.nobody",
    }
    job = stored_job(api_key=key)

    assert call(f"{ROOT}/{job.pk}/progress", secret).status == 404


def nobody(*_: object) -> bool:
    return False


@asynccontextmanager
async def listening() -> AsyncIterator[None]:
    """Free the feed and its threads afterwards, as the server does when it stops."""
    try:
        yield
    finally:
        await feed().stop()
        await asyncio.to_thread(database.close)


def messages(body: bytes) -> list[dict[str, Any]]:
    """The `data:` payloads of an SSE body; anything else in it must be a comment."""
    blocks = [block for block in body.decode().split("\n\n") if not block.startswith(":")]
    assert blocks.pop() == ""
    assert all(block.startswith("data: ") and "\n" not in block for block in blocks)
    return [json.loads(block.removeprefix("data: ")) for block in blocks]


@pytest.mark.django_db(transaction=True)
def test_ended_job_tells_its_end_at_once_and_closes() -> None:
    secret = access.create_api_key("client")
    key = ApiKey.objects.get()
    done = finish(stored_job(api_key=key))
    failed = fail(stored_job(api_key=key), "No speech found")

    async def scenario() -> list[Answer]:
        async with listening(), asyncio.timeout(10):
            return [
                await aask(f"{ROOT}/{job.pk}/progress", headers={"x-api-key": secret})
                for job in (done, failed)
            ]

    well, badly = async_to_sync(scenario)()

    assert well.status == 200
    assert well["Content-Type"] == "text/event-stream"
    assert "no-cache" in well["Cache-Control"]
    (message,) = messages(well.body)
    assert message == {"stage": "done", "url": message["url"], "denoiseId": str(done.pk)}
    assert message["url"].startswith(f"http://testserver{ROOT}/{done.pk}/audio/denoised?sig=")
    assert ask(message["url"].removeprefix("http://testserver")).body == b"denoised bytes"
    assert messages(badly.body) == [{"stage": "error", "message": "No speech found"}]


@pytest.mark.django_db(transaction=True)
def test_progress_is_live_and_in_the_contracts_words() -> None:
    secret = access.create_api_key("client")
    job = stored_job(api_key=ApiKey.objects.get())

    async def happen() -> None:
        def tell() -> None:
            say(job, Fact(pct=15, message="Extracting audio"), status=Status.PROCESSING)
            say(job, Fact(pct=62.5))
            fail(job, "Out of paper")

        await sync_to_async(tell)()
        events = await sync_to_async(read.after)(job.pk, 1)
        await publisher.publish(events)

    async def scenario() -> list[dict[str, Any]]:
        async with listening(), asyncio.timeout(10):
            path = f"{ROOT}/{job.pk}/progress"
            response = await AsyncClient().get(path, headers={"x-api-key": secret})
            body = b""
            async for chunk in response:
                body += chunk
                if b"Queued" in chunk:
                    await happen()
            response.close()
            return messages(body)

    assert async_to_sync(scenario)() == [
        {"stage": "processing", "pct": 0, "message": "Queued"},
        {"stage": "processing", "pct": 15, "message": "Extracting audio"},
        {"stage": "processing", "pct": 62.5},
        {"stage": "error", "message": "Out of paper"},
    ]


# Signed links


@pytest.fixture
def link(key: ApiKey) -> str:
    job = finish(stored_job(api_key=key))
    return f"{ROOT}/{job.pk}/audio/denoised?sig={signed_urls.signature(job.pk, 'denoised')}"


def test_link_needs_no_key_and_has_ranges(link: str) -> None:
    answer = ask(link, headers={"range": "bytes=2-4"})

    assert (answer.status, answer.body) == (206, b"noi")
    assert answer["Content-Type"] == "audio/flac"
    assert ask(link, method="HEAD")["Content-Length"] == str(len(b"denoised bytes"))


@pytest.mark.parametrize(
    "forge",
    [
        lambda link: link.replace("/denoised", "/original"),
        lambda link: link.replace(ROOT, f"{ROOT}/x", 1),
        lambda link: link.partition("?")[0],
        lambda link: link[:-1] + ("A" if link[-1] != "A" else "B"),
        lambda link: link.replace("sig=", "sig=1"),
        lambda link: re.sub(r"[0-9a-f-]{36}", NOBODY, link),
    ],
)
def test_forged_link_is_the_404_of_everything_unknown(link: str, forge: Any) -> None:
    answer = ask(forge(link))

    assert answer.status == 404


def test_expired_link_opens_nothing(link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signed_urls, "LIFETIME_SECONDS", -1)

    answer = ask(link)

    assert answer.status == 404
    assert answer.json()["errorCode"] == "40401"


def test_link_outlives_no_job(link: str) -> None:
    Job.objects.all().delete()

    assert ask(link).status == 404
