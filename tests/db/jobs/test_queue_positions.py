"""Positions in the queue: written once, by one process, and not too often."""

from __future__ import annotations

import asyncio

import pytest

from denoise_relay import models
from denoise_relay.jobs import queue_positions
from denoise_relay.journal import leases
from denoise_relay.models import Job
from denoise_relay.runtime import database
from tests.db.checks import checked_events, parallel
from tests.db.factories import end, make_job

pytestmark = pytest.mark.django_db(transaction=True)


def messages(job: Job) -> list[str]:
    return [event.message for event in checked_events(job.pk)]


async def test_each_position_is_written_once() -> None:
    some = [await database.call(make_job, ahead=None) for _ in range(3)]

    await queue_positions.announce()
    count = await database.call(models.Event.objects.count)
    await queue_positions.announce()

    assert await database.call(models.Event.objects.count) == count
    assert [(await database.call(messages, job))[-1] for job in some] == [
        "Queued",
        "Queued, 1 ahead",
        "Queued, 2 ahead",
    ]


async def test_positions_move_up() -> None:
    some = [await database.call(make_job) for _ in range(3)]
    await queue_positions.announce()
    (lease,) = await database.call(leases.claim, "me", 1, 60)

    await queue_positions.announce()

    assert lease.job == some[0].pk
    assert (await database.call(messages, some[1]))[-1] == "Queued"
    assert (await database.call(messages, some[2]))[-1] == "Queued, 1 ahead"
    # A running job has no position.
    assert (await database.call(messages, some[0]))[-1] == "Queued"


async def test_a_job_whose_runner_died_waits_again() -> None:
    dead, alive = await database.call(make_job), await database.call(make_job)
    await database.call(leases.claim, "me", 1, -1)  # has expired already

    await queue_positions.announce()

    assert await database.call(queue_positions.ahead_of, "default", 0) == 2
    assert (await database.call(messages, dead))[-1] == "Queued"
    assert (await database.call(messages, alive))[-1] == "Queued, 1 ahead"


async def test_far_back_only_halved_positions_are_written() -> None:
    some = [await database.call(make_job) for _ in range(queue_positions.EXACT_POSITIONS + 25)]
    await queue_positions.announce()
    last = some[-1]
    before = len(await database.call(messages, last))
    for job in some[:5]:
        await database.call(end, job)
        await queue_positions.announce()

    assert len(await database.call(messages, last)) == before

    for job in some[5:25]:
        await database.call(end, job)
    await queue_positions.announce()

    assert (await database.call(messages, last))[-1] == "Queued, 19 ahead"
    assert len(await database.call(messages, last)) == before + 1


def test_two_processes_write_each_position_once() -> None:
    some = [make_job() for _ in range(10)]

    parallel([lambda: asyncio.run(queue_positions.announce()) for _ in range(2)])

    assert [len(checked_events(job.pk)) for job in some] == [2] * 10
