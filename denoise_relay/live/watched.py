"""A job that somebody watches in this process: which of its frames the mailboxes have got. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from denoise_relay.frames import Frame

if TYPE_CHECKING:
    from denoise_relay.live.tails import Tail


class Receiver(Protocol):
    """What takes a job's frames for one viewer: a `Watch`, or a mailbox."""

    def put(self, frame: Frame) -> None:
        """Take a frame; never blocks, never raises."""


@dataclass(slots=True)
class WatchedJob:
    """The mailboxes of a job's viewers, and the newest frame that was put into them."""

    mailboxes: set[Receiver] = field(default_factory=set)
    #: Its number; None until a first replay or frame sets it.
    seq: int | None = None
    #: Whether it was the terminal frame, and all mailboxes have it.
    ended: bool = False
    #: The newest events for viewers who return at once (`live.tails`).
    tail: Tail | None = None

    def add(self, mailbox: Receiver) -> None:
        """Put coming frames into this mailbox, too.

        Its viewer does not have the end that others may still have to read, and will not find it
        in the journal if the database has gone back in time.
        """
        self.mailboxes.add(mailbox)
        self.ended = False

    def deliver(self, frame: Frame) -> bool:
        """Put a published frame into the mailboxes, unless they have it. Returns false, and puts
        nothing, when frames are missing before it."""
        if self.seq is not None and not self._goes_back(frame):
            if frame.seq <= self.seq:
                return True
            if frame.seq > self.seq + 1:
                return False
        self._put(frame)
        return True

    def rewind(self, newest: Frame) -> None:
        """Put the newest frame of a journal into the mailboxes, unless they have it."""
        if self.differs(newest.seq, ended=newest.terminal):
            self._put(newest)

    def differs(self, seq: int, *, ended: bool) -> bool:
        """Whether a journal with this newest number has something for the mailboxes.

        While our `seq` is None the first viewer is still reading the journal.
        """
        if self.seq is None or self.ended:
            return False
        return seq != self.seq or ended

    def _put(self, frame: Frame) -> None:
        self.seq, self.ended = frame.seq, frame.terminal
        if self.tail is not None and not self.tail.add(frame):
            self.tail = None
        # A copy: a viewer who has got the terminal frame leaves the set at once.
        for mailbox in tuple(self.mailboxes):
            mailbox.put(frame)

    def _goes_back(self, frame: Frame) -> bool:
        """An end below what we have seen: the database has gone back in time since. In one
        history the terminal frame has the greatest number."""
        return frame.terminal and not self.ended and self.seq is not None and frame.seq <= self.seq
