"""The supervisor: runs the runners of one process. Claims, renews, hands back.

One beat a second, or at once when the bell rings: renew all leases in one statement,
drop what is no longer ours, claim what is free, tell the queue its places.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import secrets
import socket
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

from django.db import Error as DatabaseFailure

from denoise_relay import broadcast, db, leases, log, metrics, queue
from denoise_relay.backends.base import Backend
from denoise_relay.conf import RelaySettings
from denoise_relay.leases import Lease
from denoise_relay.subscription import Subscription
from denoise_relay.worker.recorder import Recorder
from denoise_relay.worker.runner import Runner

SWEEP_SECONDS = 1.0
"""Behind a bell that may be lost."""
STOP_SECONDS = 5.0
"""How long a stop waits for runners to unwind; leases expire by themselves after that."""


def _nothing() -> None:
    """Before anything is attached."""


class Supervisor:
    """`await start()`, then it works until `await stop()`. Lives on one event loop."""

    def __init__(self, backend: Backend, settings: RelaySettings) -> None:
        self.owner = f"{socket.gethostname()[:24]}-{os.getpid()}-{secrets.token_hex(6)}"
        self._backend = backend
        self._settings = settings
        self._recorder = Recorder(events_per_second=settings.EVENTS_PER_SECOND)
        self._runners: dict[UUID, asyncio.Task[None]] = {}
        self._bell = asyncio.Event()
        self._subscription = Subscription(
            "denoise-supervisor", lambda _message: self._bell.set(), self._bell.set
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._detach: Callable[[], None] = _nothing
        self._renewed = 0.0
        self._stopping = False

    @property
    def capacity(self) -> int:
        """Jobs this process may run at a time."""
        return max(1, min(self._settings.MAX_ACTIVE_JOBS, self._backend.capacity))

    @property
    def running(self) -> frozenset[UUID]:
        """The jobs that run here now."""
        return frozenset(self._runners)

    @property
    def healthy(self) -> bool:
        """Whether its own tasks live and its leases, if any, are fresh."""
        alive = bool(self._tasks) and not any(task.done() for task in self._tasks)
        return alive and (not self._runners or not self._leases_stale())

    async def start(self) -> None:
        self._stopping = False
        self._detach = broadcast.attach_supervisor(self._bell.set)
        self._subscription.join(broadcast.WORK_GROUP)
        self._subscription.start()
        self._renewed = asyncio.get_running_loop().time()
        self._tasks = [
            self._spawn(self._recorder.run(), "denoise-recorder"),
            self._spawn(self._beats(), "denoise-supervisor"),
        ]

    async def stop(self) -> None:
        """Stop runners, commit what they have said, hand the leases back. May be repeated."""
        self._stopping = True
        self._detach()
        await self._subscription.stop()
        for task in self._tasks[1:]:
            task.cancel()
        runners = list(self._runners.values())
        for task in runners:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await asyncio.gather(*runners, *self._tasks[1:], return_exceptions=True)
                if self._tasks and not self._tasks[0].done():
                    await self._recorder.drained()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        with contextlib.suppress(DatabaseFailure, TimeoutError):
            # If the database is away the leases expire; nobody waits for us.
            async with asyncio.timeout(STOP_SECONDS):
                await db.call(leases.release, self.owner)
        await self._backend.aclose()
        await broadcast.wake()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        # A fresh context: one inherited from a request would pin its thread-sensitive
        # thread, and with it a database connection, for the task's whole life.
        loop = asyncio.get_running_loop()
        return loop.create_task(work, name=name, context=contextvars.Context())

    async def _beats(self) -> None:
        while True:
            self._bell.clear()
            try:
                await self._renew()
                await self._claim()
                await queue.announce()
            except DatabaseFailure as error:
                log.logger.warning(
                    "The supervisor could not reach the database: %s",
                    type(error).__name__,
                    extra=log.fields("beat_failed", error=repr(error)),
                )
                self._bell.clear()
            if self._runners and self._leases_stale():
                self._abandon()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(SWEEP_SECONDS, self._settings.LEASE_SECONDS / 3)):
                    await self._bell.wait()

    async def _renew(self) -> None:
        if not self._runners:
            self._renewed = asyncio.get_running_loop().time()
            return
        begun = asyncio.get_running_loop().time()
        held = set(self._runners)
        still = await db.call(leases.renew, self.owner, held, self._settings.LEASE_SECONDS)
        # Counted from before the statement: its answer may have been slow to come.
        self._renewed = begun
        for job in held - still:
            # Canceled by a person, or taken by another after a pause of ours.
            if (task := self._runners.get(job)) is not None:
                task.cancel()

    def _leases_stale(self) -> bool:
        margin = min(5.0, self._settings.LEASE_SECONDS / 3)
        age = asyncio.get_running_loop().time() - self._renewed
        return age > self._settings.LEASE_SECONDS - margin

    def _abandon(self) -> None:
        """Stop all runners: others may hold their leases by now (fencing is the safety)."""
        log.logger.warning(
            "Leases could not be renewed in time; %d jobs stop here",
            len(self._runners),
            extra=log.fields("leases_abandoned", jobs=len(self._runners)),
        )
        for task in self._runners.values():
            task.cancel()

    async def _claim(self) -> None:
        free = self.capacity - len(self._runners)
        if free <= 0:
            return
        for lease in await db.call(leases.claim, self.owner, free, self._settings.LEASE_SECONDS):
            self._begin(lease)

    def _begin(self, lease: Lease) -> None:
        previous = self._runners.get(lease.job)
        if previous is not None:
            previous.cancel()  # ours expired and came back to us under a new epoch
        runner = Runner(
            lease, backend=self._backend, recorder=self._recorder, settings=self._settings
        )
        task = self._spawn(runner.run(), f"denoise-runner-{lease.job.hex[:8]}")
        self._runners[lease.job] = task
        metrics.RUNNERS.inc()
        task.add_done_callback(lambda ended: self._ended(lease.job, ended))

    def _ended(self, job: UUID, task: asyncio.Task[None]) -> None:
        metrics.RUNNERS.dec()
        if self._runners.get(job) is task:
            del self._runners[job]
        if not task.cancelled() and (error := task.exception()) is not None:
            # The lease of a runner that crashed runs out, and the job is claimed again.
            log.logger.error(
                "The runner of job %s crashed",
                job,
                exc_info=error,
                extra=log.fields("runner_crashed", job=str(job)),
            )
        if not self._stopping:
            self._bell.set()  # there is room for another
