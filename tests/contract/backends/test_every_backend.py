"""What every backend must do. A new one adds a factory to `BACKENDS` and runs all of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from denoise_relay.backends.base import Backend, Result
from denoise_relay.backends.local import LocalBackend
from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.conf import RelaySettings
from denoise_relay.exceptions import JobFailed, LeaseLost
from denoise_relay.testing import ScriptedUpstream, answers, tone_wav
from tests.contract.runs import NewRun
from tests.waiting import eventually

Factory = Callable[[dict[str, Any]], AbstractAsyncContextManager[Backend]]


@contextlib.asynccontextmanager
async def upstream_backend(settings: dict[str, Any]) -> AsyncIterator[Backend]:
    async with ScriptedUpstream() as upstream:
        # As the service behind it would answer the one thing that is hostile here.
        refusal = answers.accept() + answers.error(400, "audio is required and must be a file")
        if settings.pop("hostile", False):
            upstream.on_submit(refusal)
        given: dict[str, Any] = {
            "UPSTREAM_URL": upstream.url,
            "API_KEY": upstream.key,
            "UPSTREAM_SILENCE_SECONDS": 1.0,
            "ALLOWED_RESULT_HOSTS": (upstream.netloc,),
        }
        yield UpstreamBackend(RelaySettings(**given | settings))


@contextlib.asynccontextmanager
async def local_backend(settings: dict[str, Any]) -> AsyncIterator[Backend]:
    settings.pop("hostile", None)
    yield LocalBackend(RelaySettings(**settings))


BACKENDS: dict[str, Factory] = {"upstream": upstream_backend, "local": local_backend}


@pytest.fixture(params=sorted(BACKENDS))
async def make_backend(
    request: pytest.FixtureRequest,
) -> AsyncIterator[Callable[..., Any]]:
    async with contextlib.AsyncExitStack() as stack:

        async def make(**settings: Any) -> Backend:
            made = await stack.enter_async_context(BACKENDS[request.param](settings))
            stack.push_async_callback(made.aclose)
            return made

        yield make


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    source = tmp_path / "speech.wav"
    source.write_bytes(tone_wav(1.0))
    return source


def check_result(result: Result, workspace: Path) -> None:
    assert result.file is not None
    assert result.file.parent == workspace
    assert result.file.stat().st_size > 0
    assert result.file.suffix


async def test_a_job_ends_with_a_file_in_its_workspace(
    make_backend: Callable[..., Any], new_run: NewRun, speech: Path
) -> None:
    backend = await make_backend()
    run = new_run(source=speech)
    check_result(await backend.run(run), run.assignment.workspace)
    assert run.reports
    assert all(0 <= pct <= 100 for pct in run.percents)
    assert any(commit.startswith("accepted ") for commit in run.commits)


async def test_the_recording_is_left_as_it_was(
    make_backend: Callable[..., Any], new_run: NewRun, speech: Path
) -> None:
    before = speech.read_bytes()
    await (await make_backend()).run(new_run(source=speech))
    assert speech.read_bytes() == before


async def test_a_restarted_job_is_done_all_the_same(
    make_backend: Callable[..., Any], new_run: NewRun, speech: Path
) -> None:
    """By another process, with what the first one had committed."""
    first = new_run(source=speech)
    backend = await make_backend(SUBMISSION_GRACE_SECONDS=0)
    job = asyncio.create_task(backend.run(first), name="first")
    await eventually(lambda: first.commits)
    job.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await job
    upstream_id = next((c.split()[1] for c in first.commits if c.startswith("accepted")), "")
    second = new_run(source=speech)
    second.assignment = replace(
        first.assignment,
        attempt=sum(commit.startswith("submitting") for commit in first.commits),
        upstream_id=upstream_id,
        workspace=second.assignment.workspace,
    )
    check_result(await backend.run(second), second.assignment.workspace)


async def test_a_lost_lease_passes(
    make_backend: Callable[..., Any], new_run: NewRun, speech: Path
) -> None:
    run = new_run(source=speech)
    run.lost = True
    with pytest.raises(LeaseLost):
        await (await make_backend()).run(run)


async def test_a_cancel_passes_soon_and_leaves_no_task(
    make_backend: Callable[..., Any], new_run: NewRun, speech: Path
) -> None:
    backend = await make_backend()
    before = asyncio.all_tasks()
    run = new_run(source=speech)
    job = asyncio.create_task(backend.run(run), name="job")
    await eventually(lambda: run.commits)
    job.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait_for(job, 10)
    await backend.aclose()
    await eventually(
        lambda: (
            not [
                task
                for task in asyncio.all_tasks() - before
                if not task.get_name().startswith("scripted upstream")
            ]
        )
    )


async def test_what_is_no_recording_fails_in_words(
    make_backend: Callable[..., Any], new_run: NewRun, tmp_path: Path
) -> None:
    source = tmp_path / "page.wav"
    source.write_bytes(b"<html>not audio</html>" * 100)
    with pytest.raises(JobFailed) as caught:
        await (await make_backend(hostile=True)).run(new_run(source=source))
    assert str(caught.value)
    assert str(source) not in str(caught.value)


async def test_several_runs_at_a_time(
    make_backend: Callable[..., Any], new_run: NewRun, speech: Path
) -> None:
    backend = await make_backend()
    runs = [new_run(source=speech) for _ in range(3)]
    results = await asyncio.gather(*(backend.run(run) for run in runs))
    assert len({result.file for result in results}) == 3


async def test_each_preset_has_a_name_of_its_own_and_does_the_job(
    make_backend: Callable[..., Any], new_run: NewRun, speech: Path
) -> None:
    backend = await make_backend()
    presets = backend.presets(backend.settings)
    names = [preset.name for preset in presets]
    assert len(set(names)) == len(names)
    assert all(0 < len(name) <= 32 and name.isascii() for name in names)
    assert all(str(preset.label) and str(preset.description) for preset in presets)
    for name in names or [""]:
        run = new_run(source=speech, preset=name)
        check_result(await backend.run(run), run.assignment.workspace)


async def test_capacity_and_name(make_backend: Callable[..., Any]) -> None:
    backend = await make_backend(MAX_ACTIVE_JOBS=7)
    assert 1 <= backend.capacity <= 7
    assert backend.name in BACKENDS
    assert all(
        str(message.id).startswith("denoise_relay.") for message in backend.check(backend.settings)
    )
