"""The way a result comes home, from URLs that an untrusted server names."""

from __future__ import annotations

import asyncio

import pytest

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.exceptions import JobFailed
from denoise_relay.testing import Answer, ScriptedUpstream, answers
from tests.contract.backends.upstream.streams import run_to_result
from tests.contract.runs import NewBackend, NewRun, finished_record
from tests.waiting import eventually

PAGE = b"<!doctype html><title>Maintenance</title><p>We are back soon.</p>"


@pytest.mark.parametrize("url", [None, "javascript:alert(1)", "http://10.0.0.8/a.wav"])
async def test_the_history_may_know_a_better_url(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, url: str | None
) -> None:
    record = finished_record(upstream)
    upstream.on_progress(answers.stream(answers.done(url)))
    await run_to_result(backend, new_run(attempt=1, upstream_id=record.id))
    assert upstream.counts["list"] == 1


async def test_a_history_that_learns_the_url_late_is_asked_again(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    record = upstream.add_record("a.wav")
    upstream.on_progress(answers.stream(answers.done(None)))
    upstream.on_list(answers.json_body(200, [record.as_json()]), answers.error(500))
    upstream.finish(record)
    await run_to_result(backend, new_run(attempt=1, upstream_id=record.id))


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(answers.error(500), id="500"),
        pytest.param(answers.error(403), id="403: an expired URL"),
        pytest.param(answers.error(404), id="404"),
        pytest.param(answers.error(429, retry_after="0"), id="429"),
        pytest.param(answers.reset(), id="reset"),
        pytest.param(answers.close(), id="closed"),
        pytest.param(answers.body(200, b"", "audio/wav"), id="empty"),
        pytest.param(
            answers.body(200, b"RIFF", "audio/wav", {"Content-Length": "1000"}), id="cut short"
        ),
        pytest.param(
            answers.body(200, b"\x1f\x8b", "audio/wav", {"Content-Encoding": "gzip"}), id="gzip"
        ),
        pytest.param(answers.body(204, b"", "audio/wav"), id="204"),
        pytest.param(answers.body(200, PAGE, "text/html"), id="a maintenance page"),
        pytest.param(answers.body(200, PAGE, "audio/wav"), id="the same, called audio"),
        pytest.param(answers.json_body(200, {"status": "busy"}), id="JSON"),
        pytest.param(answers.raw(b"hello\r\n\r\n"), id="not HTTP"),
    ],
)
async def test_a_failed_download_is_tried_again(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, fault: Answer
) -> None:
    upstream.on_result(fault, fault)
    result = await backend.run(new_run())
    assert result.file is not None
    assert result.file.read_bytes() == upstream.result
    assert upstream.counts["result"] == 3


async def test_an_expired_url_is_replaced_by_the_historys(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    record = finished_record(upstream)
    upstream.on_progress(answers.stream(answers.done(f"{upstream.origin}/results/old.wav")))
    upstream.on_result(answers.error(403))
    await backend.run(new_run(attempt=1, upstream_id=record.id))
    assert [seen.path for seen in upstream.requests("result")] == [
        "/results/old.wav",
        f"/results/{record.id}.wav",
    ]


async def test_a_download_is_tried_until_the_deadline(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    """It has been paid for, and an outage of hours is over some time."""
    upstream.on_result(*[answers.error(500)] * 1000)
    run = new_run()
    job = asyncio.create_task(new_backend(UPSTREAM_SILENCE_SECONDS=0.1).run(run), name="job")
    await eventually(lambda: upstream.counts["result"] > 20)
    assert not job.done()
    assert run.messages[-1] == "The result cannot be fetched yet. Trying again."
    job.cancel()
    await asyncio.wait({job})


async def test_a_result_without_any_url_ends_the_job(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    record = finished_record(upstream)
    record.audio_url = None
    upstream.on_progress(answers.stream(answers.done(None)))
    with pytest.raises(JobFailed, match="could not be fetched"):
        await new_backend(UPSTREAM_SILENCE_SECONDS=0.1).run(
            new_run(attempt=1, upstream_id=record.id)
        )
    assert upstream.counts["list"] >= 10


@pytest.mark.parametrize("announced", [True, False])
async def test_a_result_over_the_limit_is_cut_off_and_not_tried_again(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun, announced: bool
) -> None:
    length = {"Content-Length": str(10**12)} if announced else {}
    upstream.on_result(
        answers.raw(answers.head(200, {"Content-Type": "audio/wav"} | length))
        + answers.raw(b"x" * 65_536, times=2000)
    )
    run = new_run()
    with pytest.raises(JobFailed, match="could not be fetched") as caught:
        await new_backend(MAX_RESULT_BYTES=200_000).run(run)
    assert "200000" in caught.value.detail
    assert upstream.counts["result"] == 1
    files = list(run.assignment.workspace.iterdir())
    assert sum(file.stat().st_size for file in files) <= 200_000


@pytest.mark.parametrize(
    ("path", "media_type", "suffix"),
    [
        ("x.mp3", "application/octet-stream", ".mp3"),
        ("x.exe", "audio/flac", ".flac"),
        ("x", "Audio/X-WAV; a=b", ".wav"),
        ("x.php", "application/octet-stream", ".wav"),
        ("%2e%2e%2fx.ogg", "", ".ogg"),
    ],
)
async def test_the_file_is_named_by_what_it_is(
    upstream: ScriptedUpstream,
    backend: UpstreamBackend,
    new_run: NewRun,
    path: str,
    media_type: str,
    suffix: str,
) -> None:
    upstream.result_type = media_type
    upstream.on_progress(answers.stream(answers.done(f"{upstream.origin}/results/{path}")))
    run = new_run()
    result = await backend.run(run)
    assert result.file == run.assignment.workspace / f"result{suffix}"
