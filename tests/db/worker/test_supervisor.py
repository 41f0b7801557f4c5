"""Supervisors: claim, run to the end whatever happens, cancel, hand back, go on elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.files.base import ContentFile
from django.db import OperationalError
from django.db.models import F
from django.dispatch import receiver
from django.utils import timezone

from denoise_relay import signals
from denoise_relay.backends.base import Result, Run
from denoise_relay.conf import RelaySettings
from denoise_relay.events import Stage
from denoise_relay.exceptions import JobFailed
from denoise_relay.jobs import actions
from denoise_relay.journal import leases
from denoise_relay.models import Job
from denoise_relay.runtime import database
from denoise_relay.worker.supervisor import WRITER, Supervisor
from tests.db.checks import story
from tests.db.factories import make_job
from tests.db.scripted_backends import Scripted, finish, hang, write_result
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("media")]

QUICK = RelaySettings(EVENTS_PER_SECOND=50)


@contextlib.asynccontextmanager
async def working(backend: Scripted) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(backend, backend.settings)
    await supervisor.start()
    try:
        yield supervisor
    finally:
        await supervisor.stop()


async def new_job(**columns: Any) -> Job:
    job = await database.call(make_job, **columns)
    await database.call(job.original.save, "voice.wav", ContentFile(b"RIFF"))
    return job


async def fresh(job: Job) -> Job:
    return await database.call(Job.objects.get, pk=job.pk)


async def accepted(job: Job) -> None:
    """Wait until the job's backend has said that it took it, and does nothing but hang."""

    async def processing() -> bool:
        return (await fresh(job)).status == "processing"

    await eventually(processing, within=20)


async def ended(*some: Job) -> list[Job]:
    """Wait until the jobs have ended, and return them as they are then."""

    async def all_ended() -> list[Job]:
        found = [await fresh(job) for job in some]
        return found if all(job.ended for job in found) else []

    return await eventually(all_ended, within=20)


async def run_one(behaviour: Callable[[Run], Awaitable[Result]], **settings: Any) -> Job:
    """A job's end under a backend that behaves like this."""
    job = await new_job()
    async with working(Scripted(replace(QUICK, **settings), behaviour)):
        (found,) = await ended(job)
    await database.call(story, job.pk)
    return found


async def test_a_job_is_run_to_its_end() -> None:
    job = await run_one(finish)

    told = await database.call(story, job.pk)
    assert (job.status, job.error_detail) == ("done", "")
    assert Path(job.result.path).read_bytes() == b"clean"
    assert (told[0].message, told[-1].message) == ("Queued", "Done")
    assert [e.stage for e in told][-1] is Stage.DONE


async def _job_failed(run: Run) -> Result:
    raise JobFailed("No audio in it.", detail="stream 0: \x00 data \ud800")


async def _bug(run: Run) -> Result:
    raise ZeroDivisionError("a bug")


async def _own_timeout(run: Run) -> Result:
    raise TimeoutError("the backend's own")


async def _cancelled_inside(run: Run) -> Result:
    raise asyncio.CancelledError


async def _missing_file(run: Run) -> Result:
    return Result(file=run.assignment.workspace / "never-written.flac")


async def _nothing(run: Run) -> Result:
    return Result()


async def _nonsense(run: Run) -> Result:
    run.report("half", None)  # type: ignore[arg-type]
    await run.accepted("u")
    return write_result(run)


async def _illegal(run: Run) -> Result:
    await run.accepted("u")
    await run.submitting()
    return write_result(run)


async def _id_too_long(run: Run) -> Result:
    await run.accepted("u" * 10_000)
    raise JobFailed("SQLite takes long ids, PostgreSQL does not.")


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (_job_failed, "No audio in it."),
        (_bug, "Something went wrong on our side."),
        (_own_timeout, "Something went wrong on our side."),
        (_cancelled_inside, "Something went wrong on our side."),
        (_missing_file, "The result could not be stored."),
        (_nothing, "Something went wrong on our side."),
        (_illegal, "Something went wrong on our side."),
        (_id_too_long, None),
    ],
)
async def test_every_job_ends_whatever_the_backend_does(
    behaviour: Callable[[Run], Awaitable[Result]], message: str | None
) -> None:
    job = await run_one(behaviour)

    assert job.status == "error"
    assert job.message == message or message is None
    assert not job.result


async def test_a_report_of_nonsense_takes_nobody_down() -> None:
    nonsense, good = await new_job(), await new_job()

    async def behave(run: Run) -> Result:
        return await (_nonsense if run.assignment.job == nonsense.pk else finish)(run)

    async with working(Scripted(QUICK, behave)):
        found = await ended(nonsense, good)

    assert [job.status for job in found] == ["done", "done"]


async def test_a_job_that_hangs_ends_at_its_deadline() -> None:
    job = await run_one(hang, JOB_DEADLINE_SECONDS=0.3)

    assert (job.status, job.error_detail) == ("error", "deadline")
    assert job.message == "This took too long and was stopped."


