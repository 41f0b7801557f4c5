"""Viewers who return at once share what one of them has read, and miss nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from denoise_relay.journal import read
from denoise_relay.live import tails
from denoise_relay.live.feed import Feed
from denoise_relay.live.watcher import Watcher
from denoise_relay.models import Job
from denoise_relay.runtime import database
from tests.db.live.jobs import commit, job_with, publish, publish_end
from tests.db.live.test_rewound import go_back, replayed, taken
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("open_to_all")]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the feed asks the journal for."""
    names: list[str] = []
    real = database.read

    async def noted(function: Callable[..., Any], *args: Any) -> Any:
        names.append(function.__name__)
        return await real(function, *args)

    monkeypatch.setattr(database, "read", noted)
    return names


@pytest.fixture
async def first(the_feed: Feed) -> tuple[Job, Watcher]:
    """A job with events 1 to 4, and a viewer who has read them."""
    job, watcher = await job_with(3), Watcher(lambda: the_feed)
    assert await replayed(watcher, job, 0) == [1, 2, 3, 4]
    return job, watcher


def another(the_feed: Feed) -> Watcher:
    return Watcher(lambda: the_feed)


async def test_frames_that_are_delivered_follow_on_what_was_read(
    the_feed: Feed, first: tuple[Job, Watcher], reads: list[str]
) -> None:
    job, _ = first
    await publish(job, 50)
    await publish(job, 60)

    assert await replayed(another(the_feed), job, 2) == [3, 4, 5, 6]
    assert await replayed(another(the_feed), job) == [6]
    assert await replayed(another(the_feed), job, 6) == []
    assert reads == []


async def test_who_is_ahead_of_this_process_asks_the_journal(
    the_feed: Feed, first: tuple[Job, Watcher]
) -> None:
    """They have seen in another process what has not come here yet."""
    job, _ = first
    await commit(job, 50)
    await commit(job, 60)

    returning = another(the_feed)
    frames = [frame async for frame in returning.watch(job.pk, 5)]

    assert [(frame.seq, frame.rewound) for frame in frames] == [(6, False)]


async def test_who_needs_older_events_asks_the_journal(
    the_feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tails, "LENGTH", 2)
    job = await job_with(3)

    assert await replayed(another(the_feed), job, 0) == [1, 2, 3, 4]
    assert await replayed(another(the_feed), job, 2) == [3, 4]


async def test_a_gap_an_end_and_a_rewind_are_not_kept(
    the_feed: Feed, first: tuple[Job, Watcher], reads: list[str]
) -> None:
    job, watcher = first
    await go_back(job, 2)
    await the_feed.check_now()
    assert await taken(watcher, 1) == [(2, True)]
    assert await replayed(another(the_feed), job, 1) == [2]
    assert reads[-1] == "newest"

    await publish_end(job)
    assert await taken(watcher, 1) == [(3, False)]
    assert await replayed(another(the_feed), job, 1) == [2, 3]
    assert await replayed(another(the_feed), job, 3) == [3]


async def test_what_comes_while_it_is_read_is_not_missed(
    the_feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, real = await job_with(3), database.read
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slow(function: Callable[..., Any], *args: Any) -> Any:
        found = await real(function, *args)
        if function is read.newest:
            began.set()
            await go_on.wait()
        return found

    monkeypatch.setattr(database, "read", slow)
    early, late = another(the_feed), another(the_feed)
    reading = [asyncio.create_task(replayed(early, job, 0), name="test-early")]
    await began.wait()
    await publish(job, 50)
    reading.append(asyncio.create_task(replayed(late, job, 0), name="test-late"))
    await asyncio.sleep(0)
    reading[0].cancel()  # who began the read leaves
    go_on.set()

    assert await reading[1] == [1, 2, 3, 4, 5]
    await publish(job, 60)
    assert await taken(late, 1) == [(6, False)]
    await asyncio.wait(reading)


async def test_it_is_kept_for_seconds_only(the_feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tails, "KEEP_SECONDS", 0.05)
    job = await job_with(3)
    await replayed(another(the_feed), job, 0)

    await eventually(lambda: the_feed._jobs[job.pk].tail is None)
    assert await replayed(another(the_feed), job, 2) == [3, 4]
