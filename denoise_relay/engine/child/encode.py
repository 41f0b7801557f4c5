"""Writes float samples as FLAC, which every current browser plays and can seek in."""

from __future__ import annotations

from fractions import Fraction
from typing import BinaryIO, Final

import av
import numpy as np
from av.audio.frame import AudioFrame

from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.resample import LAYOUTS

#: FLAC's own limits: any rate to 65,535 Hz, multiples of 10 Hz to 655,350 Hz.
_MAX_ANY_RATE: Final = 65_535
_MAX_RATE: Final = 655_350
_FULL_SCALE: Final = 2**23
#: FFmpeg takes 24 bits in the upper part of 32.
_UNUSED_BITS: Final = 8


def flac_rate(rate: int) -> int:
    """The rate itself if FLAC has it, else the nearest one that FLAC has."""
    if rate <= _MAX_ANY_RATE or (rate % 1000 == 0 and rate <= 255_000):
        return rate
    return min(round(rate / 10) * 10, _MAX_RATE)


class FlacWriter:
    """A FLAC file under construction; a context manager that finishes it.

    It has 24 bits. Where 16 are enough, the lower 8 are zero, which the encoder leaves out: such a
    passage takes the room of 16 bits. Values beyond ±1 saturate. The file object must be seekable:
    length and checksum are written into the header at the end, and without them players cannot
    seek.
    """

    def __init__(self, file: BinaryIO, *, channels: int, rate: int) -> None:
        self._layout = LAYOUTS[channels]
        self._rate = rate
        self._container = av.open(file, "w", format="flac")
        self._stream = self._container.add_stream("flac", rate=rate, layout=self._layout)
        self._stream.format = "s32"
        self._stream.options = {"bits_per_raw_sample": "24"}
        #: Samples per channel written so far.
        self.written = 0

    def write(self, samples: Samples, *, fine: bool = False) -> None:
        """Append float samples of shape (channels, samples), with 24 bits if `fine`, else 16."""
        count = samples.shape[1]
        if not count:
            return
        step = 1 if fine else 1 << _UNUSED_BITS
        most = _FULL_SCALE // step
        scaled = np.clip(np.rint(samples * np.float32(most)), -most, most - 1).astype(np.int32)
        packed = np.ascontiguousarray(scaled.T).reshape(1, -1) * (step << _UNUSED_BITS)
        frame = AudioFrame.from_ndarray(packed, "s32", self._layout)
        frame.sample_rate = self._rate
        frame.time_base = Fraction(1, self._rate)
        frame.pts = self.written
        self.written += count
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()