async def test_the_deadline_counts_from_the_first_runner() -> None:
    job = await new_job(started_at=timezone.now() - timedelta(hours=1))

    async with working(Scripted(replace(QUICK, JOB_DEADLINE_SECONDS=3600), hang)):
        (found,) = await ended(job)

    assert found.error_detail == "deadline"


async def test_a_result_by_url_is_passed_through() -> None:
    async def by_url(run: Run) -> Result:
        return Result(url="https://cdn.example/clean.wav")

    job = await run_one(by_url, STORE_RESULTS=False)

    assert (job.status, job.result_url, bool(job.result)) == (
        "done",
        "https://cdn.example/clean.wav",
        False,
    )
    assert (await database.call(story, job.pk))[-1].url == "https://cdn.example/clean.wav"


async def test_the_workspace_is_gone_whatever_was_left_in_it() -> None:
    job, backend = await new_job(), Scripted(QUICK)

    async def litter(run: Run) -> Result:
        folder = run.assignment.workspace / "deep" / "er"
        folder.mkdir(parents=True)
        (folder / "x").write_bytes(b"x")
        return write_result(run)

    backend.behaviour = litter
    async with working(backend):
        await ended(job)

    assert [path.exists() for path in backend.workspaces] == [False]


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
    assert (await database.call(story, job.pk))[-1].message == "Canceled."
    assert not await actions.acancel(job)


async def test_a_stop_hands_jobs_back_and_another_goes_on() -> None:
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


async def test_nothing_of_a_supervisor_outlives_it() -> None:
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
    told = [event.message for event in await database.call(story, some[4].pk)]
    assert told.count("Queued, 2 ahead") == 1


async def test_a_job_lost_during_a_pause_is_dropped() -> None:
    job, backend = await new_job(), Scripted(QUICK, hang)
    async with working(backend) as supervisor:
        await accepted(job)
        # As if this process had slept past its lease and another had taken the job.
        taken = Job.objects.filter(pk=job.pk).update
        until = timezone.now() + timedelta(seconds=60)
        await database.call(taken, lease_owner="another", lease_until=until, epoch=F("epoch") + 1)
        await eventually(lambda: not supervisor.running)

    found = await fresh(job)
    assert (found.lease_owner, found.ended) == ("another", False)
    assert backend.cancelled == 1


async def test_signals_are_sent_once_and_a_bad_receiver_harms_nobody() -> None:
    heard: list[tuple[str, UUID]] = []

    @receiver(signals.job_done, weak=False, dispatch_uid="test-done")
    def on_done(job: Job, **_: Any) -> None:
        heard.append((job.status, job.pk))

    @receiver(signals.job_done, weak=False, dispatch_uid="test-bad")
    def bad(**_: Any) -> None:
        raise RuntimeError("a bad receiver")

    @receiver(signals.job_failed, weak=False, dispatch_uid="test-failed")
    def on_failed(job: Job, **_: Any) -> None:
        heard.append((job.status, job.pk))

    try:
        good = await run_one(finish)
        failed = await run_one(_bug)
        canceled = await new_job()
        await actions.acancel(canceled)
    finally:
        signals.job_done.disconnect(dispatch_uid="test-done")
        signals.job_done.disconnect(dispatch_uid="test-bad")
        signals.job_failed.disconnect(dispatch_uid="test-failed")

    assert heard == [("done", good.pk), ("error", failed.pk), ("canceled", canceled.pk)]


async def test_a_result_that_cannot_be_stored_ends_the_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def then_no_room(run: Run) -> Result:
        result = write_result(run)
        monkeypatch.setattr("denoise_relay.media.storage.store_result", _no_space)
        return result

    def _no_space(*_: Any) -> str:
        raise OSError(28, "No space left on device")

    job = await run_one(then_no_room)

    assert (job.status, job.message) == ("error", "The result could not be stored.")
    assert "No space left" in job.error_detail


async def test_a_writer_that_breaks_is_noticed_and_starts_again() -> None:
    first, backend = await new_job(), Scripted(replace(QUICK, LEASE_SECONDS=1.5), hang)
    async with working(backend) as supervisor:
        await accepted(first)
        backend.behaviour = finish  # from its next run on
        (writer,) = [t for t in asyncio.all_tasks() if t.get_name() == WRITER]
        writer.cancel()
        await eventually(lambda: not supervisor.healthy)
        # What runs could not be told of any more: it stops…
        await eventually(lambda: backend.cancelled)
        # …and comes back under a new lease.
        await eventually(lambda: supervisor.healthy)
        (found,) = await ended(first)

    assert (found.status, found.epoch) == ("done", 2)


async def test_a_database_that_was_away_ends_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    real, failures = Job.objects.get, [OperationalError("gone")] * 3

    def flaky(*args: Any, **kwargs: Any) -> Job:
        if failures:
            raise failures.pop()
        return real(*args, **kwargs)

    monkeypatch.setattr(Job.objects, "get", flaky)
    job = await new_job()
    async with working(Scripted(QUICK)):
        await eventually(lambda: not failures)
        (found,) = await ended(job)

    assert found.status == "done"


async def test_runners_stop_when_no_lease_can_be_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
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
