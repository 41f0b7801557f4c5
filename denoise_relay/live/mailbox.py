"""The bounded, latest-wins queue of one socket or stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from denoise_relay.frames import Frame
from denoise_relay.runtime import metrics

#: When so many frames wait for one viewer, newer progress replaces older.
LIMIT = 64


class Mailbox:
    """Frames on their way to one viewer.

    Overflow policy: only the newest frame of each job is kept. A frame is a whole state, and a
    terminal frame is always its job's newest, so a slow viewer skips only progress. At most
    LIMIT frames and one for each watched job wait.

    A stream waits for frames (`take`); a socket is told of them (`on_wake`, `send_now`).
    """

    # No deque and no asyncio.Event, which take 1.3 KiB for each viewer.
    __slots__ = ("__weakref__", "_frames", "_waiter", "_woken", "on_wake", "send_now", "skipped")

    def __init__(self) -> None:
        self._frames: list[Frame] = []
        self._woken = False
        self._waiter: asyncio.Future[None] | None = None
        #: Called when there is something to take, instead of waking `take`.
        self.on_wake: Callable[[], None] | None = None
        #: Sends a frame past the mailbox. Only while no frame waits, neither here nor on its way.
        self.send_now: Callable[[Frame], None] | None = None
        #: Progress frames dropped so far.
        self.skipped = 0

    @property
    def woken(self) -> bool:
        """Whether there was a frame or a `wake` since the last `take`."""
        return self._woken

    def put(self, frame: Frame) -> None:
        """Add a frame; never blocks, never refuses."""
        if len(self._frames) >= LIMIT:
            self._collapse()
        self._frames.append(frame)
        self.wake()

    def wake(self) -> None:
        """Let `take` return, with an empty list when there are no frames."""
        self._woken = True
        if self.on_wake is not None:
            self.on_wake()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def take(self) -> list[Frame]:
        """Wait for frames and return all there are, in order. May be cancelled, loses nothing.

        For one task at a time.
        """
        while not self._woken:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self.take_now()

    def take_now(self) -> list[Frame]:
        """Return all frames there are, in order."""
        self._woken = False
        frames, self._frames = self._frames, []
        return frames

    def _collapse(self) -> None:
        newest = {frame.job: frame for frame in self._frames}
        kept = [frame for frame in self._frames if newest[frame.job] is frame]
        skipped = len(self._frames) - len(kept)
        self.skipped += skipped
        metrics.SKIPPED_FRAMES.inc(skipped)
        self._frames = kept
