"""The same form, sent again, makes no second job; in somebody else's hands it leads nowhere."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from django.test import AsyncClient, Client

from denoise_relay.models import Job
from tests.db.factories import fail, finish, stored_job
from tests.db.presets import TWO_PRESETS
from tests.db.views.test_upload import JSON, text_file, wav
from tests.db.views.visitors import visitor_of

pytestmark = pytest.mark.django_db


def token_on(page: str) -> str:
    return re.findall(r'name="form_token" value="([^"]+)"', page)[0]


def test_a_form_sent_again_leads_to_the_same_job(client: Client, mine: dict[str, Any]) -> None:
    token = token_on(client.get("/").content.decode())
    answers = [client.post("/", {"audio": wav(), "form_token": token}) for _ in range(2)]
    job = Job.objects.get()
    assert {(a.status_code, a["Location"]) for a in answers} == {(302, f"/jobs/{job.pk}/")}
    again = client.post("/", {"audio": wav(), "form_token": token}, headers=JSON)
    assert (again.status_code, again.json()["job"]) == (201, str(job.pk))


def test_a_newcomer_whose_first_answer_is_lost(client: Client) -> None:
    """Its cookies are lost, too; those that came with the page are there."""
    token = token_on(client.get("/").content.decode())
    cookies = client.cookies.output(header="", sep=";")
    client.post("/", {"audio": wav(), "form_token": token})
    client.cookies.clear()
    client.cookies.load(cookies)
    answer = client.post("/", {"audio": wav(), "form_token": token})
    assert answer["Location"] == f"/jobs/{Job.objects.get().pk}/"
    assert client.get(answer["Location"]).status_code == 200


def test_the_sample_asked_for_twice_is_one_job(client: Client, mine: dict[str, Any]) -> None:
    answers = [client.post("/", {"sample": "1", "form_token": "t"}) for _ in range(2)]
    assert answers[0]["Location"] == answers[1]["Location"]
    assert Job.objects.count() == 1


def test_what_was_refused_may_be_left_out_the_next_time(
    client: Client, mine: dict[str, Any]
) -> None:
    """And the same file twice in one form is two jobs, as it was."""
    files = [text_file(), wav("one.wav"), wav("two.wav"), wav("two.wav")]
    client.post("/", {"audio": files, "form_token": "t"}, headers=JSON)
    assert Job.objects.count() == 3
    client.post("/", {"audio": [wav("two.wav"), wav("two.wav")], "form_token": "t"})
    assert Job.objects.count() == 3


def test_another_file_with_the_same_token_is_another_job(
    client: Client, mine: dict[str, Any]
) -> None:
    for name in ("one.wav", "two.wav"):
        client.post("/", {"audio": wav(name), "form_token": "t"})
    assert Job.objects.count() == 2


def test_another_choice_with_the_same_token_is_another_job(
    client: Client, mine: dict[str, Any], settings: Any
) -> None:
    settings.DENOISE_RELAY = TWO_PRESETS
    for preset in ("fine", "swift", "swift"):
        client.post("/", {"audio": wav(), "form_token": "t", "preset": preset})
    assert set(Job.objects.values_list("preset", flat=True)) == {"fine", "swift"}
    assert Job.objects.count() == 2


def test_somebody_elses_token_reaches_nothing(client: Client, mine: dict[str, Any]) -> None:
    first = client.post("/", {"audio": wav(), "form_token": "t"}, headers=JSON).json()
    other = Client()
    visitor_of(other)
    second = other.post("/", {"audio": wav(), "form_token": "t"}, headers=JSON).json()
    assert first["job"] != second["job"]
    assert other.get(first["url"]).status_code == 404


def test_without_a_token_each_form_makes_a_job(client: Client, mine: dict[str, Any]) -> None:
    for _ in range(2):
        client.post("/", {"audio": wav()})
    assert Job.objects.count() == 2


def test_each_page_has_a_token_of_its_own(client: Client, mine: dict[str, Any]) -> None:
    job = fail(stored_job(**mine), "Lost")
    for path in ("/", f"/jobs/{job.pk}/"):
        pages = [client.get(path).content.decode() for _ in range(2)]
        assert token_on(pages[0]) != token_on(pages[1])
    refused = client.post("/", {"audio": text_file(), "form_token": "t"}).content.decode()
    assert token_on(refused) != "t"


@pytest.mark.parametrize("end", [fail, finish])
def test_retry_pressed_twice_makes_one_job(
    client: Client, mine: dict[str, Any], settings: Any, end: Any
) -> None:
    settings.DENOISE_RELAY = TWO_PRESETS
    job = stored_job(**mine)
    fail(job, "Lost") if end is fail else finish(job)
    form = {"form_token": token_on(client.get(f"/jobs/{job.pk}/").content.decode())}
    pressed = [client.post(f"/jobs/{job.pk}/retry/", form)["Location"] for _ in range(2)]
    anew = Job.objects.exclude(pk=job.pk).get()
    assert pressed == [f"/jobs/{anew.pk}/"] * 2
    # A page that was loaded anew means it.
    form = {"form_token": token_on(client.get(f"/jobs/{job.pk}/").content.decode())}
    assert client.post(f"/jobs/{job.pk}/retry/", form)["Location"] not in pressed


def test_a_form_that_runs_retries_when_its_job_has_failed(
    client: Client, mine: dict[str, Any]
) -> None:
    job = stored_job(**mine)
    page = client.get(f"/jobs/{job.pk}/").content.decode()
    fail(job, "Lost")
    for _ in range(2):
        client.post(f"/jobs/{job.pk}/retry/", {"form_token": token_on(page)})
    assert Job.objects.count() == 2


@pytest.mark.django_db(transaction=True)
async def test_sent_twice_at_the_same_time(async_client: AsyncClient) -> None:
    await async_client.post("/", {"sample": "1"})
    form = {"sample": "1", "form_token": "t"}
    answers = await asyncio.gather(*(async_client.post("/", form) for _ in range(3)))
    assert len({answer["Location"] for answer in answers}) == 1
    assert {answer.status_code for answer in answers} == {302}
    assert await Job.objects.acount() == 2
