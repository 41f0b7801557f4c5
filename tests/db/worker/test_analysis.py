"""The analysis of a result goes on beside the job's end, and is never in its way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import denoise_relay
from denoise_relay import engine
from denoise_relay.backends.base import Result, Run
from denoise_relay.exceptions import JobFailed
from denoise_relay.journal import leases
from denoise_relay.media import waveforms
from denoise_relay.models import DerivedFile, Job, Segment, Waveform
from denoise_relay.runtime import database
from denoise_relay.worker import analysis
from denoise_relay.worker.analysis import Analyst
from denoise_relay.worker.workspace import new_folder
from tests.db.analyses import PIXEL, RATE
from tests.db.scripted_backends import Scripted, finish, write_result
from tests.db.worker.gates import Gate
from tests.db.worker.working import (
    QUICK,
    analysed,
    ended,
    fresh,
    new_job,
    stored,
    working,
)
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("media"),
    pytest.mark.skipif(not engine.available(), reason="needs the local engine"),
]
SETTINGS = replace(QUICK, ANALYSE_RESULTS=True)


@pytest_asyncio.fixture
async def gate(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gate]:
    found = Gate()
    monkeypatch.setattr(engine, "analyse", found)
    yield found
    assert [folder for folder in found.begun if folder.parent.exists()] == []


async def test_the_end_does_not_wait_for_a_long_analysis(gate: Gate, media: Path) -> None:
    job = await new_job(duration_seconds=900.0)
    async with working(Scripted(SETTINGS, finish)) as supervisor:
        (found,) = await ended(job, within=5)
        assert (found.status, found.statistics) == ("done", None)
        assert supervisor.running == frozenset()  # its place is free for the next job
        assert (gate.timeouts, gate.loudness_changed) == ([150.0], [False])

        gate.go_on.set()
        found = await analysed(job)

    assert found.status == "done"
    assert found.statistics["before"]["loudness_lufs"] == -20.46
    # 20 dB less, and 6 dB less because it is louder than it was.
    assert found.statistics["noise_reduction_db"] == 26.0
    assert stored(media) == [b"RIFF", b"both", b"clean", b"picture"]  # and not what a link names


async def test_a_result_that_was_made_louder_is_compared_at_its_level(
    gate: Gate, tmp_path: Path
) -> None:
    gate.go_on.set()
    job = Job(loudness_lufs=-16.0, duration_seconds=100_000.0)

    with new_folder(SETTINGS) as folder:
        await analysis.analyse(job, tmp_path, tmp_path, Path(folder, "analysis"))

    assert (gate.timeouts, gate.loudness_changed) == ([600.0], [True])


async def test_a_quick_analysis_is_there_with_the_end(gate: Gate) -> None:
    gate.go_on.set()
    job = await new_job()
    async with working(Scripted(SETTINGS, finish)):
        (found,) = await ended(job)

    assert (found.status, found.statistics is not None) == ("done", True)


@pytest.mark.parametrize(("seconds", "waits"), [(1.0, 1.0), (100.0, 5.0)])
async def test_a_job_waits_a_second_or_a_twentieth_of_its_time(
    monkeypatch: pytest.MonkeyPatch, seconds: float, waits: float
) -> None:
    waited: list[float] = []

    async def wait(tasks: set[Any], *, timeout: float) -> None:
        waited.append(timeout)

    one = analysis.Analysis()
    await one.wait(seconds)  # without a task there is nothing to wait for
    one._task = asyncio.create_task(asyncio.sleep(0))
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "wait", wait)
        await one.wait(seconds)
    await one._task

    assert waited == [waits]


async def test_a_job_that_is_deleted_meanwhile_leaves_nothing(gate: Gate, media: Path) -> None:
    job = await new_job()
    async with working(Scripted(SETTINGS, finish)):
        await ended(job)
        await database.call(denoise_relay.delete, job)
        gate.go_on.set()
        await eventually(lambda: not _analyses())

    assert stored(media) == []
    assert not await database.call(DerivedFile.objects.exists)


def _analyses() -> list[str]:
    return [t.get_name() for t in asyncio.all_tasks() if "denoise-analysis" in t.get_name()]


async def _bad(run: Run) -> Result:
    raise JobFailed("No.")


async def _gone(run: Run) -> Result:
    return Result(file=run.assignment.workspace / "never-written.flac")


@pytest.mark.parametrize("behaviour", [_bad, _gone])
async def test_a_job_that_fails_is_not_analysed(
    gate: Gate, media: Path, behaviour: Callable[[Run], Awaitable[Result]]
) -> None:
    job = await new_job()
    async with working(Scripted(SETTINGS, behaviour)):
        (found,) = await ended(job)
        await eventually(lambda: not _analyses())

    assert (found.status, found.statistics) == ("error", None)
    assert stored(media) == [b"RIFF"]


async def test_a_stop_loses_the_analysis_and_nothing_else(gate: Gate) -> None:
    job = await new_job()
    async with working(Scripted(SETTINGS, finish)):
        await ended(job)
        begun = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - begun < 3
    found = await fresh(job)
    assert (found.status, found.statistics) == ("done", None)


async def test_a_stop_while_the_end_waits_does_not_lose_the_work(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = asyncio.Event()

    async def wait(self: analysis.Analysis, job_seconds: float) -> None:
        waiting.set()
        await asyncio.sleep(60)

    monkeypatch.setattr(analysis.Analysis, "wait", wait)
    job = await new_job()
    async with working(Scripted(SETTINGS, finish)):
        await asyncio.wait_for(waiting.wait(), 20)
    found = await fresh(job)
    assert (found.status, bool(found.result)) == ("done", True)


async def test_segments_stay_until_the_waveform_is_complete(gate: Gate) -> None:
    job = await new_job()

    async def show(run: Run) -> Result:
        await run.accepted("u")
        run.preview(
            engine.Segment(
                number=0,
                duration_seconds=4.0,
                sample_rate=RATE,
                samples_per_pixel=PIXEL,
                peaks=b"\xff\x01" * 750,
                audio=b"fLaC",
            )
        )
        await eventually(_segments)
        return write_result(run)

    async with working(Scripted(SETTINGS, show)):
        (found,) = await ended(job)
        growing = await database.call(waveforms.known, found, "denoised")
        assert growing
        assert (growing.complete, growing.segments) == (False, 1)
        gate.go_on.set()
        await analysed(job)
        complete = await database.call(waveforms.known, found, "denoised")
        assert complete
        assert (complete.complete, complete.peaks.length) == (True, 3)
        assert not await _segments()


async def _segments() -> bool:
    return await database.call(Segment.objects.exists)


async def test_of_too_many_results_none_is_analysed(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(analysis, "MAX_UNFINISHED", 1)
    first, second = await new_job(), await new_job()
    async with working(Scripted(SETTINGS, finish)):
        await ended(first, second)

    assert len(gate.begun) == 1
    assert "too many are waiting" in caplog.text


async def test_another_runner_s_analysis_is_not_written(gate: Gate, media: Path) -> None:
    """Its process was paused, and the job has been claimed again."""
    job = await new_job()
    (old,) = await database.call(leases.claim, "old", 1, 0.0)
    await database.call(leases.claim, "new", 1, 60.0)
    gate.go_on.set()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(new_folder(SETTINGS)))
        analyst = Analyst(SETTINGS)
        async with analyst.analysing(job, old, folder, folder, folder) as one:
            one.keep(stack.pop_all())
        await eventually(lambda: not one.unfinished)

    assert (await fresh(job)).statistics is None
    assert not await database.call(Waveform.objects.exists)
    assert stored(media) == [b"RIFF"]


async def test_it_can_be_turned_off(gate: Gate) -> None:
    job = await new_job()
    async with working(Scripted(QUICK, finish)):
        await ended(job)

    assert gate.begun == []
