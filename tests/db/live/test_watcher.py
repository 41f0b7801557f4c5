"""The watcher: the journal, then live frames, each once, and an end with the terminal frame."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from django.db import OperationalError

from denoise_relay.events import Event, Stage
from denoise_relay.frames import make_frame
from denoise_relay.journal import read
from denoise_relay.live.feed import Feed
from denoise_relay.live.watcher import Watcher
from denoise_relay.models import Job
from denoise_relay.pubsub.publisher import frame_of
from denoise_relay.runtime import database
from tests.db.factories import end
from tests.db.live.jobs import commit, job_with, publish, publish_end

pytestmark = pytest.mark.django_db(transaction=True)


@pytest_asyncio.fixture
async def watcher(the_feed: Feed) -> AsyncIterator[Watcher]:
    made = Watcher(lambda: the_feed)
    yield made
    made.close()
    assert the_feed.viewers == 0


async def replayed(watcher: Watcher, job: Job, after: int | None) -> list[int]:
    return [frame.seq async for frame in watcher.watch(job.pk, after)]


async def taken(watcher: Watcher) -> list[int]:
    """What waits in the mailbox now, without what the viewer has."""
    watcher.mailbox.wake()
    return [frame.seq for frame in await watcher.take()]


@pytest.mark.parametrize(
    ("after", "numbers"), [(None, [3]), (0, [1, 2, 3]), (2, [3]), (3, []), (9, [3])]
)
async def test_the_journal_and_then_live_frames_once(
    the_feed: Feed, watcher: Watcher, after: int | None, numbers: list[int]
) -> None:
    job = await job_with(2)
    assert await replayed(watcher, job, after) == numbers
    old = frame_of((await database.call(read.after, job.pk, 2))[0])
    await publish(job, 50)
    # Not through the feed, which would drop it: it waited there before the replay.
    watcher.mailbox.put(old)
    await publish(job, 60)

    assert await taken(watcher) == [4, 5]
    assert (job.pk in watcher, len(watcher)) == (True, 1)


async def test_the_job_is_watched_before_its_journal_is_read(
    the_feed: Feed, watcher: Watcher
) -> None:
    job = await job_with()
    replay = watcher.watch(job.pk, None)
    assert the_feed.viewers == 1
    await publish(job, 1)

    assert [frame.seq async for frame in replay] == [2]
    assert await taken(watcher) == []


@pytest.mark.usefixtures("nothing_kept")
async def test_live_frames_during_a_replay_are_neither_lost_nor_sent_twice(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another task empties the mailbox while the journal is read, as that of a socket does."""
    job, real = await job_with(1), database.read
    reading, gate = asyncio.Event(), asyncio.Event()

    async def slow(function: Any, *args: Any, **kwargs: Any) -> Any:
        found = await real(function, *args, **kwargs)
        if function is read.after and not found and not reading.is_set():
            reading.set()  # "nothing new" has been read, and is then no longer true
            await gate.wait()
        return found

    monkeypatch.setattr(database, "read", slow)
    replay = asyncio.create_task(replayed(watcher, job, 0), name="test-replay")
    await reading.wait()
    await publish(job, 50)
    await publish(job, 60)
    assert await taken(watcher) == []
    gate.set()

    assert await replay == [1, 2, 3, 4]
    assert await taken(watcher) == []
    await publish(job, 70)
    assert await taken(watcher) == [5]


@pytest.mark.parametrize("where", ["journal", "live"])
async def test_a_terminal_frame_ends_the_watch(
    the_feed: Feed, watcher: Watcher, where: str
) -> None:
    job, other = await job_with(), await job_with()
    await replayed(watcher, other, None)
    if where == "journal":
        await database.call(end, job)
        assert await replayed(watcher, job, None) == [2]
    else:
        await replayed(watcher, job, None)
        await publish_end(job)
        assert await taken(watcher) == [2]

    assert (job.pk in watcher, other.pk in watcher) == (False, True)
    assert the_feed.viewers == 1


async def test_a_terminal_frame_is_never_too_old(the_feed: Feed, watcher: Watcher) -> None:
    """Its number may be less than the viewer's where a database was restored."""
    job = uuid4()
    assert [frame async for frame in watcher.watch(job, 9)] == []
    at = datetime(2026, 11, 27, tzinfo=UTC)
    last = Event(job=job, seq=1, stage=Stage.ERROR, pct=0.0, message="", at=at)

    the_feed.deliver(make_frame(last))

    assert await taken(watcher) == [1]
    assert job not in watcher


async def test_a_job_that_is_unwatched_meanwhile_is_not_sent(watcher: Watcher) -> None:
    a, b = await job_with(), await job_with()
    for job in (a, b):
        await replayed(watcher, job, None)
    await publish(a, 1)
    await publish(b, 1)
    frames = await watcher.take()
    assert next(frames).job == a.pk

    watcher.unwatch(b.pk)
    watcher.unwatch(b.pk)

    assert list(frames) == []


async def test_a_replay_ends_when_the_watcher_is_closed(watcher: Watcher) -> None:
    job = await job_with(3)
    replay = watcher.watch(job.pk, 0)
    assert (await anext(replay)).seq == 1

    watcher.close()

    assert [frame async for frame in replay] == []
    assert job.pk not in watcher


async def test_a_time_out_of_take_loses_nothing(watcher: Watcher) -> None:
    job = await job_with()
    await replayed(watcher, job, None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await watcher.take()
    event = await commit(job, 5)
    waiting = asyncio.create_task(watcher.take(), name="test-take")
    await asyncio.sleep(0)
    watcher.mailbox.put(frame_of(event))
    waiting.cancel()
    await asyncio.wait({waiting})

    assert await taken(watcher) == [2]


@pytest.mark.usefixtures("unreadable_journal")
async def test_a_database_that_is_away_ends_the_replay(watcher: Watcher) -> None:
    job = await job_with()

    with pytest.raises(OperationalError):
        await replayed(watcher, job, None)
