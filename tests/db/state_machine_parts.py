"""Parts of the model test: what it knows of a job, a web process, and who watches there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from denoise_relay.events import Event, Stage
from denoise_relay.live.consumers import ManyConsumer
from denoise_relay.live.feed import Feed
from denoise_relay.live.mailbox import Mailbox
from denoise_relay.models import Job


@dataclass(kw_only=True, slots=True)
class Known:
    """What the model says of one job; the database must agree after each step."""

    pk: UUID
    epoch: int = 0
    #: Who claimed it last and has neither handed it back nor lost it to a cancel.
    holder: str = ""
    expired: bool = False
    ended: bool = False

    @property
    def free(self) -> bool:
        return not self.ended and (not self.holder or self.expired)


class Watcher(ManyConsumer):
    """The real socket, without a server: what it would send is kept. Its pump runs when told,
    so a watcher that is never told is a browser that does not read."""

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self.feed = feed
        self.mailbox = Mailbox()
        self.sent: dict[UUID, int] = {}
        self.held: dict[UUID, Any] = {}
        self.received: dict[UUID, list[dict[str, Any]]] = {}
        #: From where each job was watched, for those that had seen its end already.
        self.watched: dict[UUID, int | None] = {}

    async def send(self, *, text_data: str) -> None:
        frame = msgspec.json.decode(text_data)
        self.received[UUID(frame["job"])].append(frame)

    async def watch(self, row: Job, after: int | None) -> None:
        """As `ManyConsumer` does when a client asks."""
        self.received.setdefault(row.pk, [])
        self.watched[row.pk] = after
        await self.begin(row, after)

    async def read(self) -> None:
        """One turn of the pump."""
        if not self.mailbox._frames:
            return
        for frame in await self.mailbox.take():
            if frame.job in self.held:
                self.held[frame.job] = frame
            else:
                await self.forward(frame)

    async def leave(self) -> None:
        for job in list(self.sent):
            self.stop_watching(job)

    def check(self, told: dict[UUID, list[Event]]) -> None:
        """What is true of every viewer at every moment (invariant 2)."""
        for job, frames in self.received.items():
            numbers = [frame["seq"] for frame in frames]
            assert numbers == sorted(set(numbers)), numbers
            percents = [frame["pct"] for frame in frames]
            assert percents == sorted(percents), percents
            assert all(frame["stage"] == Stage.PROCESSING for frame in frames[:-1])
            for frame in frames:
                event = told[job][frame["seq"] - 1]
                assert (frame["seq"], frame["stage"]) == (event.seq, event.stage)
                assert (frame["pct"], frame["message"]) == (event.pct, event.message)


@dataclass(kw_only=True, slots=True)
class Web:
    """A web process: one feed, and the watchers whose sockets it holds."""

    feed: Feed = field(default_factory=Feed)
    watchers: list[Watcher] = field(default_factory=list)
    catching_up: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Only what repairs; frames come when the model delivers them."""
        self.catching_up = asyncio.create_task(self.feed._catch_up(), name="model-catch-up")

    async def stop(self) -> None:
        for watcher in self.watchers:
            await watcher.leave()
        self.watchers.clear()
        if self.catching_up is not None:
            self.catching_up.cancel()
            await asyncio.gather(self.catching_up, return_exceptions=True)
