"""The clean recording while it is made: written as it comes, gone afterwards, never in the way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import OperationalError

from denoise_relay import engine
from denoise_relay.backends.base import Result, Run
from denoise_relay.exceptions import JobFailed, LeaseLost
from denoise_relay.jobs import actions
from denoise_relay.journal import leases, segments
from denoise_relay.journal.leases import Lease
from denoise_relay.models import Job, Segment
from denoise_relay.runtime import database
from denoise_relay.worker import previews
from denoise_relay.worker.previews import PreviewWriter
from tests.db.scripted_backends import Scripted, finish, write_result
from tests.db.worker.working import QUICK, accepted, ended, new_job, run_one, working
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("media")]


def segment(number: int) -> engine.Segment:
    return engine.Segment(
        number=number,
        duration_seconds=4.0,
        sample_rate=48_000,
        samples_per_pixel=256,
        peaks=b"\xff\x01" * 750,
        audio=b"fLaC" + bytes([number]),
    )


async def shown(job: Job) -> list[int]:
    """The numbers of the segments that a page can have now."""
    rows = Segment.objects.filter(job=job.pk).order_by("number")
    return await database.call(lambda: list(rows.values_list("number", flat=True)))


class Showing(Scripted):
    """Shows two segments, and goes on when it is told to."""

    def __init__(self, end: Exception | None = None, **kwargs: Any) -> None:
        super().__init__(QUICK, self._show, **kwargs)
        self.go_on = asyncio.Event()
        self.end = end

    async def _show(self, run: Run) -> Result:
        await run.accepted(str(run.assignment.job))
        for number in range(2):
            run.preview(segment(number))
        await self.go_on.wait()
        if self.end:
            raise self.end
        return write_result(run)


@pytest.mark.parametrize("end", [None, JobFailed("No.")])
async def test_segments_are_there_while_a_job_runs_and_not_after_it(
    end: Exception | None,
) -> None:
    job, backend = await new_job(), Showing(end)
    async with working(backend):
        await eventually(lambda: _is(shown(job), [0, 1]))
        row = await database.call(Segment.objects.get, job=job.pk, number=1)
        backend.go_on.set()
        (found,) = await ended(job)
        await eventually(lambda: _is(shown(job), []))

    assert found.status == ("error" if end else "done")
    assert (bytes(row.audio), bytes(row.peaks)) == (segment(1).audio, segment(1).peaks)
    assert (row.sample_rate, row.samples_per_pixel, row.duration_seconds) == (48_000, 256, 4.0)


async def _is(found: Any, expected: list[int]) -> bool:
    return bool(await found == expected)


async def test_a_canceled_job_keeps_none() -> None:
    job, backend = await new_job(), Showing()
    async with working(backend) as supervisor:
        await eventually(lambda: _is(shown(job), [0, 1]))
        await actions.acancel(job)
        assert await shown(job) == []
        await eventually(lambda: not supervisor.running)
    assert await shown(job) == []


async def test_another_runner_begins_anew() -> None:
    job = await new_job()
    (old,) = await database.call(leases.claim, "old", 1, 0.0)
    await database.call(segments.add, old, [segment(number) for number in range(9)], anew=True)

    backend = Showing()
    async with working(backend):
        await eventually(lambda: _is(shown(job), [0, 1]))
        with pytest.raises(LeaseLost):
            await database.call(segments.add, old, [segment(7)], anew=False)
        assert await shown(job) == [0, 1]
        backend.go_on.set()
        await ended(job)


async def test_trouble_with_the_database_stops_the_preview_and_not_the_job(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[int] = []

    def refuse(lease: Lease, some: Sequence[engine.Segment], *, anew: bool) -> None:
        tried.append(len(some))
        raise OperationalError("disk full")

    monkeypatch.setattr(segments, "add", refuse)
    monkeypatch.setattr(previews, "PAUSE_SECONDS", 0)
    job, backend = await new_job(), Showing()
    async with working(backend):
        await accepted(job)
        await eventually(lambda: tried)
        backend.go_on.set()
        (found,) = await ended(job)

    assert found.status == "done"
    assert len(tried) == 1
    assert [r.getMessage() for r in caplog.records if "preview" in r.getMessage()] == [
        f"The preview of job {job.pk} stops: OperationalError"
    ]


async def test_of_too_many_the_oldest_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    job = await new_job()
    (lease,) = await database.call(leases.claim, "worker", 1, 60.0)
    writer = PreviewWriter(lease)
    # All in one turn of the event loop, so that nothing is written in between.
    for number in range(previews.MAX_WAITING + 5):
        writer.add(segment(number))
    await eventually(lambda: _is(shown(job), list(range(5, previews.MAX_WAITING + 5))))
    await writer.stop()
    await writer.stop()
    writer.add(segment(99))
    assert 99 not in await shown(job)


async def test_nothing_is_shown_where_it_is_turned_off() -> None:
    calls: list[int] = []

    async def show(run: Run) -> Result:
        run.preview(segment(0))
        calls.append(1)
        await asyncio.sleep(0)
        assert not [task for task in asyncio.all_tasks() if "preview" in task.get_name()]
        return write_result(run)

    job = await run_one(show, PREVIEW=False)

    assert (job.status, calls, await shown(job)) == ("done", [1], [])


async def test_what_a_dead_process_left_is_deleted_later() -> None:
    running, done = await new_job(), await run_one(finish)
    for job in (running, done):
        row = Segment(job_id=job.pk, number=0, duration_seconds=4.0, sample_rate=1)
        row.samples_per_pixel, row.peaks, row.audio = 1, b"", b""
        await database.call(row.save)

    await database.call(segments.discard_left_behind)
    assert (await shown(running), await shown(done)) == ([0], [0])
    old = done.finished_at - segments.LEFT_BEHIND * 2  # type: ignore[operator]
    await database.call(lambda: Job.objects.filter(pk=done.pk).update(finished_at=old))
    await database.call(segments.discard_left_behind)
    assert (await shown(running), await shown(done)) == ([0], [])
