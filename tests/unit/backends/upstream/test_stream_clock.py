from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from denoise_relay.backends.upstream.errors import ReadTimeout, StreamStalled
from denoise_relay.backends.upstream.stream_clock import StreamClock

SILENCE = 60.0
STALLED = 300.0


class LoopTime:
    """The time of the running loop, which a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._loop = asyncio.get_running_loop()
        self._now = self._loop.time()
        monkeypatch.setattr(self._loop, "time", lambda: self._now)

    @property
    def now(self) -> float:
        return self._now

    def jump(self, seconds: float) -> None:
        self._now += seconds

    async def pass_by(self, seconds: float) -> None:
        """Second by second; what is due in between happens."""
        for _ in range(int(seconds)):
            self.jump(1)
            for _turn in range(3):
                await asyncio.sleep(0)


@pytest.fixture
async def time(monkeypatch: pytest.MonkeyPatch) -> LoopTime:
    return LoopTime(monkeypatch)


@pytest.fixture
def clock() -> StreamClock:
    return StreamClock(silence=SILENCE, stalled=STALLED)


Reading = Callable[[], Awaitable[None]]


async def watched(clock: StreamClock, reading: Reading) -> None:
    async with clock.running():
        await reading()


async def test_silence_ends_a_stream(time: LoopTime, clock: StreamClock) -> None:
    begun = time.now
    with pytest.raises(ReadTimeout):
        await watched(clock, lambda: time.pass_by(1000))
    assert SILENCE <= time.now - begun <= SILENCE + 3


async def test_silence_counts_from_the_last_bytes(time: LoopTime, clock: StreamClock) -> None:
    begun = time.now

    async def once_in_the_middle() -> None:
        await time.pass_by(40)
        clock.heard(time.now, progress=False)
        await time.pass_by(1000)

    with pytest.raises(ReadTimeout):
        await watched(clock, once_in_the_middle)
    assert 40 + SILENCE <= time.now - begun <= 40 + SILENCE + 3


async def test_bytes_without_progress_end_it_too(time: LoopTime, clock: StreamClock) -> None:
    begun = time.now

    async def drip() -> None:
        for _ in range(1000):
            await time.pass_by(1)
            clock.heard(time.now, progress=False)

    with pytest.raises(StreamStalled):
        await watched(clock, drip)
    assert STALLED <= time.now - begun <= STALLED + 3


async def test_progress_keeps_it(time: LoopTime, clock: StreamClock) -> None:
    async def progress() -> None:
        for _ in range(40):
            await time.pass_by(SILENCE - 5)
            clock.heard(time.now, progress=True)

    await watched(clock, progress)


async def test_the_next_stream_has_all_its_time(time: LoopTime, clock: StreamClock) -> None:
    await watched(clock, lambda: time.pass_by(SILENCE - 5))
    await watched(clock, lambda: time.pass_by(SILENCE - 5))


async def test_what_came_while_the_process_was_frozen_counts(
    time: LoopTime, clock: StreamClock
) -> None:
    async def freeze() -> None:
        for _ in range(3):
            time.jump(10 * STALLED)
            await asyncio.sleep(0)  # the timer is due, and nothing has been read yet
            clock.heard(time.now, progress=True)
            await time.pass_by(5)

    await watched(clock, freeze)


async def test_the_blocks_own_faults_and_a_cancel_pass(clock: StreamClock) -> None:
    for fault in (TimeoutError, asyncio.CancelledError, ValueError):
        with pytest.raises(fault):
            async with clock.running():
                raise fault


async def test_a_stream_that_has_ended_leaves_no_timer(
    clock: StreamClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    made: list[asyncio.TimerHandle] = []
    real = loop.call_at

    def call_at(*args: object, **options: object) -> asyncio.TimerHandle:
        made.append(real(*args, **options))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(loop, "call_at", call_at)
    async with clock.running():
        pass
    assert len(made) == 1
    assert made[0].cancelled()
