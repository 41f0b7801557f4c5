"""GET /denoise: the list of records, its fields and its pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from pytest_django import DjangoAssertNumQueries

from denoise_relay import access
from denoise_relay.api import history
from denoise_relay.lifecycle import Status
from denoise_relay.models import ApiKey, Job
from tests.db.api.calls import ROOT, call
from tests.db.factories import fail, finish, stored_job, with_warning
from tests.db.requests import fetch


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
    assert fetch(record["original_audio_url"].removeprefix("http://testserver")).body == b"x" * 44


def test_record_has_a_preset_only_where_there_was_a_choice(secret: str, key: ApiKey) -> None:
    stored_job(api_key=key, preset="swift")
    stored_job(api_key=key)

    plain, chosen = call(ROOT, secret).json()

    assert chosen["preset"] == "swift"
    assert "preset" not in plain


def test_record_has_a_warning_only_where_there_is_one(secret: str, key: ApiKey) -> None:
    with_warning(stored_job(api_key=key), "No speech was found.")
    stored_job(api_key=key)

    plain, doubtful = call(ROOT, secret).json()

    assert doubtful["warning"] == "No speech was found."
    assert "warning" not in plain


def test_record_of_an_ended_job_has_its_outcome(secret: str, key: ApiKey) -> None:
    fail(stored_job(api_key=key, file_name="a.wav"), "No speech found", detail="secret host")
    fail(stored_job(api_key=key, file_name="b.wav"), "Canceled.", status=Status.CANCELED)
    done = finish(stored_job(api_key=key, file_name="c.wav"))

    c, b, a = call(ROOT, secret).json()

    assert (a["status"], a["error"], a["audio_url"]) == ("failed", "No speech found", None)
    assert (b["status"], b["error"], b["audio_url"]) == ("failed", "Canceled.", None)
    assert (c["status"], c["error"]) == ("success", None)
    assert fetch(c["audio_url"].removeprefix("http://testserver")).body == b"denoised bytes"
    last = done.events.get(seq=done.seq).at
    assert datetime.fromisoformat(c["updated_at"]) == last.replace(
        microsecond=last.microsecond // 1000 * 1000
    )


def test_result_that_stays_upstream_has_its_url(secret: str, key: ApiKey) -> None:
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


def test_list_answers_head(secret: str, key: ApiKey) -> None:
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
