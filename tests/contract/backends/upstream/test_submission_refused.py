"""Submissions that the upstream refuses, now or for good."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.exceptions import JobFailed
from denoise_relay.testing import Answer, ScriptedUpstream, answers
from tests.contract.backends.upstream.submissions import LOST_BODY, run_after
from tests.contract.runs import NewBackend, NewRun
from tests.waiting import eventually


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(LOST_BODY + answers.error(429), id="429"),
        pytest.param(LOST_BODY + answers.error(429, retry_after="0"), id="429 with Retry-After"),
        pytest.param(LOST_BODY + answers.error(503, retry_after="1"), id="503 with Retry-After"),
        pytest.param(
            LOST_BODY + answers.body(503, b"", "text/plain", {"Retry-After": "1"}),
            id="503 with Retry-After alone",
        ),
    ],
)
async def test_a_refusal_for_now_is_tried_again_as_the_same_attempt(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, fault: Answer
) -> None:
    run = new_run()
    await run_after(fault, upstream, backend, run)
    assert run.commits == [
        "submitting 1",
        "not taken 1",
        "submitting 1",
        f"accepted {upstream.records[0].id}",
    ]
    assert upstream.counts["list"] == 0
    assert upstream.counts["submit"] == 2


async def test_an_unreachable_upstream_is_waited_for(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    await upstream.refuse_connections()
    run = new_run()
    job = asyncio.create_task(backend.run(run), name="job")
    await eventually(lambda: "Waiting for the audio service" in run.messages)
    await upstream.accept_connections()
    result = await asyncio.wait_for(job, 10)
    assert result.file is not None
    *deferred, accepted = run.commits
    assert set(deferred) == {"submitting 1", "not taken 1"}
    assert accepted == f"accepted {upstream.records[0].id}"


async def test_a_refusal_leaves_nothing_to_search_for(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    """A deploy while the upstream is busy: what was never taken is sent by the next runner."""
    upstream.on_submit(LOST_BODY + answers.error(429, retry_after="60"))
    first = new_run()
    job = asyncio.create_task(new_backend(ON_LOST_SUBMISSION="fail").run(first), name="job")
    await eventually(lambda: "not taken 1" in first.commits)
    job.cancel()
    await asyncio.wait({job})

    second = new_run(job=first.assignment.job, attempt=first.attempt)
    await new_backend(ON_LOST_SUBMISSION="fail").run(second)
    assert second.commits == ["submitting 1", f"accepted {upstream.records[0].id}"]
    assert upstream.counts == {"submit": 2, "progress": 1, "result": 1}


@pytest.mark.parametrize("status", [400, 402, 403, 404, 413])
async def test_a_final_refusal_ends_the_job_in_the_upstreams_words(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, status: int
) -> None:
    upstream.on_submit(LOST_BODY + answers.error(status, "No, because of <b>this</b>"))
    with pytest.raises(JobFailed, match=r"^No, because of <b>this</b>$") as caught:
        await backend.run(new_run())
    assert str(status) in caught.value.detail
    assert upstream.counts["submit"] == 1


async def test_a_wrong_key_ends_the_job_in_neutral_words(
    new_backend: NewBackend, new_run: NewRun
) -> None:
    with pytest.raises(JobFailed) as caught:
        await new_backend(API_KEY="wrong-key").run(new_run())
    assert "tell the site's staff" in str(caught.value)
    assert "HTTP 401" in caught.value.detail
    assert "wrong-key" not in caught.value.detail


async def test_an_early_401_to_a_large_upload_is_found_out_by_the_probe(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun, large: Path
) -> None:
    upstream.on_submit(answers.error(401) + answers.close())
    run = new_run(source=large)
    with pytest.raises(JobFailed, match="tell the site's staff"):
        await new_backend(API_KEY="wrong-key").run(run)
    assert upstream.counts == {"list": 1}
    assert run.commits == []


async def test_an_early_402_to_a_large_upload_is_found_out_by_the_probe(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, large: Path
) -> None:
    upstream.on_list(answers.error(402, "Wallet is empty"))
    with pytest.raises(JobFailed, match="Wallet is empty"):
        await backend.run(new_run(source=large))
    assert upstream.counts["submit"] == 0


@pytest.mark.parametrize("status", [401, 402])
async def test_an_early_refusal_in_the_middle_of_a_large_upload(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, large: Path, status: int
) -> None:
    """The upstream answers and closes while we write: the answer may be lost to a reset. Either
    way there is no second submission before the history was asked."""
    upstream.on_submit(answers.error(status, "Refused early") + answers.close())
    upstream.on_list(answers.contract(), answers.error(401))
    with pytest.raises(JobFailed):
        await backend.run(new_run(source=large))
    assert upstream.counts["submit"] == 1


async def test_a_redirect_of_the_upload_is_not_followed(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    async with ScriptedUpstream() as stranger:
        upstream.on_submit(LOST_BODY + answers.redirect(f"{stranger.url}/denoise?x=secret", 308))
        with pytest.raises(JobFailed) as caught:
            await backend.run(new_run())
        assert not stranger.seen
    assert "127.0.0.1" in caught.value.detail
    assert "secret" not in caught.value.detail
