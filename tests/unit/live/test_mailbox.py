from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from denoise_relay.events import Event, Stage
from denoise_relay.frames import Frame
from denoise_relay.live.mailbox import LIMIT, Mailbox


def frame(job: UUID, seq: int, stage: Stage = Stage.PROCESSING) -> Frame:
    at = datetime(2026, 11, 22, tzinfo=UTC)
    event = Event(job=job, seq=seq, stage=stage, pct=0.0, message="", at=at)
    return Frame(event=event, text=f"{seq}")


async def test_take_returns_all_in_order() -> None:
    job, box = uuid4(), Mailbox()
    for seq in (1, 2, 3):
        box.put(frame(job, seq))

    assert [f.seq for f in await box.take()] == [1, 2, 3]


async def test_take_waits_for_the_next_frame() -> None:
    job, box = uuid4(), Mailbox()
    box.put(frame(job, 1))
    await box.take()
    waiting = asyncio.create_task(box.take(), name="test-take")
    await asyncio.sleep(0)
    assert not waiting.done()

    box.put(frame(job, 2))

    assert [f.seq for f in await waiting] == [2]


async def test_a_cancelled_take_loses_nothing() -> None:
    job, box = uuid4(), Mailbox()
    waiting = asyncio.create_task(box.take(), name="test-take")
    await asyncio.sleep(0)
    box.put(frame(job, 1))  # wakes it…
    waiting.cancel()  # …and cancels it before it runs
    with pytest.raises(asyncio.CancelledError):
        await waiting

    async with asyncio.timeout(1):
        assert [f.seq for f in await box.take()] == [1]


async def test_a_slow_viewer_skips_progress_and_gets_the_end() -> None:
    job, box = uuid4(), Mailbox()
    for seq in range(1, 1001):
        box.put(frame(job, seq))
    box.put(frame(job, 1001, Stage.DONE))

    taken = await box.take()

    assert len(taken) <= LIMIT + 1
    assert [f.seq for f in taken] == sorted({f.seq for f in taken})
    assert taken[-1].event.stage is Stage.DONE
    assert box.skipped == 1001 - len(taken)


async def test_every_watched_job_keeps_its_newest_frame() -> None:
    jobs, box = [uuid4() for _ in range(100)], Mailbox()
    for seq in range(1, 101):
        for job in jobs:
            box.put(frame(job, seq, Stage.ERROR if seq == 100 else Stage.PROCESSING))

    taken = await box.take()

    assert len(taken) <= LIMIT + len(jobs)
    newest = {f.job: f for f in taken}
    assert {f.seq for f in newest.values()} == {100}
    assert set(newest) == set(jobs)
