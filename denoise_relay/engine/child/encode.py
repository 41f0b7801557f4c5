"""Writes float samples as 16-bit FLAC, which every current browser plays and can seek in."""

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
BYTES_PER_SAMPLE: Final = 2


def flac_rate(rate: int) -> int:
    """The rate itself if FLAC has it, else the nearest one that FLAC has."""
    if rate <= _MAX_ANY_RATE or (rate % 1000 == 0 and rate <= 255_000):
        return rate
    return min(round(rate / 10) * 10, _MAX_RATE)


class FlacWriter:
    """A FLAC file under construction; a context manager that finishes it.

    Values beyond ±1 saturate. The file object must be seekable: length and checksum are written
    into the header at the end, and without them players cannot seek.
    """

    def __init__(self, file: BinaryIO, *, channels: int, rate: int) -> None:
        self._layout = LAYOUTS[channels]
        self._rate = rate
        self._container = av.open(file, "w", format="flac")
        self._stream = self._container.add_stream("flac", rate=rate, layout=self._layout)
        self._stream.format = "s16"
        #: Samples per channel written so far.
        self.written = 0

    def write(self, samples: Samples) -> None:
        """Append float samples of shape (channels, samples)."""
        count = samples.shape[1]
        if not count:
            return
        scaled = np.clip(np.rint(samples * np.float32(32768.0)), -32768, 32767).astype(np.int16)
        packed = np.ascontiguousarray(scaled.T).reshape(1, -1)
        frame = AudioFrame.from_ndarray(packed, "s16", self._layout)
        frame.sample_rate = self._rate
        frame.time_base = Fraction(1, self._rate)
        frame.pts = self.written
        self.written += count
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()
