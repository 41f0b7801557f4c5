"""*Try 30 seconds first* on the pages: the box in the form, the excerpt, and the whole after it."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from django.test import Client

from denoise_relay import engine
from denoise_relay.jobs import excerpts
from denoise_relay.models import Job
from tests.db.factories import finish, stored_job
from tests.db.interviews import interview
from tests.db.uploads import tus_requests as tus

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("media"),
    pytest.mark.skipif(not engine.available(), reason="needs the local engine"),
]


def recording() -> BytesIO:
    file = BytesIO(interview())
    file.name = "<b>interview.wav"
    return file


def test_the_form_offers_it_where_it_can_be_made(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert b'name="excerpt"' in client.get("/").content
    monkeypatch.setattr(excerpts, "available", lambda: False)
    assert b'name="excerpt"' not in client.get("/").content


def test_an_excerpt_from_the_form_and_then_the_whole(client: Client) -> None:
    client.post("/", {"audio": recording(), "excerpt": "1"})
    job = finish(Job.objects.get())
    page = client.get(f"/jobs/{job.pk}/").content.decode()
    assert "Excerpt, from" in page
    assert "&lt;b&gt;interview.wav" in page
    assert f'action="/jobs/{job.pk}/whole/"' in page

    answers = [client.post(f"/jobs/{job.pk}/whole/") for _ in range(2)]
    whole = Job.objects.exclude(pk=job.pk).get()
    assert {answer["Location"] for answer in answers} == {f"/jobs/{whole.pk}/"}
    page = client.get(f"/jobs/{whole.pk}/").content.decode()
    assert "The excerpt</a>" in page
    assert "/whole/" not in page


def test_an_excerpt_of_an_upload_in_parts(client: Client) -> None:
    content = interview()
    url = tus.create_upload(client, length=len(content), name="interview.wav")
    tus.patch(client, url, 0, content)
    data = {"upload": tus.upload_id(url), "excerpt": "1"}
    answers = [
        client.post("/", data, headers={"Accept": "application/json"}).json() for _ in range(2)
    ]
    assert answers[0]["job"] == answers[1]["job"]
    assert Job.objects.get().whole_name == "interview.wav"


def test_whole_of_what_is_no_excerpt_or_not_yours(client: Client, mine: dict[str, Any]) -> None:
    plain, other = stored_job(**mine), stored_job(visitor="other")
    for job in (plain, other):
        assert client.post(f"/jobs/{job.pk}/whole/").status_code == 404
    assert client.get(f"/jobs/{plain.pk}/whole/").status_code == 405
