"""The supervisor: claims jobs for one process, runs them, renews and releases their leases.

Once a second, and at once when it is woken, it renews all leases in one statement, stops the
runners of jobs that it has lost, and claims jobs that nobody runs. A second task announces the
places of queued jobs.
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
from denoise_relay.pubsub import messages, postgres, publisher
from denoise_relay.pubsub.subscriber import subscription
from denoise_relay.runtime import database, logs, metrics
from denoise_relay.runtime.background import SupervisedTasks, spawn
from denoise_relay.worker.cancels import CancelForwarder
from denoise_relay.worker.finishing import Finisher
from denoise_relay.worker.pruner import Pruner
from denoise_relay.worker.runner import Runner
from denoise_relay.worker.signal_sender import SignalSender
from denoise_relay.worker.watchdog import LeaseWatchdog

#: Between two looks for jobs, because a message that there is one may be lost.
SWEEP_SECONDS = 1.0
#: How long a stop waits for runners to end; their leases expire after that.
STOP_SECONDS = 5.0
#: Names of the side tasks.
WRITER, SWEEP, POSITIONS = "denoise-journal-writer", "denoise-supervisor", "denoise-positions"
SIGNALS, PRUNER = "denoise-signals", "denoise-pruner"


class Supervisor:
    """Works from `await start()` to `await stop()`, on one event loop.

    When one of its own tasks breaks, all runners stop (their reports could not be written), the
    task is restarted, and the jobs are claimed again as their leases expire.
    """

    def __init__(self, backend: Backend, settings: RelaySettings) -> None:
        self.owner = f"{socket.gethostname()[:24]}-{os.getpid()}-{secrets.token_hex(6)}"
        self._backend = backend
        self._settings = settings
        self._writer = JournalWriter(events_per_second=settings.EVENTS_PER_SECOND)
        self._finisher = Finisher(settings)
        self._signals = SignalSender(settings.LEASE_SECONDS)
        self._runners: dict[UUID, asyncio.Task[None]] = {}
        #: Set to sweep at once.
        self._wake = asyncio.Event()
        wake = self._wake.set
        self._subscription = subscription(
            "denoise-supervisor", postgres.WORK, lambda _message: wake(), wake
        )
        self._side_tasks = SupervisedTasks(on_broken=self._stop_runners)
        #: Ends the calls of the publisher; set while started.
        self._detach: Callable[[], None] | None = None
        self._cancels = CancelForwarder(backend)
        self._watchdog = LeaseWatchdog(settings.LEASE_SECONDS, self._stop_runners)
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
        """Whether its own tasks run, and the leases of its runners were renewed in time."""
        return self._side_tasks.alive and not (self._runners and self._watchdog.stale)

    async def start(self) -> None:
        """Begin to claim jobs, on the running loop. Call it once."""
        self._detach = publisher.attach_supervisor(self._wake.set)
        self._subscription.join(messages.WORK_GROUP)
        self._subscription.start()
        self._watchdog.renewed(asyncio.get_running_loop().time())
        self._side_tasks.start(WRITER, self._writer.run)
        self._side_tasks.start(SWEEP, self._sweep_until_stopped)
        self._side_tasks.start(POSITIONS, self._announce_positions)
        self._side_tasks.start(SIGNALS, self._signals.run)
        self._side_tasks.start(PRUNER, Pruner(self._settings).run)

    async def stop(self) -> None:
        """Stop runners, commit what they have reported, release the leases. May be repeated."""
        if self._stopping or self._detach is None:
            return
        self._stopping = True
        self._side_tasks.stop_restarting()
        self._detach()
        for task in self._runners.values():
            task.cancel()
        await self._subscription.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._drain()
        await self._finisher.stop()
        await self._side_tasks.stop()
        self._watchdog.stop()
        await self._cancels.stop()
        with contextlib.suppress(DatabaseFailure, TimeoutError):
            # If the database is away, the leases expire.
            async with asyncio.timeout(STOP_SECONDS):
                await database.LEASES.call(leases.release, self.owner)
        await self._signals.stop()
        await self._backend.aclose()
        await publisher.wake()

    async def _drain(self) -> None:
        """Wait for a sweep in flight (its claim could otherwise be committed after our release),
        for the runners, and for the commit of what they have reported."""
        self._wake.set()
        await self._side_tasks.wait_for(SWEEP)
        await asyncio.gather(*self._runners.values(), return_exceptions=True)
        await self._writer.drained()

    async def _sweep_until_stopped(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                await self._renew()
                await self._claim()
            except DatabaseFailure as error:
                logs.logger.warning(
                    "The supervisor could not reach the database: %s",
                    type(error).__name__,
                    extra=logs.fields("beat_failed", error=repr(error)),
                )
                self._wake.clear()  # wait for the next sweep: an immediate retry would spin
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(SWEEP_SECONDS, self._settings.LEASE_SECONDS / 3)):
                    await self._wake.wait()

    async def _announce_positions(self) -> None:
        """Update the places of queued jobs. In a task of its own, because a thousand updates take
        a busy machine seconds, and leases must be renewed meanwhile."""
        while not self._stopping:
            try:
                await queue_positions.announce()
            except Exception as error:  # noqa: BLE001 - runners go on without it
                logs.logger.warning(
                    "The places of queued jobs could not be announced: %s",
                    type(error).__name__,
                    extra=logs.fields("places_failed", error=repr(error)),
                )
            await asyncio.sleep(SWEEP_SECONDS)

    async def _renew(self) -> None:
        # The time before the statement counts, because its answer may be slow.
        begun = asyncio.get_running_loop().time()
        held = still = set(self._runners)
        if held:
            still = await database.LEASES.call(
                leases.renew, self.owner, held, self._settings.LEASE_SECONDS
            )
        self._watchdog.renewed(begun)
        for job in held - still:
            # Canceled by a person, or claimed by another process while this one was paused.
            if (task := self._runners.get(job)) is not None:
                task.cancel()

    def _stop_runners(self, why: str) -> None:
        """Stop all runners: others may claim their jobs soon (fencing keeps late writes out)."""
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
        seconds, backend = self._settings.LEASE_SECONDS, self._backend.name
        claimed = await database.LEASES.call(
            leases.claim, self.owner, free, seconds, backend=backend
        )
        if not self._stopping:  # otherwise `stop` releases them
            for lease in claimed:
                self._start_runner(lease)

    def _start_runner(self, lease: Lease) -> None:
        previous = self._runners.get(lease.job)
        if previous is not None:
            previous.cancel()  # our lease expired, and we claimed the job again
        runner = Runner(
            lease,
            backend=self._backend,
            writer=self._writer,
            finisher=self._finisher,
            settings=self._settings,
        )
        task = spawn(runner.run(), f"denoise-runner-{lease.job.hex[:8]}")
        self._runners[lease.job] = task
        metrics.RUNNERS.inc()
        task.add_done_callback(lambda ended: self._on_runner_end(lease.job, ended, runner))

    def _on_runner_end(self, job: UUID, task: asyncio.Task[None], runner: Runner) -> None:
        metrics.RUNNERS.dec()
        if (task.cancelled() or runner.lost) and not self._stopping:
            self._cancels.forward_soon(job)
        if self._runners.get(job) is task:
            del self._runners[job]
        if not task.cancelled() and (error := task.exception()) is not None:
            # The lease expires, and the job is claimed again.
            logs.logger.error(
                "The runner of job %s crashed",
                job,
                exc_info=error,
                extra=logs.fields("runner_crashed", job=str(job)),
            )
        self._wake.set()  # there is a free slot
        self._signals.wake()
