"""Delete on the pages: the question, the answer, and who may."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from denoise_relay.access import Viewer, default_policy
from denoise_relay.models import Job
from tests.db.factories import finish, stored_job
from tests.db.views.visitors import visitor_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]


def old_policy(viewer: Viewer, job: Job, action: str) -> bool:
    """Of a site that knew two actions: everybody sees, the owner changes."""
    return default_policy(viewer, job, "change") if action == "change" else True


def test_the_question_and_the_answer(client: Client, mine: dict[str, Any]) -> None:
    job = finish(stored_job(file_name="<b>.wav", **mine))
    page = client.get(f"/jobs/{job.pk}/").content.decode()
    assert f'method="get" action="/jobs/{job.pk}/delete/"' in page
    question = client.get(f"/jobs/{job.pk}/delete/").content.decode()
    assert f'method="post" action="/jobs/{job.pk}/delete/"' in question
    assert "&lt;b&gt;.wav" in question
    assert Job.objects.exists()
    answer = client.post(f"/jobs/{job.pk}/delete/")
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert not Job.objects.exists()
    for path in (f"/jobs/{job.pk}/", f"/jobs/{job.pk}/audio/original/"):
        assert client.get(path).status_code == 404
    assert client.post(f"/jobs/{job.pk}/delete/").status_code == 404


def test_only_a_form_of_ours_deletes(client: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    job = stored_job(visitor=visitor_of(strict))
    assert strict.post(f"/jobs/{job.pk}/delete/").status_code == 403
    assert Job.objects.exists()


def test_strangers_find_nothing(client: Client) -> None:
    job = stored_job(visitor="somebody else")
    for answer in (client.get, client.post):
        assert answer(f"/jobs/{job.pk}/delete/").status_code == 404
    assert Job.objects.exists()


def test_staff_need_both_permissions(client: Client) -> None:
    job = stored_job(visitor="somebody else")
    staff = User.objects.create_user("staff", is_staff=True)
    client.force_login(staff)
    for codename, status in [("view_job", 404), ("delete_job", 404), ("change_job", 200)]:
        staff.user_permissions.add(Permission.objects.get(codename=codename))
        assert client.get(f"/jobs/{job.pk}/delete/").status_code == status


def test_a_policy_of_before_does_not_open_it_to_all(client: Client, settings: Any) -> None:
    settings.DENOISE_RELAY = {"ACCESS_POLICY": f"{__name__}.old_policy", "WORKER": "external"}
    theirs = stored_job(visitor="somebody else")
    page = client.get(f"/jobs/{theirs.pk}/")
    assert page.status_code == 200
    assert "/delete/" not in page.content.decode()
    assert client.post(f"/jobs/{theirs.pk}/delete/").status_code == 404
    mine = stored_job(visitor=visitor_of(client))
    assert client.post(f"/jobs/{mine.pk}/delete/").status_code == 302
