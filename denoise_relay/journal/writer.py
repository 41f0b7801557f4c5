"""The journal writer: commits the events of all of a process's runners in groups, then
publishes them.

While a transaction runs, entries gather; the next transaction takes them all. Progress is state:
when a job reports faster than `EVENTS_PER_SECOND`, only its latest report is kept, so the number
of waiting entries is bounded by the number of running jobs.
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

#: Entries in one transaction: enough to amortise it, few enough to keep locks short.
GROUP_LIMIT = 500

#: An entry, and the future on which its runner waits.
QueuedEntry = tuple[Entry, asyncio.Future[Outcome] | None]


@dataclass(slots=True)
class _Waiting:
    """What waits under one lease."""

    #: Entries that the runner waits for: one or two.
    urgent: list[QueuedEntry] = field(default_factory=list)
    #: The latest progress.
    latest: Entry | None = None
    #: Loop time before which no progress of this job is taken.
    due: float = 0.0


class JournalWriter:
    """One per supervisor. `run` is its loop; the other methods are called by runners.

    What waits is keyed by lease, not by job: a runner that lost its job may still be ending here
    while its successor, under a new epoch, has started.
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
        """Take progress; only the latest is kept. Never blocks, may be called at any rate."""
        waiting = self._waiting.setdefault(lease, _Waiting())
        first = waiting.latest is None
        waiting.latest = Entry(job=lease.job, epoch=lease.epoch, fact=fact)
        if first:  # otherwise the loop knows of it already; many reports must not wake it each time
            self._wake()

    async def write(self, lease: Lease, fact: Fact | None, **changes: Any) -> Outcome:
        """Commit now, and return once it is committed and published.

        Raises `LeaseLost` when the job has passed to another lease, and the database's error
        or `IllegalTransition` when the journal refused the entry. May be cancelled; the entry
        is then written or not.
        """
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(lease, _Waiting())
        if fact is not None:
            # Facts are whole states: progress that still waits is older than this one.
            waiting.latest = None
        entry = Entry(job=lease.job, epoch=lease.epoch, fact=fact, changes=changes)
        waiting.urgent.append((entry, outcome))
        self._wake()
        written = await outcome
        if not written.written:
            raise LeaseLost
        return written

    def forget(self, lease: Lease) -> None:
        """Drop what waits under a lease: its runner has ended."""
        self._waiting.pop(lease, None)
        self._wake()

    async def drained(self) -> None:
        """Return when nothing waits and nothing is in flight."""
        await self._idle.wait()

    async def run(self) -> None:
        """Commit and publish until cancelled."""
        while True:
            group = self._next_group()
            if not group:
                await self._wait_until_due()
                continue
            try:
                outcomes = await self._commit(group)
                # Commit, then publish (invariant 1). Groups one after the other, so that a job's
                # numbers rise for receivers.
                await self._publish_events([outcome.event for outcome in outcomes if outcome.event])
                metrics.COMMIT_GROUP.observe(len(group))
                for (entry, future), outcome in zip(group, outcomes, strict=True):
                    if outcome.event is not None:
                        metrics.published(outcome.event.stage, entry.reported_at)
                        _log_published(outcome.event)
                    if future is not None and not future.done():
                        future.set_result(outcome)
            finally:
                # After a cancellation or an error no answer will come, so no runner may go on
                # waiting. Those runners lose their jobs; the next owner reads what was written.
                for _, future in group:
                    if future is not None and not future.done():
                        future.set_exception(LeaseLost("the journal writer stopped"))

    def _wake(self) -> None:
        self._idle.clear()
        self._changed.set()

    async def _wait_until_due(self) -> None:
        """Wait for a new entry, or until the first rate-limited one is due."""
        held_back = [waiting.due for waiting in self._waiting.values() if waiting.latest]
        if not held_back:
            self._idle.set()
        self._changed.clear()
        if not held_back:
            await self._changed.wait()
            return
        with contextlib.suppress(TimeoutError):  # a rate-limited entry is due
            async with asyncio.timeout_at(min(held_back)):
                await self._changed.wait()

    def _next_group(self) -> list[QueuedEntry]:
        """Take all entries that are due, at most GROUP_LIMIT; the rest goes with the next group."""
        now = asyncio.get_running_loop().time()
        group: list[QueuedEntry] = []
        for lease in list(self._waiting):
            if len(group) >= GROUP_LIMIT:
                break
            # Moved to the end of the order, so that no lease waits forever when groups are full.
            waiting = self._waiting[lease] = self._waiting.pop(lease)
            for entry, future in waiting.urgent:
                group.append((entry, future))
                if entry.fact is not None:
                    waiting.due = now + self._interval
            waiting.urgent.clear()
            if waiting.due > now:
                continue
            if waiting.latest is None:
                del self._waiting[lease]  # nothing waits, and its runner may have ended
                continue
            group.append((waiting.latest, None))
            waiting.latest = None
            waiting.due = now + self._interval
        return group

    async def _commit(self, group: Sequence[QueuedEntry]) -> list[Outcome]:
        """Append the group, and repeat while the database is away, so that nothing is lost."""
        try:
            return await database.JOURNAL.call_with_retry(
                self._append, [entry for entry, _ in group]
            )
        except Exception as error:  # noqa: BLE001 - drivers raise ValueError and more for bad data
            if len(group) == 1:
                return [_refused(*group[0], error)]
        # One bad entry must not fail the others.
        return [(await self._commit([pending]))[0] for pending in group]

    async def _publish_events(self, committed: Sequence[events.Event]) -> None:
        try:
            await self._publish(committed)
        except Exception:  # noqa: BLE001 - position checks find what was not published
            logs.logger.exception(
                "Events could not be published", extra=logs.fields("publish_crashed")
            )


def _log_published(event: events.Event) -> None:
    """Log each job's end at INFO, and every other event at DEBUG."""
    level = logging.INFO if event.stage.terminal else logging.DEBUG
    if not logs.logger.isEnabledFor(level):  # what is said of each event is not even made
        return
    logs.logger.log(
        level,
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
