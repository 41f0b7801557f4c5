"""The pages and their JSON, as forms and scripts ask for them."""

from __future__ import annotations

import json
import re
import uuid
from io import BytesIO
from typing import Any

import pytest
from django.db import connections
from django.template import Context, Template
from django.test import Client

from denoise_relay import presentation
from denoise_relay.events import Fact
from denoise_relay.lifecycle import Status
from denoise_relay.models import Job
from denoise_relay.testing import silent_wav
from denoise_relay.views import jobs
from tests.db.factories import append_and_refresh, fail, finish, stored_job

pytestmark = pytest.mark.django_db

JSON = {"Accept": "application/json"}


def wav(name: str = "talk.wav") -> BytesIO:
    file = BytesIO(silent_wav(0.5))
    file.name = name
    return file


def text_file(name: str = "notes.txt") -> BytesIO:
    file = BytesIO(b"hello")
    file.name = name
    return file


def visitor_of(client: Client) -> str:
    """Have a visitor's token, as an upload makes it."""
    session = client.session
    session["denoise_relay_visitor"] = token = uuid.uuid4().hex
    session.save()
    return token


@pytest.fixture
def mine(client: Client) -> dict[str, Any]:
    """Columns that make a job the client's."""
    return {"visitor": visitor_of(client)}


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
    }
    assert all(time.endswith("Z") for time in times.values())


def test_status_when_done(client: Client, mine: dict[str, Any]) -> None:
    job = finish(stored_job(**mine))
    body = client.get(f"/jobs/{job.pk}/status/").json()
    assert (body["status"], body["pct"]) == ("done", 100)
    assert body["url"] == f"/jobs/{job.pk}/audio/denoised/"
    assert body["finished_at"]


def test_a_passed_through_result_is_linked_only_if_it_is_an_address() -> None:
    job = Job(stage="done", result_url="https://cdn.example/a.wav")
    assert presentation.links_of(job).denoised == "https://cdn.example/a.wav"
    job.result_url = "javascript:alert(1)"
    assert presentation.links_of(job).denoised == f"/jobs/{job.pk}/audio/denoised/"


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


def test_what_is_not_yours_does_not_exist(client: Client) -> None:
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
    look = jobs._has_original

    def look_and_prune(found: Job) -> bool:
        there = look(found)
        Job.objects.filter(pk=found.pk).delete()
        connections.close_all()  # of this thread, which ends with the view's event loop
        return there

    monkeypatch.setattr(jobs, "_has_original", look_and_prune)
    assert client.post(f"/jobs/{job.pk}/retry/").status_code == 404
    assert not Job.objects.exists()


def test_changes_need_a_form_of_ours(client: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    job = stored_job(visitor=visitor_of(strict))
    for path in (f"/jobs/{job.pk}/cancel/", f"/jobs/{job.pk}/retry/", "/"):
        assert strict.post(path).status_code == 403
        if path != "/":
            assert strict.get(path).status_code == 405


def test_the_tag_stands_alone_in_any_template() -> None:
    jobs = [stored_job(file_name="a.wav"), finish(stored_job(file_name="b.wav"))]
    source = "{% load denoise_relay %}{% for job in jobs %}{% denoise_job job %}{% endfor %}"
    html = Template(source).render(Context({"jobs": jobs}))
    assert re.findall(r'data-job="([^"]+)"', html) == [str(job.pk) for job in jobs]
    texts = re.search(r'data-texts="([^"]+)"', html)
    assert texts
    assert json.loads(texts[1].replace("&quot;", '"'))["status"]["done"] == "Done"


def test_the_tag_without_controls_offers_no_changes() -> None:
    job = stored_job()
    source = "{% load denoise_relay %}{% denoise_job job controls=False %}"
    assert "<form" not in Template(source).render(Context({"job": job}))


def test_a_row_links_to_its_job() -> None:
    job = stored_job()
    source = '{% load denoise_relay %}{% denoise_job job "row" %}'
    html = Template(source).render(Context({"job": job}))
    assert f'href="/jobs/{job.pk}/"' in html
    assert "<template" not in html


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.0, "0:00"), (65.2, "1:05"), (3661.0, "1:01:01")],
)
def test_clock(seconds: float | None, text: str) -> None:
    assert presentation.clock(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(200 * 1024**2, "200 MB"), (int(1.5 * 1024**2), "1.5 MB")]
)
def test_size(size: int, text: str) -> None:
    assert presentation.size(size).replace("\xa0", " ") == text


@pytest.mark.parametrize(
    ("name", "denoised"),
    [("a.talk.mp4", "a.talk-denoised.wav"), ("voice", "voice-denoised.wav")],
)
def test_denoised_name(name: str, denoised: str) -> None:
    assert presentation.denoised_name(Job(file_name=name)) == denoised
