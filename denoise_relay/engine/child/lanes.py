"""Threads that denoise several passages of a recording at once.

The native library releases the GIL, so that threads are enough: a child process for each core would
need the samples copied to it and back, and limits and a watch of its own.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.deepfilternet import Channel

#: How long a thread may take to end: the piece that it is at takes some 30 ms.
_JOIN_SECONDS: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Some frames of one channel of a passage."""

    passage: int
    #: One-dimensional, contiguous.
    samples: Samples
    #: Whether it is new, and no passage's lead-in, which is denoised for the state's sake.
    counts: bool


@dataclass(kw_only=True)
class _Lane:
    """One state of the model, and what it hears, in order."""

    state: Channel | None = None
    waiting: deque[Piece] = field(default_factory=deque)
    done: deque[tuple[int, Samples]] = field(default_factory=deque)
    busy: bool = False


class Lanes:
    """Lanes and the threads that serve them, those with the earliest passage first."""

    def __init__(self, count: int, *, threads: int) -> None:
        """`count` lanes, of which `threads` are served at a time. Close them."""
        self._lanes = [_Lane() for _ in range(count)]
        self._changed = threading.Condition()
        self._allowed = threads
        self._closed = False
        self._error: BaseException | None = None
        #: Samples of all lanes together that are done and count.
        self.samples_done = 0
        self._threads = [
            threading.Thread(target=self._work, args=(number,), name=f"denoise-lane-{number}")
            for number in range(min(threads, count))
        ]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def allow(self, threads: int) -> None:
        """From now on serve no more than `threads` lanes at a time (at least one). Thread-safe."""
        with self._changed:
            self._allowed = max(threads, 1)
            self._changed.notify_all()

    def put(self, lane: int, piece: Piece) -> None:
        with self._changed:
            self._lanes[lane].waiting.append(piece)
            self._changed.notify_all()

    def take(self, first: int, channels: int, passage: int) -> list[Samples]:
        """What is done of a passage whose channels are the lanes from `first` on: blocks of the
        shape (channels, samples), in order. Raises what a thread has raised."""
        with self._changed:
            if self._error is not None:
                raise self._error
            lanes = self._lanes[first : first + channels]
            blocks = []
            while all(lane.done and lane.done[0][0] == passage for lane in lanes):
                blocks.append([lane.done.popleft()[1] for lane in lanes])
        return [np.stack(block) for block in blocks]

    def wait(self, seconds: float) -> None:
        """Until something is done, or so long."""
        with self._changed:
            before = self.samples_done
            if self._error is None and any(lane.waiting or lane.busy for lane in self._lanes):
                self._changed.wait_for(
                    lambda: self.samples_done != before or self._error is not None, seconds
                )

    def close(self) -> None:
        """End the threads and free the states."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)
        for lane in self._lanes:
            if lane.state is not None and not lane.busy:
                lane.state.close()

    def _work(self, number: int) -> None:
        while (found := self._next(number)) is not None:
            lane, piece = found
            cleaned: Samples | None = None
            error: BaseException | None = None
            try:
                lane.state = lane.state or Channel()
                cleaned = np.empty_like(piece.samples)
                lane.state.process(piece.samples, cleaned)
                cleaned = np.nan_to_num(cleaned, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
            except BaseException as exc:  # noqa: BLE001 - raised again where it is waited for
                error = exc
            with self._changed:
                lane.busy = False
                self._error = self._error or error
                if cleaned is not None:
                    lane.done.append((piece.passage, cleaned))
                    self.samples_done += len(cleaned) if piece.counts else 0
                self._changed.notify_all()

    def _next(self, number: int) -> tuple[_Lane, Piece] | None:
        """The lane that has waited longest, by its place in the recording; None at the end."""
        with self._changed:
            while not self._closed:
                free = [lane for lane in self._lanes if lane.waiting and not lane.busy]
                if free and number < self._allowed and self._error is None:
                    lane = min(free, key=lambda lane: lane.waiting[0].passage)
                    lane.busy = True
                    return lane, lane.waiting.popleft()
                self._changed.wait()
            return None
