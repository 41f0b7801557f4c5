"""When the stream keeps failing, the history settles how a job ended."""

from __future__ import annotations

import asyncio

import pytest

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.exceptions import JobFailed
from denoise_relay.testing import ScriptedUpstream, answers
from tests.contract.backends.upstream.streams import run_to_result
from tests.contract.runs import NewRun, finished_record
from tests.waiting import eventually

BROKEN = [answers.error(500)] * 200


async def test_success_in_the_history_ends_the_job(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    record = finished_record(upstream)
    upstream.on_progress(*BROKEN)
    await run_to_result(backend, new_run(attempt=1, upstream_id=record.id))
    assert upstream.counts["progress"] == 3


async def test_failure_in_the_history_ends_the_job_in_its_words(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    record = upstream.add_record("a.wav", status="failed", error="No speech\x00found")
    upstream.on_progress(*BROKEN)
    with pytest.raises(JobFailed, match=r"^No speech found$"):
        await backend.run(new_run(attempt=1, upstream_id=record.id))


async def test_pending_in_the_history_goes_on(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    record = upstream.add_record("a.wav")
    upstream.on_progress(*BROKEN[:7])
    await run_to_result(backend, new_run(attempt=1, upstream_id=record.id))
    assert upstream.counts["list"] == 2
    assert upstream.counts["progress"] == 8


async def test_an_unknown_id_is_asked_about_at_once(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    record = finished_record(upstream)
    upstream.on_progress(answers.error(404))
    await run_to_result(backend, new_run(attempt=1, upstream_id=record.id))
    assert upstream.counts["progress"] == 1


async def test_a_job_absent_twice_and_well_apart_is_lost(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    started = asyncio.get_running_loop().time()
    with pytest.raises(JobFailed, match="lost this recording") as caught:
        await backend.run(new_run(attempt=1, upstream_id="5b1d2f7e"))
    assert asyncio.get_running_loop().time() - started >= 0.3
    assert "5b1d2f7e" in caught.value.detail
    assert upstream.counts["submit"] == 0


async def test_a_job_that_is_absent_once_is_not_lost(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    record = upstream.add_record("a.wav")
    upstream.on_progress(*[answers.error(404)] * 6)
    upstream.on_list(answers.json_body(200, []))
    await run_to_result(backend, new_run(attempt=1, upstream_id=record.id))


async def test_a_history_that_cannot_be_asked_says_nothing(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    record = upstream.add_record("a.wav")
    upstream.on_progress(*[answers.error(404)] * 200)
    upstream.on_list(*[answers.error(500)] * 200)
    run = new_run(attempt=1, upstream_id=record.id)
    job = asyncio.create_task(backend.run(run), name="job")
    await eventually(lambda: upstream.counts["list"] >= 6)
    assert not job.done()
    assert "Waiting for the audio service" in run.messages
    upstream.finish(record)
    upstream.forget_scripts()
    result = await asyncio.wait_for(job, 10)
    assert result.file is not None


async def test_a_refused_key_ends_it(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    record = upstream.add_record("a.wav")
    upstream.on_progress(*BROKEN)
    upstream.on_list(answers.error(401))
    with pytest.raises(JobFailed, match="tell the site's staff"):
        await backend.run(new_run(attempt=1, upstream_id=record.id))


async def test_an_upstream_that_goes_away_and_comes_back(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    record = upstream.add_record("a.wav")
    await upstream.refuse_connections()
    run = new_run(attempt=1, upstream_id=record.id)
    job = asyncio.create_task(backend.run(run), name="job")
    await eventually(lambda: "Waiting for the audio service" in run.messages)
    await upstream.accept_connections()
    result = await asyncio.wait_for(job, 10)
    assert result.file is not None
