"""Retry and cancel, of a selection and of one job."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from denoise_relay.admin import job_actions
from denoise_relay.lifecycle import Status
from denoise_relay.models import Job
from tests.db.admin.staff import LIST, page, staff, text
from tests.db.factories import fail, finish, stored_job
from tests.db.presets import TWO_PRESETS


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
def test_staff_with_change_permission_see_and_control() -> None:
    job = stored_job()
    client = staff("change_job")

    assert job.file_name in text(client, LIST)
    assert client.post(f"{LIST}{job.pk}/cancel/").status_code == 302


def test_an_unknown_job_cannot_be_controlled(root: Client) -> None:
    path = reverse("admin:denoise_relay_job_cancel", args=["00000000-0000-4000-8000-000000000000"])

    assert root.post(path).status_code == 404


def test_a_job_is_retried_with_the_preset_of_the_button(root: Client, settings: Settings) -> None:
    settings.DENOISE_RELAY = TWO_PRESETS
    job = fail(stored_job(preset="swift"), "No speech")
    html = text(root, page(job))
    assert 'name="preset" value="fine">Retry with Fine</button>' in html
    assert 'value="swift"' not in html

    for data, preset in (({}, "swift"), ({"preset": "fine"}, "fine")):
        answer = root.post(f"{LIST}{job.pk}/retry/", data)
        anew = Job.objects.latest()
        assert (answer["Location"], anew.preset) == (page(anew), preset)

    refused = root.post(f"{LIST}{job.pk}/retry/", {"preset": "gone"}, follow=True)
    assert "There is no preset “gone”." in refused.content.decode()
    assert Job.objects.count() == 3


@pytest.mark.usefixtures("media")
def test_the_whole_of_an_excerpt(root: Client) -> None:
    excerpt = stored_job(file_name="a-excerpt.flac", whole_name="a.wav")
    excerpt.whole.save("a.wav", ContentFile(b"all of it"))
    finish(excerpt)
    url = reverse("admin:denoise_relay_job_whole", args=[excerpt.pk])
    assert f'action="{url}"' in text(root, page(excerpt))
    assert "a.wav" in text(root, page(excerpt))

    answers = [root.post(url) for _ in range(2)]

    whole = Job.objects.get(retry_of=excerpt)
    assert {answer["Location"] for answer in answers} == {page(whole)}
    assert (whole.file_name, whole.original.name) == ("a.wav", excerpt.whole.name)
    plain = reverse("admin:denoise_relay_job_whole", args=[whole.pk])
    assert plain not in text(root, page(whole))
    assert root.post(plain).status_code == 404
    assert staff("view_job").post(url).status_code == 403
