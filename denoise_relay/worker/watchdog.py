"""Watches that leases are renewed in time, and says so when they are not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class LeaseWatchdog:
    """Calls `on_stale` before leases expire, unless a renewal succeeds until then.

    By a timer, because a renewal may hang.
    """

    def __init__(self, lease_seconds: float, on_stale: Callable[[str], None]) -> None:
        #: Seconds after a renewal in which no other process can claim the job, less a margin.
        self._safe_seconds = lease_seconds - min(5.0, lease_seconds / 3)
        self._on_stale = on_stale
        self._timer: asyncio.TimerHandle | None = None
        #: Loop time of the last successful renewal.
        self.renewed_at = 0.0

    @property
    def stale(self) -> bool:
        """Whether the last renewal is too long ago."""
        return asyncio.get_running_loop().time() - self.renewed_at > self._safe_seconds

    def renewed(self, at: float) -> None:
        """A renewal that began at this loop time has succeeded."""
        self.renewed_at = at
        self.stop()
        loop = asyncio.get_running_loop()
        text = "no lease could be renewed"
        self._timer = loop.call_at(at + self._safe_seconds, self._on_stale, text)

    def stop(self) -> None:
        """Watch no more. May be repeated."""
        if self._timer is not None:
            self._timer.cancel()
