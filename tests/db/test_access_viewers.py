"""Viewers: sessions, visitor tokens, API keys, own jobs, and a site's own policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.files.base import ContentFile
from django.http import Http404
from django.test import Client
from pytest_django import Settings

from denoise_relay import access
from denoise_relay.access import Viewer
from denoise_relay.jobs.lists import OwnJobs
from denoise_relay.models import ApiKey, Job
from tests.db.factories import make_job

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_login_keeps_the_visitors_jobs() -> None:
    client, user = Client(), User.objects.create_user("late")
    session = client.session
    session[access.SESSION_KEY] = "token"
    session.save()
    job = make_job(visitor="token")
    key_before = client.session.session_key

    client.force_login(user)

    assert client.session.session_key != key_before
    assert client.get(f"/jobs/{job.pk}/status/").status_code == 200


def test_a_key_of_an_inactive_user_opens_nothing() -> None:
    user = User.objects.create_user("gone")
    secret = access.create_api_key("key", user)
    assert access.get_api_key(secret) is not None

    User.objects.update(is_active=False)

    assert access.get_api_key(secret) is None


def test_only_a_digest_of_a_key_is_kept() -> None:
    secret = access.create_api_key("key")

    row = ApiKey.objects.values().get()

    assert secret not in str(row)
    assert len(secret) > 40
    assert access.create_api_key("key") != secret


def open_files_only(viewer: Viewer, job: Job, action: str) -> bool:
    """A policy of a site."""
    return job.file_name == "open.wav" and action == "view"


def test_the_sites_own_policy_decides(settings: Settings) -> None:
    settings.DENOISE_RELAY = {"ACCESS_POLICY": f"{__name__}.open_files_only"}
    anonymous = Viewer(user=AnonymousUser())
    shut, open_job = make_job(), make_job()
    Job.objects.filter(pk=open_job.pk).update(file_name="open.wav")

    assert access.get_job(anonymous, open_job.pk).pk == open_job.pk
    with pytest.raises(Http404):
        access.get_job(anonymous, open_job.pk, "change")
    with pytest.raises(Http404):
        access.get_job(anonymous, shut.pk)


def test_only_the_page_and_a_file_make_a_visitor(media: Path) -> None:
    """A session cookie is set with the upload page, or when a file comes in, and not before."""
    client = Client()
    client.head("/")
    client.post("/", {})
    client.post("/", {"upload": "unknown"})
    client.head("/uploads/unknown/", headers={"Tus-Resumable": "1.0.0"})
    assert "sessionid" not in client.cookies

    client.post("/", {"audio": ContentFile(b"x", "notes.txt")})

    token = client.session[access.SESSION_KEY]
    client.post("/", {"audio": ContentFile(b"x", "notes.txt")})
    assert client.session[access.SESSION_KEY] == token

    reader = Client()
    reader.get("/")
    assert reader.session[access.SESSION_KEY]


def test_a_user_who_uploads_becomes_no_visitor(media: Path) -> None:
    client = Client()
    client.force_login(User.objects.create_user("u"))

    client.post("/", {"audio": ContentFile(b"x", "notes.txt")})

    assert access.SESSION_KEY not in client.session


def test_my_jobs() -> None:
    owner = User.objects.create_user("owner")
    key = ApiKey.objects.create(name="k", digest="d", user=owner)
    owned, visited, keyed = (
        make_job(owner=owner),
        make_job(visitor="token"),
        make_job(api_key=ApiKey.objects.create(name="o", digest="e")),
    )
    make_job()
    nobody = AnonymousUser()

    def mine(**who: Any) -> set[Any]:
        jobs = OwnJobs(Viewer(**{"user": nobody} | who))
        found = [job.pk for job in jobs[0:10]]
        assert jobs.count() == len(found)
        return set(found)

    assert mine() == set()
    assert mine(user=owner) == {owned.pk}
    assert mine(visitor="token") == {visited.pk}
    assert mine(user=owner, visitor="token") == {owned.pk, visited.pk}
    assert mine(api_key=keyed.api_key) == {keyed.pk}
    assert mine(api_key=key) == {owned.pk}
    assert mine(user=owner, api_key=keyed.api_key) == {owned.pk, keyed.pk}
