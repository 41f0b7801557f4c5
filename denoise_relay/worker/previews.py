"""Writes what a backend shows of a job that runs; nothing of the job depends on it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from denoise_relay import engine
from denoise_relay.exceptions import LeaseLost
from denoise_relay.journal import segments
from denoise_relay.journal.leases import Lease
from denoise_relay.runtime import database, logs
from denoise_relay.runtime.background import spawn

#: Segments that wait to be written; beyond it the oldest are dropped. Of at most 264 KiB each.
MAX_WAITING: Final = 16
#: Between two writes. An engine makes some ten segments a second, a page asks once.
PAUSE_SECONDS: Final = 0.5


class PreviewWriter:
    """Writes the segments of one job, from the first `add` on until `stop`.

    Any trouble ends it, with one line in the log.
    """

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._waiting: deque[engine.Segment] = deque(maxlen=MAX_WAITING)
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def add(self, segment: engine.Segment) -> None:
        """Take a segment. Never blocks; may be called at any rate."""
        self._waiting.append(segment)
        self._changed.set()
        if self._task is None:
            self._task = spawn(self._run(), f"denoise-preview-{self._lease.job.hex[:8]}")

    async def stop(self) -> None:
        """Write no more. May be repeated."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            await self._write()
        except LeaseLost:
            pass  # the runner hears of it, too
        except Exception as error:  # noqa: BLE001 - whatever it is, the job goes on
            logs.logger.warning(
                "The preview of job %s stops: %s",
                self._lease.job,
                type(error).__name__,
                extra=logs.fields("preview_failed", job=str(self._lease.job), error=repr(error)),
            )

    async def _write(self) -> None:
        anew = True
        while True:
            await self._changed.wait()
            self._changed.clear()
            taken = list(self._waiting)
            self._waiting.clear()
            await database.call(segments.add, self._lease, taken, anew=anew)
            anew = False
            await asyncio.sleep(PAUSE_SECONDS)
