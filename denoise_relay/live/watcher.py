"""The jobs that one viewer watches: the journal first, then live, and each frame once.

Sockets and streams share this; how a frame is sent is theirs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from uuid import UUID

from denoise_relay.access import Viewer
from denoise_relay.frames import Frame
from denoise_relay.live.feed import Feed, feed
from denoise_relay.live.mailbox import Mailbox
from denoise_relay.live.recheck import recheck


class Watch:
    """One job that a viewer watches. The feed puts the job's frames into it."""

    __slots__ = ("_mailbox", "replaying", "sent")

    def __init__(self, mailbox: Mailbox, sent: int) -> None:
        self._mailbox = mailbox
        #: The newest seq handed out.
        self.sent = sent
        #: Whether the journal is being read.
        self.replaying = True

    def put(self, frame: Frame) -> None:
        """Send progress at once where the viewer is ready for it; otherwise the frame waits."""
        send_now = self._mailbox.send_now
        if send_now is None or frame.terminal or frame.rewound or self.replaying:
            self._mailbox.put(frame)
        elif frame.seq > self.sent:
            self.sent = frame.seq
            send_now(frame)

    def is_new(self, frame: Frame) -> bool:
        """Whether the viewer is to get this frame now."""
        if self.replaying:
            return False  # covered by the replay
        # A terminal frame is never too old: a job that is still watched has not sent it.
        return frame.seq > self.sent or frame.terminal or (frame.rewound and frame.seq < self.sent)


class Watcher:
    """What one socket or stream watches, over one mailbox.

    `watch` returns a job's frames from the journal, `take` the live ones of all jobs. The two
    may run in different tasks. Both stop watching a job when they hand out its terminal frame.
    A viewer's rights are asked again while they watch (`recheck`); what they lose is watched no
    more, and `take` returns so that they can be told.
    """

    __slots__ = (
        "__weakref__",
        "_feed",
        "_get_feed",
        "_watches",
        "lost",
        "mailbox",
        "session_ended",
        "viewer",
    )

    #: Set by the first `watch`: a socket that watches nothing starts no feed.
    _feed: Feed

    def __init__(
        self, get_feed: Callable[[], Feed] = feed, *, viewer: Viewer | None = None
    ) -> None:
        self._get_feed = get_feed
        #: Whose rights are asked again; None where nobody's are.
        self.viewer = viewer
        self.mailbox = Mailbox()
        #: Jobs that the viewer may not see any more and has not been told of.
        self.lost: list[UUID] = []
        #: The session that said who the viewer is has ended.
        self.session_ended = False
        self._watches: dict[UUID, Watch] = {}

    def __len__(self) -> int:
        return len(self._watches)

    def __contains__(self, job: UUID) -> bool:
        return job in self._watches

    def watch(self, job: UUID, after: int | None) -> AsyncIterator[Frame]:
        """Watch a job from now on, and return its frames after `after`, as `Feed.replay` does.

        Registers with the feed before the journal is read, so that no event is missed between
        the two. Live frames of the job are handed out once the iterator has ended. The iterator
        raises Django's database errors.
        """
        self._feed = self._get_feed()
        watch = self._watches[job] = Watch(self.mailbox, after or 0)
        self._feed.watch(job, watch)
        if self.viewer is not None:
            recheck().add(self)
        return self._replay(job, watch, after)

    async def take(self) -> Iterator[Frame]:
        """Wait for live frames and return those that the viewer does not have, in order.

        Returns none when the mailbox was only woken. May be cancelled, loses nothing. Iterate
        at once: each frame is checked when its turn comes.
        """
        return self._unsent(await self.mailbox.take())

    def take_now(self) -> Iterator[Frame]:
        """As `take`, without waiting."""
        return self._unsent(self.mailbox.take_now())

    def unwatch(self, job: UUID) -> None:
        """Stop watching a job. May be repeated."""
        watch = self._watches.pop(job, None)
        if watch is not None:
            self._feed.unwatch(job, watch)
            if self.viewer is not None and not self._watches:
                recheck().discard(self)

    def close(self) -> None:
        """Stop watching all jobs. May be repeated."""
        for job in list(self._watches):
            self.unwatch(job)

    # Called by `Recheck`

    def watched(self) -> Collection[UUID]:
        """The jobs that are watched now."""
        return self._watches.keys()

    def lose(self, jobs: Iterable[UUID]) -> None:
        """Stop watching these, and note in `lost` those that were watched."""
        lost = [job for job in jobs if job in self._watches]
        for job in lost:
            self.unwatch(job)
        if lost:
            self.lost += lost
            self.mailbox.wake()

    def end_session(self) -> None:
        """Stop watching all jobs, and note it in `session_ended`."""
        self.session_ended = True
        self.close()
        self.mailbox.wake()

    async def _replay(self, job: UUID, watch: Watch, after: int | None) -> AsyncIterator[Frame]:
        async for frame in self._feed.replay(job, after):
            if self._watches.get(job) is not watch:
                return
            self._hand_out(watch, frame)
            yield frame
            if frame.terminal:
                return
        # No await between the last check of `Feed.replay` and this line: what was put into the
        # mailbox until then has been read from the journal, and what follows is live.
        watch.replaying = False

    def _unsent(self, frames: Sequence[Frame]) -> Iterator[Frame]:
        for frame in frames:
            watch = self._watches.get(frame.job)  # None: watched no more
            if watch is not None and watch.is_new(frame):
                self._hand_out(watch, frame)
                yield frame

    def _hand_out(self, watch: Watch, frame: Frame) -> None:
        watch.sent = frame.seq
        if frame.terminal:
            self.unwatch(frame.job)
