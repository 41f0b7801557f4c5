"""WebSockets through the real routes: what is sent, how it closes, and what it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.test import AsyncClient
from pytest_django import Settings

from denoise_relay import access
from denoise_relay.events import Fact
from denoise_relay.journal import read
from denoise_relay.live import shutdown, websocket
from denoise_relay.live.feed import Feed, feed
from denoise_relay.live.mailbox import LIMIT
from denoise_relay.models import ApiKey, Job
from denoise_relay.pubsub import publisher
from denoise_relay.pubsub.publisher import frame_of
from denoise_relay.routing import websocket_urlpatterns
from denoise_relay.runtime import database
from tests.db.factories import append, end, make_job
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("the_feed")]

application = AuthMiddlewareStack(URLRouter(websocket_urlpatterns))
HOST = (b"host", b"testserver")


def anybody(*_: Any) -> bool:
    """A policy for tests that are not about access."""
    return True


class Client(WebsocketCommunicator):  # type: ignore[misc]  # Channels is untyped
    """A client of our sockets that speaks JSON and knows how it was closed."""

    async def frame(self) -> dict[str, Any]:
        return json.loads(await self.receive_from(timeout=5))  # type: ignore[no-any-return]

    async def frames(self, count: int) -> list[dict[str, Any]]:
        return [await self.frame() for _ in range(count)]

    async def say(self, body: Any) -> None:
        await self.send_to(text_data=json.dumps(body))

    async def closed(self) -> int:
        """The close code; what else was sent before is an error."""
        output = await self.receive_output(timeout=5)
        assert output["type"] == "websocket.close", output
        return int(output["code"])


@contextlib.asynccontextmanager
async def opened(
    path: str, headers: Sequence[tuple[bytes, bytes]] = (), app: Any = application
) -> AsyncIterator[Client]:
    client = Client(app, path, headers=[HOST, *headers])
    accepted, _ = await client.connect(timeout=5)
    assert accepted
    try:
        yield client
    finally:
        await client.disconnect(timeout=5)


@pytest.fixture
def _open_to_all(settings: Settings) -> None:
    settings.DENOISE_RELAY = {
        "WORKER": "external",
        "ACCESS_POLICY": f"{__name__}.anybody",
        "MAX_WATCHES": 3,
    }


open_to_all = pytest.mark.usefixtures("_open_to_all")


async def job_with(percents: int = 0) -> Job:
    job: Job = await database.call(make_job)
    for pct in range(1, percents + 1):
        await database.call(append, job, Fact(pct=pct))
    return job


async def tell(job: Job, pct: float) -> None:
    outcome = await database.call(append, job, Fact(pct=pct))
    assert outcome.event
    await publisher.publish([outcome.event])


async def tell_end(job: Job) -> None:
    outcome = await database.call(end, job)
    assert outcome.event
    await publisher.publish([outcome.event])


def one(job: Job, query: str = "") -> str:
    return f"/ws/denoise/{job.pk}/{query}"


# One job


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
    async with opened(one(job, query)) as client:
        assert [frame["seq"] for frame in await client.frames(len(numbers))] == numbers
        await eventually(lambda: feed().viewers == 1)
        await tell(job, 50)
        await tell_end(job)

        live, last = await client.frames(2)

        assert (live["seq"], live["pct"], live["job"]) == (5, 50, str(job.pk))
        assert (last["stage"], last["url"]) == ("done", f"/jobs/{job.pk}/audio/denoised/")
        assert await client.closed() == 1000


@open_to_all
@pytest.mark.parametrize("after", ["-1", "x", "1.5", "१", "99999999999"])
async def test_after_must_be_a_number(after: str) -> None:
    job = await job_with()
    async with opened(one(job, f"?after={after}")) as client:
        assert (await client.frame())["error"] == "bad_request"
        assert await client.closed() == 4400


@open_to_all
async def test_an_ended_job_is_told_once() -> None:
    job = await job_with(1)
    await database.call(end, job)
    async with opened(one(job)) as client:
        assert (await client.frame())["stage"] == "done"
        assert await client.closed() == 1000
    async with opened(one(job, "?after=3")) as client:
        assert await client.closed() == 1000


async def test_unknown_and_forbidden_look_alike() -> None:
    forbidden = await job_with()
    codes = []
    for job_id in (forbidden.pk, uuid4()):
        async with opened(f"/ws/denoise/{job_id}/") as client:
            codes.append(await client.closed())

    assert codes == [4404, 4404]


@pytest.mark.parametrize("path", ["/ws/denoise/x/", "/ws/denoise/../admin/", "/ws/denoise/1/2"])
async def test_an_unknown_path_is_closed_kindly(path: str) -> None:
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
            async with opened(one(watched), [header]) as client:
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


async def test_our_own_page_is_welcome() -> None:
    async with opened("/ws/denoise/", [(b"origin", b"http://testserver")]) as client:
        await client.say({"ping": 1})
        assert await client.frame() == {"pong": 1}


@open_to_all
async def test_a_job_socket_takes_pings_only() -> None:
    job = await job_with()
    async with opened(one(job)) as client:
        await client.frame()
        await client.say({"ping": 7})
        assert await client.frame() == {"pong": 7}
        await client.say({"watch": {}})
        assert (await client.frame())["error"] == "bad_request"


# Many jobs


@open_to_all
async def test_many_jobs_on_one_socket() -> None:
    a, b = await job_with(2), await job_with()
    async with opened("/ws/denoise/") as client:
        await client.say({"watch": {str(a.pk): 1, str(b.pk): None}})
        told = [(frame["job"], frame["seq"]) for frame in await client.frames(3)]
        await tell(b, 5)
        await tell_end(a)
        # In order for each job; between jobs there is none.
        live = {(frame["job"], frame["seq"]) for frame in await client.frames(2)}

        assert told == [(str(a.pk), 2), (str(a.pk), 3), (str(b.pk), 1)]
        assert live == {(str(b.pk), 2), (str(a.pk), 4)}
        # What has ended is watched no more, and the socket goes on.
        assert feed().viewers == 1
        await client.say({"unwatch": [str(b.pk), "x", 7]})
        await eventually(lambda: feed().viewers == 0)
        await tell(b, 6)
        await client.say({"ping": "still here"})
        assert await client.frame() == {"pong": "still here"}


@open_to_all
async def test_unknown_jobs_are_told_and_the_others_watched() -> None:
    job, unknown = await job_with(), str(uuid4())
    async with opened("/ws/denoise/") as client:
        await client.say({"watch": {unknown: 3, str(job.pk): None, "no uuid": None}})

        assert await client.frames(3) == [
            {"job": unknown, "error": "not_found"},
            {**(await _newest(job))},
            {"job": "no uuid", "error": "not_found"},
        ]


async def _newest(job: Job) -> dict[str, Any]:
    event = await database.call(read.latest, job.pk)
    assert event is not None
    return json.loads(frame_of(event).text)  # type: ignore[no-any-return]


@open_to_all
async def test_no_more_jobs_than_allowed() -> None:
    some = [await job_with() for _ in range(4)]
    async with opened("/ws/denoise/") as client:
        await client.say({"watch": {str(job.pk): None for job in some}})
        assert (await client.frame())["detail"] == "At most 3 jobs in one message."
        await client.say({"watch": {str(job.pk): None for job in some[:3]}})
        await client.frames(3)
        await client.say({"watch": {str(some[3].pk): None}})
        assert (await client.frame())["detail"] == "At most 3 jobs on one socket."
        # One that is watched already is no more.
        await client.say({"watch": {str(some[0].pk): None}, "unwatch": [str(some[1].pk)]})
        await client.say({"watch": {str(some[3].pk): None}})
        assert (await client.frame())["job"] == str(some[3].pk)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        "{}",
        '{"watch": []}',
        '{"watch": {"x": -1}}',
        '{"watch": {"x": true}}',
        '{"watch": {"x": 1.5}}',
        '{"unwatch": "x"}',
        '{"ping": [1]}',
        '{"ping": "' + "x" * 65 + '"}',
        "[" * 8000,
        '{"ping": 1e999}',
        '{"ping": "' + "x" * websocket.INPUT_BYTES + '"}',
        b"\x00\xff",
        b'{"ping": 1}',
    ],
    ids=lambda text: repr(text)[:20],
)
async def test_bad_input_is_told_and_the_third_time_closes(text: str | bytes) -> None:
    async with opened("/ws/denoise/") as client:
        for _ in range(3):
            if isinstance(text, bytes):
                await client.send_to(bytes_data=text)
            else:
                await client.send_input({"type": "websocket.receive", "text": text})
            answer = await client.frame()
            assert answer["error"] == "bad_request"
            assert answer["detail"]
        assert await client.closed() == 4400
        # What comes after is not heard.
        await client.say({"ping": 1})
        assert await client.receive_nothing()


# What is left behind


@open_to_all
@pytest.mark.parametrize("path", ["one", "many"])
async def test_a_client_that_leaves_leaves_nothing(the_feed: Feed, path: str) -> None:
    job, before = await job_with(), asyncio.all_tasks()
    async with opened(one(job) if path == "one" else "/ws/denoise/") as client:
        if path == "many":
            await client.say({"watch": {str(job.pk): None}})
        await client.frame()
        assert the_feed.viewers == 1

    await eventually(lambda: asyncio.all_tasks() == before)
    assert (the_feed.viewers, len(shutdown.sockets)) == (0, 0)


@open_to_all
async def test_a_client_that_is_cut_leaves_nothing(the_feed: Feed) -> None:
    """Daphne cancels an application that outlives its socket, and sends no disconnect."""
    job, before = await job_with(), asyncio.all_tasks()
    client = Client(application, one(job), headers=[HOST])
    await client.connect(timeout=5)
    await client.frame()

    client.future.cancel()
    await asyncio.wait({client.future})

    assert client.future.cancelled()
    await eventually(lambda: asyncio.all_tasks() == before)
    assert (the_feed.viewers, len(shutdown.sockets)) == (0, 0)


@open_to_all
async def test_a_client_that_leaves_during_the_replay_leaves_nothing(
    the_feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, before = await job_with(3), asyncio.all_tasks()
    reading, gate, real = asyncio.Event(), asyncio.Event(), database.call

    async def slow(function: Any, *args: Any, **kwargs: Any) -> Any:
        if function is read.after:
            reading.set()
            await gate.wait()
        return await real(function, *args, **kwargs)

    monkeypatch.setattr(database, "call", slow)
    client = Client(application, one(job, "?after=0"), headers=[HOST])
    await client.connect(timeout=5)
    await reading.wait()
    await client.send_input({"type": "websocket.disconnect", "code": 1006})
    gate.set()
    await client.wait(timeout=5)

    await eventually(lambda: asyncio.all_tasks() == before)
    assert (the_feed.viewers, len(shutdown.sockets)) == (0, 0)


@open_to_all
async def test_a_failure_closes_the_socket_and_leaves_nothing(
    the_feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, before = await job_with(), asyncio.all_tasks()

    def broken(*_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(read, "latest", broken)
    client = Client(application, one(job), headers=[HOST])
    await client.connect(timeout=5)
    assert await client.closed() == 4011
    await client.wait(timeout=5)

    await eventually(lambda: asyncio.all_tasks() == before)
    assert (the_feed.viewers, len(shutdown.sockets)) == (0, 0)


@open_to_all
async def test_a_slow_client_skips_progress_and_gets_the_end() -> None:
    job = await job_with()
    gate, sent = asyncio.Event(), []

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        async def throttled(message: dict[str, Any]) -> None:
            if message["type"] == "websocket.send":
                sent.append(json.loads(message["text"]))
                if len(sent) == 3:
                    await gate.wait()
            await send(message)

        await application(scope, receive, throttled)

    async with opened(one(job), app=slow) as client:
        await client.frame()
        await client.say({"ping": 0})  # answered once the journal has been read
        await eventually(lambda: len(sent) == 2)
        await tell(job, 1)
        await eventually(lambda: len(sent) == 3)
        for pct in range(2, 2 * LIMIT):
            await tell(job, pct / 2)
        await tell_end(job)
        gate.set()
        await eventually(lambda: sent[-1].get("stage") == "done")

    numbers = [frame["seq"] for frame in sent if "seq" in frame]
    assert numbers == sorted(set(numbers))
    assert len(sent) <= LIMIT + 3


@open_to_all
async def test_the_server_says_goodbye() -> None:
    job = await job_with()
    async with opened(one(job)) as a, opened("/ws/denoise/") as b:
        await a.frame()
        closing = asyncio.create_task(shutdown.close_all(), name="test-close")
        try:
            assert [await a.closed(), await b.closed()] == [4012, 4012]
            async with opened("/ws/denoise/") as late:
                assert await late.closed() == 4012
        finally:
            shutdown.reopen()
            await a.disconnect()
            await b.disconnect()
            await closing
