"""The bounded, latest-wins queue of one socket or stream."""

from __future__ import annotations

import asyncio
from collections import deque

from denoise_relay.frames import Frame
from denoise_relay.runtime import metrics

LIMIT = 64
"""Frames that wait for one viewer before older progress gives way to newer."""


class Mailbox:
    """Frames on their way to one viewer.

    Overflow policy: of each job only the newest frame stays. Frames are whole states and
    a terminal frame is always its job's newest, so what a slow viewer skips is progress
    only, and what waits is bounded by LIMIT plus the jobs it watches.
    """

    def __init__(self) -> None:
        self._frames: deque[Frame] = deque()
        self._ready = asyncio.Event()
        self.skipped = 0

    def put(self, frame: Frame) -> None:
        if len(self._frames) >= LIMIT:
            self._collapse()
        self._frames.append(frame)
        self._ready.set()

    def wake(self) -> None:
        """Have `take` return, with nothing if there is nothing."""
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
