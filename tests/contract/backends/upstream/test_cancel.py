"""Cancellation at any moment: lease lost, job canceled, process stopping."""

from __future__ import annotations

import asyncio
import gc
import os
import random
from collections import Counter
from pathlib import Path

import pytest

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.testing import ScriptedUpstream, answers
from tests.contract.runs import NewRun, empty_file
from tests.waiting import eventually


def open_files() -> int:
    return len(os.listdir("/dev/fd"))


def other_tasks(own: set[asyncio.Task[object]]) -> set[str]:
    return {
        task.get_name()
        for task in asyncio.all_tasks()
        if task not in own and not task.get_name().startswith("scripted upstream")
    }


@pytest.mark.parametrize("times", [1, 3])
async def test_random_cancels_leave_nothing_behind(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, times: int
) -> None:
    """300 runs cancelled 0 to 40 ms after their start: no connection, task or file stays, and
    nothing is submitted twice under one name. (A supervisor cancels at each sweep.)"""
    upstream.events = [answers.processing(pct) for pct in range(0, 100, 10)]
    own = set(asyncio.all_tasks())
    files = open_files()
    draw = random.Random(7)

    async def cancelled_at(seconds: float) -> None:
        job = asyncio.create_task(backend.run(new_run()), name="job")
        await asyncio.wait({job}, timeout=seconds)
        for _ in range(times):
            job.cancel()
            await asyncio.sleep(0)
        await asyncio.wait({job})
        if not job.cancelled():
            assert job.exception() is None

    for _round in range(10):
        await asyncio.gather(*(cancelled_at(draw.uniform(0, 0.04)) for _ in range(30)))
    await backend.aclose()
    await eventually(lambda: upstream.open_connections == 0)
    assert other_tasks(own) == set()
    gc.collect()
    await eventually(lambda: open_files() <= files)
    names = Counter(upload.file_name for upload in upstream.uploads)
    assert all(count == 1 for count in names.values())

    result = await backend.run(new_run())
    assert result.file is not None


@pytest.mark.parametrize(
    "stage", ["submit", "progress", "list", "result"], ids=lambda stage: f"in {stage}"
)
async def test_a_cancel_ends_the_connection(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, stage: str
) -> None:
    silence = answers.accept() + answers.silence() if stage == "submit" else answers.silence()
    getattr(upstream, f"on_{stage}")(silence)
    if stage == "list":
        upstream.on_progress(answers.error(404))
    job = asyncio.create_task(backend.run(new_run()), name="job")
    await eventually(lambda: upstream.counts[stage])
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    await eventually(lambda: upstream.open_connections == 0, within=4)


async def test_a_cancelled_upload_is_not_finished_behind_our_back(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, tmp_path: Path
) -> None:
    source = empty_file(tmp_path / "large.wav", 48)
    run = new_run(source=source)
    job = asyncio.create_task(backend.run(run), name="job")
    await eventually(lambda: "Uploading 5%" in run.messages)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    os.unlink(source)
    await backend.aclose()
    await eventually(lambda: upstream.open_connections == 0)
    assert not upstream.records


async def test_many_runs_at_once_submit_once_each(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    runs = [new_run() for _ in range(100)]
    await asyncio.gather(*(backend.run(run) for run in runs))
    assert {upload.file_name for upload in upstream.uploads} == {
        f"{run.assignment.job}-1.wav" for run in runs
    }
    assert upstream.counts["submit"] == 100
