"""The shape of what a frame costs: once per event, and once per viewer one `send` and no more."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django import Settings

from denoise_relay import frames
from denoise_relay.events import Event, Stage
from denoise_relay.frames import make_frame
from denoise_relay.live.feed import Feed
from denoise_relay.live.sender import DIRECT_SEND
from denoise_relay.models import Job
from tests.db.live.jobs import job_with
from tests.db.live.sockets import application, job_path, opened

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("the_feed"),
]

VIEWERS = 20
FRAMES = 5


@pytest.fixture(autouse=True)
def open_to_all(settings: Settings) -> None:
    settings.DENOISE_RELAY = {
        "WORKER": "external",
        "ACCESS_POLICY": "tests.db.live.jobs.anybody",
    }


def event_of(job: Job, seq: int, stage: Stage = Stage.PROCESSING) -> Event:
    return Event(job=job.pk, seq=seq, stage=stage, pct=50, message="", at=datetime.now(UTC))


class Server:
    """A server that counts what it is asked to send, with the direct way or without."""

    def __init__(self, *, direct: bool) -> None:
        self.direct = direct
        self.sent: list[str] = []
        self.direct_sent: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def counted(message: dict[str, Any]) -> None:
            if message["type"] == "websocket.send":
                self.sent.append(message["text"])
            else:
                await send(message)

        if self.direct:
            scope = {**scope, DIRECT_SEND: lambda: self._send_direct}
        await application(scope, receive, counted)

    def _send_direct(self, message: bytes) -> bool:
        self.direct_sent.append(message)
        return True


@contextlib.asynccontextmanager
async def watched(job: Job, server: Server) -> AsyncIterator[None]:
    """Many viewers of the job, all of whom have its journal."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(VIEWERS):
            await stack.enter_async_context(opened(job_path(job), app=server))
        async with asyncio.timeout(5):
            while len(server.sent) < VIEWERS:
                await asyncio.sleep(0.01)
            # And no task of a viewer has work left.
            await asyncio.sleep(0.05)
        server.sent.clear()
        yield


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often something dear was done."""
    counted: Counter[str] = Counter()
    loop = asyncio.BaseEventLoop

    def count(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def counting(*args: Any, **kwargs: Any) -> Any:
            counted[name] += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, counting)

    for name in ("create_task", "call_soon", "call_at", "run_in_executor"):
        count(loop, name)
    count(frames, "to_json")
    count(frames, "websocket_message")
    return counted


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "asgi"])
async def test_progress_is_sent_in_the_feeds_own_turn(
    the_feed: Feed, counts: Counter[str], direct: bool
) -> None:
    job, server = await job_with(1), Server(direct=direct)
    async with watched(job, server):
        the_feed.deliver(make_frame(event_of(job, 3)))  # the first makes what all others use
        for each in (counts, server.sent, server.direct_sent):
            each.clear()
        for number in range(FRAMES):
            the_feed.deliver(make_frame(event_of(job, number + 4)))

        # No turn of the loop has passed, and everything was sent.
        assert len(server.direct_sent if direct else server.sent) == VIEWERS * FRAMES
        assert len(server.sent if direct else server.direct_sent) == 0
        # One encoding per event, however many viewers; no task, callback, timer or thread.
        assert counts == {"to_json": FRAMES, **({"websocket_message": FRAMES} if direct else {})}


async def test_the_end_costs_no_task_either(the_feed: Feed, counts: Counter[str]) -> None:
    job, server = await job_with(1), Server(direct=True)
    async with watched(job, server):
        the_feed.deliver(make_frame(event_of(job, 3)))
        counts.clear()
        the_feed.deliver(make_frame(event_of(job, 4, Stage.ERROR)))

        assert len(server.sent) == VIEWERS, "the last frame goes through ASGI, as the close does"
        assert counts["create_task"] <= 1, "one for the job, which is watched no more"


async def test_a_viewer_that_waits_for_frames_has_one_task(the_feed: Feed) -> None:
    """That of the server, which waits for the client's messages."""
    job, before = await job_with(1), asyncio.all_tasks()
    server = Server(direct=False)
    async with watched(job, server):
        tasks = Counter(task.get_name() for task in asyncio.all_tasks() - before)
        assert tasks.pop("denoise-recheck") == 1  # for all
        assert sum(tasks.values()) == VIEWERS
