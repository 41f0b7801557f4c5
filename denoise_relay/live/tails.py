"""The newest events of watched jobs, kept for seconds: viewers who return at once share one query.

After a restart of a web process, all viewers of a job come back within seconds, each with the
number that it saw last. What one of them has read from the journal serves the others, as long as
the frames that are delivered meanwhile follow on it without a gap: then it is no older than what
the viewers who stayed have.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from uuid import UUID

from denoise_relay.events import Event
from denoise_relay.frames import Frame
from denoise_relay.journal import read
from denoise_relay.live.watched import WatchedJob
from denoise_relay.pubsub.publisher import frame_of
from denoise_relay.runtime import database
from denoise_relay.runtime.background import spawn

#: Events that are read and kept of a job. Who needs older ones reads the journal.
LENGTH = 100
#: How long they are kept.
KEEP_SECONDS = 5.0


class Tail:
    """The newest events of one job, in order and without a gap. A frame is made when it is wanted,
    once."""

    def __init__(self, events: list[Event]) -> None:
        """`events`: at least one."""
        self._frames: deque[Frame | Event] = deque(events, maxlen=LENGTH)

    @property
    def newest(self) -> Frame:
        return self._frame(len(self._frames) - 1)

    def reaches(self, after: int | None) -> bool:
        """Whether it has all that follows on this number. It cannot say that of a number which is
        greater than its newest: the journal may have gone on, or back."""
        if after is None:
            return True
        return self._frames[0].seq - 1 <= after <= self._frames[-1].seq

    def after(self, seq: int) -> list[Frame]:
        """The frames with a greater number."""
        start = max(seq + 1 - self._frames[0].seq, 0)
        return [self._frame(index) for index in range(start, len(self._frames))]

    def add(self, frame: Frame) -> bool:
        """Take a frame that was delivered. False when it does not follow (frames are missing before
        it, or the journal has gone back in time), and for an end, which is not kept."""
        if frame.rewound or frame.terminal:
            return False
        newest = self._frames[-1].seq
        if frame.seq == newest + 1:
            self._frames.append(frame)
        # Or it was read before it was delivered.
        return frame.seq <= newest + 1

    def _frame(self, index: int) -> Frame:
        found = self._frames[index]
        if isinstance(found, Event):
            found = self._frames[index] = frame_of(found)
        return found


class Tails:
    """One per feed. Each watched job keeps its own tail, so that it ends with its viewers."""

    def __init__(self) -> None:
        self._reading: dict[UUID, tuple[WatchedJob, asyncio.Task[Tail | None]]] = {}
        #: Watched jobs with a tail, and until when they keep it.
        self._kept: deque[tuple[float, WatchedJob]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def of(self, job: UUID, watched: WatchedJob | None, after: int | None) -> Tail | None:
        """A tail that has all events of a watched job after this number; None where it would not
        reach so far. Raises Django's database errors.

        A read that is under way is shared. It may have begun before this viewer was registered:
        what was delivered since then is in the tail, or `watched.seq` says that it is missing.
        """
        if watched is None:
            return None
        if watched.tail is None:
            under_way = self._reading.get(job)
            if under_way is None or under_way[0] is not watched:
                task = spawn(self._read(job, watched), "denoise-tail")
                task.add_done_callback(lambda _: self._forget(job, task))
                under_way = self._reading[job] = (watched, task)
            # Whoever began it may leave; the others still want it.
            tail = await asyncio.shield(under_way[1])
        else:
            tail = watched.tail
        return tail if tail is not None and tail.reaches(after) else None

    async def after(self, tail: Tail | None, job: UUID, seq: int) -> Sequence[Frame | Event]:
        """The next frames from a tail, or some of the next events from the journal."""
        return tail.after(seq) if tail else await database.read(read.after, job, seq)

    async def _read(self, job: UUID, watched: WatchedJob) -> Tail | None:
        if not (events := await database.read(read.newest, job, LENGTH)):
            return None
        tail = Tail(events)
        # Not an end: who comes after it asks the journal, which may have gone back in time since.
        in_step = watched.seq is None or watched.seq <= tail.newest.seq
        if in_step and not tail.newest.terminal:
            watched.tail = tail
            loop = asyncio.get_running_loop()
            self._kept.append((loop.time() + KEEP_SECONDS, watched))
            self._timer = self._timer or loop.call_later(KEEP_SECONDS, self._drop)
        return tail

    def _forget(self, job: UUID, task: asyncio.Task[Tail | None]) -> None:
        if (found := self._reading.get(job)) is not None and found[1] is task:
            del self._reading[job]
        if not task.cancelled():
            task.exception()  # everybody who waited for it may have left

    def _drop(self) -> None:
        """Let go of the tails whose time is over: one timer for all of them."""
        self._timer = None
        loop = asyncio.get_running_loop()
        while self._kept and self._kept[0][0] <= loop.time():
            self._kept.popleft()[1].tail = None
        if self._kept:
            self._timer = loop.call_at(self._kept[0][0], self._drop)

    def stop(self) -> None:
        """Forget everything. Reads under way end by themselves."""
        self._kept.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
