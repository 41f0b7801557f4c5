"""Frames that wait for the channel layer: whoever publishes does not.

While messages are on their way, and when there have been many lately, what is published gathers,
and the next message takes it all. So a frozen server of the layer holds up no commit, and under
load the cost of messages has a limit, whatever the size of the commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from denoise_relay.frames import Frame
from denoise_relay.pubsub.messages import WORK, Message, messages_of
from denoise_relay.runtime import logs, metrics
from denoise_relay.runtime.background import spawn

#: Sends in a second under load, so that a frame waits for company for 5 ms at the most…
RATE: Final = 200.0
#: …and how many may go before that: who publishes now and then never waits.
BURST: Final = 20.0
#: Frames that wait at the most. Older ones go first: the next one then shows what is missed.
LIMIT: Final = 20_000


class Outbox:
    """Of one event loop. Sends in the order of publishing, one after the other."""

    def __init__(
        self, send: Callable[[Sequence[Message]], Awaitable[None]], few: Callable[[], int]
    ) -> None:
        """`send` must not raise. `few`: up to how many frames go to groups of jobs."""
        self._send, self._few = send, few
        self._frames: list[Frame] = []
        self._work = False
        self._waiters: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None
        self._allowed, self._counted_at = BURST, 0.0

    def put(self, frames: Sequence[Frame]) -> None:
        """Send these soon; never blocks."""
        self._frames += frames
        if len(self._frames) > LIMIT:
            dropped = len(self._frames) - LIMIT
            del self._frames[:dropped]
            metrics.LAYER_FAILURES.inc()
            logs.logger.warning(
                "The channel layer is too slow: %d frames were dropped",
                dropped,
                extra=logs.fields("publish_failed", messages=dropped, error="too slow"),
            )
        self._start()

    def put_work(self) -> None:
        """Tell supervisors soon, and after the frames before, that a job may wait."""
        self._work = True
        self._start()

    async def sent(self) -> None:
        """Return when all that was put before has been sent, or given up."""
        if self._task is None:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def _start(self) -> None:
        if self._task is None:
            self._task = spawn(self._run(), "denoise-publish")

    async def _run(self) -> None:
        try:
            while self._frames or self._work or self._waiters:
                await self._wait_for_turn()
                await self._send_all()
        finally:
            # No await since the last look, so that nothing put meanwhile is left.
            self._task = None
            _release(self._waiters)

    async def _wait_for_turn(self) -> None:
        now = asyncio.get_running_loop().time()
        self._allowed = min(BURST, self._allowed + (now - self._counted_at) * RATE)
        self._counted_at = now
        if self._allowed < 1:
            await asyncio.sleep((1 - self._allowed) / RATE)
        self._allowed -= 1

    async def _send_all(self) -> None:
        frames, self._frames = self._frames, []
        work, self._work = self._work, False
        waiters, self._waiters = self._waiters, []
        messages = messages_of(frames, self._few())
        if work:
            messages.append(WORK)
        try:
            await self._send(messages)
        finally:
            _release(waiters)


def _release(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
