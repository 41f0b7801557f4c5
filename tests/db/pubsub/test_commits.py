"""Commits of many jobs, published elsewhere: whatever happens to their messages, viewers here get
every event once and in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from pytest_django import Settings

from denoise_relay.events import Fact
from denoise_relay.frames import Frame
from denoise_relay.journal.append import Entry, append_entries
from denoise_relay.live.feed import Feed
from denoise_relay.live.mailbox import Mailbox
from denoise_relay.models import Job
from denoise_relay.pubsub import messages, publisher
from denoise_relay.runtime import database
from tests.db.factories import make_job
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)
JOBS = 12
COMMITS = 4


class Layer:
    """Carries messages to one channel, when the test says so."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.groups: set[str] = set()

    async def new_channel(self) -> str:
        return "channel"

    async def group_add(self, group: str, channel: str) -> None:
        self.groups.add(group)

    async def group_discard(self, group: str, channel: str) -> None:
        self.groups.discard(group)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        if group in self.groups:
            self.sent.append(message)

    async def receive(self, channel: str) -> dict[str, Any]:
        return await self.inbox.get()


class Box(Mailbox):
    """Keeps the numbers of the frames of each job."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: dict[UUID, list[int]] = {}

    def put(self, frame: Frame) -> None:
        self.numbers.setdefault(frame.job, []).append(frame.seq)


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Layer]:
    made = Layer()
    names = iter(range(1_000_000))
    with monkeypatch.context() as patched:
        patched.setattr(publisher, "shared_layer", lambda: made)
        patched.setattr(publisher, "_paused_until", 0.0)
        # As if everything was published in another process.
        patched.setattr(publisher, "attach_feed", lambda deliver: lambda: None)
        patched.setattr(messages, "_sender", lambda: f"process {next(names)}")
        yield made


@pytest_asyncio.fixture
async def watching(layer: Layer) -> AsyncIterator[tuple[Feed, Box, list[Job]]]:
    jobs = [await database.call(make_job) for _ in range(JOBS)]
    feed, box = Feed(), Box()
    feed.start()
    for job in jobs:
        feed.watch(job.pk, box)
        assert [frame.seq async for frame in feed.replay(job.pk, None)] == [1]
    await eventually(lambda: len(layer.groups) == JOBS + 1)
    yield feed, box, jobs
    await feed.stop()


def commit(jobs: list[Job], pct: float) -> Any:
    entries = [Entry(job=job.pk, epoch=job.epoch, fact=Fact(pct=pct)) for job in jobs]
    return [outcome.event for outcome in append_entries(entries)]


FAULTS = {
    "none": lambda sent: sent,
    "doubled": lambda sent: [each for each in sent for _ in range(2)],
    "reversed": lambda sent: list(reversed(sent)),
    "first_lost": lambda sent: sent[1:],
    "last_lost": lambda sent: sent[:-1],
    "all_lost": lambda sent: [],
    "cut": lambda sent: [
        {**each, "frame": each["frame"][: len(each["frame"]) // 2]} for each in sent
    ],
}


@pytest.mark.parametrize("few", [1, JOBS])
@pytest.mark.parametrize("fault", FAULTS)
async def test_lost_commits_of_many_jobs_are_found(
    layer: Layer,
    watching: tuple[Feed, Box, list[Job]],
    settings: Settings,
    fault: str,
    few: int,
) -> None:
    settings.DENOISE_RELAY = {**settings.DENOISE_RELAY, "MESSAGES_PER_COMMIT": few}
    feed, box, jobs = watching
    for number in range(COMMITS):
        await publisher.publish(await database.call(commit, jobs, number))
        await publisher.sent()
    assert len(layer.sent) == COMMITS * (JOBS if few == JOBS else 1)
    for message in FAULTS[fault](layer.sent):
        layer.inbox.put_nowait(message)
    await eventually(layer.inbox.empty)

    await feed.check_now()

    expected = {job.pk: list(range(2, COMMITS + 2)) for job in jobs}
    await eventually(lambda: box.numbers == expected)


async def test_a_commit_of_one_job_is_seen_by_both_its_ways(
    layer: Layer, watching: tuple[Feed, Box, list[Job]]
) -> None:
    """To the group of the job while commits are small, to all when they are large."""
    _, box, jobs = watching
    for number, some in enumerate([jobs[:1], jobs, jobs[:1], jobs]):
        await publisher.publish(await database.call(commit, some, number))
        await publisher.sent()
    for message in layer.sent:
        layer.inbox.put_nowait(message)

    await eventually(lambda: box.numbers.get(jobs[0].pk) == [2, 3, 4, 5])
    await eventually(lambda: box.numbers.get(jobs[-1].pk) == [2, 3])


async def test_large_commits_come_no_more_when_nobody_watches(
    layer: Layer, watching: tuple[Feed, Box, list[Job]]
) -> None:
    feed, box, jobs = watching
    for job in jobs:
        feed.unwatch(job.pk, box)
    await eventually(lambda: layer.groups == {messages.ALL_JOBS})

    await feed.check_now()
    await eventually(lambda: not layer.groups)

    feed.watch(jobs[0].pk, box)
    await eventually(lambda: messages.ALL_JOBS in layer.groups)
