"""What a viewer has missed: read from the journal, or from a tail that others have read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from uuid import UUID

from denoise_relay.frames import Frame
from denoise_relay.journal import read
from denoise_relay.live.tails import Tails
from denoise_relay.live.watched import WatchedJob
from denoise_relay.pubsub.publisher import frame_of
from denoise_relay.runtime import database

#: Frames that a replay sends before it lets others run, about a millisecond of work.
YIELD_EVERY = 10


class Replays:
    """One per feed, whose watched jobs it looks at."""

    def __init__(self, jobs: Mapping[UUID, WatchedJob]) -> None:
        self._jobs = jobs
        self._tails = Tails()

    def stop(self) -> None:
        """Forget what others have read."""
        self._tails.stop()

    async def of(self, job: UUID, after: int | None) -> AsyncIterator[Frame]:
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
