"""What the events of a stream mean, odd ones among them."""

from __future__ import annotations

import asyncio

import pytest

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.exceptions import JobFailed
from denoise_relay.runtime import metrics
from denoise_relay.testing import ScriptedUpstream, answers
from tests.contract.backends.upstream.streams import HALF, run_to_result
from tests.contract.runs import NewRun
from tests.waiting import eventually

PAGE = "<script>alert('pct')</script> & <b>bold</b>"


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


async def test_falling_percentages_are_passed_on_to_the_journal(
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
