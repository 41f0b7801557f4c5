"""The feed: puts the frames of watched jobs into the mailboxes of this process's viewers.

One channel of the channel layer per process joins the group of each watched job, and that of
commits of many jobs. (One per socket or job grows quadratically on the in-memory layer, which
scans all its channels at each send.) A frame is encoded once for all viewers. Messages of the
layer are hints: after a gap in `seq` the feed reads the journal, and a periodic position check,
one query for all watched jobs, finds lost last frames.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import Error as DatabaseFailure

from denoise_relay.conf import relay_settings
from denoise_relay.frames import Frame
from denoise_relay.journal import read
from denoise_relay.live.gone import gone_frame
from denoise_relay.live.tails import Tails
from denoise_relay.live.watched import Receiver, WatchedJob
from denoise_relay.pubsub import messages, postgres, publisher
from denoise_relay.pubsub.publisher import frame_of
from denoise_relay.pubsub.subscriber import subscription
from denoise_relay.runtime import database, logs, metrics
from denoise_relay.runtime.background import SupervisedTasks
from denoise_relay.runtime.stepping import stepper

#: Jobs in one query of a position check.
CHECKED_AT_A_TIME = 500
#: After the database has failed, before the journal is read again.
RETRY_SECONDS = 1.0
#: Frames that a replay sends before it lets others run, about a millisecond of work.
YIELD_EVERY = 10


class Feed:
    """One per process and event loop: get it with `feed()`."""

    def __init__(self) -> None:
        self._jobs: dict[UUID, WatchedJob] = {}
        #: Jobs of which frames were missed, until the journal has been read again.
        self._stale: set[UUID] = set()
        self._some_stale = asyncio.Event()
        #: Set when messages of the layer may have been lost.
        self._gap = asyncio.Event()
        self._tasks = SupervisedTasks()
        self._tails = Tails()
        self._subscription = subscription(
            "denoise-feed", postgres.EVENTS, self._on_message, self._gap.set
        )
        self._detach: Callable[[], None] | None = None

    @property
    def viewers(self) -> int:
        """The number of mailboxes, summed over all watched jobs."""
        return sum(len(watched.mailboxes) for watched in self._jobs.values())

    def start(self) -> None:
        """Receive frames from now on, on the running loop. May be repeated."""
        if self._detach is not None:
            return
        self._detach = publisher.attach_feed(self._deliver_all)
        self._tasks.start("denoise-feed-check", self._check_positions)
        self._tasks.start("denoise-feed-catch-up", self._catch_up)
        self._subscription.start()

    async def stop(self) -> None:
        """Receive no more frames and watch no job. May be followed by `start`."""
        if self._detach is not None:
            self._detach()
        await self._subscription.stop()
        await self._tasks.stop()
        self._tails.stop()
        self._jobs.clear()
        self._detach = None

    # Called for sockets and streams, by their `Watcher`

    def watch(self, job: UUID, mailbox: Receiver) -> None:
        """Put the job's coming frames into `mailbox`.

        Call this before `replay`: an event that is committed between the two then comes twice,
        and its seq shows that; otherwise it would be lost.
        """
        watched = self._jobs.get(job)
        if watched is None:
            watched = self._jobs[job] = WatchedJob()
            self._subscription.join(messages.ALL_JOBS)
            self._subscription.join(messages.job_group(job))
        watched.add(mailbox)

    def unwatch(self, job: UUID, mailbox: Receiver) -> None:
        """Put no more frames of the job into `mailbox`. May be repeated."""
        watched = self._jobs.get(job)
        if watched is None:
            return
        watched.mailboxes.discard(mailbox)
        if not watched.mailboxes:
            del self._jobs[job]
            self._stale.discard(job)
            self._subscription.leave(messages.job_group(job))

    async def replay(self, job: UUID, after: int | None) -> AsyncIterator[Frame]:
        """Yield the journal's frames with a greater seq, in order; with None only the newest.

        When `after` is greater than the newest seq (a restored database, a forged number), the
        newest frame is yielded as rewound, so that a viewer never waits for numbers that may not
        come. The same when `after` is the terminal event's seq, because no other event will come.
        Ends when every frame that was delivered until then has been read. Raises Django's
        database errors.
        """
        tail = await self._tails.of(job, self._jobs.get(job), after)
        newest = tail.newest.event if tail else await database.read(read.latest, job)
        if newest is None:
            after = 0
        elif after is None or after > newest.seq or (after == newest.seq and newest.stage.terminal):
            rewound = after is not None and after > newest.seq
            yield tail.newest if tail else frame_of(newest, rewound=rewound)
            after = newest.seq
        while True:
            while new := await self._tails.after(tail, job, after):
                for number, found in enumerate(new, 1):
                    yield found if isinstance(found, Frame) else frame_of(found)
                    if number % YIELD_EVERY == 0:
                        # A long journal and many readers must not block the loop.
                        await asyncio.sleep(0)
                after = new[-1].seq
            tail = None
            watched = self._jobs.get(job)
            if watched is None:
                return
            if watched.seq is None:
                watched.seq = after
            if watched.seq <= after:
                return
            # Newer frames were delivered after our last read: to this mailbox, or only to
            # others before it was registered. Read again. Later ones come to the mailbox.
            if not await database.read(read.after, job, after, 1):
                return  # the numbers of a journal that has been replaced by a restored one

    def deliver(self, frame: Frame) -> None:
        """Take a published frame, from this process or another; it may come more than once."""
        watched = self._jobs.get(frame.job)
        if watched is None:
            return
        with stepper():
            delivered = watched.deliver(frame)
        if not delivered:
            self._mark_stale(frame.job)

    # Repair of losses

    def _mark_stale(self, job: UUID) -> None:
        metrics.GAPS.inc()
        self._stale.add(job)
        self._some_stale.set()

    async def _catch_up(self) -> None:
        """Read the journal again for jobs of which frames were missed."""
        while True:
            await self._some_stale.wait()
            self._some_stale.clear()
            for job in list(self._stale):
                self._stale.discard(job)
                watched = self._jobs.get(job)
                if watched is None or (seq := watched.seq) is None:
                    continue
                try:
                    missed = await database.read(read.after, job, seq)
                    newest = None if missed else await database.read(read.latest, job)
                except DatabaseFailure as error:
                    _log_failure("catch_up_failed", error)
                    self._stale.add(job)
                    await asyncio.sleep(RETRY_SECONDS)
                    self._some_stale.set()
                    break
                for event in missed:
                    self.deliver(frame_of(event))
                if len(missed) == read.PAGE:
                    self._mark_stale(job)
                if newest is not None and newest.seq <= seq == watched.seq:
                    # What we had was committed before the journal was read, so if this is no
                    # more than that, but differs, the database has gone back in time.
                    watched.rewind(frame_of(newest, rewound=True))

    async def _check_positions(self) -> None:
        """Check positions periodically, and at once after the layer was lost."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(relay_settings().POSITION_CHECK_SECONDS):
                    await self._gap.wait()
            self._gap.clear()
            await self.check_now()

    async def check_now(self) -> None:
        """Compare the journal's newest numbers with ours, for all watched jobs."""
        jobs = list(self._jobs)
        if not jobs:
            # Not sooner: viewers come and go.
            self._subscription.leave(messages.ALL_JOBS)
        for start in range(0, len(jobs), CHECKED_AT_A_TIME):
            some = jobs[start : start + CHECKED_AT_A_TIME]
            known = {job: watched.seq for job in some if (watched := self._jobs.get(job))}
            try:
                positions = await database.read(read.positions, some)
            except DatabaseFailure as error:
                _log_failure("position_check_failed", error)
                return
            for job in some:
                watched = self._jobs.get(job)
                if watched is None or watched.seq is None or watched.seq != known.get(job):
                    continue  # what came during the query is newer than its answer
                if job not in positions:
                    self.deliver(gone_frame(job, watched.seq + 1))
                    continue
                seq, ended = positions[job]
                if watched.differs(seq, ended=ended):
                    self._mark_stale(job)
        await self._subscription.rejoin()

    def _on_message(self, message: dict[str, Any]) -> None:
        self._deliver_all(messages.frames_for(message, self._jobs))

    def _deliver_all(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            self.deliver(frame)


def _log_failure(action: str, error: Exception) -> None:
    logs.logger.warning(
        "The feed met a failure and goes on (%s: %s)",
        action,
        type(error).__name__,
        extra=logs.fields(action, error=repr(error)),
    )


_feeds: WeakKeyDictionary[asyncio.AbstractEventLoop, Feed] = WeakKeyDictionary()
metrics.WATCHERS.set_function(lambda: sum(feed.viewers for feed in list(_feeds.values())))


def feed() -> Feed:
    """Return the running loop's feed, and start it where it does not run."""
    loop = asyncio.get_running_loop()
    found = _feeds.get(loop)
    if found is None:
        found = _feeds[loop] = Feed()
    found.start()
    return found
