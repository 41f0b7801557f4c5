"""The upload page: forms, JSON, and the list of a visitor's jobs."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

import pytest
from django.test import Client

from denoise_relay import engine
from denoise_relay.models import Job
from denoise_relay.testing import tone_wav
from tests.db.factories import finish, stored_job
from tests.db.jobs.test_validation import fail_probes

pytestmark = pytest.mark.django_db
JSON = {"Accept": "application/json"}


def wav(name: str = "talk.wav") -> BytesIO:
    file = BytesIO(tone_wav(0.5))
    file.name = name
    return file


def text_file(name: str = "notes.txt") -> BytesIO:
    file = BytesIO(b"hello")
    file.name = name
    return file


def test_the_sample_becomes_a_job_of_this_visitor(client: Client) -> None:
    answer = client.post("/", {"sample": "1"})
    job = Job.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"/jobs/{job.pk}/")
    assert job.visitor
    assert job.file_name in client.get("/").content.decode()
    assert job.file_name not in Client().get("/").content.decode()


def test_a_users_job_belongs_to_the_user(client: Client, django_user_model: Any) -> None:
    user = django_user_model.objects.create_user("ada", password="x")
    client.force_login(user)
    client.post("/", {"audio": wav()})
    job = Job.objects.get()
    assert (job.owner, job.visitor) == (user, "")


def test_several_files_lead_back_to_the_list(client: Client) -> None:
    answer = client.post("/", {"audio": [wav("one.wav"), wav("two.wav")]})
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert set(Job.objects.values_list("file_name", flat=True)) == {"one.wav", "two.wav"}


def test_json_says_where_the_job_is(client: Client) -> None:
    answer = client.post("/", {"audio": wav()}, headers=JSON)
    job = Job.objects.get()
    assert answer.status_code == 201
    body = answer.json()
    assert (body["job"], body["url"]) == (str(job.pk), f"/jobs/{job.pk}/")
    assert body["state"]["status"] == "queued"
    assert set(body["links"]) == {"status", "events", "socket"}


@pytest.mark.parametrize(
    ("data", "code"), [({}, "required"), ({"audio": text_file}, "unsupported")]
)
def test_json_says_what_is_wrong(client: Client, data: dict[str, Any], code: str) -> None:
    sent = {name: make() for name, make in data.items()}
    answer = client.post("/", sent, headers=JSON)
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["code"] == code
    assert error["message"]
    assert not Job.objects.exists()


@pytest.mark.parametrize("headers", [JSON, {}], ids=["json", "page"])
def test_a_server_too_busy_to_check_says_so(
    client: Client, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    fail_probes(monkeypatch, engine.MediaRejected("too_slow"))
    answer = client.post("/", {"audio": wav()}, headers=headers)
    assert (answer.status_code, answer["Retry-After"]) == (503, "10")
    assert "The server is busy" in answer.content.decode()


def test_a_refusal_stands_at_the_field_and_the_good_file_is_kept(client: Client) -> None:
    answer = client.post("/", {"audio": [text_file("<b>.txt"), wav("good.wav")]})
    page = answer.content.decode()
    assert answer.status_code == 400
    assert Job.objects.get().file_name == "good.wav"
    field = re.search(r"<input[^>]*type=\"file\"[^>]*>", page)
    assert field
    assert 'aria-invalid="true"' in field[0]
    assert "denoise-error" in field[0]
    assert "&lt;b&gt;.txt" in page
    assert "<b>.txt" not in page
    assert page.count("good.wav") >= 1


def test_json_of_a_mixed_batch_has_both(client: Client) -> None:
    answer = client.post("/", {"audio": [text_file(), wav()]}, headers=JSON)
    assert answer.status_code == 201
    assert answer.json()["errors"][0]["file_name"] == "notes.txt"
    assert answer.json()["job"] == str(Job.objects.get().pk)


def test_the_list_is_newest_first_in_pages(client: Client, mine: dict[str, Any]) -> None:
    for number in range(21):
        stored_job(file_name=f"take-{number:02}.wav", **mine)
    names = re.compile(r">(take-\d\d)\.wav<")
    first = names.findall(client.get("/").content.decode())
    second = names.findall(client.get("/?page=2").content.decode())
    assert first == [f"take-{number:02}" for number in range(20, 0, -1)]
    assert second == ["take-00"]
    assert client.get("/?page=nonsense").status_code == 200


def test_pages_hold_nothing_inline(client: Client, mine: dict[str, Any]) -> None:
    jobs = [stored_job(file_name='"><script>x</script>.wav', **mine), finish(stored_job(**mine))]
    for path in ("/", *(f"/jobs/{job.pk}/" for job in jobs)):
        page = client.get(path).content.decode()
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page), path
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page)), path


def test_pages_are_private(client: Client, mine: dict[str, Any]) -> None:
    job = stored_job(**mine)
    for path in ("/", f"/jobs/{job.pk}/"):
        assert "private" in client.get(path)["Cache-Control"]


def test_the_page_asks_for_any_recording(client: Client) -> None:
    page = client.get("/").content.decode()
    assert "Any audio or video, up to" in page
    (accept,) = re.findall(r'accept="([^"]+)"', page)
    assert accept.startswith("audio/*,video/*,")
    assert {".opus", ".amr", ".caf", ".w64", ".3gp", ".wav", ".m4v"} <= set(accept.split(","))
