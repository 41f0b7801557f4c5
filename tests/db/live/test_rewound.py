"""A database that went back in time: viewers ahead of the journal see its newest state, and the
end. As after a fail-over to a replica that lagged, or a restored backup."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from denoise_relay.events import Stage
from denoise_relay.lifecycle import Status
from denoise_relay.live.event_stream import event_stream, frame_message
from denoise_relay.live.feed import Feed
from denoise_relay.live.watcher import Watcher
from denoise_relay.models import Event, Job
from denoise_relay.runtime import database
from tests.db.factories import end
from tests.db.live.jobs import commit, job_with, publish, publish_end
from tests.db.live.sockets import job_path, opened
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("the_feed", "open_to_all"),
]


async def go_back(job: Job, seq: int) -> None:
    """Restore the journal of a running job as it was at this number."""

    def restore() -> None:
        Event.objects.filter(job=job.pk, seq__gt=seq).delete()
        newest = Event.objects.get(job=job.pk, seq=seq)
        Job.objects.filter(pk=job.pk).update(
            seq=seq,
            stage=newest.stage,
            pct=newest.pct,
            message=newest.message,
            status=Status.QUEUED,
            finished_at=None,
            signal_pending=False,
        )

    await database.call(restore)


async def replayed(watcher: Watcher, job: Job, after: int | None = None) -> list[int]:
    return [frame.seq async for frame in watcher.watch(job.pk, after)]


async def taken(watcher: Watcher, count: int) -> list[tuple[int, bool]]:
    """The numbers of the next frames, and whether each is a rewound state."""
    found: list[tuple[int, bool]] = []
    async with asyncio.timeout(5):
        while len(found) < count:
            found += [(frame.seq, frame.rewound) for frame in await watcher.take()]
    return found


@pytest.fixture
def watcher(the_feed: Feed) -> Watcher:
    return Watcher(lambda: the_feed)


async def test_a_viewer_who_is_ahead_is_shown_the_newest_state_and_what_follows(
    the_feed: Feed, watcher: Watcher
) -> None:
    job = await job_with(5)
    assert await replayed(watcher, job) == [6]
    await go_back(job, 3)

    await the_feed.check_now()
    assert await taken(watcher, 1) == [(3, True)]
    await publish(job, 50)
    await publish(job, 60)
    assert await taken(watcher, 2) == [(4, False), (5, False)]
    await publish_end(job)
    assert await taken(watcher, 1) == [(6, False)]
    assert job.pk not in watcher


async def test_an_end_with_a_number_that_was_seen_comes_at_once(
    the_feed: Feed, watcher: Watcher
) -> None:
    job = await job_with(5)
    await replayed(watcher, job)
    await go_back(job, 3)

    await publish_end(job)

    assert await taken(watcher, 1) == [(4, False)]
    assert the_feed.viewers == 0


@pytest.mark.parametrize("back_to", [3, 5])
async def test_a_lost_end_with_a_number_that_was_seen_is_found(
    the_feed: Feed, watcher: Watcher, back_to: int
) -> None:
    """Also with the very number that the viewer has."""
    job = await job_with(5)
    await replayed(watcher, job)
    await go_back(job, back_to)
    await database.call(end, job)

    await the_feed.check_now()

    assert await taken(watcher, 1) == [(back_to + 1, True)]
    assert the_feed.viewers == 0


@pytest.mark.usefixtures("nothing_kept")
async def test_who_has_the_newest_state_gets_it_once(the_feed: Feed, watcher: Watcher) -> None:
    job = await job_with(5)
    await replayed(watcher, job)
    await go_back(job, 3)
    late = Watcher(lambda: the_feed)
    assert await replayed(late, job) == [3]

    await the_feed.check_now()
    assert await taken(watcher, 1) == [(3, True)]
    await publish(job, 50)

    assert await taken(late, 1) == [(4, False)]
    for each in (watcher, late):
        each.close()


async def test_a_check_that_was_overtaken_rewinds_nothing(
    the_feed: Feed, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, real = await job_with(1), database.read
    await replayed(watcher, job)

    async def slow(function: Any, *args: Any, **kwargs: Any) -> Any:
        found = await real(function, *args, **kwargs)
        await publish(job, 50)  # between the answer and its use
        return found

    monkeypatch.setattr(database, "read", slow)
    await the_feed.check_now()
    monkeypatch.setattr(database, "read", real)
    await the_feed.check_now()
    await publish(job, 60)

    assert await taken(watcher, 2) == [(3, False), (4, False)]
    watcher.close()


async def test_on_a_socket(the_feed: Feed) -> None:
    job = await job_with(5)
    async with opened(job_path(job)) as client:
        assert (await client.frame())["seq"] == 6
        await eventually(lambda: the_feed._jobs[job.pk].seq == 6)  # the journal has been read
        await go_back(job, 2)
        await the_feed.check_now()
        newest = await client.frame()
        await publish(job, 50)
        await publish_end(job)
        live, last = await client.frames(2)
        assert await client.closed() == 1000

    assert (newest["seq"], newest["rewound"]) == (2, True)
    assert (live["seq"], last["seq"], last["stage"]) == (3, 4, "done")
    assert "rewound" not in live | last


async def test_on_a_stream(the_feed: Feed) -> None:
    job = await job_with(5)
    seen: list[dict[str, Any]] = []

    async def read() -> None:
        async for part in event_stream(job.pk, None, frame_message):
            if b"data: " in part:
                seen.append(json.loads(part.partition(b"data: ")[2]))

    reading = asyncio.create_task(read(), name="test-read")
    await eventually(lambda: seen)
    await go_back(job, 2)
    await the_feed.check_now()
    await eventually(lambda: len(seen) == 2)
    await publish_end(job)
    await asyncio.wait_for(reading, 5)

    assert [(frame["seq"], frame["stage"]) for frame in seen] == [
        (6, Stage.PROCESSING),
        (2, Stage.PROCESSING),
        (3, Stage.DONE),
    ]
    assert seen[1]["rewound"] is True


async def test_who_returns_from_ahead_is_told_so_and_who_is_not_is_not() -> None:
    job = await job_with(2)
    async with opened(job_path(job, "?after=9")) as client:
        frame = await client.frame()
    assert (frame["seq"], frame["rewound"]) == (3, True)
    async with opened(job_path(job, "?after=2")) as client:
        frame = await client.frame()
    assert (frame["seq"], frame.get("rewound")) == (3, None)


async def test_numbers_that_pass_the_old_ones_are_shown(the_feed: Feed, watcher: Watcher) -> None:
    """Nobody looked in between: the journal is ahead again, with another content."""
    job = await job_with(2)
    await replayed(watcher, job)
    await go_back(job, 1)
    for pct in (70, 80, 90):
        await commit(job, pct)

    await the_feed.check_now()

    assert await taken(watcher, 1) == [(4, False)]
    watcher.close()


@pytest.mark.parametrize("live", [True, False])
async def test_who_comes_after_an_end_was_taken_back_hears_the_new_one(
    the_feed: Feed, watcher: Watcher, live: bool
) -> None:
    """Also beside a viewer who has not read the old end yet."""
    job = await job_with(5)
    await replayed(watcher, job)
    await publish_end(job)
    await go_back(job, 3)
    late = Watcher(lambda: the_feed)
    assert await replayed(late, job) == [3]

    await the_feed.check_now()
    await publish(job, 50)
    if live:
        await publish_end(job)
    else:
        await database.call(end, job)
        await the_feed.check_now()

    async with asyncio.timeout(5):
        while job.pk in late:
            seen = [frame.seq for frame in await late.take()]
    assert seen[-1] == 5
    watcher.close()
