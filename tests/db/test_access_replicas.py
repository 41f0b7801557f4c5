"""A site with a database replica that lags: a new job is there at once for who submitted it."""

from __future__ import annotations

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.test import AsyncClient
from pytest_django import Settings

from denoise_relay import access
from denoise_relay.access import Viewer
from denoise_relay.api import history
from denoise_relay.models import ApiKey
from denoise_relay.presentation import media_path
from denoise_relay.runtime import database
from tests.db.factories import make_job
from tests.db.live.sockets import job_path, opened
from tests.db.replicas import Replicated

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _replica(settings: Settings) -> None:
    settings.DATABASE_ROUTERS = [f"{Replicated.__module__}.Replicated"]


def test_a_new_job_is_found() -> None:
    key = ApiKey.objects.create(name="one", digest="one")
    job = make_job(api_key=key)

    assert access.get_job(Viewer(user=AnonymousUser(), api_key=key), job.pk) == job


@pytest.mark.usefixtures("the_feed")
async def test_its_socket_and_its_page_show_it() -> None:
    """A socket that was closed with 4404 does not come again."""
    secret = await sync_to_async(access.create_api_key)("one")
    key = await ApiKey.objects.aget(name="one")
    job = await database.call(make_job, api_key=key)
    async with opened(job_path(job), [(b"x-api-key", secret.encode())]) as client:
        assert (await client.frame())["message"] == "Queued"
    page = f"/jobs/{job.pk}/status/"
    answer = await AsyncClient().get(page, headers={"x-api-key": secret})
    assert answer.status_code == 200


async def test_the_history_has_it() -> None:
    """Another relay looks there for a submission whose answer it lost."""
    key = await sync_to_async(ApiKey.objects.create)(name="one", digest="one")
    job = await database.call(make_job, api_key=key)
    viewer = Viewer(user=AnonymousUser(), api_key=key)
    found = [each async for page in history.pages(viewer, 0, 10, media_path) for each in page]
    assert [str(job.pk) in each for each in found] == [True]
