"""Parts of the state machine: what it knows of a job, a web process, and the sockets there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from uuid import UUID
from weakref import WeakSet

import msgspec

from denoise_relay import models
from denoise_relay.access import Viewer
from denoise_relay.events import Event, Stage
from denoise_relay.frames import Frame
from denoise_relay.live.consumers import ManyConsumer
from denoise_relay.live.feed import Feed
from denoise_relay.live.tails import Tail
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
    #: Its turn in the queue.
    turn: int = 0
    #: Its recording is really stored.
    stored: bool = False

    @property
    def free(self) -> bool:
        return not self.ended and (not self.holder or self.expired)


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """The database as it was after some step, and what the model knew then."""

    rows: Mapping[UUID, Job]
    journal: dict[UUID, list[Event]]
    known: list[Known]


@dataclass(kw_only=True, slots=True)
class Told:
    """What one socket was told of one job, and what happened to it meanwhile."""

    #: The `after` with which it was watched.
    after: int | None
    frames: list[dict[str, Any]] = field(default_factory=list)
    #: The database went back while it was watched, or what others had read before was shown to this
    #: viewer, too: frames may be of several histories.
    gone_back: bool = False
    #: So it did after the end was on its way: nobody tells this viewer that there is none yet.
    end_taken_back: bool = False
    #: How many frames there were when the viewer's right was found to have ended.
    cut: int | None = None
    #: The viewer was told so.
    lost: bool = False

    def check(self, journal: list[Event], ever: set[Fact]) -> None:
        """What is true at every moment (invariant 2)."""
        assert self.cut is None or len(self.frames) == self.cut, self
        assert all(frame["stage"] == Stage.PROCESSING for frame in self.frames[:-1])
        for older, newer in pairwise(self.frames):
            forward = newer["seq"] > older["seq"] and newer["pct"] >= older["pct"]
            assert forward or self.gone_back, self.frames
            # Only a frame that says so, or the end, takes numbers back.
            said = newer.get("rewound") or newer["stage"] != Stage.PROCESSING
            assert newer["seq"] > older["seq"] or said, self.frames
        for frame in self.frames:
            if not self.gone_back:
                assert fact_of(frame) == fact_of_event(journal[frame["seq"] - 1])
            elif frame["message"] != DELETED:
                assert fact_of(frame) in ever


#: What was read before the database went back, and is kept for viewers who come.
OUTDATED: WeakSet[Tail] = WeakSet()
#: seq, stage, pct and message of an event.
Fact = tuple[int, str, float, str]
#: What viewers of a job are told that is not there any more.
DELETED = "This recording was deleted."


def fact_of(frame: dict[str, Any]) -> Fact:
    return frame["seq"], frame["stage"], frame["pct"], frame["message"]


def fact_of_event(event: Event) -> Fact:
    return event.seq, event.stage, event.pct, event.message


def row_of_event(event: Event) -> models.Event:
    columns = {
        name: getattr(event, name) for name in ("seq", "pct", "message", "url", "warning", "at")
    }
    return models.Event(job_id=event.job, stage=event.stage.value, **columns)


class Socket(ManyConsumer):
    """The real consumer, without a server: what it would send is kept. Its sending task runs one
    turn when the model says so; without a turn it is a browser that does not read."""

    def __init__(self, feed: Feed, viewer: Viewer) -> None:
        super().__init__()
        self._feed = feed
        self.scope: dict[str, Any] = {}
        self.bad_inputs, self.closed = 0, False
        self.viewer = viewer
        self.watcher = Watcher(lambda: feed, viewer=viewer)
        self.told: dict[UUID, Told] = {}
        #: Jobs that were asked for and not shown.
        self.refused: set[UUID] = set()

    async def send(self, *, text_data: str) -> None:
        frame = msgspec.json.decode(text_data)
        job = UUID(frame["job"])
        if "error" not in frame:
            self.told[job].frames.append(frame)
        elif job in self.told:
            self.told[job].lost = True
        else:
            self.refused.add(job)

    async def watch(self, job: Job, after: int | None) -> None:
        """As `ManyConsumer` does when a client asks."""
        watched = self._feed._jobs.get(job.pk)
        outdated = watched is not None and watched.tail is not None and watched.tail in OUTDATED
        self.told[job.pk] = Told(after=after, gone_back=outdated)
        await super().watch(job, after)

    async def read(self) -> None:
        """One turn of the sending task."""
        if self.watcher.mailbox._frames:
            for frame in await self.watcher.take():
                await self.send_frame(frame)
        await self.tell_lost()

    async def leave(self) -> None:
        self.watcher.close()

    def waiting(self, job: UUID) -> list[Frame]:
        """Frames on their way to the viewer."""
        return [frame for frame in self.watcher.mailbox._frames if frame.job == job]


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
            await socket.leave()
        self.sockets.clear()
        if self.catching_up is not None:
            self.catching_up.cancel()
            await asyncio.gather(self.catching_up, return_exceptions=True)
