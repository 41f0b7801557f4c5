"""Runners: every job ends, whatever its backend does, and its result and signals come once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db.models import Model
from django.dispatch import receiver
from django.utils import timezone
from pytest_django import Settings

from denoise_relay import signals
from denoise_relay.backends.base import Result, Run
from denoise_relay.events import Stage
from denoise_relay.exceptions import JobFailed
from denoise_relay.jobs import actions
from denoise_relay.models import Job
from denoise_relay.runtime import database
from tests.db.checks import checked_events
from tests.db.scripted_backends import Scripted, finish, hang, write_result
from tests.db.worker.working import QUICK, ended, new_job, run_one, working
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("media")]


async def test_a_job_is_run_to_its_end() -> None:
    job = await run_one(finish)

    events = await database.call(checked_events, job.pk)
    assert (job.status, job.error_detail) == ("done", "")
    assert Path(job.result.path).read_bytes() == b"clean"
    assert (events[0].message, events[-1].message) == ("Queued", "Done")
    assert [e.stage for e in events][-1] is Stage.DONE


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


async def _refused(run: Run) -> Result:
    assert await run.submitting() == 1
    await run.not_taken()
    assert await run.submitting() == 1
    await run.not_taken()
    raise JobFailed("Refused for good.")


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


async def test_a_submission_that_was_surely_not_taken_does_not_count() -> None:
    job = await run_one(_refused)

    assert (job.message, job.attempt) == ("Refused for good.", 0)


async def test_a_report_of_nonsense_fails_no_other_job() -> None:
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
    assert (await database.call(checked_events, job.pk))[-1].url == "https://cdn.example/clean.wav"


async def test_the_workspace_is_deleted_with_all_files_in_it() -> None:
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


async def test_signals_are_sent_once_and_a_bad_receiver_changes_nothing() -> None:
    calls: list[tuple[str, UUID]] = []

    @receiver(signals.job_done, weak=False, dispatch_uid="test-done")
    def on_done(job: Job, **_: Any) -> None:
        calls.append((job.status, job.pk))

    @receiver(signals.job_done, weak=False, dispatch_uid="test-bad")
    def bad(**_: Any) -> None:
        raise RuntimeError("a bad receiver")

    @receiver(signals.job_failed, weak=False, dispatch_uid="test-failed")
    def on_failed(job: Job, **_: Any) -> None:
        calls.append((job.status, job.pk))

    try:
        good = await run_one(finish)
        failed = await run_one(_bug)
        canceled = await new_job()
        await actions.acancel(canceled)
    finally:
        signals.job_done.disconnect(dispatch_uid="test-done")
        signals.job_done.disconnect(dispatch_uid="test-bad")
        signals.job_failed.disconnect(dispatch_uid="test-failed")

    assert calls == [("done", good.pk), ("error", failed.pk), ("canceled", canceled.pk)]


async def test_a_lagging_replica_is_never_asked(settings: Settings) -> None:
    """It would not know that the job was submitted, and the job would be submitted again."""
    job = await new_job(attempt=1)
    seen: list[int] = []

    async def look(run: Run) -> Result:
        seen.append(run.assignment.attempt)
        return write_result(run)

    settings.DATABASE_ROUTERS = ["tests.db.worker.test_runner.Replicated"]
    async with working(Scripted(QUICK, look)) as supervisor:
        await eventually(lambda: seen and not supervisor.running, within=20)
    settings.DATABASE_ROUTERS = []
    (found,) = await ended(job)
    assert (seen, found.status) == ([1], "done")


class Replicated:
    """Reads go to a database that there is not, so each fails."""

    def db_for_read(self, model: type[Model], **_: Any) -> str:
        return "replica"

    def db_for_write(self, model: type[Model], **_: Any) -> str:
        return "default"
