"""Changes the sample rate of a stream of blocks, with no delay between input and output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Final

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from denoise_relay.engine.child.decode import Block, Samples

#: By number of channels, as FLAC has them.
LAYOUTS: Final = dict(
    enumerate(("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1"), start=1)
)


class Resampler:
    """From one rate to another; output sample 0 is at the time of input sample 0.

    `push` returns what is ready, `finish` the rest, after which the object is spent. In total
    they return the input's duration in samples of the new rate, give or take a few samples.
    """

    def __init__(self, *, channels: int, rate_in: int, rate_out: int) -> None:
        self._channels = channels
        self._rate_in = rate_in
        self._pushed = 0
        self._resampler = (
            AudioResampler(format="fltp", layout=LAYOUTS[channels], rate=rate_out)
            if rate_in != rate_out
            else None
        )

    def push(self, samples: Samples) -> Samples:
        if self._resampler is None or not samples.shape[1]:
            return samples
        frame = AudioFrame.from_ndarray(samples, "fltp", LAYOUTS[self._channels])
        frame.sample_rate = self._rate_in
        frame.time_base = Fraction(1, self._rate_in)
        frame.pts = self._pushed
        self._pushed += samples.shape[1]
        return self._join(self._resampler.resample(frame))

    def finish(self) -> Samples:
        if self._resampler is None or not self._pushed:
            return self._join([])
        return self._join(self._resampler.resample(None))

    def _join(self, frames: list[AudioFrame]) -> Samples:
        parts = [np.asarray(frame.to_ndarray(), np.float32) for frame in frames]
        if not parts:
            return np.zeros((self._channels, 0), np.float32)
        return np.ascontiguousarray(np.concatenate(parts, axis=1))


def converted(blocks: Iterable[Block], rate: int) -> Iterator[Samples]:
    """All of a track at one rate, with the channels of its first block."""
    resampler: Resampler | None = None
    channels = rate_in = 0
    for block in blocks:
        channels = channels or len(block.samples)
        if resampler is None or block.rate != rate_in:
            if resampler is not None:
                yield resampler.finish()
            rate_in = block.rate
            resampler = Resampler(channels=channels, rate_in=rate_in, rate_out=rate)
        yield resampler.push(with_channels(block.samples, channels))
    if resampler is not None:
        yield resampler.finish()


def with_channels(samples: Samples, channels: int) -> Samples:
    """Mono to more by doubling, more to mono, and to any other number, by the mean."""
    if len(samples) == channels:
        return samples
    mono = np.asarray(samples.mean(axis=0, keepdims=True), np.float32)
    return mono if channels == 1 else np.repeat(mono, channels, axis=0)
