"""Sends the signals of ended jobs: its own process's, and those that others left behind.

A part of the supervisor. Runners do not wait for receivers, so that a slow one holds no slot.
"""

from __future__ import annotations

import asyncio
import contextlib
from uuid import UUID

from django.db import Error as DatabaseFailure

from denoise_relay import signals
from denoise_relay.journal import outbox
from denoise_relay.runtime import database, logs
from denoise_relay.runtime.background import spawn

#: Between two looks for signals that nobody sends.
SWEEP_SECONDS = 1.0
#: How long a stop waits for receivers. What is left then is sent by another process.
DRAIN_SECONDS = 3.0


class SignalSender:
    """One per supervisor. `run` is its loop."""

    def __init__(self, lease_seconds: float) -> None:
        self._lease_seconds = lease_seconds
        self._sending: dict[UUID, asyncio.Task[None]] = {}
        self._claiming: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Look at once: a job has ended here."""
        self._changed.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            self._changed.clear()
            try:
                if self._sending:
                    await database.call(outbox.renew, list(self._sending), self._lease_seconds)
                await self._claim()
            except DatabaseFailure as error:
                logs.logger.warning(
                    "Signals must wait for the database: %s",
                    type(error).__name__,
                    extra=logs.fields("signals_waiting", error=repr(error)),
                )
                self._changed.clear()  # an immediate retry would spin
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(SWEEP_SECONDS, self._lease_seconds / 3)):
                    await self._changed.wait()

    async def stop(self) -> None:
        """Send what waits, for at most `DRAIN_SECONDS`. Call it when `run` has ended."""
        with contextlib.suppress(TimeoutError, DatabaseFailure):
            async with asyncio.timeout(DRAIN_SECONDS):
                if self._claiming is not None:
                    await asyncio.wait({self._claiming})
                await self._claim()
                while self._sending:
                    await asyncio.wait(self._sending.values(), return_when=asyncio.FIRST_COMPLETED)
                    await self._claim()
        left = [*self._sending.values(), *filter(None, [self._claiming])]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _claim(self) -> None:
        free = signals.THREADS - len(self._sending)
        if free > 0:
            # Shielded: what is leased here, nobody else would send soon, so a claim that was
            # begun is finished when `run` is cancelled.
            self._claiming = spawn(self._claim_up_to(free), "denoise-signal-claim")
            await asyncio.shield(self._claiming)

    async def _claim_up_to(self, free: int) -> None:
        for job in await database.call(outbox.claim, free, self._lease_seconds):
            self._sending[job] = spawn(self._send(job), f"denoise-signal-{job.hex[:8]}")

    async def _send(self, job: UUID) -> None:
        try:
            await signals.send_ended(job)
            await database.call_with_retry(outbox.clear, job)
        except Exception:  # noqa: BLE001 - the lease expires, and the signal is sent again
            logs.logger.exception(
                "A signal could not be sent", extra=logs.fields("signal_failed", job=str(job))
            )
        finally:
            self._sending.pop(job, None)
            self._changed.set()
