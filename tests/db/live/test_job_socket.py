"""The WebSocket of one job: where it begins, who may open it, how it closes."""

from __future__ import annotations

from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.test import AsyncClient

from denoise_relay import access
from denoise_relay.live.feed import feed
from denoise_relay.models import ApiKey, Job
from denoise_relay.runtime import database
from tests.db.factories import end, make_job
from tests.db.live.jobs import job_with, publish, publish_end
from tests.db.live.sockets import job_path, opened
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("the_feed")]
open_to_all = pytest.mark.usefixtures("open_to_all")


@open_to_all
@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [4]),
        ("?after=", [4]),
        ("?after=0", [1, 2, 3, 4]),
        ("?after=2", [3, 4]),
        ("?after=4", []),
        ("?after=99", [4]),
        ("?after=9999999999", [4]),
    ],
)
async def test_after_says_where_to_begin(query: str, numbers: list[int]) -> None:
    job = await job_with(3)
    async with opened(job_path(job, query)) as client:
        assert [frame["seq"] for frame in await client.frames(len(numbers))] == numbers
        await eventually(lambda: feed().viewers == 1)
        await publish(job, 50)
        await publish_end(job)

        live, last = await client.frames(2)

        assert (live["seq"], live["pct"], live["job"]) == (5, 50, str(job.pk))
        assert (last["stage"], last["url"]) == ("done", f"/jobs/{job.pk}/audio/denoised/")
        assert await client.closed() == 1000


@open_to_all
@pytest.mark.parametrize("after", ["-1", "x", "1.5", "१", "99999999999"])
async def test_after_must_be_a_number(after: str) -> None:
    job = await job_with()
    async with opened(job_path(job, f"?after={after}")) as client:
        assert (await client.frame())["error"] == "bad_request"
        assert await client.closed() == 4400


@open_to_all
async def test_an_ended_job_is_sent_once() -> None:
    job = await job_with(1)
    await database.call(end, job)
    async with opened(job_path(job)) as client:
        assert (await client.frame())["stage"] == "done"
        assert await client.closed() == 1000
    async with opened(job_path(job, "?after=3")) as client:
        assert await client.closed() == 1000


async def test_unknown_and_forbidden_look_alike() -> None:
    forbidden = await job_with()
    codes = []
    for job_id in (forbidden.pk, uuid4()):
        async with opened(f"/ws/denoise/{job_id}/") as client:
            codes.append(await client.closed())

    assert codes == [4404, 4404]


@pytest.mark.parametrize("path", ["/ws/denoise/x/", "/ws/denoise/../admin/", "/ws/denoise/1/2"])
async def test_an_unknown_path_is_closed_with_4404(path: str) -> None:
    async with opened(path) as client:
        assert await client.closed() == 4404


async def test_who_may_watch() -> None:
    owner = await User.objects.acreate_user("owner")
    job: Job = await database.call(make_job, owner=owner, visitor="")
    visited: Job = await database.call(make_job, visitor="token")
    secret = await sync_to_async(access.create_api_key)("key")
    keyed: Job = await database.call(make_job, api_key=await ApiKey.objects.aget())
    browser = AsyncClient()
    await browser.aforce_login(owner)
    login = (b"cookie", f"sessionid={browser.cookies['sessionid'].value}".encode())
    session = SessionStore()
    await session.aset(access.SESSION_KEY, "token")
    await session.asave()
    visitor = (b"cookie", f"sessionid={session.session_key}".encode())
    key = (b"x-api-key", secret.encode())

    seen = {}
    for name, header in {"login": login, "visitor": visitor, "key": key}.items():
        for kind, watched in {"job": job, "visited": visited, "keyed": keyed}.items():
            async with opened(job_path(watched), [header]) as client:
                output = await client.receive_output(timeout=5)
                seen[name, kind] = output["type"] == "websocket.send"

    assert {pair for pair, may in seen.items() if may} == {
        ("login", "job"),
        ("visitor", "visited"),
        ("key", "keyed"),
    }


@pytest.mark.parametrize("origin", [b"https://evil.example", b"null", b"http://testserver:81"])
async def test_another_sites_page_is_refused(origin: bytes) -> None:
    async with opened("/ws/denoise/", [(b"origin", origin)]) as client:
        # What it says at once is not even looked at.
        await client.say({"watch": {str(uuid4()): None}})
        assert await client.closed() == 4403


async def test_our_own_page_is_accepted() -> None:
    async with opened("/ws/denoise/", [(b"origin", b"http://testserver")]) as client:
        await client.say({"ping": 1})
        assert await client.frame() == {"pong": 1}


@open_to_all
async def test_a_job_socket_takes_pings_only() -> None:
    job = await job_with()
    async with opened(job_path(job)) as client:
        await client.frame()
        await client.say({"ping": 7})
        assert await client.frame() == {"pong": 7}
        await client.say({"watch": {}})
        assert (await client.frame())["error"] == "bad_request"
