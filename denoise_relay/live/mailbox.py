"""The bounded, latest-wins queue of one socket or stream."""

from __future__ import annotations

import asyncio
from collections import deque

from denoise_relay.frames import Frame
from denoise_relay.runtime import metrics

#: When so many frames wait for one viewer, newer progress replaces older.
LIMIT = 64


class Mailbox:
    """Frames on their way to one viewer.

    Overflow policy: only the newest frame of each job is kept. A frame is a whole state, and a
    terminal frame is always its job's newest, so a slow viewer skips only progress. At most
    LIMIT frames and one for each watched job wait.
    """

    def __init__(self) -> None:
        self._frames: deque[Frame] = deque()
        self._ready = asyncio.Event()
        #: Progress frames dropped so far.
        self.skipped = 0

    def put(self, frame: Frame) -> None:
        """Add a frame; never blocks, never refuses."""
        if len(self._frames) >= LIMIT:
            self._collapse()
        self._frames.append(frame)
        self._ready.set()

    def wake(self) -> None:
        """Let `take` return, with an empty list when there are no frames."""
        self._ready.set()

    async def take(self) -> list[Frame]:
        """Wait for frames and return all there are, in order. May be cancelled, loses nothing."""
        await self._ready.wait()
        self._ready.clear()
        frames = list(self._frames)
        self._frames.clear()
        return frames

    def _collapse(self) -> None:
        newest = {frame.job: frame for frame in self._frames}
        kept = [frame for frame in self._frames if newest[frame.job] is frame]
        skipped = len(self._frames) - len(kept)
        self.skipped += skipped
        metrics.SKIPPED_FRAMES.inc(skipped)
        self._frames = deque(kept)
