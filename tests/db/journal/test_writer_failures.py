"""The journal writer: bad entries, lost leases, and a database or a layer that fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from uuid import uuid4

import pytest
from django.db import IntegrityError, OperationalError

from denoise_relay.events import Event, Fact, Stage
from denoise_relay.exceptions import IllegalTransition, LeaseLost
from denoise_relay.journal.append import Entry, Outcome, append_entries
from denoise_relay.journal.leases import Lease
from denoise_relay.journal.writer import JournalWriter
from denoise_relay.lifecycle import Status
from denoise_relay.models import Job
from denoise_relay.runtime import database
from denoise_relay.runtime.background import spawn
from tests.db.factories import DONE
from tests.db.journal.writing import Published, journaled, leased, running

pytestmark = pytest.mark.django_db(transaction=True)


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
    assert (await journaled(lease))[-1].stage is Stage.DONE


@pytest.mark.parametrize("error", [IntegrityError("x"), ValueError("NUL"), KeyError("bug")])
async def test_a_refused_entry_fails_no_other(error: Exception) -> None:
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


async def test_an_illegal_transition_is_raised_for_its_runner() -> None:
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

    assert len(await journaled(lease)) == 3


async def test_a_lost_lease_is_raised() -> None:
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

    assert [event.pct for event in await journaled(new)] == [0, 10]


async def test_a_waiting_write_fails_when_the_writer_breaks() -> None:
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
