"""What another relay shows of a job while it runs; a stranger is asked for nothing of it."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.exceptions import LeaseLost
from denoise_relay.testing import ScriptedUpstream, answers
from denoise_relay.testing.answers import SEGMENT_PIXELS
from tests.contract.backends.upstream.relayed import SAYS, WHOLE, flac, following, streams
from tests.contract.runs import NewBackend, NewRun
from tests.waiting import eventually


async def test_segments_are_shown_as_they_come(
    relay: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    run = new_run()
    async with following(relay, backend, run):
        await eventually(lambda: relay.counts["waveform"] >= 2)
        assert run.previews == []
        relay.segments += [WHOLE, WHOLE]
        await eventually(lambda: len(run.previews) == 2)
        relay.segments += [flac(rate=16_000)] * 20
        await eventually(lambda: len(run.previews) == 22)

    assert [found.number for found in run.previews] == list(range(22))
    assert [found.audio for found in run.previews] == relay.segments
    first, second, *_ = run.previews
    assert first.peaks == bytes(2 * SEGMENT_PIXELS)
    assert second.peaks == b"\xff\x01" * SEGMENT_PIXELS
    assert (first.duration_seconds, first.sample_rate, first.samples_per_pixel) == (4, 48_000, 256)
    # Each was fetched once, and asked for as a relay asks.
    assert relay.counts["preview"] == 22
    asked = relay.requests("waveform") + relay.requests("preview")
    assert {seen.headers["denoise-relay-extensions"] for seen in asked} == {"preview"}
    assert {seen.headers["x-api-key"] for seen in asked} == {relay.key}


async def test_a_stranger_is_never_asked(
    upstream: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    run = new_run()
    await backend.run(run)
    assert set(upstream.counts) == {"submit", "progress", "result"}
    assert not [seen for seen in upstream.seen if "denoise-relay-extensions" in seen.headers]
    assert {15, 62} <= set(run.percents)


async def test_nobody_is_asked_where_nobody_would_see_it(
    relay: ScriptedUpstream, new_backend: NewBackend, new_run: NewRun
) -> None:
    """With `PREVIEW` off, and for a part of a recording."""
    relay.segments = [WHOLE]
    runs = [new_run(), new_run(previews=False)]
    jobs = [(new_backend(PREVIEW=False), runs[0]), (new_backend(), runs[1])]
    async with contextlib.AsyncExitStack() as stack:
        for backend, run in jobs:
            await stack.enter_async_context(following(relay, backend, run))
        await eventually(lambda: all(len(set(run.percents)) >= 3 for run in runs))
    assert (relay.counts["waveform"], runs[0].previews, runs[1].previews) == (0, [], [])


async def test_what_was_a_relay_is_asked_no_more_when_it_is_none(
    relay: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    relay.segments = [WHOLE]
    run = new_run()
    async with following(relay, backend, run):
        await eventually(lambda: run.previews)
        relay.forget_scripts()
        relay.extensions = ()
        relay.on_progress(*streams())
        await eventually(lambda: "preview" not in backend._client.extensions)
        asked = relay.counts["waveform"]
        relay.segments += [WHOLE]
        reports = run.report_count
        await eventually(lambda: run.report_count > reports + 5)
        assert relay.counts["waveform"] <= asked + 1  # one may have been on its way
    assert len(run.previews) == 1


async def test_a_takeover_asks_from_the_beginning(
    relay: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    record = relay.add_record("a.wav")
    relay.segments = [WHOLE, WHOLE]
    run = new_run(attempt=1, upstream_id=record.id)
    async with following(relay, backend, run):
        await eventually(lambda: len(run.previews) == 2)


async def test_a_lost_segment_is_left_out(
    relay: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    relay.segments = [WHOLE] * 3
    relay.on_preview(answers.error(404))
    run = new_run()
    async with following(relay, backend, run):
        await eventually(lambda: len(run.previews) == 2)
        relay.segments += [WHOLE]
        await eventually(lambda: len(run.previews) == 3)
    numbers = [found.number for found in run.previews]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 3


async def test_an_upstream_that_begins_anew_is_waited_for(
    relay: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    relay.segments = [WHOLE] * 3
    run = new_run()
    async with following(relay, backend, run):
        await eventually(lambda: len(run.previews) == 3)
        relay.segments = [WHOLE]
        asked = relay.counts["waveform"]
        await eventually(lambda: relay.counts["waveform"] >= asked + 2)
        relay.segments = [WHOLE] * 4
        await eventually(lambda: len(run.previews) == 4)
    assert [found.number for found in run.previews] == [0, 1, 2, 3]


async def test_a_shorter_segment_is_the_last(
    relay: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    relay.segments = [WHOLE, flac(2.0)]
    data = answers.growth(2)["data"][: 2 * (SEGMENT_PIXELS + 376)]
    relay.on_waveform(*[answers.json_body(200, answers.growth(2) | {"data": data}, SAYS)] * 9)
    run = new_run()
    async with following(relay, backend, run):
        await eventually(lambda: len(run.previews) == 2)
        reports = run.report_count
        await eventually(lambda: run.report_count > reports + 3)
    # 376 pixels are 2.005 s: its sound says how long it is.
    assert [found.duration_seconds for found in run.previews] == [4.0, 2.0]
    assert relay.counts["waveform"] == 1


async def test_answers_that_fail_are_asked_for_again(
    relay: ScriptedUpstream,
    backend: UpstreamBackend,
    new_run: NewRun,
    caplog: pytest.LogCaptureFixture,
) -> None:
    relay.segments = [WHOLE]
    relay.on_waveform(answers.reset())
    relay.on_preview(answers.error(500))
    run = new_run()
    async with following(relay, backend, run):
        await eventually(lambda: run.previews)
    assert "preview_stopped" not in caplog.text


async def test_a_slow_preview_does_not_hold_up_the_end(
    relay: ScriptedUpstream, backend: UpstreamBackend, new_run: NewRun
) -> None:
    relay.segments = [WHOLE] * 4
    relay.on_preview(*[answers.silence()] * 4)
    loop = asyncio.get_running_loop()
    async with following(relay, backend, new_run()):
        await eventually(lambda: relay.counts["preview"] == 4)
        begun = loop.time()
    assert loop.time() - begun < 2.0


async def test_a_lost_lease_ends_the_preview_quietly(
    relay: ScriptedUpstream,
    backend: UpstreamBackend,
    new_run: NewRun,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = new_run()
    job = asyncio.create_task(backend.run(run), name="job")
    await eventually(lambda: relay.counts["waveform"])
    relay.segments = [WHOLE]
    run.lost = True
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(job, 10)
    assert not [task for task in asyncio.all_tasks() if "preview" in task.get_name()]
    assert "preview_stopped" not in caplog.text
