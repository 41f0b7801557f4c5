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


class Watcher:
    """What one socket or stream watches, over one mailbox.

    `watch` returns a job's frames from the journal, `take` the live ones of all jobs. The two
    may run in different tasks. Both stop watching a job when they hand out its terminal frame.
    A viewer's rights are asked again while they watch (`recheck`); what they lose is watched no
    more, and `take` returns so that they can be told.
    """

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
        #: The newest seq handed out of each watched job.
        self._sent: dict[UUID, int] = {}
        #: Watched jobs whose journal is being read.
        self._replaying: set[UUID] = set()

    def __len__(self) -> int:
        return len(self._sent)

    def __contains__(self, job: UUID) -> bool:
        return job in self._sent

    def watch(self, job: UUID, after: int | None) -> AsyncIterator[Frame]:
        """Watch a job from now on, and return its frames after `after`, as `Feed.replay` does.

        Registers with the feed before the journal is read, so that no event is missed between
        the two. Live frames of the job are handed out once the iterator has ended. The iterator
        raises Django's database errors.
        """
        self._feed = self._get_feed()
        self._feed.watch(job, self.mailbox)
        if self.viewer is not None:
            recheck().add(self)
        self._sent[job] = after or 0
        self._replaying.add(job)
        return self._replay(job, after)

    async def take(self) -> Iterator[Frame]:
        """Wait for live frames and return those that the viewer does not have, in order.

        Returns none when the mailbox was only woken. May be cancelled, loses nothing. Iterate
        at once: each frame is checked when its turn comes.
        """
        return self._unsent(await self.mailbox.take())

    def unwatch(self, job: UUID) -> None:
        """Stop watching a job. May be repeated."""
        if self._sent.pop(job, None) is not None:
            self._replaying.discard(job)
            self._feed.unwatch(job, self.mailbox)
            if self.viewer is not None and not self._sent:
                recheck().discard(self)

    def close(self) -> None:
        """Stop watching all jobs. May be repeated."""
        for job in list(self._sent):
            self.unwatch(job)

    # Called by `Recheck`

    def watched(self) -> Collection[UUID]:
        """The jobs that are watched now."""
        return self._sent.keys()

    def lose(self, jobs: Iterable[UUID]) -> None:
        """Stop watching these, and note in `lost` those that were watched."""
        lost = [job for job in jobs if job in self._sent]
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

    async def _replay(self, job: UUID, after: int | None) -> AsyncIterator[Frame]:
        async for frame in self._feed.replay(job, after):
            if job not in self._sent:
                return
            self._hand_out(frame)
            yield frame
            if frame.terminal:
                return
        # No await between the last check of `Feed.replay` and this line: what was put into the
        # mailbox until then has been read from the journal, and what follows is live.
        self._replaying.discard(job)

    def _unsent(self, frames: Sequence[Frame]) -> Iterator[Frame]:
        for frame in frames:
            sent = self._sent.get(frame.job)
            if sent is None or frame.job in self._replaying:
                continue  # watched no more, or covered by the replay
            # A terminal frame is never too old: a job that is still watched has not sent it.
            if frame.seq > sent or frame.terminal or (frame.rewound and frame.seq < sent):
                self._hand_out(frame)
                yield frame

    def _hand_out(self, frame: Frame) -> None:
        self._sent[frame.job] = frame.seq
        if frame.terminal:
            self.unwatch(frame.job)
