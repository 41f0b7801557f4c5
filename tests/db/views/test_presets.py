"""Choosing a preset in the form, with a resumable upload, and on the page of a job."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from denoise_relay.models import Job
from denoise_relay.testing import tone_wav
from tests.db.factories import fail, finish, stored_job
from tests.db.presets import TWO_PRESETS
from tests.db.uploads import tus_requests as tus

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]
JSON = {"Accept": "application/json"}


@pytest.fixture(autouse=True)
def _two_presets(settings: Settings) -> None:
    settings.DENOISE_RELAY = TWO_PRESETS


def wav(name: str = "talk.wav") -> BytesIO:
    file = BytesIO(tone_wav(0.5))
    file.name = name
    return file


def checked(answer: HttpResponse) -> list[str]:
    """The presets whose radio button is on."""
    buttons = re.findall(r'<input type="radio"[^>]*>', answer.content.decode())
    return [re.findall(r'value="(\w+)"', button)[0] for button in buttons if " checked" in button]


def others(client: Client, job: Job) -> list[str]:
    """The presets with which the page of a job offers another try."""
    page = client.get(f"/jobs/{job.pk}/").content.decode()
    return re.findall(r'name="preset" value="(\w+)"', page)


def test_the_form_offers_the_presets_and_the_default_is_on(
    client: Client, settings: Settings
) -> None:
    assert checked(client.get("/")) == ["fine"]
    settings.DENOISE_RELAY = TWO_PRESETS | {"PRESET": "swift"}
    assert checked(client.get("/")) == ["swift"]
    settings.DENOISE_RELAY = {"BACKEND": "upstream"}
    assert 'type="radio"' not in client.get("/").content.decode()


def test_all_files_of_the_form_get_the_preset(client: Client) -> None:
    client.post("/", {"audio": [wav("one.wav"), wav("two.wav")], "preset": "swift"})
    assert list(Job.objects.values_list("preset", flat=True)) == ["swift", "swift"]


def test_after_a_refusal_the_choice_is_still_on(client: Client) -> None:
    notes = BytesIO(b"hello")
    notes.name = "notes.txt"
    answer = client.post("/", {"audio": notes, "preset": "swift"})
    assert answer.status_code == 400
    assert checked(answer) == ["swift"]  # type: ignore[arg-type]


def test_an_unknown_preset_is_refused_in_words(client: Client) -> None:
    answer = client.post("/", {"audio": wav(), "preset": "gone"}, headers=JSON)
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["code"] == "unknown_preset"
    assert "fine, swift" in error["message"]
    assert not Job.objects.exists()


def test_the_request_that_completes_a_resumable_upload_has_the_preset(client: Client) -> None:
    for preset in ("swift", ""):
        url = tus.upload_all(client)
        data = {"upload": tus.upload_id(url), "preset": preset}
        assert client.post("/", data, headers=JSON).status_code == 201
    assert set(Job.objects.values_list("preset", flat=True)) == {"swift", "fine"}


def test_status_and_page_say_which_it_is(client: Client, mine: dict[str, Any]) -> None:
    job = stored_job(preset="swift", **mine)
    assert client.get(f"/jobs/{job.pk}/status/").json()["preset"] == "swift"
    assert "<span>Quality: Swift</span>" in client.get(f"/jobs/{job.pk}/").content.decode()
    plain = stored_job(**mine)
    assert "Quality:" not in client.get(f"/jobs/{plain.pk}/").content.decode()


def test_ended_jobs_can_be_tried_again_with_another(
    client: Client, mine: dict[str, Any], settings: Settings
) -> None:
    done, failed = finish(stored_job(preset="swift", **mine)), fail(stored_job(**mine), "Lost")
    assert others(client, done) == ["fine"]
    assert others(client, failed) == ["swift"]

    again = client.post(f"/jobs/{done.pk}/retry/", {"preset": "fine"})
    job = Job.objects.get(retry_of=done)
    assert (again["Location"], job.preset) == (f"/jobs/{job.pk}/", "fine")

    settings.DENOISE_RELAY = {"BACKEND": "upstream"}
    assert others(client, done) == []
    assert (
        f'action="/jobs/{done.pk}/retry/"' not in client.get(f"/jobs/{done.pk}/").content.decode()
    )


def test_a_preset_that_is_gone_is_told_on_the_page_of_the_job(
    client: Client, mine: dict[str, Any]
) -> None:
    job = fail(stored_job(preset="gone", **mine), "Lost")
    answer = client.post(f"/jobs/{job.pk}/retry/", {"preset": "gone"})
    assert answer.status_code == 400
    assert 'role="alert">There is no preset “gone”' in answer.content.decode()
    assert not Job.objects.filter(retry_of=job).exists()
    client.post(f"/jobs/{job.pk}/retry/")
    assert Job.objects.get(retry_of=job).preset == "fine"
