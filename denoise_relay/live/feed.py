"""The feed: brings events to the viewers of one process.

One channel of the channel layer per process joins the group of each job that somebody
watches. (One per socket or job grows quadratically on the in-memory layer, which scans
all its channels at each send.) A frame is encoded once and put into each viewer's mailbox.

Messages are hints. A hole in `seq` sends the feed to the journal, and a slow position
check finds a lost tail: one query for all watched jobs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

import msgspec
from django.db import Error as DatabaseFailure

from denoise_relay.conf import relay_settings
from denoise_relay.frames import Frame, parse_frame
from denoise_relay.journal import read
from denoise_relay.live.mailbox import Mailbox
from denoise_relay.pubsub import publisher
from denoise_relay.pubsub.publisher import frame_of
from denoise_relay.pubsub.subscriber import Subscription
from denoise_relay.runtime import database, logs, metrics
from denoise_relay.runtime.background import SupervisedTasks

CHECKED_AT_A_TIME = 500
RETRY_SECONDS = 1.0
YIELD_EVERY = 10
"""Frames that a replay sends at a stretch, about a millisecond of work."""


class _Watched:
    """A job somebody watches here. `seq` is the newest number handed to its mailboxes."""

    __slots__ = ("mailboxes", "seq")

    def __init__(self) -> None:
        self.mailboxes: set[Mailbox] = set()
        self.seq: int | None = None


class Feed:
    """One per process and event loop: get it with `feed()`."""

    def __init__(self) -> None:
        self._jobs: dict[UUID, _Watched] = {}
        self._stale: set[UUID] = set()
        self._doubt = asyncio.Event()
        self._gap = asyncio.Event()
        self._tasks = SupervisedTasks()
        self._subscription = Subscription("denoise-feed", self._hear, self._gap.set)
        self._started = False
        self._detach: Callable[[], None] = _nothing

    @property
    def viewers(self) -> int:
        """Mailboxes over all jobs."""
        return sum(len(watched.mailboxes) for watched in self._jobs.values())

    def start(self) -> None:
        """Begin to listen; once, on the running loop."""
        if self._started:
            return
        self._started = True
        self._detach = publisher.attach_feed(self.deliver)
        self._tasks.start("denoise-feed-check", self._check_positions)
        self._tasks.start("denoise-feed-catch-up", self._catch_up)
        self._subscription.start()

    async def stop(self) -> None:
        self._detach()
        await self._subscription.stop()
        await self._tasks.stop()
        self._jobs.clear()
        self._started = False

    # What sockets and streams call

    def watch(self, job: UUID, mailbox: Mailbox) -> None:
        """Put the job's coming frames into `mailbox`. Watch first, then `replay`: what is
        committed in between comes twice and is told apart by its seq, never lost."""
        watched = self._jobs.get(job)
        if watched is None:
            watched = self._jobs[job] = _Watched()
            self._subscription.join(publisher.job_group(job))
        watched.mailboxes.add(mailbox)

    def unwatch(self, job: UUID, mailbox: Mailbox) -> None:
        watched = self._jobs.get(job)
        if watched is None:
            return
        watched.mailboxes.discard(mailbox)
        if not watched.mailboxes:
            del self._jobs[job]
            self._stale.discard(job)
            self._subscription.leave(publisher.job_group(job))

    async def replay(self, job: UUID, after: int | None) -> AsyncIterator[Frame]:
        """The journal's frames with a greater seq, in order; with None only the newest.

        `after` beyond the newest (a restored database, a forged number) is answered with
        the newest, so that a viewer never waits for numbers that may not come; and so is
        the number of a terminal event, after which nothing will ever come.
        """
        newest = await database.call(read.latest, job)
        if newest is None:
            after = 0
        elif after is None or after > newest.seq or (after == newest.seq and newest.stage.terminal):
            yield frame_of(newest)
            after = newest.seq
        while True:
            while events := await database.call(read.after, job, after):
                for number, event in enumerate(events, 1):
                    yield frame_of(event)
                    if number % YIELD_EVERY == 0:
                        # A long story for many readers must not hold up everybody else.
                        await asyncio.sleep(0)
                after = events[-1].seq
            watched = self._jobs.get(job)
            if watched is None:
                return
            if watched.seq is None:
                watched.seq = after
            if watched.seq <= after:
                return
            # Newer ones came after our last look, to this mailbox or, before it was there,
            # to others only: look again. What is later still comes to the mailbox.
            if not await database.call(read.after, job, after, 1):
                return  # numbers of a journal that has been restored since

    def deliver(self, frame: Frame) -> None:
        """A frame has been published, here or elsewhere, maybe not for the first time."""
        watched = self._jobs.get(frame.job)
        if watched is None:
            return
        if watched.seq is not None:
            if frame.seq <= watched.seq:
                return
            if frame.seq > watched.seq + 1:
                self._suspect(frame.job)
                return
        watched.seq = frame.seq
        for mailbox in watched.mailboxes:
            mailbox.put(frame)

    # What repairs losses

    def _suspect(self, job: UUID) -> None:
        metrics.GAPS.inc()
        self._stale.add(job)
        self._doubt.set()

    async def _catch_up(self) -> None:
        """Re-read the journal for jobs of which something was missed."""
        while True:
            await self._doubt.wait()
            self._doubt.clear()
            for job in list(self._stale):
                self._stale.discard(job)
                watched = self._jobs.get(job)
                if watched is None or watched.seq is None:
                    continue
                try:
                    missed = await database.call(read.after, job, watched.seq)
                except DatabaseFailure as error:
                    _complain("catch_up_failed", error)
                    self._stale.add(job)
                    await asyncio.sleep(RETRY_SECONDS)
                    self._doubt.set()
                    break
                for event in missed:
                    self.deliver(frame_of(event))
                if len(missed) == read.PAGE:
                    self._suspect(job)

    async def _check_positions(self) -> None:
        """Find lost tails, for as long as the feed lives; at once after the layer was lost."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(relay_settings().POSITION_CHECK_SECONDS):
                    await self._gap.wait()
            self._gap.clear()
            await self.check_now()

    async def check_now(self) -> None:
        """One position check over all watched jobs."""
        jobs = list(self._jobs)
        for start in range(0, len(jobs), CHECKED_AT_A_TIME):
            some = jobs[start : start + CHECKED_AT_A_TIME]
            try:
                positions = await database.call(read.positions, some)
            except DatabaseFailure as error:
                _complain("position_check_failed", error)
                return
            for job, seq in positions.items():
                watched = self._jobs.get(job)
                # Without a number its first viewer is still reading the journal.
                if watched is not None and watched.seq is not None and seq > watched.seq:
                    self._suspect(job)
        await self._subscription.rejoin()

    def _hear(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(msgspec.DecodeError, TypeError):
            # What is no frame is another version's, in a rolling deploy: the journal will do.
            self.deliver(parse_frame(message.get("frame", "")))


def _complain(action: str, error: Exception) -> None:
    logs.logger.warning(
        "The feed met a failure and goes on (%s: %s)",
        action,
        type(error).__name__,
        extra=logs.fields(action, error=repr(error)),
    )


def _nothing() -> None:
    """Before anything is attached."""


_feeds: WeakKeyDictionary[asyncio.AbstractEventLoop, Feed] = WeakKeyDictionary()
metrics.WATCHERS.set_function(lambda: sum(feed.viewers for feed in list(_feeds.values())))


def feed() -> Feed:
    """The running loop's feed, started at first use."""
    loop = asyncio.get_running_loop()
    found = _feeds.get(loop)
    if found is None:
        found = _feeds[loop] = Feed()
    found.start()
    return found
