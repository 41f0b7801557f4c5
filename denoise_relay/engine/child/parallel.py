"""DeepFilterNet 3 on several cores: channels and passages of one recording at once, in order again.

What comes out depends on the recording and on the number of lanes, and not on which was faster.
With one passage at a time it is what `DeepFilterNet` returns, to the bit.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.deepfilternet import DELAY, LOW_DB, TARGET_DB
from denoise_relay.engine.child.fifo import Fifo
from denoise_relay.engine.child.lanes import Lanes, Piece
from denoise_relay.engine.child.model import MODEL_RATE, Model
from denoise_relay.engine.child.passages import FRAME, REACH, lead_seconds, plan, quietest

#: Samples over which one passage fades into the next, around the cut.
_FADE: Final = 4 * FRAME
#: Samples that a thread denoises before it looks around.
_PIECE: Final = 50 * FRAME
#: Samples that are held beyond what the passages need.
_SLACK: Final = 10 * MODEL_RATE
_WAIT_SECONDS: Final = 0.1


@dataclass(kw_only=True)
class _Passage:
    """All numbers are samples of the recording, at the model's rate."""

    number: int
    #: What its lane hears before does not count.
    start: int
    #: Of what its lane returns, what comes before it is wanted.
    skip: int
    #: The cut after it; None as long as it is not decided, and of the last.
    end: int | None = None
    cleaned: Fifo = field(kw_only=True)


