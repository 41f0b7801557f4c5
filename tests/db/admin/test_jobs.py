"""The admin: what staff see, what it costs, and what they may do."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from denoise_relay import access
from denoise_relay.admin import job_actions, large_tables
from denoise_relay.admin import jobs as jobs_admin
from denoise_relay.admin.large_tables import JobsByDate
from denoise_relay.events import Fact
from denoise_relay.lifecycle import Status
from denoise_relay.models import ApiKey, Job
from tests.db.factories import append_and_refresh, fail, finish, stored_job

LIST = "/admin/denoise_relay/job/"
KEYS = "/admin/denoise_relay/apikey/"


@pytest.fixture(autouse=True)
def _storage(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def root(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def staff(*codenames: str) -> Client:
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def page(job: Job) -> str:
    return f"{LIST}{job.pk}/change/"


def text(client: Client, path: str, **kwargs: Any) -> str:
    response = client.get(path, **kwargs)
    assert response.status_code == 200
    return response.content.decode()


def names_on(client: Client, query: str) -> set[str]:
    response = client.get(f"{LIST}?{query}")
    return {job.file_name for job in response.context["cl"].result_list}


# The list


def test_list_shows_status_in_words(root: Client) -> None:
    fail(stored_job(file_name="bad.wav"), "No speech")
    append_and_refresh(stored_job(file_name="busy.wav"), Fact(pct=62.5), status=Status.PROCESSING)

    html = text(root, LIST)

    assert '<span class="denoise-badge denoise-error">Failed</span>' in html
    assert "62.5%" in html


def test_list_costs_the_same_queries_for_any_number_of_jobs(root: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            text(root, LIST)
        return len(captured)

    stored_job(owner=User.objects.create_user("first"))
    few = queries()
    for n in range(20):
        finish(stored_job(owner=User.objects.create_user(f"user{n}")))

    assert queries() == few
    assert few <= 8


def test_list_never_counts_all_jobs(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_tables, "COUNT_LIMIT", 3)
    for _ in range(5):
        stored_job()

    with CaptureQueriesContext(connection) as captured:
        response = root.get(LIST)

    assert response.context["cl"].result_count == 3
    counts = [query["sql"] for query in captured if "COUNT(" in query["sql"]]
    assert counts
    assert all("LIMIT 3" in sql for sql in counts)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=call", {"Team call.wav"}),
        ("q=TEAM", {"Team call.wav"}),
        ("q=ann", {"of ann.wav"}),
        ("q=vendor-7", {"upstream.wav"}),
        ("q=nothing", set()),
        ("status__exact=error", {"failed.wav"}),
        ("is_video__exact=1", {"film.mp4"}),
        ("owner__isempty=0", {"of ann.wav"}),
    ],
)
def test_list_is_searched_and_filtered(root: Client, query: str, found: set[str]) -> None:
    stored_job(file_name="Team call.wav")
    stored_job(file_name="of ann.wav", owner=User.objects.create_user("ann"))
    stored_job(file_name="upstream.wav", upstream_id="vendor-7")
    stored_job(file_name="film.mp4", is_video=True)
    fail(stored_job(file_name="failed.wav"), "No speech")

    assert names_on(root, query) == found


def test_search_for_an_id_reads_one_row_by_its_key(root: Client) -> None:
    wanted = stored_job(file_name="wanted.wav")
    stored_job(file_name="other.wav")

    with CaptureQueriesContext(connection) as captured:
        found = names_on(root, f"q={wanted.pk}")

    assert found == {"wanted.wav"}
    assert not [query["sql"] for query in captured if "LIKE" in query["sql"].upper()]


def test_search_finds_an_upstream_id_that_is_a_uuid(root: Client) -> None:
    upstream_id = "5b1d2f7e-3f81-4c2a-9c5d-7a2e91b4c7a1"
    stored_job(file_name="wanted.wav", upstream_id=upstream_id)
    stored_job(file_name="other.wav")

    assert names_on(root, f"q={upstream_id}") == {"wanted.wav"}


@pytest.mark.parametrize("zone", ["UTC", "America/Chicago", "Asia/Kathmandu"])
@pytest.mark.parametrize("kind", ["day", "month", "year"])
@pytest.mark.django_db
def test_dates_are_those_that_django_finds_by_reading_every_row(kind: str, zone: str) -> None:
    shuffled = random.Random(kind + zone)
    jobs = Job.objects.bulk_create([Job(original="x") for _ in range(60)])
    for job in jobs:
        # Over three years, with clock changes and leap days, and often near midnight.
        hours = shuffled.randrange(3 * 366) * 24 + shuffled.choice([-1, 0, 5, 6, 18])
        moment = datetime(2023, 12, 31, tzinfo=UTC) + timedelta(hours=hours)
        Job.objects.filter(pk=job.pk).update(created_at=moment)

    with timezone.override(zone):
        found = JobsByDate(Job).datetimes("created_at", kind)
        assert found == list(Job.objects.order_by().datetimes("created_at", kind))


def test_list_offers_dates_to_choose_but_not_within_a_search(root: Client) -> None:
    stored_job(file_name="now.wav")
    old = stored_job(file_name="old.wav")
    Job.objects.filter(pk=old.pk).update(created_at=datetime(2024, 2, 29, 12, tzinfo=UTC))

    assert "?created_at__year=2024" in text(root, LIST)
    assert names_on(root, "created_at__year=2024&created_at__month=2") == {"old.wav"}
    assert "?created_at__year=2024" not in text(root, f"{LIST}?q=old")


# One job


def test_page_has_the_latest_events_in_order_as_text(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_admin, "TIMELINE_LENGTH", 3)
    job = stored_job(file_name="<b>bold</b>.wav")
    for n in range(1, 5):
        append_and_refresh(job, Fact(pct=n, message=f"<img src=x> step {n}"))

    html = text(root, page(job))

    assert re.findall(r"<td>&lt;img src=x&gt; step (\d)</td>", html) == ["2", "3", "4"]
    assert "Only the latest 3 events." in html
    assert "<img src=x>" not in html
    assert "<b>bold</b>" not in html


def test_page_plays_what_there_is(root: Client) -> None:
    waiting, done = stored_job(), finish(stored_job())

    assert text(root, page(waiting)).count("<audio ") == 1
    html = text(root, page(done))
    assert f'<audio controls preload="none" src="/jobs/{done.pk}/audio/denoised/"' in html
    assert html.count("<audio ") == 2


def test_pages_hold_no_inline_script_or_style(root: Client) -> None:
    job = finish(stored_job())
    fail(stored_job(), "No speech")

    for path in (LIST, page(job)):
        html = text(root, path)
        assert not re.findall(r"<script(?![^>]*\ssrc=)[^>]*>\s*[^<\s]", html)
        assert not re.findall(r"<style|\sstyle=|\son\w+=", html)


def test_nobody_edits_adds_or_deletes_a_job(root: Client) -> None:
    job = stored_job(file_name="mine.wav")

    assert root.post(page(job), {"file_name": "yours.wav"}).status_code == 403
    assert root.get(f"{LIST}add/").status_code == 403
    assert root.post(f"{LIST}{job.pk}/delete/", {"post": "yes"}).status_code == 403
    job.refresh_from_db()
    assert job.file_name == "mine.wav"


# Actions


def act(client: Client, action: str, *selected: Job) -> str:
    data = {"action": action, "_selected_action": [job.pk for job in selected], "index": 0}
    return client.post(LIST, data, follow=True).content.decode()


def test_selected_jobs_are_canceled_if_they_have_not_ended(root: Client) -> None:
    running, waiting, done = stored_job(), stored_job(), finish(stored_job())

    html = act(root, "cancel_selected", running, waiting, done)

    for job in (running, waiting, done):
        job.refresh_from_db()
    assert (running.status, waiting.status, done.status) == ("canceled", "canceled", "done")
    assert "2 jobs were canceled." in html
    assert "1 job had ended already." in html
    assert LogEntry.objects.count() == 2


def test_selected_jobs_are_retried_if_they_have_ended(root: Client) -> None:
    owner = User.objects.create_user("ann")
    failed, waiting = fail(stored_job(owner=owner), "No speech"), stored_job()

    html = act(root, "retry_selected", failed, waiting)

    anew = Job.objects.get(retry_of=failed)
    assert (anew.status, anew.owner, anew.original) == ("queued", owner, failed.original)
    assert not Job.objects.filter(retry_of=waiting).exists()
    assert "1 job was queued again." in html
    assert "1 job has not ended yet and was left alone." in html


def test_too_large_a_selection_is_left_alone(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_actions, "ACTION_LIMIT", 1)
    jobs = [stored_job(), stored_job()]

    html = act(root, "cancel_selected", *jobs)

    assert "Select at most 1 job at a time. Nothing was done." in html
    assert not Job.objects.filter(status=Status.CANCELED).exists()


def test_buttons_of_a_page_do_the_same(root: Client) -> None:
    job = stored_job()
    assert f'action="{LIST}{job.pk}/cancel/"' in text(root, page(job))
    assert "/retry/" not in text(root, page(job))

    canceled = root.post(f"{LIST}{job.pk}/cancel/")
    assert (canceled.status_code, canceled["Location"]) == (302, page(job))
    assert f'action="{LIST}{job.pk}/retry/"' in text(root, page(job))

    retried = root.post(f"{LIST}{job.pk}/retry/")
    assert retried["Location"] == page(Job.objects.get(retry_of=job))


@pytest.mark.django_db
def test_buttons_need_post_a_token_and_the_permission() -> None:
    job = stored_job()
    viewer = staff("view_job")

    assert "/cancel/" not in text(viewer, page(job))
    assert "cancel_selected" not in text(viewer, LIST)
    assert viewer.post(f"{LIST}{job.pk}/cancel/").status_code == 403
    act(viewer, "cancel_selected", job)

    root = Client(enforce_csrf_checks=True)
    root.force_login(User.objects.create_superuser("root"))
    assert root.post(f"{LIST}{job.pk}/cancel/").status_code == 403
    assert root.get(f"{LIST}{job.pk}/cancel/").status_code == 405
    job.refresh_from_db()
    assert not job.ended


@pytest.mark.django_db
def test_staff_with_change_permission_see_and_steer() -> None:
    job = stored_job()
    client = staff("change_job")

    assert job.file_name in text(client, LIST)
    assert client.post(f"{LIST}{job.pk}/cancel/").status_code == 302


@pytest.mark.django_db
def test_staff_without_permission_see_nothing() -> None:
    job = stored_job()
    client = staff()

    assert client.get(LIST).status_code == 403
    assert client.get(page(job)).status_code == 403


def test_unknown_job_cannot_be_steered(root: Client) -> None:
    path = reverse("admin:denoise_relay_job_cancel", args=["00000000-0000-4000-8000-000000000000"])

    assert root.post(path).status_code == 404


# API keys


def test_new_key_is_shown_once_and_works(root: Client) -> None:
    user = User.objects.create_user("ann")

    html = root.post(f"{KEYS}add/", {"name": "site", "user": user.pk}, follow=True).content.decode()

    (secret,) = re.findall(r"dr_[\w-]{43}", html)
    key = ApiKey.objects.get(digest=access.digest(secret))
    assert (key.name, key.user) == ("site", user)
    for path in (KEYS, f"{KEYS}{key.pk}/change/"):
        html = text(root, path)
        assert secret not in html
        assert key.digest not in html


def test_key_may_be_renamed_but_not_given_to_another(root: Client) -> None:
    user = User.objects.create_user("ann")
    access.create_api_key("site")
    key = ApiKey.objects.get()

    root.post(f"{KEYS}{key.pk}/change/", {"name": "renamed", "user": user.pk})

    key.refresh_from_db()
    assert (key.name, key.user) == ("renamed", None)


def test_revoked_keys_keep_the_moment_they_were_revoked(root: Client) -> None:
    access.create_api_key("old")
    long_ago = timezone.now() - timedelta(days=9)
    ApiKey.objects.update(revoked_at=long_ago)
    access.create_api_key("new")
    data = {"action": "revoke_selected", "_selected_action": [k.pk for k in ApiKey.objects.all()]}

    html = root.post(KEYS, data, follow=True).content.decode()

    assert "1 API key was revoked." in html
    assert ApiKey.objects.get(name="old").revoked_at == long_ago
    assert ApiKey.objects.get(name="new").revoked_at is not None
