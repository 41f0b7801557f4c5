"""How long a stream may be silent, and how long it may say nothing: limits that cost no timer for
each event.

`asyncio.timeout().reschedule()` makes a timer each time and leaves the old one in the loop's heap:
a thousand streams fill it with dead ones. Here what comes only notes the time, and the one timer
of a stream looks at that when it is due, and sets itself anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from denoise_relay.backends.upstream.errors import ReadTimeout, StreamStalled

#: A second look at a stream that seems dead: after so much of its silence, at most so many seconds.
SECOND_LOOK = 0.1
SECOND_LOOK_SECONDS = 1.0


class StreamClock:
    """The limits of one job's streams, in seconds; one stream at a time."""

    def __init__(self, *, silence: float, stalled: float) -> None:
        self._silence = silence
        self._stalled = stalled
        self._heard_at = 0.0
        self._progressed_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def heard(self, at: float, *, progress: bool) -> None:
        """Some bytes came, at this time of the loop, and among them was progress or not."""
        self._heard_at = at
        if progress:
            self._progressed_at = at

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Raise `ReadTimeout` out of the block when nothing was heard for too long, and
        `StreamStalled` when there was no progress."""
        loop = asyncio.get_running_loop()
        self._heard_at = self._progressed_at = loop.time()
        limit = asyncio.timeout(None)
        try:
            async with limit:
                self._look(loop, limit)
                yield
        except TimeoutError as exc:
            if not limit.expired():
                raise
            silent = self._heard_at + self._silence <= self._progressed_at + self._stalled
            raise (ReadTimeout() if silent else StreamStalled()) from exc
        finally:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _look(
        self, loop: asyncio.AbstractEventLoop, limit: asyncio.Timeout, again: bool = False
    ) -> None:
        due = min(self._heard_at + self._silence, self._progressed_at + self._stalled)
        if due > loop.time():
            self._timer = loop.call_at(due, self._look, loop, limit)
        elif not again:
            # After a freeze of the process, timers are due before what came meanwhile is read.
            moment = min(self._silence * SECOND_LOOK, SECOND_LOOK_SECONDS)
            self._timer = loop.call_later(moment, self._look, loop, limit, True)
        else:
            limit.reschedule(due)
