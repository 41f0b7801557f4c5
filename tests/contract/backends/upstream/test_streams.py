"""Every way a stream can misbehave: the job ends once, rightly, and nothing grows."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import tracemalloc

import pytest

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.exceptions import JobFailed
from denoise_relay.runtime import metrics
from denoise_relay.testing import Answer, ScriptedUpstream, answers
from tests.contract.runs import NewBackend, NewRun, RecordedRun
from tests.waiting import eventually

HALF = answers.processing(40, "Half way")
PAGE = "<script>alert('pct')</script> & <b>bold</b>"


async def run_to_result(backend: UpstreamBackend, run: RecordedRun) -> None:
    result = await backend.run(run)
    assert result.file is not None
    assert result.file.stat().st_size


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


async def test_an_endless_line_is_cut_off(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    endless = answers.stream(b"data: ") + answers.raw(b"x" * 65_536, times=2000)
    upstream.on_progress(endless)
    tracemalloc.start()
    try:
        await run_to_result(backend, new_run())
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Of 131 MB.
    assert peak < 8_000_000
    assert upstream.counts["progress"] == 2


def flood(upstream: ScriptedUpstream, hundreds: int) -> Answer:
    done = answers.done(f"{upstream.origin}/results/x.wav")
    return answers.stream() + answers.raw(HALF * 100, times=hundreds) + answers.raw(done)


async def test_a_flood_of_events_costs_no_memory(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    upstream.on_progress(flood(upstream, 200))
    tracemalloc.start()
    try:
        run = new_run()
        await run_to_result(backend, run)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert run.report_count >= 20_000
    assert peak < 4_000_000
    assert upstream.counts["progress"] == 1


async def test_a_flood_of_events_starves_nobody(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    upstream.on_progress(flood(upstream, 1000))
    longest = 0.0

    async def watch_the_loop() -> None:
        nonlocal longest
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            longest = max(longest, time.perf_counter() - before)

    watch = asyncio.create_task(watch_the_loop(), name="watch")
    run = new_run()
    await run_to_result(backend, run)
    watch.cancel()
    assert run.report_count >= 100_000
    # One chunk is 64 KiB, a thousand events: milliseconds, with room for a busy machine.
    assert longest < 1.0


@pytest.mark.parametrize("first", [HALF, b""])
async def test_a_comment_every_moment_is_not_progress(
    upstream: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun, first: bytes
) -> None:
    """Bytes keep the read timeout happy; the clock of events does not listen to them."""
    backend = new_backend(UPSTREAM_SILENCE_SECONDS=0.25)
    upstream.on_progress(answers.stream(first) + answers.drip(b": ping\n\n" * 500, seconds=0.02))
    await run_to_result(backend, new_run())
    assert upstream.counts["progress"] == 2
    assert upstream.counts["list"] == 1


@pytest.mark.parametrize(
    ("pct", "shown"),
    [
        (b"NaN", 0),
        (b"-Infinity", 0),
        (b"-5", 0),
        (b"1e9", 100),
        (b'"62"', 62),
        (b"null", 0),
        (b"1" + b"0" * 5000, None),
    ],
)
async def test_odd_percentages(
    upstream: ScriptedUpstream,
    backend: UpstreamBackend,
    new_run: NewRun,
    pct: bytes,
    shown: float | None,
) -> None:
    upstream.on_progress(
        answers.stream(
            answers.message(b'{"stage":"processing","pct":' + pct + b',"message":"odd"}'),
            answers.done(f"{upstream.origin}/results/x.wav"),
        )
    )
    run = new_run()
    await run_to_result(backend, run)
    assert [pct for pct, message in run.reports if message == "odd"] == (
        [] if shown is None else [shown]
    )


def skipped_events(reason: str) -> float:
    """What Prometheus would read."""
    name = "denoise_relay_upstream_skipped_events_total"
    return metrics.REGISTRY.get_sample_value(name, {"reason": reason}) or 0.0


async def test_what_is_not_understood_is_skipped_and_counted(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    upstream.on_progress(
        answers.stream(
            answers.message("{"),
            answers.message("[" * 50_000),
            answers.message(b"\xff\xfe"),
            answers.message({"pct": 5}),
            answers.message({"stage": "warming_up", "pct": 5}),
            answers.message({"stage": "warming_up", "pct": 6}),
            b": heartbeat\n\n",
            b"event: update\nid: 7\n" + answers.processing(50),
            answers.done(f"{upstream.origin}/results/x.wav"),
        )
    )
    before = {reason: skipped_events(reason) for reason in ("bad_event", "unknown_stage")}
    run = new_run()
    await run_to_result(backend, run)
    assert backend.skipped == {"bad_event": 4, "unknown_stage": 2}
    assert skipped_events("bad_event") == before["bad_event"] + 4
    assert skipped_events("unknown_stage") == before["unknown_stage"] + 2
    assert run.percents[-1] == 50
    assert upstream.counts["progress"] == 1


async def test_text_stays_text(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    """Escaping is for those who show it; here it is only made printable and short."""
    upstream.on_progress(
        answers.stream(
            answers.processing(1, PAGE),
            answers.processing(2, "a\u0000b\nc\u2028d\ud800e"),
            answers.processing(3, "x" * 5000),
            answers.done(f"{upstream.origin}/results/x.wav"),
        )
    )
    run = new_run()
    await run_to_result(backend, run)
    html, controls, long = run.messages[-3:]
    assert html == PAGE
    assert controls == "a b c d e"
    assert len(long) == 500


async def test_falling_percentages_are_passed_on_for_the_recorder_to_hold(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    upstream.on_progress(
        answers.stream(
            *(answers.processing(pct) for pct in (10, 80, 30)),
            answers.done(f"{upstream.origin}/results/x.wav"),
        )
    )
    run = new_run()
    await run_to_result(backend, run)
    assert run.percents[-3:] == [10, 80, 30]


async def test_of_two_terminal_events_the_first_counts(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    upstream.on_progress(
        answers.stream(
            answers.done(f"{upstream.origin}/results/first.wav"),
            answers.failed("too late"),
            answers.processing(7, "after the end"),
            answers.done(f"{upstream.origin}/results/second.wav"),
        )
    )
    run = new_run()
    await run_to_result(backend, run)
    assert [seen.path for seen in upstream.requests("result")] == ["/results/first.wav"]
    assert "after the end" not in run.messages


async def test_an_error_before_a_done_fails_the_job(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    upstream.on_progress(
        answers.stream(answers.failed("No speech\nin it"), answers.done("https://x.example/"))
    )
    with pytest.raises(JobFailed, match=r"^No speech in it$"):
        await backend.run(new_run())


async def test_an_error_without_words_still_has_some(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    upstream.on_progress(answers.stream(answers.message({"stage": "error"})))
    with pytest.raises(JobFailed, match="could not be processed"):
        await backend.run(new_run())


async def test_a_refused_key_ends_the_job_in_neutral_words(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    upstream.on_progress(answers.error(401, "Invalid or missing API key"))
    with pytest.raises(JobFailed) as caught:
        await backend.run(new_run())
    assert "tell the site's staff" in str(caught.value)
    assert "API key" not in str(caught.value)
    assert "HTTP 401 Invalid or missing API key" in caught.value.detail


async def test_a_replayed_event_is_no_progress(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    """A server that drops each connection after one and the same event is backed off from,
    and the history ends the job."""
    upstream.on_progress(*[answers.stream(HALF)] * 50)
    run = new_run()
    job = asyncio.create_task(backend.run(run), name="job")
    await eventually(lambda: upstream.counts["progress"] > 1)
    upstream.finish(upstream.records[0])
    result = await asyncio.wait_for(job, 10)
    assert result.file is not None
    assert upstream.counts["progress"] <= 6


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
