"""Changes the sample rate of a stream of blocks, with no delay between input and output."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from denoise_relay.engine.child.decode import Samples

LAYOUTS: Final = {1: "mono", 2: "stereo"}


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
