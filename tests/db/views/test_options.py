"""Choosing strength and loudness in the form, with a resumable upload, and on a job's page."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from denoise_relay import engine
from denoise_relay.jobs import options
from denoise_relay.models import Job
from denoise_relay.testing import tone_wav
from tests.db.factories import stored_job
from tests.db.uploads import tus_requests as tus

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]
needs_engine = pytest.mark.skipif(not engine.available(), reason="needs the local engine")
JSON = {"Accept": "application/json"}
CHOSEN = {"max_attenuation_db": "12", "loudness_lufs": "-16"}


@pytest.fixture(autouse=True)
def _external_worker(settings: Settings) -> None:
    settings.DENOISE_RELAY = {"WORKER": "external"}


def wav(name: str = "talk.wav") -> BytesIO:
    file = BytesIO(tone_wav(0.5))
    file.name = name
    return file


def selects(answer: HttpResponse) -> dict[str, list[str]]:
    """The values of each select of the form, the one that is chosen in brackets."""
    found = {}
    page = answer.content.decode()
    for name, inside in re.findall(r'<select name="(\w+)"[^>]*>(.*?)</select>', page, re.DOTALL):
        choices = re.findall(r'<option value="([^"]*)"( selected)?>', inside)
        found[name] = [f"[{value}]" if chosen else value for value, chosen in choices]
    return found


@needs_engine
def test_the_form_offers_options_that_are_valid(client: Client) -> None:
    offered = selects(client.get("/"))
    assert offered == {
        "max_attenuation_db": ["[]", "24", "12", "6"],
        "loudness_lufs": ["[]", "-16", "-23"],
    }
    for name, values in offered.items():
        for value in values[1:]:
            assert options.parsed(**{**dict.fromkeys(offered, ""), name: value}).chosen


def test_without_the_engine_the_form_offers_none(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "available", lambda *_: False)
    page = client.get("/")
    assert selects(page) == {}
    assert b"denoise-options" not in page.content
    refused = client.post("/", {"audio": wav(), **CHOSEN}, headers=JSON)
    assert refused.status_code == 400
    assert [error["code"] for error in refused.json()["errors"]] == ["bad_option"]


@needs_engine
def test_all_files_of_the_form_get_the_options(client: Client) -> None:
    client.post("/", {"audio": [wav("one.wav"), wav("two.wav")], **CHOSEN})
    rows = Job.objects.values_list("max_attenuation_db", "loudness_lufs")
    assert list(rows) == [(12.0, -16.0), (12.0, -16.0)]


@needs_engine
def test_the_default_choice_changes_nothing(client: Client) -> None:
    client.post("/", {"audio": wav(), "max_attenuation_db": "", "loudness_lufs": ""})
    job = Job.objects.get()
    assert (job.max_attenuation_db, job.loudness_lufs) == (None, None)


@needs_engine
def test_a_wrong_option_is_refused_once_and_not_for_each_file(client: Client) -> None:
    files = {"audio": [wav("one.wav"), wav("two.wav")], "loudness_lufs": "loud"}
    refused = client.post("/", files)
    assert refused.status_code == 400
    page = refused.content.decode()
    assert page.count("“loud” is no loudness: -31 to -9 LUFS.") == 1
    assert not Job.objects.exists()


@needs_engine
def test_after_a_refusal_the_choice_is_still_on(client: Client) -> None:
    notes = BytesIO(b"hello")
    notes.name = "notes.txt"
    refused = client.post("/", {"audio": notes, **CHOSEN})
    assert refused.status_code == 400
    assert selects(refused) == {  # type: ignore[arg-type]
        "max_attenuation_db": ["", "24", "[12]", "6"],
        "loudness_lufs": ["", "[-16]", "-23"],
    }


@needs_engine
def test_the_request_that_completes_a_resumable_upload_has_the_options(client: Client) -> None:
    url = tus.upload_all(client)
    data = {"upload": tus.upload_id(url), **CHOSEN}
    assert client.post("/", data, headers=JSON).status_code == 201
    job = Job.objects.get()
    assert (job.max_attenuation_db, job.loudness_lufs) == (12.0, -16.0)


@needs_engine
def test_a_resumable_upload_is_kept_when_an_option_is_wrong(client: Client) -> None:
    upload = {"upload": tus.upload_id(tus.upload_all(client))}
    refused = client.post("/", {**upload, "max_attenuation_db": "1"}, headers=JSON)
    assert refused.status_code == 400
    assert [error["code"] for error in refused.json()["errors"]] == ["bad_option"]
    assert client.post("/", upload, headers=JSON).status_code == 201


@needs_engine
def test_the_same_form_with_another_option_is_another_job(client: Client) -> None:
    client.get("/")
    for strength in ("12", "12", "6"):
        client.post("/", {"audio": wav(), "form_token": "t" * 22, "max_attenuation_db": strength})
    strengths = Job.objects.values_list("max_attenuation_db", flat=True)
    assert sorted(strengths) == [6.0, 12.0]  # type: ignore[type-var]


def test_status_and_page_say_what_was_chosen(client: Client, mine: dict[str, Any]) -> None:
    job = stored_job(max_attenuation_db=12.5, loudness_lufs=-16.0, **mine)
    status = client.get(f"/jobs/{job.pk}/status/").json()
    assert (status["max_attenuation_db"], status["loudness_lufs"]) == (12.5, -16.0)
    page = client.get(f"/jobs/{job.pk}/").content.decode()
    assert 'Noise removal: at most <bdi dir="ltr">12.5 dB</bdi>' in page
    assert 'Loudness: <bdi dir="ltr">-16 LUFS</bdi>' in page


def test_nothing_is_said_where_nothing_was_chosen(client: Client, mine: dict[str, Any]) -> None:
    job = stored_job(**mine)
    status = client.get(f"/jobs/{job.pk}/status/").json()
    assert (status["max_attenuation_db"], status["loudness_lufs"]) == (None, None)
    page = client.get(f"/jobs/{job.pk}/").content.decode()
    assert "Noise removal" not in page
    assert "Loudness: " not in page
