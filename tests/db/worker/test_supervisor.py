"""Supervisors: claim, cancel, release, and go on elsewhere, whatever breaks."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError
from django.db.models import F
from django.utils import timezone

from denoise_relay.backends.base import Result, Run
from denoise_relay.jobs import actions
from denoise_relay.journal import leases
from denoise_relay.journal.leases import Lease
from denoise_relay.models import Job
from denoise_relay.runtime import database
from denoise_relay.worker.supervisor import WRITER, Supervisor
from tests.db.checks import checked_events
from tests.db.scripted_backends import Scripted, finish, hang, write_result
from tests.db.worker.working import QUICK, accepted, ended, fresh, new_job, working
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("media")]


async def test_a_person_cancels_a_running_job() -> None:
    job, backend = await new_job(), Scripted(QUICK, hang)

    async with working(backend) as supervisor:
        await accepted(job)
        begun = time.monotonic()
        assert await actions.acancel(job)
        await eventually(lambda: not supervisor.running)
        took = time.monotonic() - begun

    assert took < 1.5
    assert backend.cancelled == 1
    assert (await fresh(job)).status == "canceled"
    assert (await database.call(checked_events, job.pk))[-1].message == "Canceled."
    assert not await actions.acancel(job)


async def test_a_stop_releases_jobs_and_another_supervisor_goes_on() -> None:
    job = await new_job()
    first, second = Scripted(QUICK, hang), Scripted(QUICK)
    async with working(first):
        await accepted(job)

    assert (await fresh(job)).lease_until is None
    assert (first.closed, first.cancelled) == (1, 1)
    begun = time.monotonic()
    async with working(second):
        (found,) = await ended(job)

    assert time.monotonic() - begun < QUICK.LEASE_SECONDS
    assert (found.status, found.epoch) == ("done", 2)


async def test_a_stop_may_be_repeated() -> None:
    backend = Scripted(QUICK)
    supervisor = Supervisor(backend, QUICK)
    await supervisor.stop()
    await supervisor.start()
    await asyncio.gather(supervisor.stop(), supervisor.stop())
    await supervisor.stop()

    assert backend.closed == 1
    assert not supervisor.healthy


async def test_a_stopped_supervisor_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    job, backend = await new_job(), Scripted(QUICK, hang)
    async with working(backend) as supervisor:
        await accepted(job)
        assert supervisor.healthy
        assert supervisor.running == {job.pk}

    assert asyncio.all_tasks() == before
    assert supervisor.running == frozenset()


async def test_two_supervisors_run_each_of_50_jobs_once() -> None:
    some = [await new_job() for _ in range(50)]
    one, two = Scripted(QUICK, slots=10), Scripted(QUICK, slots=10)

    async with working(one), working(two):
        found = await ended(*some)

    assert {job.status for job in found} == {"done"}
    assert one.runs + two.runs == {job.pk: 1 for job in some}
    assert {job.epoch for job in found} == {1}


async def test_no_more_run_than_there_are_slots_and_others_see_their_place() -> None:
    some = [await new_job() for _ in range(5)]
    gate = asyncio.Event()

    async def wait(run: Run) -> Result:
        await run.accepted("u")
        await gate.wait()
        return write_result(run)

    backend = Scripted(QUICK, wait, slots=2)
    async with working(backend):

        async def messages() -> list[str]:
            return [(await fresh(job)).message for job in some]

        async def places() -> bool:
            return (await messages())[2:] == ["Queued", "Queued, 1 ahead", "Queued, 2 ahead"]

        await eventually(places)
        gate.set()
        await ended(*some)

    assert backend.most_active == 2
    events = [event.message for event in await database.call(checked_events, some[4].pk)]
    assert events.count("Queued, 2 ahead") == 1


async def test_a_job_lost_during_a_pause_is_dropped() -> None:
    job, backend = await new_job(), Scripted(QUICK, hang)
    async with working(backend) as supervisor:
        await accepted(job)
        # As if this process had been paused for longer than its lease, and another had claimed
        # the job.
        taken = Job.objects.filter(pk=job.pk).update
        until = timezone.now() + timedelta(seconds=60)
        await database.call(taken, lease_owner="another", lease_until=until, epoch=F("epoch") + 1)
        await eventually(lambda: not supervisor.running)

    found = await fresh(job)
    assert (found.lease_owner, found.ended) == ("another", False)
    assert backend.cancelled == 1


async def test_a_writer_that_breaks_is_noticed_and_starts_again() -> None:
    first, backend = await new_job(), Scripted(replace(QUICK, LEASE_SECONDS=1.5), hang)
    async with working(backend) as supervisor:
        await accepted(first)
        backend.behaviour = finish  # from its next run on
        (writer,) = [t for t in asyncio.all_tasks() if t.get_name() == WRITER]
        writer.cancel()
        await eventually(lambda: not supervisor.healthy)
        # The events of running jobs could not be written any more, so these stop…
        await eventually(lambda: backend.cancelled)
        # …and are run again under a new lease.
        await eventually(lambda: supervisor.healthy)
        (found,) = await ended(first)

    assert (found.status, found.epoch) == ("done", 2)


async def test_a_database_that_was_away_ends_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    real, failures = leases.leased_job, [OperationalError("gone")] * 3

    def flaky(lease: Lease) -> tuple[Job, datetime]:
        if failures:
            raise failures.pop()
        return real(lease)

    monkeypatch.setattr(leases, "leased_job", flaky)
    job = await new_job()
    async with working(Scripted(QUICK)):
        await eventually(lambda: not failures)
        (found,) = await ended(job)

    assert found.status == "done"


async def test_runners_stop_when_no_lease_can_be_renewed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    job, backend = await new_job(), Scripted(replace(QUICK, LEASE_SECONDS=0.9), hang)
    real = leases.renew

    def away(*_: Any) -> set[UUID]:
        raise OperationalError("gone")

    async with working(backend):
        await accepted(job)
        backend.behaviour = finish  # from its next run on
        monkeypatch.setattr(leases, "renew", away)
        await eventually(lambda: backend.cancelled)
        monkeypatch.setattr(leases, "renew", real)
        (found,) = await ended(job)

    assert found.epoch >= 2
    actions = [getattr(record, "relay_action", "") for record in caplog.records]
    assert "leases_abandoned" in actions
