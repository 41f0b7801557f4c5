"""The writer: groups, latest wins, commit before publish, and it outlives what happens."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, OperationalError

from denoise_relay.events import Event, Fact, Stage
from denoise_relay.exceptions import IllegalTransition, LeaseLost
from denoise_relay.journal import read
from denoise_relay.journal import writer as module
from denoise_relay.journal.append import Entry, Outcome, append_entries
from denoise_relay.journal.leases import Lease
from denoise_relay.journal.writer import JournalWriter
from denoise_relay.lifecycle import Status
from denoise_relay.models import Job
from denoise_relay.runtime import database
from denoise_relay.runtime.background import spawn
from tests.db.checks import story
from tests.db.factories import DONE, make_job
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

Append = Callable[[Sequence[Entry]], list[Outcome]]


class Published:
    """What was published, and whether it was in the journal by then."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.committed: list[bool] = []

    async def __call__(self, events: Sequence[Event]) -> None:
        for event in events:
            known = await database.call(read.latest, event.job)
            self.committed.append(known is not None and known.seq >= event.seq)
            self.events.append(event)


@contextlib.asynccontextmanager
async def running(
    append: Append = append_entries, *, rate: float = 1000, publish: Any = None
) -> AsyncIterator[JournalWriter]:
    writer = JournalWriter(events_per_second=rate, append=append, publish=publish or Published())
    task = spawn(writer.run(), "test-writer")
    try:
        yield writer
    finally:
        task.cancel()
        await asyncio.wait({task})


async def leased() -> Lease:
    job = await database.call(make_job, epoch=1)
    return Lease(job=job.pk, epoch=1)


async def told(lease: Lease) -> list[Event]:
    return await database.call(story, lease.job)


async def test_record_returns_after_commit_and_publication() -> None:
    lease, published = await leased(), Published()
    async with running(publish=published) as writer:
        outcome = await writer.write(lease, Fact(pct=5))

    assert outcome.event == published.events[-1] == (await told(lease))[-1]
    assert published.committed == [True]


async def test_what_is_said_during_a_commit_goes_with_the_next() -> None:
    some = [await leased() for _ in range(5)]
    groups: list[int] = []
    entered, gate = threading.Event(), threading.Event()

    def blocking(entries: Sequence[Entry]) -> list[Outcome]:
        groups.append(len(entries))
        entered.set()
        assert gate.wait(10)
        return append_entries(entries)

    async with running(blocking) as writer:
        writer.report(some[0], Fact(pct=1))
        await asyncio.to_thread(entered.wait, 10)
        for pct in range(2, 50):
            for lease in some:
                writer.report(lease, Fact(pct=pct))
        gate.set()
        await writer.drained()

    assert groups == [1, 5]
    # Latest wins: of 48 reports each, one was written.
    assert [[event.pct for event in await told(lease)][-1] for lease in some] == [49.0] * 5
    assert len(await told(some[1])) == 2


