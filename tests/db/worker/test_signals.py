"""Signals come at least once, whatever dies, and a slow receiver stops nothing else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from denoise_relay import signals
from denoise_relay.jobs import actions
from denoise_relay.journal import outbox
from denoise_relay.models import Job
from denoise_relay.runtime import database
from tests.db.factories import FAILED, end, make_job
from tests.db.scripted_backends import Scripted
from tests.db.worker.working import QUICK, ended, fresh, new_job, working
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("media")]

#: More than the loop's default executor has threads on two cores.
MANY = 8


class _Receiver:
    """Receives both signals, and waits in each call while the gate is shut."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, UUID]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, job: Job, **_: Any) -> None:
        self.heard.append((job.status, job.pk))
        assert self.gate.wait(30)


@pytest.fixture
def receiver() -> Iterator[_Receiver]:
    found = _Receiver()
    for signal in (signals.job_done, signals.job_failed):
        signal.connect(found)
    yield found
    found.gate.set()
    for signal in (signals.job_done, signals.job_failed):
        signal.disconnect(found)


def told(*some: Job) -> Callable[[], Any]:
    """Whether receivers have returned for these jobs, and that is known."""
    pending = Job.objects.filter(pk__in=[job.pk for job in some], signal_pending=True)

    async def all_told() -> bool:
        return not await database.call(pending.exists)

    return all_told


async def test_a_slow_receiver_holds_no_slot_and_no_thread_of_others(receiver: _Receiver) -> None:
    some = [await new_job() for _ in range(MANY)]
    receiver.gate.clear()
    async with working(Scripted(QUICK, slots=1)):
        await ended(*some)
        await eventually(lambda: receiver.heard)
        assert await asyncio.wait_for(asyncio.to_thread(int, "7"), 5) == 7
        receiver.gate.set()
        await eventually(told(*some))

    assert sorted(receiver.heard) == sorted(("done", job.pk) for job in some)


async def test_the_end_of_a_process_that_died_before_its_signal_is_told(
    receiver: _Receiver,
) -> None:
    done, failed = await database.call(make_job), await database.call(make_job)
    await database.call(end, done)
    await database.call(end, failed, FAILED)
    assert receiver.heard == []

    async with working(Scripted(QUICK)):
        await eventually(told(done, failed))

    assert sorted(receiver.heard) == sorted([("done", done.pk), ("error", failed.pk)])


async def test_a_process_that_dies_while_receivers_run_is_followed_by_another(
    receiver: _Receiver,
) -> None:
    job = await database.call(make_job)
    await database.call(end, job)
    assert await database.call(outbox.claim, 9, 0.3) == [job.pk]

    async with working(Scripted(QUICK)):
        await eventually(told(job))

    assert receiver.heard == [("done", job.pk)]


async def test_many_processes_tell_once_however_slow_the_receiver(receiver: _Receiver) -> None:
    some = [await database.call(make_job) for _ in range(MANY)]
    for job in some:
        await database.call(end, job)
    receiver.gate.clear()
    settings = replace(QUICK, LEASE_SECONDS=0.9)
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(working(Scripted(settings)))
        await eventually(lambda: len(receiver.heard) == signals.THREADS)
        leases = Job.objects.filter(pk=receiver.heard[0][1]).values_list("signal_lease_until")
        (first,) = await database.call(leases.get)
        # Longer than two leases.
        await eventually(lambda: _is_later(leases, first, 1.8))
        receiver.gate.set()
        await eventually(told(*some))

    assert sorted(receiver.heard) == sorted(("done", job.pk) for job in some)


async def _is_later(leases: Any, first: Any, seconds: float) -> bool:
    (now,) = await database.call(leases.get)
    return (now - first).total_seconds() > seconds


async def test_a_cancel_whose_process_dies_is_told_by_a_worker(
    receiver: _Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    canceled, job = await new_job(), await new_job()
    await actions.acancel(canceled)
    assert receiver.heard == [("canceled", canceled.pk)]
    assert await told(canceled)()
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "claim_one", lambda *_: False)  # dies after the commit
        await actions.acancel(job)
    async with working(Scripted(QUICK)):
        await eventually(told(job))

    assert receiver.heard == [("canceled", canceled.pk), ("canceled", job.pk)]


async def test_the_ends_of_a_version_before_are_not_told_again(receiver: _Receiver) -> None:
    old, new = await database.call(make_job), await database.call(make_job)
    await database.call(end, old)
    await database.call(Job.objects.filter(pk=old.pk).update, signal_pending=False)
    await database.call(end, new)

    async with working(Scripted(QUICK)):
        await eventually(told(new))

    assert receiver.heard == [("done", new.pk)]


async def test_a_stop_waits_for_receivers_but_not_for_long(
    receiver: _Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("denoise_relay.worker.signal_sender.DRAIN_SECONDS", 0.2)
    job = await new_job()
    async with working(Scripted(QUICK)):
        await ended(job)
    assert await told(job)(), "a stop right after the end tells it"

    stuck = await new_job()
    receiver.gate.clear()
    async with asyncio.timeout(5):
        async with working(Scripted(QUICK)):
            await ended(stuck)
            await eventually(lambda: len(receiver.heard) == 2)

    assert (await fresh(stuck)).signal_pending
    assert (await fresh(stuck)).signal_lease_until is not None
    receiver.gate.set()


async def test_receivers_leave_no_connection_open(receiver: _Receiver) -> None:
    seen: list[object] = []

    def query(job: Job, **_: Any) -> None:
        Job.objects.count()
        seen.append(connection.connection)

    signals.job_done.connect(query)
    try:
        job = await new_job()
        async with working(Scripted(QUICK)):
            await ended(job)
            await eventually(told(job))
    finally:
        signals.job_done.disconnect(query)

    assert len(seen) == 1  # `_no_connection_left` finds one that is still open
