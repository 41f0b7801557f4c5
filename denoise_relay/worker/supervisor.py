"""The supervisor: runs the runners of one process. Claims, renews, hands back.

One beat a second, or at once when the bell rings: renew all leases in one statement,
drop what is no longer ours, claim what is free. Beside it the queue is told its places.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Callable
from uuid import UUID

from django.db import Error as DatabaseFailure

from denoise_relay.backends.base import Backend
from denoise_relay.conf import RelaySettings
from denoise_relay.jobs import queue_positions
from denoise_relay.journal import leases
from denoise_relay.journal.leases import Lease
from denoise_relay.journal.writer import JournalWriter
from denoise_relay.pubsub import publisher
from denoise_relay.pubsub.subscriber import Subscription
from denoise_relay.runtime import database, logs, metrics
from denoise_relay.runtime.background import SupervisedTasks, spawn
from denoise_relay.worker.runner import Runner

SWEEP_SECONDS = 1.0
"""Behind a bell that may be lost."""
STOP_SECONDS = 5.0
"""How long a stop waits for runners to unwind; leases expire by themselves after that."""
RECORDER, BEAT, PLACES = "denoise-recorder", "denoise-supervisor", "denoise-places"
"""Names of the side tasks."""


def _nothing() -> None:
    """Before anything is attached."""


class Supervisor:
    """`await start()`, then it works until `await stop()`. Lives on one event loop.

    Should the recorder or the beat break, all runners stop (what they say would go nowhere),
    the task is started again, and the jobs come back as their leases run out.
    """

    def __init__(self, backend: Backend, settings: RelaySettings) -> None:
        self.owner = f"{socket.gethostname()[:24]}-{os.getpid()}-{secrets.token_hex(6)}"
        self._backend = backend
        self._settings = settings
        self._recorder = JournalWriter(events_per_second=settings.EVENTS_PER_SECOND)
        self._runners: dict[UUID, asyncio.Task[None]] = {}
        self._bell = asyncio.Event()
        self._subscription = Subscription(
            "denoise-supervisor", lambda _message: self._bell.set(), self._bell.set
        )
        self._side_tasks = SupervisedTasks(on_broken=self._abandon)
        self._detach: Callable[[], None] = _nothing
        self._renewed = 0.0
        self._watchdog: asyncio.TimerHandle | None = None
        self._started = False
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
        return self._side_tasks.alive and not (self._runners and self._leases_stale())

    async def start(self) -> None:
        self._detach = publisher.attach_supervisor(self._bell.set)
        self._subscription.join(publisher.WORK_GROUP)
        self._subscription.start()
        self._renewed = asyncio.get_running_loop().time()
        self._side_tasks.start(RECORDER, self._recorder.run)
        self._side_tasks.start(BEAT, self._beats)
        self._side_tasks.start(PLACES, self._places)
        self._started = True

    async def stop(self) -> None:
        """Stop runners, commit what they have said, hand the leases back. May be repeated."""
        if self._stopping or not self._started:
            return
        self._stopping = True
        self._side_tasks.expect_ends()
        self._detach()
        for task in self._runners.values():
            task.cancel()
        await self._subscription.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._unwound()
        await self._side_tasks.stop()
        if self._watchdog is not None:
            self._watchdog.cancel()
        with contextlib.suppress(DatabaseFailure, TimeoutError):
            # If the database is away the leases expire; nobody waits for us.
            async with asyncio.timeout(STOP_SECONDS):
                await database.call(leases.release, self.owner)
        await self._backend.aclose()
        await publisher.wake()

    async def _unwound(self) -> None:
        """Wait for the runners, for a beat in flight (its claim would otherwise be committed
        after our release), and for what the runners have said."""
        self._bell.set()
        await self._side_tasks.ended(BEAT)
        await asyncio.gather(*self._runners.values(), return_exceptions=True)
        await self._recorder.drained()

    async def _beats(self) -> None:
        while not self._stopping:
            self._bell.clear()
            try:
                await self._renew()
                await self._claim()
            except DatabaseFailure as error:
                logs.logger.warning(
                    "The supervisor could not reach the database: %s",
                    type(error).__name__,
                    extra=logs.fields("beat_failed", error=repr(error)),
                )
                self._bell.clear()  # nobody's ringing makes the database answer
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(SWEEP_SECONDS, self._settings.LEASE_SECONDS / 3)):
                    await self._bell.wait()

    async def _places(self) -> None:
        """Tell the queue its places. Apart from the beat: telling a thousand takes a busy
        machine seconds, and leases cannot wait for it."""
        while not self._stopping:
            try:
                await queue_positions.announce()
            except Exception as error:  # noqa: BLE001 - no runner may stop for a place untold
                logs.logger.warning(
                    "The queue's places could not be told: %s",
                    type(error).__name__,
                    extra=logs.fields("places_failed", error=repr(error)),
                )
            await asyncio.sleep(SWEEP_SECONDS)

    async def _renew(self) -> None:
        # Counted from before the statement: its answer may be slow to come.
        begun = asyncio.get_running_loop().time()
        held = still = set(self._runners)
        if held:
            still = await database.call(
                leases.renew, self.owner, held, self._settings.LEASE_SECONDS
            )
        self._renewed = begun
        self._watch()
        for job in held - still:
            # Canceled by a person, or taken by another after a pause of ours.
            if (task := self._runners.get(job)) is not None:
                task.cancel()

    def _watch(self) -> None:
        """Stop the runners in time when no renewal succeeds, though one may hang for long."""
        if self._watchdog is not None:
            self._watchdog.cancel()
        loop = asyncio.get_running_loop()
        self._watchdog = loop.call_at(
            self._renewed + self._lease_lasts(), self._abandon, "no lease could be renewed"
        )

    def _lease_lasts(self) -> float:
        """Seconds after a renewal in which nobody else can have the job, with a margin."""
        return self._settings.LEASE_SECONDS - min(5.0, self._settings.LEASE_SECONDS / 3)

    def _leases_stale(self) -> bool:
        return asyncio.get_running_loop().time() - self._renewed > self._lease_lasts()

    def _abandon(self, why: str) -> None:
        """Stop all runners: others may hold their leases soon (fencing is the safety)."""
        if not self._runners:
            return
        logs.logger.warning(
            "%d jobs stop here: %s",
            len(self._runners),
            why,
            extra=logs.fields("leases_abandoned", jobs=len(self._runners)),
        )
        for task in self._runners.values():
            task.cancel()

    async def _claim(self) -> None:
        free = self.capacity - len(self._runners)
        if free <= 0 or self._stopping:
            return
        claimed = await database.call(leases.claim, self.owner, free, self._settings.LEASE_SECONDS)
        if not self._stopping:  # else they are handed back at once
            for lease in claimed:
                self._begin(lease)

    def _begin(self, lease: Lease) -> None:
        previous = self._runners.get(lease.job)
        if previous is not None:
            previous.cancel()  # ours expired and came back to us under a new epoch
        runner = Runner(
            lease, backend=self._backend, recorder=self._recorder, settings=self._settings
        )
        task = spawn(runner.run(), f"denoise-runner-{lease.job.hex[:8]}")
        self._runners[lease.job] = task
        metrics.RUNNERS.inc()
        task.add_done_callback(lambda ended: self._ended(lease.job, ended))

    def _ended(self, job: UUID, task: asyncio.Task[None]) -> None:
        metrics.RUNNERS.dec()
        if self._runners.get(job) is task:
            del self._runners[job]
        if not task.cancelled() and (error := task.exception()) is not None:
            # The lease of a runner that crashed runs out, and the job is claimed again.
            logs.logger.error(
                "The runner of job %s crashed",
                job,
                exc_info=error,
                extra=logs.fields("runner_crashed", job=str(job)),
            )
        self._bell.set()  # there is room for another
