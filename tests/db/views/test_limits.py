"""Too many waiting recordings: 429 with Retry-After and a sentence, on every way in."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.test import Client
from pytest_django import Settings

from denoise_relay import engine
from denoise_relay.jobs import addresses
from denoise_relay.models import Job, media_storage
from tests.db.api.calls import ROOT, call
from tests.db.api.conftest import key, secret  # noqa: F401 - fixtures
from tests.db.factories import end, fail, stored_job
from tests.db.uploads import tus_requests as tus
from tests.db.uploads.tus_requests import TUS
from tests.db.views.test_upload import JSON, wav
from tests.db.views.visitors import visitor_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]
SENTENCE = "You have 1 recording waiting. Send more when it is done."


@pytest.fixture(autouse=True)
def _limits(settings: Settings) -> None:
    settings.DENOISE_RELAY = {
        "WORKER": "external",
        "MAX_WAITING_PER_OWNER": 1,
        "MAX_WAITING_PER_VISITOR": 1,
        "MAX_WAITING_PER_ADDRESS": 3,
    }


def check(answer: Any) -> None:
    assert (answer.status_code, answer["Retry-After"]) == (429, "30")


def test_the_page(client: Client) -> None:
    visitor_of(client)
    answer = client.post("/", {"audio": [wav("one.wav"), wav("two.wav")]})
    check(answer)
    page = answer.content.decode()
    assert SENTENCE in page
    assert "two.wav" in page
    assert Job.objects.get().file_name == "one.wav"  # and what was taken is taken


def test_its_script(client: Client) -> None:
    visitor_of(client)
    form = {"audio": wav(), "form_token": "t"}
    first = client.post("/", form, headers=JSON)
    answer = client.post("/", {"audio": wav("other.wav")}, headers=JSON)
    check(answer)
    (error,) = answer.json()["errors"]
    assert (error["code"], error["message"]) == ("too_many_waiting", SENTENCE)
    # A form that is sent again is no second job.
    again = client.post("/", {"audio": wav(), "form_token": "t"}, headers=JSON)
    assert (again.status_code, again.json()["job"]) == (201, first.json()["job"])


def test_an_upload_in_parts_is_refused_before_it_is_sent(client: Client) -> None:
    url = tus.upload_all(client)
    waiting = client.post("/", {"sample": "1"}, headers=JSON).json()["job"]
    refused = client.post("/uploads/", headers={**TUS, "Upload-Length": "100"})
    check(refused)
    assert refused.json()["errors"][0]["message"] == SENTENCE
    # One that has come already is kept until there is room.
    check(tus.complete(client, url))
    end(Job.objects.get(pk=waiting))
    assert tus.complete(client, url).status_code == 201


def test_retry_and_whole(client: Client, mine: dict[str, Any]) -> None:
    job = fail(stored_job(**mine), "Lost")
    assert client.post(f"/jobs/{job.pk}/retry/").status_code == 302
    answer = client.post(f"/jobs/{job.pk}/retry/")
    check(answer)
    assert SENTENCE in answer.content.decode()
    job.whole.name = media_storage().save("denoise/none/whole.wav", ContentFile(b"whole"))
    job.save()
    check(client.post(f"/jobs/{job.pk}/whole/"))


@pytest.mark.skipif(not engine.available(), reason="the engine is not installed")
def test_the_api(secret: str) -> None:  # noqa: F811
    answers = [call(ROOT, secret, method="POST", data={"audio": wav()}) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429]
    assert answers[1]["Retry-After"] == "30"
    assert answers[1].json() == {"errorCode": "42902", "errorMessage": SENTENCE}


def test_new_sessions_do_not_help_at_one_address() -> None:
    made_up = [f"203.0.113.{number}" for number in range(4)]
    answers = [
        Client().post("/", {"sample": "1"}, headers={**JSON, "X-Forwarded-For": address})
        for address in made_up
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
    assert "from your network" in answers[-1].json()["errors"][0]["message"]
    assert Client(REMOTE_ADDR="192.0.2.7").post("/", {"sample": "1"}).status_code == 302


def test_the_address_itself_is_not_kept() -> None:
    Client(REMOTE_ADDR="192.0.2.7").post("/", {"sample": "1"})
    kept = Job.objects.get().address
    assert kept == addresses.pseudonym(addresses._parse("192.0.2.7"))
    assert "192.0.2.7" not in kept
