"""Rights that end while a socket or stream is open: asked again for each watch and from time to
time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.test import AsyncClient
from django.utils import timezone
from pytest_django import Settings

from denoise_relay import access
from denoise_relay.access import Viewer
from denoise_relay.live.feed import Feed
from denoise_relay.live.recheck import recheck
from denoise_relay.models import ApiKey, Job
from denoise_relay.runtime import database
from tests.db.factories import make_job
from tests.db.live.jobs import publish
from tests.db.live.sockets import job_path, opened
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("the_feed")]
Header = tuple[bytes, bytes]
#: What the site's policy was asked, and the jobs that it forbids.
asked: list[tuple[Viewer, UUID]] = []
forbidden: set[UUID] = set()


def policy(viewer: Viewer, job: Job, action: str) -> bool:
    """A policy that changes its mind."""
    asked.append((viewer, job.pk))
    return job.pk not in forbidden and access.default_policy(viewer, job, "view")


@pytest.fixture(autouse=True)
def _settings(settings: Settings) -> Iterator[None]:
    settings.DENOISE_RELAY = {
        "WORKER": "external",
        "POSITION_CHECK_SECONDS": 0.2,
        "ACCESS_POLICY": f"{__name__}.policy",
    }
    asked.clear()
    yield
    forbidden.clear()


async def a_key(name: str = "key") -> tuple[ApiKey, Header]:
    secret = await sync_to_async(access.create_api_key)(name)
    return await ApiKey.objects.aget(name=name), (b"x-api-key", secret.encode())


async def job_of(**columns: Any) -> Job:
    job: Job = await database.call(make_job, **columns)
    return job


async def revoke(key: ApiKey) -> None:
    await ApiKey.objects.filter(pk=key.pk).aupdate(revoked_at=timezone.now())


async def a_user(name: str = "ada") -> tuple[User, AsyncClient, Header]:
    user, browser = await User.objects.acreate_user(name), AsyncClient()
    await browser.aforce_login(user)
    return user, browser, cookie_of(browser)


def cookie_of(browser: AsyncClient) -> Header:
    return (b"cookie", f"sessionid={browser.cookies['sessionid'].value}".encode())


async def test_a_revoked_key_watches_no_later_job(settings: Settings) -> None:
    settings.DENOISE_RELAY = settings.DENOISE_RELAY | {"POSITION_CHECK_SECONDS": 60}
    key, header = await a_key()
    async with opened("/ws/denoise/", [header]) as client:
        await client.say({"watch": {str((await job_of(api_key=key)).pk): None}})
        await client.frame()
        await revoke(key)
        later = await job_of(api_key=key)

        await client.say({"watch": {str(later.pk): None}})

        assert await client.frame() == {"job": str(later.pk), "error": "not_found"}


async def test_a_revoked_key_loses_what_its_sockets_watch(the_feed: Feed) -> None:
    key, header = await a_key()
    one, two = await job_of(api_key=key), await job_of(api_key=key)
    async with (
        opened("/ws/denoise/", [header]) as many,
        opened(job_path(one), [header]) as single,
    ):
        await many.say({"watch": {str(one.pk): None, str(two.pk): None}})
        await many.frames(2)
        await single.frame()

        await revoke(key)

        lost = await many.frames(2)
        assert {frame["job"] for frame in lost} == {str(one.pk), str(two.pk)}
        assert {frame["error"] for frame in lost} == {"not_found"}
        assert await single.closed() == 4404
        assert the_feed.viewers == 0
        # The socket of many goes on, and sees nothing.
        await publish(one, 50)
        await many.say({"ping": 1})
        assert await many.frame() == {"pong": 1}


@pytest.mark.parametrize("with_key", [False, True])
async def test_a_deactivated_user_loses_what_they_watch(with_key: bool) -> None:
    user, _, header = await a_user()
    if with_key:
        secret = await sync_to_async(access.create_api_key)("theirs", user)
        header = (b"x-api-key", secret.encode())
    job = await job_of(owner=user)
    async with opened(job_path(job), [header]) as client:
        await client.frame()

        await User.objects.filter(pk=user.pk).aupdate(is_active=False)

        assert await client.closed() == 4404


async def test_a_logout_ends_the_sockets_of_its_session() -> None:
    user, browser, header = await a_user()
    job, later = await job_of(owner=user), await job_of(owner=user)
    async with opened("/ws/denoise/", [header]) as many, opened("/ws/denoise/", [header]) as idle:
        await many.say({"watch": {str(job.pk): None}})
        await many.frame()

        await browser.alogout()

        # To come again with the cookie of now, which nobody else can tell.
        assert await many.closed() == 4012
        await idle.say({"watch": {str(later.pk): None}})
        assert await idle.closed() == 4012
    async with opened(job_path(job), [header]) as again:
        assert await again.closed() == 4404


async def test_a_login_in_another_tab_keeps_the_visitors_job() -> None:
    browser, session = AsyncClient(), SessionStore()
    await session.aset(access.SESSION_KEY, "token")
    await session.asave()
    browser.cookies["sessionid"] = session.session_key
    job = await job_of(visitor="token")
    async with opened(job_path(job), [cookie_of(browser)]) as client:
        await client.frame()

        await browser.aforce_login(await User.objects.acreate_user("late"))

        assert await client.closed() == 4012
    async with opened(job_path(job), [cookie_of(browser)]) as again:
        assert (await again.frame())["job"] == str(job.pk)


async def test_the_policy_is_asked_for_each_job() -> None:
    key, header = await a_key()
    kept, lost = await job_of(api_key=key), await job_of(api_key=key)
    async with opened("/ws/denoise/", [header]) as client:
        await client.say({"watch": {str(kept.pk): None, str(lost.pk): None}})
        await client.frames(2)

        forbidden.add(lost.pk)

        assert await client.frame() == {"job": str(lost.pk), "error": "not_found"}
        await publish(lost, 40)
        await publish(kept, 50)
        assert (await client.frame())["pct"] == 50


async def test_a_deleted_job_ends_with_its_last_frame() -> None:
    key, header = await a_key()
    job = await job_of(api_key=key)
    async with opened(job_path(job), [header]) as client:
        await client.frame()

        await Job.objects.filter(pk=job.pk).adelete()

        assert (await client.frame())["stage"] == "error"
        assert await client.closed() == 1000


@pytest.mark.parametrize("contract", [False, True])
async def test_a_stream_ends_with_the_right(contract: bool, the_feed: Feed) -> None:
    key, (_, secret) = await a_key()
    job = await job_of(api_key=key)
    path = f"/api/v1/denoise/{job.pk}/progress" if contract else f"/jobs/{job.pk}/events/"
    headers = {"x-api-key": secret.decode()}
    response: Any = await AsyncClient().get(path, headers=headers)
    reading = asyncio.create_task(_read(response), name="test-read")
    await eventually(lambda: the_feed.viewers == 1)

    await revoke(key)

    async with asyncio.timeout(5):
        assert b'"pct":0' in (await reading).replace(b" ", b"")
    assert (await AsyncClient().get(path, headers=headers)).status_code == (
        401 if contract else 404
    )


async def _read(response: Any) -> bytes:
    return b"".join([part async for part in response.streaming_content])


async def test_one_question_for_all_sockets_of_a_viewer(the_feed: Feed, settings: Settings) -> None:
    settings.DENOISE_RELAY = settings.DENOISE_RELAY | {"POSITION_CHECK_SECONDS": 60}
    key, header = await a_key()
    jobs = [await job_of(api_key=key) for _ in range(2)]
    async with (
        opened("/ws/denoise/", [header]) as many,
        opened(job_path(jobs[0]), [header]) as one,
        opened(job_path(jobs[0]), [header]) as same,
    ):
        await many.say({"watch": {str(job.pk): None for job in jobs}})
        await many.frames(2)
        await one.frame()
        await same.frame()
        asked.clear()

        await recheck().check_now()

        assert sorted(job for _, job in asked) == sorted(job.pk for job in jobs)
