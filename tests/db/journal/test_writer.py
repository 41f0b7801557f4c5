"""The journal writer: groups, only the latest progress, commit before publish."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from uuid import uuid4

import pytest

from denoise_relay.events import Fact
from denoise_relay.journal import writer as module
from denoise_relay.journal.append import Entry, Outcome, append_entries
from denoise_relay.journal.leases import Lease
from denoise_relay.lifecycle import Status
from tests.db.factories import DONE
from tests.db.journal.writing import Published, journaled, leased, running
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


async def test_write_returns_after_commit_and_publication() -> None:
    lease, published = await leased(), Published()
    async with running(publish=published) as writer:
        outcome = await writer.write(lease, Fact(pct=5))

    assert outcome.event == published.events[-1] == (await journaled(lease))[-1]
    assert published.committed == [True]


async def test_reports_during_a_commit_go_with_the_next_group() -> None:
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
    # Only the latest is kept: of 48 reports each, one was written.
    assert [[event.pct for event in await journaled(lease)][-1] for lease in some] == [49.0] * 5
    assert len(await journaled(some[1])) == 2


async def test_many_reports_of_one_job_are_bounded_and_delay_no_other() -> None:
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

    events = await journaled(loud)
    assert 10 <= len(events) <= 1 + 2 * 10 + 3
    assert events[-1].pct == pytest.approx(min(pct, 100), abs=0.11)
    assert sorted(waits)[len(waits) // 2] < 0.1
    assert len(await journaled(quiet)) == 1 + len(waits)


async def test_an_end_is_not_rate_limited() -> None:
    lease = await leased()
    async with running(rate=0.1) as writer:
        await writer.write(lease, Fact(pct=1))
        writer.report(lease, Fact(pct=2))  # would have to wait ten seconds
        begun = time.monotonic()
        await writer.write(lease, DONE, status=Status.DONE)

        assert time.monotonic() - begun < 5
    assert [event.pct for event in await journaled(lease)] == [0, 1, 100]


async def test_a_change_without_an_event_drops_no_progress() -> None:
    lease = await leased()
    async with running() as writer:
        writer.report(lease, Fact(pct=30))
        await writer.write(lease, None, status=Status.PROCESSING)
        await writer.drained()

    assert [event.pct for event in await journaled(lease)] == [0, 30]


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
                # Not a busy loop: it would hold the GIL that the writer's thread needs.
                await asyncio.sleep(0.001)

        flooding = asyncio.create_task(flood(), name="test-flood")
        async with asyncio.timeout(30):
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
            writer.forget(Lease(job=uuid4(), epoch=0))  # any call wakes the loop
            return not writer._waiting

        await eventually(silent)