class ParallelDeepFilterNet(Model):
    """Holds at most one passage for each lane, and some seconds. `push` may wait for the lanes."""

    delay = DELAY
    target_db = TARGET_DB
    low_db = LOW_DB

    def __init__(
        self,
        channels: int,
        *,
        threads: int,
        seconds: float,
        on_waiting: Callable[[], None] = lambda: None,
    ) -> None:
        """`seconds` is about how long the recording is. `on_waiting` is called ten times a second
        while nothing comes out."""
        super().__init__()
        self._channels = channels
        self._plan = plan(seconds, at_once=max(threads // channels, 1))
        self._lanes = Lanes(self._plan.at_once * channels, threads=threads)
        self._on_waiting = on_waiting
        self._most = self._plan.at_once * self._plan.longest + _SLACK
        self._fade = np.linspace(0, 1, _FADE, dtype=np.float32)
        #: The newest samples, and where they begin.
        self._held = np.zeros((channels, 0), np.float32)
        self._held_from = 0
        self._pushed = self._fed = self._returned = 0
        self._passages: deque[_Passage] = deque()
        self._open(0)
        #: The end of a passage, until the beginning of the next is there.
        self._tail: Samples | None = None

    def allow(self, threads: int) -> None:
        self._lanes.allow(threads)

    def close(self) -> None:
        self._lanes.close()

    @property
    def seconds_ahead(self) -> float:
        done = self._lanes.samples_done / self._channels
        return max(done - self._returned, 0) / MODEL_RATE

    def push(self, samples: Samples) -> Samples:
        return np.concatenate([self._held[:, :0], *self.stream(samples)], axis=1)

    def finish(self) -> Samples:
        return np.concatenate([self._held[:, :0], *self.rest()], axis=1)

    def stream(self, samples: Samples) -> Iterator[Samples]:
        self._hold(samples)
        self._pushed += samples.shape[1]
        self._feed_all()
        yield from self._ready()
        while self._pushed - self._returned > self._most:
            yield from self._awaited()

    def rest(self) -> Iterator[Samples]:
        padding = DELAY + -(self._pushed + DELAY) % FRAME
        self._hold(np.zeros((self._channels, padding), np.float32))
        self._feed(self._pushed + padding)
        while self._returned < self._pushed:
            yield from self._awaited()

    def _process(self, samples: Samples) -> Samples:
        raise NotImplementedError  # `stream` does it

    def _flush(self, count: int) -> Samples:
        raise NotImplementedError  # `rest` does it

    def _awaited(self) -> Iterator[Samples]:
        before = self._returned
        yield from self._ready()
        if self._returned == before:
            self._lanes.wait(_WAIT_SECONDS)
            self._on_waiting()

    # In.

    def _hold(self, samples: Samples) -> None:
        keep = min(self._fed, self._next_cut() - REACH - _FADE - self._lead(self._number + 1))
        forgotten = max(int(keep) - self._held_from, 0)
        self._held = np.concatenate([self._held[:, forgotten:], samples], axis=1)
        self._held_from += forgotten

    def _feed_all(self) -> None:
        """Give the lanes what is certain to be theirs."""
        while (cut := self._next_cut()) < math.inf:
            first, last = int(cut) - REACH, int(cut) + REACH
            if self._pushed < last + _FADE // 2 + DELAY + FRAME:
                self._feed_pieces(min(self._pushed, first))
                return
            # Cuts are between frames, so that a passage's frames are those of a single lane.
            first -= first % FRAME
            end = first + quietest(self._held[:, first - self._held_from : last - self._held_from])
            self._feed(end + _FADE // 2 + DELAY)
            self._passages[-1].end = end
            self._open(end)
        self._feed_pieces(self._pushed)

    def _open(self, start: int) -> None:
        """Let the next passage begin at this cut."""
        number = self._passages[-1].number + 1 if self._passages else 0
        wanted = max(start - _FADE // 2, 0)
        self._number = number
        self._fed = wanted - self._lead(number)
        self._passages.append(
            _Passage(
                number=number,
                start=start,
                skip=wanted - self._fed + DELAY,
                cleaned=Fifo(self._channels),
            )
        )

    def _feed_pieces(self, end: int) -> None:
        """What is there of whole pieces: a small one costs a thread's turn, too."""
        self._feed(end - (end - self._fed) % _PIECE)

    def _feed(self, end: int) -> None:
        passage, first_lane = self._passages[-1], self._first_lane(self._number)
        end -= end % FRAME
        while self._fed < end:
            count = min(end - self._fed, _PIECE)
            offset = self._fed - self._held_from
            for channel, samples in enumerate(self._held[:, offset : offset + count]):
                piece = Piece(
                    passage=passage.number,
                    samples=np.array(samples),
                    counts=self._fed >= passage.start,
                )
                self._lanes.put(first_lane + channel, piece)
            self._fed += count

    def _next_cut(self) -> float:
        """About where the passage that is being fed ends."""
        cuts = self._plan.cuts
        return cuts[self._number] if self._number < len(cuts) else math.inf

    def _lead(self, number: int) -> int:
        return round(lead_seconds(number, self._plan.at_once) * MODEL_RATE)

    def _first_lane(self, number: int) -> int:
        return number % self._plan.at_once * self._channels

    # Out.

    def _ready(self) -> Iterator[Samples]:
        """What can be returned by now, a second at a time."""
        while True:
            passage = self._passages[0]
            cleaned = passage.cleaned
            self._collect(passage)
            if self._tail is not None:
                if cleaned.size < _FADE:
                    return
                tail, self._tail = self._tail, None
                yield self._out(tail + self._fade * (cleaned.take(_FADE) - tail))
            left = cleaned.size
            if passage.end is not None:
                left = min(left, passage.end - _FADE // 2 - self._returned)
            for start in range(0, left, MODEL_RATE):
                yield self._out(cleaned.take(min(left - start, MODEL_RATE)))
            if passage.end is None or self._returned < passage.end - _FADE // 2:
                return
            if cleaned.size < _FADE:
                return
            self._tail = cleaned.take(_FADE)
            self._passages.popleft()

    def _collect(self, passage: _Passage) -> None:
        """Take what its lanes have done of it."""
        first_lane = self._first_lane(passage.number)
        for block in self._lanes.take(first_lane, self._channels, passage.number):
            skipped = min(passage.skip, block.shape[1])
            passage.skip -= skipped
            passage.cleaned.push(block[:, skipped:])

    def _out(self, samples: Samples) -> Samples:
        samples = samples[:, : self._pushed - self._returned]
        self._returned += samples.shape[1]
        return samples