async def test_a_flood_is_bounded_and_disturbs_nobody() -> None:
    loud, quiet = await leased(), await leased()
    waits: list[float] = []

    async with running(rate=10) as writer:
        loop = asyncio.get_running_loop()
        ends, pct = loop.time() + 2.0, 0.0
        while loop.time() < ends:
            for _ in range(100):
                pct += 0.001
                writer.report(loud, Fact(pct=pct))
            if len(waits) < (2.0 - (ends - loop.time())) / 0.2:
                begun = loop.time()
                await writer.write(quiet, Fact(message="quiet"))
                waits.append(loop.time() - begun)
            await asyncio.sleep(0.01)
        await writer.drained()

    events = await told(loud)
    assert 10 <= len(events) <= 1 + 2 * 10 + 3
    assert events[-1].pct == pytest.approx(min(pct, 100), abs=0.11)
    assert sorted(waits)[len(waits) // 2] < 0.1
    assert len(await told(quiet)) == 1 + len(waits)


async def test_an_end_is_not_held_back_by_the_rate() -> None:
    lease = await leased()
    async with running(rate=0.1) as writer:
        await writer.write(lease, Fact(pct=1))
        writer.report(lease, Fact(pct=2))  # would have to wait ten seconds
        begun = time.monotonic()
        await writer.write(lease, DONE, status=Status.DONE)

        assert time.monotonic() - begun < 5
    assert [event.pct for event in await told(lease)] == [0, 1, 100]


async def test_a_change_without_an_event_drops_no_progress() -> None:
    lease = await leased()
    async with running() as writer:
        writer.report(lease, Fact(pct=30))
        await writer.write(lease, None, status=Status.PROCESSING)
        await writer.drained()

    assert [event.pct for event in await told(lease)] == [0, 30]


async def test_a_database_that_is_away_for_a_while_loses_nothing() -> None:
    lease, published, failures = await leased(), Published(), [OperationalError("gone")] * 3

    def flaky(entries: Sequence[Entry]) -> list[Outcome]:
        if failures:
            raise failures.pop()
        return append_entries(entries)

    async with running(flaky, publish=published) as writer:
        async with asyncio.timeout(15):
            await writer.write(lease, DONE, status=Status.DONE)

    assert [event.stage for event in published.events] == [Stage.DONE]
    assert (await told(lease))[-1].stage is Stage.DONE


@pytest.mark.parametrize("error", [IntegrityError("x"), ValueError("NUL"), KeyError("bug")])
async def test_an_entry_that_is_refused_takes_no_other_with_it(error: Exception) -> None:
    good, bad = await leased(), await leased()
    gate, entered = threading.Event(), threading.Event()

    def picky(entries: Sequence[Entry]) -> list[Outcome]:
        entered.set()
        assert gate.wait(10)
        if any(entry.job == bad.job for entry in entries):
            raise error
        return append_entries(entries)

    async with running(picky) as writer:
        first = asyncio.create_task(writer.write(good, Fact(pct=1)), name="test-first")
        await asyncio.to_thread(entered.wait, 10)
        together = [
            asyncio.create_task(writer.write(lease, Fact(pct=2)), name="test-record")
            for lease in (bad, good)
        ]
        await asyncio.sleep(0)
        gate.set()
        await first
        refused, written = await asyncio.gather(*together, return_exceptions=True)

        assert refused is error
        assert isinstance(written, Outcome)
        assert (await writer.write(good, Fact(pct=3))).written


async def test_an_illegal_step_is_told_to_who_took_it() -> None:
    lease = await leased()
    async with running() as writer:
        await writer.write(lease, None, status=Status.PROCESSING)
        with pytest.raises(IllegalTransition):
            await writer.write(lease, None, status=Status.SUBMITTING)
        assert (await writer.write(lease, Fact(pct=1))).written


async def test_a_layer_that_raises_stops_nothing() -> None:
    lease = await leased()

    async def broken(events: Sequence[Event]) -> None:
        raise RuntimeError("not even a connection error")

    async with running(publish=broken) as writer:
        await writer.write(lease, Fact(pct=1))
        await writer.write(lease, Fact(pct=2))

    assert len(await told(lease)) == 3


async def test_a_lost_lease_is_told() -> None:
    lease = await leased()
    await database.call(Job.objects.filter(pk=lease.job).update, epoch=2)
    async with running() as writer:
        with pytest.raises(LeaseLost):
            await writer.write(lease, Fact(pct=1))
        with pytest.raises(LeaseLost):
            await writer.write(Lease(job=uuid4(), epoch=1), Fact(pct=1))


async def test_a_runner_that_lost_its_job_drops_nothing_of_its_successor() -> None:
    old = await leased()
    new = Lease(job=old.job, epoch=2)
    await database.call(Job.objects.filter(pk=old.job).update, epoch=2)
    async with running() as writer:
        writer.report(old, Fact(pct=90))
        successor = asyncio.create_task(writer.write(new, Fact(pct=10)), name="test-record")
        await asyncio.sleep(0)
        writer.report(old, Fact(pct=95))
        writer.forget(old)
        async with asyncio.timeout(5):
            await successor

    assert [event.pct for event in await told(new)] == [0, 10]


async def test_more_jobs_than_a_group_holds_are_all_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "GROUP_LIMIT", 3)
    some = [await leased() for _ in range(10)]
    stop = asyncio.Event()

    async with running(rate=10_000) as writer:

        async def flood() -> None:
            pct = 0.0
            while not stop.is_set():
                pct = min(pct + 0.01, 100)
                for lease in some[:6]:  # more than a group, always due
                    writer.report(lease, Fact(pct=pct))
                await asyncio.sleep(0)

        flooding = asyncio.create_task(flood(), name="test-flood")
        async with asyncio.timeout(10):
            for lease in some[6:]:
                await writer.write(lease, DONE, status=Status.DONE)
        stop.set()
        await flooding


async def test_late_reports_leave_nothing_behind() -> None:
    lease = await leased()
    async with running() as writer:
        await writer.write(lease, DONE, status=Status.DONE)
        writer.forget(lease)
        writer.report(lease, Fact(pct=99))  # a callback that comes too late
        await writer.drained()

        def silent() -> bool:
            writer.forget(Lease(job=uuid4(), epoch=0))  # anybody's word wakes the loop
            return not writer._waiting

        await eventually(silent)


async def test_nobody_waits_for_a_writer_that_broke() -> None:
    lease = await leased()
    entered, gate = threading.Event(), threading.Event()

    def blocking(entries: Sequence[Entry]) -> list[Outcome]:
        entered.set()
        assert gate.wait(10)
        return append_entries(entries)

    writer = JournalWriter(events_per_second=10, append=blocking, publish=Published())
    task = spawn(writer.run(), "test-writer")
    waiting = asyncio.create_task(writer.write(lease, Fact(pct=1)), name="test-record")
    await asyncio.to_thread(entered.wait, 10)
    task.cancel()

    async with asyncio.timeout(5):
        (answer,) = await asyncio.gather(waiting, return_exceptions=True)

    gate.set()
    assert isinstance(answer, LeaseLost)
