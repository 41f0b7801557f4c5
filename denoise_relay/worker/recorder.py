"""The recorder: commits the events of all runners of a process in groups, then publishes them.

While one transaction is in flight, events gather; the next one takes them all. Progress
is state: of a job that reports faster than `EVENTS_PER_SECOND` only the latest is kept,
so what waits here is bounded by the number of running jobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import Error as DatabaseFailure
from django.db import IntegrityError, InterfaceError, OperationalError

from denoise_relay import broadcast, db, events, journal, log
from denoise_relay.events import Fact
from denoise_relay.exceptions import LeaseLost, RelayError
from denoise_relay.journal import Entry, Outcome
from denoise_relay.leases import Lease
from denoise_relay.retry import Backoff

GROUP_LIMIT = 500
"""Entries in one transaction: enough to amortise it, few enough to keep locks short."""


@dataclass(slots=True)
class _Waiting:
    """What one job has to say. `urgent` is awaited by its runner, so it holds one or two."""

    urgent: list[tuple[Entry, asyncio.Future[Outcome]]] = field(default_factory=list)
    latest: Entry | None = None
    #: Loop time before which no processing event of this job is taken.
    due: float = 0.0


class Recorder:
    """One per supervisor. `run` is its loop; the other methods are called by runners."""

    def __init__(
        self,
        *,
        events_per_second: float,
        append: Callable[[Sequence[Entry]], list[Outcome]] = journal.append,
        publish: Callable[[Sequence[events.Event]], Awaitable[None]] = broadcast.publish,
    ) -> None:
        self._interval = 1.0 / events_per_second
        self._append = append
        self._publish = publish
        self._waiting: dict[UUID, _Waiting] = {}
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def report(self, lease: Lease, fact: Fact) -> None:
        """Note progress; latest wins. Cheap, never blocks, may be called at any rate."""
        waiting = self._waiting.setdefault(lease.job, _Waiting())
        waiting.latest = Entry(job=lease.job, epoch=lease.epoch, fact=fact)
        self._touch()

    async def record(self, lease: Lease, fact: Fact | None, **changes: Any) -> Outcome:
        """Commit now, and return once it is committed and published.

        Raises `LeaseLost` when the job is no longer the lease's. May be cancelled; the
        entry is then written or not, and the journal knows which.
        """
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(lease.job, _Waiting())
        # Whole states: progress that is still waiting is older news than this.
        waiting.latest = None
        entry = Entry(job=lease.job, epoch=lease.epoch, fact=fact, changes=changes)
        waiting.urgent.append((entry, outcome))
        self._touch()
        written = await outcome
        if not written.written:
            raise LeaseLost
        return written

    def forget(self, lease: Lease) -> None:
        """Drop what a job has waiting: its runner has ended."""
        self._waiting.pop(lease.job, None)
        self._touch()

    async def drained(self) -> None:
        """Return when nothing waits and nothing is in flight."""
        await self._idle.wait()

    async def run(self) -> None:
        """Commit and publish until cancelled."""
        while True:
            entries, futures = self._take()
            if not entries:
                await self._something_due()
                continue
            outcomes = await self._commit(entries, futures)
            # Commit, then publish (invariant 1); in this order, so seq rises on the wire.
            await self._publish([outcome.event for outcome in outcomes if outcome.event])
            for future, outcome in zip(futures, outcomes, strict=True):
                if future is not None and not future.done():
                    future.set_result(outcome)

    def _touch(self) -> None:
        self._idle.clear()
        self._changed.set()

    async def _something_due(self) -> None:
        """Wait for a new entry, or for the first one held back by its rate."""
        held_back = [w.due for w in self._waiting.values() if w.latest or w.urgent]
        if not held_back:
            self._idle.set()
        self._changed.clear()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(min(held_back) if held_back else None):
                await self._changed.wait()
        except TimeoutError:
            if loop.time() < min(held_back):  # pragma: no cover - clocks may be coarse
                await asyncio.sleep(0)

    def _take(self) -> tuple[list[Entry], list[asyncio.Future[Outcome] | None]]:
        """Take all that is due, at most GROUP_LIMIT; what is left goes with the next group."""
        now = asyncio.get_running_loop().time()
        entries: list[Entry] = []
        futures: list[asyncio.Future[Outcome] | None] = []
        for waiting in self._waiting.values():
            if len(entries) >= GROUP_LIMIT:
                break
            for entry, future in waiting.urgent:
                entries.append(entry)
                futures.append(future)
                if entry.fact is not None:
                    waiting.due = now + self._interval
            waiting.urgent.clear()
            if waiting.latest is not None and waiting.due <= now:
                entries.append(waiting.latest)
                futures.append(None)
                waiting.latest = None
                waiting.due = now + self._interval
        return entries, futures

    async def _commit(
        self, entries: list[Entry], futures: Sequence[asyncio.Future[Outcome] | None]
    ) -> list[Outcome]:
        """Append, again and again while the database is away; nothing is lost meanwhile."""
        backoff = Backoff(base=0.1, cap=5.0)
        while True:
            try:
                return await db.call(self._append, entries)
            except (OperationalError, InterfaceError) as error:
                delay = backoff.next_delay()
                log.logger.warning(
                    "The database did not take %d events; again in %.1f s",
                    len(entries),
                    delay,
                    extra=log.fields("commit_retry", error=repr(error), entries=len(entries)),
                )
                await asyncio.sleep(delay)
            except (DatabaseFailure, RelayError) as error:
                if len(entries) > 1:
                    # One bad entry must not take the others down with it.
                    return [
                        (await self._commit([entry], [future]))[0]
                        for entry, future in zip(entries, futures, strict=True)
                    ]
                return [self._refused(entries[0], futures[0], error)]

    def _refused(
        self, entry: Entry, future: asyncio.Future[Outcome] | None, error: Exception
    ) -> Outcome:
        level = log.logger.warning if isinstance(error, IntegrityError) else log.logger.error
        level(
            "The journal refused an event of job %s",
            entry.job,
            exc_info=error,
            extra=log.fields("entry_refused", job=str(entry.job)),
        )
        if future is not None and not future.done():
            future.set_exception(error)
        return journal.FENCED
