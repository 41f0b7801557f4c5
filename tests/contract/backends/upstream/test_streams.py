"""Every way a stream can misbehave: the job ends once, rightly, and nothing grows."""

from __future__ import annotations

import json
import logging
import time

import pytest

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.exceptions import JobFailed
from denoise_relay.testing import Answer, ScriptedUpstream, answers
from tests.contract.backends.upstream.streams import HALF, run_to_result
from tests.contract.runs import NewRun


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(answers.stream(HALF), id="clean end without a terminal event"),
        pytest.param(answers.chunked_stream(HALF), id="clean end of a chunked stream"),
        pytest.param(answers.chunked_stream(HALF, finish=False), id="end without the last chunk"),
        pytest.param(answers.stream(HALF) + answers.reset(), id="reset"),
        pytest.param(answers.stream(HALF) + answers.silence(), id="silence"),
        pytest.param(answers.silence(), id="silence before the head"),
        pytest.param(answers.reset(), id="reset before the head"),
        pytest.param(answers.close(), id="close before the head"),
        pytest.param(
            answers.stream(HALF, b'data: {"stage":"done","url":"http'), id="cut in mid-line"
        ),
        pytest.param(
            answers.stream(HALF, answers.done("http://half.example/")[:-1]),
            id="cut before the blank line",
        ),
        pytest.param(answers.error(500), id="500"),
        pytest.param(answers.error(503, retry_after="0"), id="503"),
        pytest.param(answers.body(502, b"<html>", "text/html"), id="502 of a proxy"),
        pytest.param(answers.error(429), id="429"),
        pytest.param(answers.error(402), id="402"),
        pytest.param(answers.error(404), id="404 once"),
        pytest.param(answers.redirect("http://localhost:1/elsewhere"), id="redirect"),
        pytest.param(answers.body(200, b"<html>", "text/html"), id="a page"),
        pytest.param(
            answers.json_body(200, {"stage": "done", "url": "http://x.example/"}), id="JSON"
        ),
        pytest.param(answers.raw(b"SMTP ready\r\n\r\n"), id="not HTTP"),
        pytest.param(answers.raw(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 30_000), id="huge head"),
        pytest.param(answers.stream(HALF, headers={"Content-Encoding": "gzip"}), id="compressed"),
        pytest.param(answers.stream(b"data: " + b"x" * 100_000), id="a line over the bound"),
        pytest.param(
            answers.drip(answers.head(200, {"X-Pad": "x" * 1000}), seconds=0.2),
            id="a head that drips",
        ),
    ],
)
async def test_a_broken_stream_is_followed_again(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun, fault: Answer
) -> None:
    upstream.on_progress(fault)
    run = new_run()
    await run_to_result(backend, run)
    assert upstream.counts["submit"] == 1
    assert upstream.counts["progress"] == 2
    assert run.percents[-1] == 62


async def test_a_refused_key_ends_the_job_in_neutral_words(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    upstream.on_progress(answers.error(401, "Invalid or missing API key"))
    with pytest.raises(JobFailed) as caught:
        await backend.run(new_run())
    assert "tell the site's staff" in str(caught.value)
    assert "API key" not in str(caught.value)
    assert "HTTP 401 Invalid or missing API key" in caught.value.detail


async def test_retry_after_is_honoured(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    upstream.on_progress(answers.error(429, retry_after="1"))
    before = time.monotonic()
    await run_to_result(backend, new_run())
    assert time.monotonic() - before >= 1


async def test_the_key_does_not_follow_a_redirect(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    async with ScriptedUpstream() as stranger:
        upstream.on_progress(answers.redirect(f"{stranger.url}/denoise/x/progress", 307))
        upstream.on_list(answers.redirect(f"{stranger.url}/denoise"))
        await run_to_result(backend, new_run())
        assert not stranger.seen


async def test_nothing_secret_is_logged(
    upstream: ScriptedUpstream,
    backend: UpstreamBackend,
    new_run: NewRun,
    caplog: pytest.LogCaptureFixture,
) -> None:
    url = f"{upstream.origin}/results/x.wav?X-Signature=very-secret"
    upstream.on_progress(answers.error(500), answers.stream(answers.done(url)))
    upstream.on_result(answers.error(500))
    with caplog.at_level(logging.DEBUG):
        await run_to_result(backend, new_run())
    logged = caplog.text + json.dumps([record.__dict__ for record in caplog.records], default=str)
    assert "stream_lost" in logged
    assert upstream.key not in logged
    assert "very-secret" not in logged
