"""Reads a recording and its result side by side: one rate, the same channels, sample by sample."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Final, Self

import av.error
import numpy as np

from denoise_relay.engine.child.container import Source, audio_stream, open_container
from denoise_relay.engine.child.decode import Block, Samples, decode
from denoise_relay.engine.child.encode import flac_rate
from denoise_relay.engine.child.lag import lag_between
from denoise_relay.engine.child.resample import converted, with_channels
from denoise_relay.engine.errors import MediaRejected

#: Hz. Browsers play at this rate; above it a file is larger and sounds no better.
HIGHEST_RATE: Final = 48_000
#: Seconds in which it is measured whether a result is late, and by how many it may be.
_COMPARED: Final = 20
_MOST_LAG_SECONDS: Final = 0.25
#: How much better the two must correlate elsewhere: a hum does so at each of its periods.
_MARGIN: Final = 1.1


class Track:
    """One file as a stream of samples. Close it by leaving the block.

    Raises `MediaRejected` from everything that reads, whatever FFmpeg finds wrong.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._stack = contextlib.ExitStack()
        try:
            file = self._stack.enter_context(open(path, "rb"))  # noqa: SIM115
            container = self._stack.enter_context(open_container(Source(file)))
            self._blocks = _damage_rejected(decode(container, audio_stream(container)))
            first = next(self._blocks, None)
            if first is None:
                raise MediaRejected("empty")
        except BaseException:
            self._stack.close()
            raise
        self._first = first
        #: Of the first samples.
        self.rate = first.rate
        self.channels = len(first.samples)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def pieces(self, *, rate: int, channels: int, count: int) -> Iterator[Samples]:
        """All of it in pieces of `count` samples; the last one may be shorter, and is not empty."""
        samples = converted(self._all_blocks(), rate)
        return _in_pieces((with_channels(part, channels) for part in samples), count)

    def _all_blocks(self) -> Iterator[Block]:
        yield self._first
        yield from self._blocks


class Lockstep:
    """Two files in pairs of pieces of a second. Close it by leaving the block.

    The rate is that of the result (at most 48 kHz), the number of channels the larger of the two,
    the length that of the recording: a result that is shorter ends in silence, a longer one is cut.
    A result that is late or early as a whole, as some services return it, is put in step.
    """

    def __init__(self, before: str | os.PathLike[str], after: str | os.PathLike[str]) -> None:
        with contextlib.ExitStack() as stack:
            self._before = stack.enter_context(Track(before))
            self._after = stack.enter_context(Track(after))
            self._stack = stack.pop_all()
        self.rate = flac_rate(min(self._after.rate, HIGHEST_RATE))
        self.channels = max(self._before.channels, self._after.channels)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def pairs(self) -> Iterator[tuple[Samples, Samples]]:
        """Arrays of equal shape, (channels, samples), from start to end. Once."""
        before, after = (
            track.pieces(rate=self.rate, channels=self.channels, count=self.rate)
            for track in (self._before, self._after)
        )
        first, first_after = (list(islice(side, _COMPARED)) for side in (before, after))
        shifted = self._shifted(first, first_after, after)
        nothing = np.zeros((self.channels, 0), np.float32)
        for samples in chain(first, before):
            count = samples.shape[1]
            result = next(shifted, nothing)[:, :count]
            yield samples, np.pad(result, ((0, 0), (0, count - result.shape[1])))

    def _shifted(
        self, recording: list[Samples], result: list[Samples], rest: Iterator[Samples]
    ) -> Iterator[Samples]:
        """All of the result, in step with the recording; given the first seconds of both."""
        most = round(_MOST_LAG_SECONDS * self.rate)
        lag = 0
        if recording and result:
            expected, heard = (np.concatenate(side, axis=1) for side in (recording, result))
            lag = lag_between(expected.mean(axis=0), heard.mean(axis=0), most, margin=_MARGIN)
        if not lag:
            return chain(result, rest)
        if lag < 0:
            heard = np.pad(heard, ((0, 0), (-lag, 0)))
        return _in_pieces(chain([heard[:, max(lag, 0) :]], rest), self.rate)


def _in_pieces(parts: Iterable[Samples], count: int) -> Iterator[Samples]:
    """A stream cut anew: `count` samples in each but the last, which is not empty."""
    waiting: list[Samples] = []
    held = 0
    for samples in parts:
        waiting.append(samples)
        held += samples.shape[1]
        if held < count:
            continue
        joined = np.concatenate(waiting, axis=1)
        whole = held - held % count
        for start in range(0, whole, count):
            yield np.ascontiguousarray(joined[:, start : start + count])
        waiting, held = [joined[:, whole:]], held - whole
    if held:
        yield np.concatenate(waiting, axis=1)


def _damage_rejected(blocks: Iterator[Block]) -> Iterator[Block]:
    try:
        yield from blocks
    except (av.error.MemoryError, av.error.PyAVCallbackError):
        raise
    except av.error.FFmpegError as exc:
        raise MediaRejected("truncated") from exc
