"""The recorder: commits the events of all runners of a process in groups, then publishes them.

While one transaction is in flight, events gather; the next one takes them all. Progress
is state: of a job that reports faster than `EVENTS_PER_SECOND` only the latest is kept,
so what waits here is bounded by the number of running jobs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError

from denoise_relay import events
from denoise_relay.events import Fact
from denoise_relay.exceptions import LeaseLost
from denoise_relay.journal.append import FENCED, Entry, Outcome, append_entries
from denoise_relay.journal.leases import Lease
from denoise_relay.pubsub import publisher
from denoise_relay.runtime import database, logs, metrics

GROUP_LIMIT = 500
"""Entries in one transaction: enough to amortise it, few enough to keep locks short."""

Pending = tuple[Entry, asyncio.Future[Outcome] | None]
"""An entry, and who waits for it."""


@dataclass(slots=True)
class _Waiting:
    """What one lease has to say. `urgent` is awaited by its runner, so it holds one or two."""

    urgent: list[Pending] = field(default_factory=list)
    latest: Entry | None = None
    #: Loop time before which no processing event of this job is taken.
    due: float = 0.0


class JournalWriter:
    """One per supervisor. `run` is its loop; the other methods are called by runners.

    Keyed by lease, not by job: a runner that lost its job may still be unwinding here while
    its successor, under a new epoch, has begun.
    """

    def __init__(
        self,
        *,
        events_per_second: float,
        append: Callable[[Sequence[Entry]], list[Outcome]] = append_entries,
        publish: Callable[[Sequence[events.Event]], Awaitable[None]] = publisher.publish,
    ) -> None:
        self._interval = 1.0 / events_per_second
        self._append = append
        self._publish = publish
        self._waiting: dict[Lease, _Waiting] = {}
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def report(self, lease: Lease, fact: Fact) -> None:
        """Note progress; latest wins. Cheap, never blocks, may be called at any rate."""
        waiting = self._waiting.setdefault(lease, _Waiting())
        first = waiting.latest is None
        waiting.latest = Entry(job=lease.job, epoch=lease.epoch, fact=fact)
        if first:  # else the loop knows of it: a flood must not wake it each time
            self._touch()

    async def record(self, lease: Lease, fact: Fact | None, **changes: Any) -> Outcome:
        """Commit now, and return once it is committed and published.

        Raises `LeaseLost` when the job is no longer the lease's. May be cancelled; the
        entry is then written or not, and the journal knows which.
        """
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(lease, _Waiting())
        if fact is not None:
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
        """Drop what a lease has waiting: its runner has ended."""
        self._waiting.pop(lease, None)
        self._touch()

    async def drained(self) -> None:
        """Return when nothing waits and nothing is in flight."""
        await self._idle.wait()

    async def run(self) -> None:
        """Commit and publish until cancelled."""
        while True:
            group = self._take()
            if not group:
                await self._something_due()
                continue
            try:
                outcomes = await self._commit(group)
                metrics.COMMIT_GROUP.observe(len(group))
                # Commit, then publish (invariant 1); in this order, so seq rises on the wire.
                await self._tell([outcome.event for outcome in outcomes if outcome.event])
                for (entry, future), outcome in zip(group, outcomes, strict=True):
                    if outcome.event is not None:
                        metrics.published(outcome.event.stage, entry.heard_at)
                        _note(outcome.event)
                    if future is not None and not future.done():
                        future.set_result(outcome)
            finally:
                # Cancelled, or broken: nobody may wait for an answer that cannot come. For its
                # runner the job is lost; whoever leases it next sees what was written.
                for _, future in group:
                    if future is not None and not future.done():
                        future.set_exception(LeaseLost("the recorder stopped"))

    def _touch(self) -> None:
        self._idle.clear()
        self._changed.set()

    async def _something_due(self) -> None:
        """Wait for a new entry, or for the first one held back by its rate."""
        held_back = [waiting.due for waiting in self._waiting.values() if waiting.latest]
        if not held_back:
            self._idle.set()
        self._changed.clear()
        with contextlib.suppress(TimeoutError):  # somebody's time has come
            async with asyncio.timeout_at(min(held_back, default=None)):
                await self._changed.wait()

    def _take(self) -> list[Pending]:
        """Take all that is due, at most GROUP_LIMIT; what is left goes with the next group."""
        now = asyncio.get_running_loop().time()
        group: list[Pending] = []
        for lease in list(self._waiting):
            if len(group) >= GROUP_LIMIT:
                break
            # To the end of the line, so that a full group starves nobody.
            waiting = self._waiting[lease] = self._waiting.pop(lease)
            for entry, future in waiting.urgent:
                group.append((entry, future))
                if entry.fact is not None:
                    waiting.due = now + self._interval
            waiting.urgent.clear()
            if waiting.due > now:
                continue
            if waiting.latest is None:
                del self._waiting[lease]  # it is silent, and maybe gone for good
                continue
            group.append((waiting.latest, None))
            waiting.latest = None
            waiting.due = now + self._interval
        return group

    async def _commit(self, group: Sequence[Pending]) -> list[Outcome]:
        """Append; while the database is away again and again, so that nothing is lost."""
        try:
            return await database.call_with_retry(self._append, [entry for entry, _ in group])
        except Exception as error:  # noqa: BLE001 - drivers raise ValueError and more for bad data
            if len(group) == 1:
                return [_refused(*group[0], error)]
        # One bad entry must not take the others down with it.
        return [(await self._commit([pending]))[0] for pending in group]

    async def _tell(self, committed: Sequence[events.Event]) -> None:
        try:
            await self._publish(committed)
        except Exception:  # noqa: BLE001 - position checks find what was not told
            logs.logger.exception(
                "Events could not be published", extra=logs.fields("publish_crashed")
            )


def _note(event: events.Event) -> None:
    """One line in the log for each job's end, and at DEBUG for each event."""
    logs.logger.log(
        logging.INFO if event.stage.terminal else logging.DEBUG,
        "Job %s: %s",
        event.job,
        event.stage,
        extra=logs.fields("published", job=str(event.job), seq=event.seq, stage=str(event.stage)),
    )


def _refused(entry: Entry, future: asyncio.Future[Outcome] | None, error: Exception) -> Outcome:
    level = logs.logger.warning if isinstance(error, IntegrityError) else logs.logger.error
    level(
        "The journal refused an event of job %s",
        entry.job,
        exc_info=error,
        extra=logs.fields("entry_refused", job=str(entry.job)),
    )
    if future is not None and not future.done():
        future.set_exception(error)
    return FENCED
