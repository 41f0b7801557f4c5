"""The feed: replay, live frames, gaps, lost last frames, and two viewers of one job."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError
from pytest_django import Settings

from denoise_relay.events import Event, Fact
from denoise_relay.frames import Frame
from denoise_relay.journal import read
from denoise_relay.live.feed import Feed
from denoise_relay.live.mailbox import Mailbox
from denoise_relay.pubsub.publisher import frame_of
from denoise_relay.runtime import database
from tests.db.factories import append, end, make_job
from tests.db.live.jobs import commit
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


async def replayed(feed: Feed, job: UUID, after: int | None) -> list[int]:
    return [frame.seq async for frame in feed.replay(job, after)]


class Box(Mailbox):
    """A mailbox that keeps the numbers of its frames."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[int] = []

    def put(self, frame: Frame) -> None:
        self.numbers.append(frame.seq)
        super().put(frame)


@pytest.mark.parametrize(
    ("after", "numbers"),
    [(None, [4]), (0, [1, 2, 3, 4]), (2, [3, 4]), (4, []), (5, [4]), (2**31 - 1, [4])],
)
async def test_replay(the_feed: Feed, after: int | None, numbers: list[int]) -> None:
    job = await database.call(make_job)
    for pct in (1, 2, 3):
        await commit(job, pct)

    assert await replayed(the_feed, job.pk, after) == numbers


async def test_replay_of_nothing(the_feed: Feed) -> None:
    assert await replayed(the_feed, uuid4(), None) == []
    assert await replayed(the_feed, uuid4(), 3) == []


async def test_replay_of_more_than_a_page(the_feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read.after, "__defaults__", (3,))
    job = await database.call(make_job)
    for pct in range(10):
        await commit(job, pct)

    assert await replayed(the_feed, job.pk, 0) == list(range(1, 12))


async def test_a_gap_is_filled_from_the_journal(the_feed: Feed) -> None:
    job, box = await database.call(make_job), Box()
    the_feed.watch(job.pk, box)
    await replayed(the_feed, job.pk, None)
    events = [await commit(job, pct) for pct in (1, 2, 3)]

    the_feed.deliver(frame_of(events[2]))

    await eventually(lambda: box.numbers == [2, 3, 4])


async def test_double_and_late_frames_are_dropped(the_feed: Feed) -> None:
    job, box = await database.call(make_job), Box()
    the_feed.watch(job.pk, box)
    await replayed(the_feed, job.pk, None)
    events = [await commit(job, pct) for pct in (1, 2)]

    for event in [*events, *events, events[0]]:
        the_feed.deliver(frame_of(event))

    assert box.numbers == [2, 3]


async def test_lost_last_frames_are_found_in_one_query(
    the_feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = [await database.call(make_job) for _ in range(5)]
    boxes = [Box() for _ in some]
    for job, box in zip(some, boxes, strict=True):
        the_feed.watch(job.pk, box)
        await replayed(the_feed, job.pk, None)
    for job in some[:2]:
        await database.call(end, job)
    asked: list[int] = []
    real = read.positions

    def counted(jobs: Any) -> dict[UUID, int]:
        asked.append(len(jobs))
        return real(jobs)

    monkeypatch.setattr(read, "positions", counted)

    await the_feed.check_now()

    await eventually(lambda: [box.numbers for box in boxes] == [[2], [2], [], [], []])
    assert asked == [5]


async def test_positions_are_checked_periodically(the_feed: Feed, settings: Settings) -> None:
    await the_feed.stop()
    settings.DENOISE_RELAY = {"WORKER": "external", "POSITION_CHECK_SECONDS": 0.1}
    the_feed.start()
    job, box = await database.call(make_job), Box()
    the_feed.watch(job.pk, box)
    await replayed(the_feed, job.pk, None)

    await database.call(end, job)

    await eventually(lambda: box.numbers == [2])


@pytest.mark.usefixtures("nothing_kept")
async def test_one_viewers_replay_hides_nothing_from_another(
    the_feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first reads "nothing new" just before an event whose message is lost. The second reads
    that event, and so raises the feed's number above what the first has seen."""
    job = await database.call(make_job)
    first, second = Box(), Box()
    looked, seen, real = asyncio.Event(), asyncio.Event(), database.read

    async def slow(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        found = await real(function, *args, **kwargs)
        if function is read.after and not found and not looked.is_set():
            looked.set()
            await seen.wait()
        return found

    the_feed.watch(job.pk, first)
    monkeypatch.setattr(database, "read", slow)
    reading = asyncio.create_task(replayed(the_feed, job.pk, 0), name="test-replay")
    await looked.wait()
    await real(end, job)  # not published
    the_feed.watch(job.pk, second)
    assert await replayed(the_feed, job.pk, 0) == [1, 2]
    seen.set()

    assert await reading + first.numbers == [1, 2]


@pytest.mark.usefixtures("nothing_kept")
async def test_a_frame_during_the_replay_leaves_no_gap(
    the_feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, box, real = await database.call(make_job), Box(), database.read
    live: list[Event] = []

    async def slow(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        found = await real(function, *args, **kwargs)
        if function is read.after and not found and not live:
            for pct in (1, 2):
                outcome = await real(append, job, Fact(pct=pct))
                assert outcome.event
                live.append(outcome.event)
            the_feed.deliver(frame_of(live[1]))  # the message of the first was lost
        return found

    monkeypatch.setattr(database, "read", slow)
    the_feed.watch(job.pk, box)

    assert await replayed(the_feed, job.pk, 0) == [1, 2, 3]


async def test_a_database_that_is_away_is_asked_again(
    the_feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("denoise_relay.live.feed.RETRY_SECONDS", 0.01)
    job, box = await database.call(make_job), Box()
    the_feed.watch(job.pk, box)
    await replayed(the_feed, job.pk, None)
    events = [await commit(job, pct) for pct in (1, 2)]
    real, failures = read.after, [OperationalError("gone")] * 2

    def flaky(*args: Any) -> list[Event]:
        if failures:
            raise failures.pop()
        return real(*args)

    monkeypatch.setattr(read, "after", flaky)
    the_feed.deliver(frame_of(events[1]))

    await eventually(lambda: box.numbers == [2, 3])


async def test_nothing_is_kept_of_an_unwatched_job(the_feed: Feed) -> None:
    job, box = await database.call(make_job), Box()
    the_feed.watch(job.pk, box)
    assert the_feed.viewers == 1
    the_feed.unwatch(job.pk, box)
    the_feed.unwatch(job.pk, box)

    the_feed.deliver(frame_of(await commit(job, 1)))

    assert the_feed.viewers == 0
    assert box.numbers == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"job": "x", "seq": 1}', None, 7, b"\xff"])
async def test_a_message_that_is_no_frame_is_ignored(the_feed: Feed, text: Any) -> None:
    the_feed._on_message({"type": "denoise.frame", "frame": text})
    the_feed._on_message({})
