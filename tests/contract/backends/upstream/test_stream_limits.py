"""Streams without end: lines, floods, comments."""

from __future__ import annotations

import asyncio
import time
import tracemalloc

import pytest

from denoise_relay.backends.upstream import UpstreamBackend
from denoise_relay.testing import Answer, ScriptedUpstream, answers
from tests.contract.backends.upstream.streams import HALF, run_to_result
from tests.contract.runs import NewBackend, NewRun


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
