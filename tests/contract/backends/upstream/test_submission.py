"""A submission is exactly-once as far as the contract allows, whatever breaks in it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.exceptions import JobFailed, LeaseLost
from denoise_relay.testing import Answer, ScriptedUpstream, answers
from tests.contract.backends.upstream.submissions import LOST_BODY, run_after
from tests.contract.runs import NewBackend, NewRun
from tests.waiting import eventually

TAKEN = answers.accept()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(TAKEN + answers.reset(), id="taken, then reset"),
        pytest.param(TAKEN + answers.close(), id="taken, then closed"),
        pytest.param(
            TAKEN + answers.body(200, b'{"denoiseId":"', "application/json"), id="cut JSON"
        ),
        pytest.param(
            TAKEN + answers.body(200, b'{"denoise', "application/json", {"Content-Length": "99"}),
            id="cut body",
        ),
        pytest.param(TAKEN + answers.json_body(200, {}), id="no id"),
        pytest.param(TAKEN + answers.json_body(200, {"denoiseId": "../x"}), id="a hostile id"),
        pytest.param(TAKEN + answers.body(502, b"<html>", "text/html"), id="502 of a proxy"),
        pytest.param(TAKEN + answers.body(504, b"", "text/plain"), id="504 of a proxy"),
        *(
            pytest.param(TAKEN + answers.error(status), id=f"{status} in the contract's words")
            for status in (500, 502, 503, 504)
        ),
        pytest.param(TAKEN + answers.error(503, retry_after="-9"), id="503, odd Retry-After"),
        pytest.param(TAKEN + answers.raw(b"HTTP/1.1 2"), id="cut head"),
    ],
)
async def test_an_answer_lost_after_the_file_was_taken_makes_no_second_job(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, fault: Answer
) -> None:
    run = new_run()
    await run_after(fault, upstream, backend, run)
    assert len(upstream.records) == 1
    assert upstream.counts["submit"] == 1
    assert run.commits == ["submitting 1", f"accepted {upstream.records[0].id}"]
    assert "Confirming the upload" in run.messages


async def test_silence_after_the_file_was_taken_makes_no_second_job(
    upstream: ScriptedUpstream,
    backend: UpstreamBackend,
    new_run: NewRun,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("denoise_relay.backends.upstream.client.ANSWER_SECONDS", 0.3)
    upstream.on_submit(TAKEN + answers.silence())
    await backend.run(new_run())
    assert upstream.counts["submit"] == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(answers.reset(), id="reset before the body"),
        pytest.param(answers.close(), id="closed before the body"),
        pytest.param(LOST_BODY + answers.reset(), id="reset, nothing taken"),
        pytest.param(LOST_BODY + answers.body(502, b"<html>", "text/html"), id="502 of a proxy"),
        pytest.param(LOST_BODY + answers.error(500), id="500 in the contract's words"),
    ],
)
async def test_a_file_that_never_arrived_is_posted_again_after_the_grace(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, fault: Answer
) -> None:
    upstream.on_submit(fault)
    run = new_run()
    before = asyncio.get_running_loop().time()
    await backend.run(run)
    assert asyncio.get_running_loop().time() - before >= 0.4
    assert run.commits == ["submitting 1", "submitting 2", f"accepted {upstream.records[0].id}"]
    assert [upload.file_name for upload in upstream.uploads] == [f"{run.assignment.job}-2.wav"]


async def test_a_lost_submission_can_end_the_job_instead(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    upstream.on_submit(LOST_BODY + answers.reset())
    run = new_run()
    with pytest.raises(JobFailed, match="interrupted"):
        await new_backend(ON_LOST_SUBMISSION="fail").run(run)
    assert upstream.counts["submit"] == 1


@pytest.mark.parametrize("begun", [0, 3, 5])
@pytest.mark.parametrize("fault", [answers.reset(), answers.error(504)], ids=["reset", "504"])
async def test_losses_are_not_repeated_for_ever(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun, fault: Answer, begun: int
) -> None:
    """Each may have been billed, so those of earlier runners count."""
    upstream.on_submit(*[LOST_BODY + fault] * 20)
    with pytest.raises(JobFailed, match="interrupted"):
        await new_backend(SUBMISSION_GRACE_SECONDS=0).run(new_run(attempt=begun))
    assert upstream.counts["submit"] == 5 - begun


async def test_a_gateways_errors_are_outlasted(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    """Each is unclear on its own, but it is an answer, and the history says nothing came of it."""
    gateway = LOST_BODY + answers.body(502, b"<html>", "text/html")
    upstream.on_submit(*[gateway] * 4)
    run = new_run()
    await new_backend(SUBMISSION_GRACE_SECONDS=0).run(run)
    assert upstream.counts["submit"] == 5
    assert run.commits[-2:] == ["submitting 5", f"accepted {upstream.records[0].id}"]


async def test_a_lost_lease_stops_the_upload(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, large: Path
) -> None:
    run = new_run(source=large)
    upstream.on_submit(answers.read_body() + answers.silence())
    job = asyncio.create_task(backend.run(run), name="job")
    await eventually(lambda: "Uploading 10%" in run.messages)
    run.lost = True
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(job, 10)
    assert not upstream.uploads


async def test_the_intent_is_committed_before_the_first_byte(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    run = new_run()
    run.lost = True
    with pytest.raises(LeaseLost):
        await backend.run(run)
    assert not upstream.seen


async def test_a_missing_recording_ends_the_job(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, tmp_path: Path
) -> None:
    run = new_run(source=tmp_path / "gone.wav")
    with pytest.raises(JobFailed, match="no longer here"):
        await backend.run(run)
    assert run.commits == []


@pytest.mark.parametrize(
    ("extension", "name"),
    [("wav", "wav"), ("", "bin"), ("../../x", "x"), ('a"\r\nb', "ab"), ("فيديو", "bin")],
)
async def test_file_names_are_harmless(
    upstream: ScriptedUpstream,
    backend: UpstreamBackend,
    new_run: NewRun,
    extension: str,
    name: str,
) -> None:
    run = new_run(extension=extension)
    await backend.run(run)
    assert re.fullmatch(rf"{run.assignment.job}-1\.{name}", upstream.uploads[0].file_name)
