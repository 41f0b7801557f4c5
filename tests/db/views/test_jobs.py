"""A job's page, its status, cancel and retry."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from denoise_relay.events import Fact
from denoise_relay.jobs import retries
from denoise_relay.lifecycle import Status
from denoise_relay.models import Job
from tests.db.factories import append_and_refresh, fail, finish, stored_job
from tests.db.views.visitors import visitor_of

pytestmark = pytest.mark.django_db


def test_status_while_it_runs(client: Client, mine: dict[str, Any]) -> None:
    job = stored_job(duration_seconds=1.5, **mine)
    append_and_refresh(job, Fact(pct=40, message="Working"), status=Status.PROCESSING)
    answer = client.get(f"/jobs/{job.pk}/status/")
    assert answer["Cache-Control"] == "no-store"
    body = answer.json()
    times = {name: body.pop(name) for name in ("at", "created_at")}
    assert body == {
        "job": str(job.pk),
        "status": "processing",
        "seq": 2,
        "stage": "processing",
        "pct": 40,
        "message": "Working",
        "url": None,
        "file_name": "voice.wav",
        "finished_at": None,
        "duration_seconds": 1.5,
        "original_url": f"/jobs/{job.pk}/audio/original/",
        "preset": "",
        "max_attenuation_db": None,
        "loudness_lufs": None,
        "warning": None,
        "excerpt": None,
    }
    assert all(time.endswith("Z") for time in times.values())


def test_status_when_done(client: Client, mine: dict[str, Any]) -> None:
    job = finish(stored_job(**mine))
    body = client.get(f"/jobs/{job.pk}/status/").json()
    assert (body["status"], body["pct"]) == ("done", 100)
    assert body["url"] == f"/jobs/{job.pk}/audio/denoised/"
    assert body["finished_at"]


def test_the_page_refreshes_itself_only_while_it_runs(client: Client, mine: dict[str, Any]) -> None:
    job = stored_job(**mine)
    assert b'<noscript><meta http-equiv="refresh"' in client.get(f"/jobs/{job.pk}/").content
    finish(job)
    page = client.get(f"/jobs/{job.pk}/").content.decode()
    assert "http-equiv" not in page
    assert page.count("<audio controls") == 2


def test_a_failed_page_says_why_and_offers_a_retry(client: Client, mine: dict[str, Any]) -> None:
    job = fail(stored_job(**mine), "No <voice> found")
    page = client.get(f"/jobs/{job.pk}/").content.decode()
    assert "No &lt;voice&gt; found" in page
    assert f'action="/jobs/{job.pk}/retry/"' in page


def test_jobs_of_others_are_not_found(client: Client) -> None:
    job = stored_job(visitor="somebody else")
    for pk in (job.pk, uuid.uuid4()):
        assert client.get(f"/jobs/{pk}/").status_code == 404
        assert client.get(f"/jobs/{pk}/status/").status_code == 404
        assert client.post(f"/jobs/{pk}/cancel/").status_code == 404
        assert client.post(f"/jobs/{pk}/retry/").status_code == 404
    job.refresh_from_db()
    assert not job.ended


def test_cancel(client: Client, mine: dict[str, Any]) -> None:
    job = stored_job(**mine)
    for _ in range(2):  # the second changes nothing
        answer = client.post(f"/jobs/{job.pk}/cancel/")
        assert (answer.status_code, answer["Location"]) == (302, f"/jobs/{job.pk}/")
    job.refresh_from_db()
    assert job.status == Status.CANCELED


def test_retry_makes_a_new_job_of_an_ended_one(client: Client, mine: dict[str, Any]) -> None:
    job = fail(stored_job(**mine), "Lost")
    answer = client.post(f"/jobs/{job.pk}/retry/")
    anew = Job.objects.exclude(pk=job.pk).get()
    assert (answer.status_code, answer["Location"]) == (302, f"/jobs/{anew.pk}/")
    assert anew.retry_of_id == job.pk
    assert client.get(answer["Location"]).status_code == 200


def test_retry_does_not_double_a_running_job(client: Client, mine: dict[str, Any]) -> None:
    job = stored_job(**mine)
    assert client.post(f"/jobs/{job.pk}/retry/")["Location"] == f"/jobs/{job.pk}/"
    assert Job.objects.count() == 1


def test_retry_of_a_deleted_recording_is_not_found(client: Client, mine: dict[str, Any]) -> None:
    job = fail(stored_job(**mine), "Lost")
    job.original.storage.delete(job.original.name)
    assert client.post(f"/jobs/{job.pk}/retry/").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_retry_of_a_job_pruned_meanwhile_is_not_found(
    client: Client, mine: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = fail(stored_job(**mine), "Lost")
    look = retries.require_recording

    def look_and_prune(found: Job) -> None:
        look(found)
        Job.objects.filter(pk=found.pk).delete()
        connections.close_all()  # of this thread, which ends with the view's event loop

    monkeypatch.setattr(retries, "require_recording", look_and_prune)
    assert client.post(f"/jobs/{job.pk}/retry/").status_code == 404
    assert not Job.objects.exists()


def test_changes_need_a_form_of_ours(client: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    job = stored_job(visitor=visitor_of(strict))
    for path in (f"/jobs/{job.pk}/cancel/", f"/jobs/{job.pk}/retry/", "/"):
        assert strict.post(path).status_code == 403
        if path != "/":
            assert strict.get(path).status_code == 405
