"""Parts of the state machine: what it knows of a job, a web process, and the sockets there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from denoise_relay.events import Event, Stage
from denoise_relay.live.consumers import ManyConsumer
from denoise_relay.live.feed import Feed
from denoise_relay.live.watcher import Watcher
from denoise_relay.models import Job


@dataclass(kw_only=True, slots=True)
class Known:
    """What the model expects of one job; the database must agree after each step."""

    pk: UUID
    epoch: int = 0
    #: Who claimed it last, and has neither released it nor lost it to a cancel.
    holder: str = ""
    expired: bool = False
    ended: bool = False

    @property
    def free(self) -> bool:
        return not self.ended and (not self.holder or self.expired)


class Socket(ManyConsumer):
    """The real consumer, without a server: what it would send is kept. Its sending task runs one
    turn when the model says so; without a turn it is a browser that does not read."""

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self.watcher = Watcher(lambda: feed)
        self.received: dict[UUID, list[dict[str, Any]]] = {}
        #: The `after` with which each job was watched.
        self.watched: dict[UUID, int | None] = {}

    async def send(self, *, text_data: str) -> None:
        frame = msgspec.json.decode(text_data)
        self.received[UUID(frame["job"])].append(frame)

    async def watch(self, row: Job, after: int | None) -> None:
        """As `ManyConsumer` does when a client asks."""
        self.received.setdefault(row.pk, [])
        self.watched[row.pk] = after
        await super().watch(row, after)

    async def read(self) -> None:
        """One turn of the sending task."""
        if not self.watcher.mailbox._frames:
            return
        for frame in await self.watcher.take():
            await self._send_frame(frame)

    def leave(self) -> None:
        self.watcher.close()

    def check(self, journal: dict[UUID, list[Event]]) -> None:
        """What is true of every viewer at every moment (invariant 2)."""
        for job, frames in self.received.items():
            numbers = [frame["seq"] for frame in frames]
            assert numbers == sorted(set(numbers)), numbers
            percents = [frame["pct"] for frame in frames]
            assert percents == sorted(percents), percents
            assert all(frame["stage"] == Stage.PROCESSING for frame in frames[:-1])
            for frame in frames:
                event = journal[job][frame["seq"] - 1]
                assert (frame["seq"], frame["stage"]) == (event.seq, event.stage)
                assert (frame["pct"], frame["message"]) == (event.pct, event.message)


@dataclass(kw_only=True, slots=True)
class Web:
    """A web process: one feed, and its sockets."""

    feed: Feed = field(default_factory=Feed)
    sockets: list[Socket] = field(default_factory=list)
    catching_up: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start only the repair of losses: the model delivers the frames."""
        self.catching_up = asyncio.create_task(self.feed._catch_up(), name="model-catch-up")

    async def stop(self) -> None:
        for socket in self.sockets:
            socket.leave()
        self.sockets.clear()
        if self.catching_up is not None:
            self.catching_up.cancel()
            await asyncio.gather(self.catching_up, return_exceptions=True)
