"""Waveforms: a minimum and a maximum for each stretch of samples. Pure.

As JSON they are in the format of audiowaveform, version 2, which peaks.js and wavesurfer.js read:
https://github.com/bbc/audiowaveform/blob/master/doc/DataFormat.md
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

#: Pixels for each second of a recording, at least: two seconds fill a screen.
_PIXELS_PER_SECOND = 172
#: Pixels of a whole recording at most, so that a page can load it: 20 minutes at full detail.
MAX_PIXELS = 240_000
#: Bytes of a pixel: minimum and maximum.
PIXEL_BYTES = 2


def samples_per_pixel(sample_rate: int, seconds: float) -> int:
    """A power of two: of equal recordings, before and after have the same."""
    count = 1
    while count * 2 * _PIXELS_PER_SECOND <= sample_rate or sample_rate * seconds > (
        count * MAX_PIXELS
    ):
        count *= 2
    return count


def whole_pixels(seconds: float, sample_rate: int, samples_per_pixel: int) -> int:
    """How many pixels fit into so many seconds; at least one."""
    return max(int(seconds * sample_rate) // samples_per_pixel, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Peaks:
    """The waveform of a recording, its channels taken together."""

    sample_rate: int
    samples_per_pixel: int
    #: Signed bytes: minimum, maximum, minimum, …
    data: bytes

    @property
    def length(self) -> int:
        """Pixels."""
        return len(self.data) // PIXEL_BYTES

    def between(self, start_seconds: float, seconds: float) -> Peaks:
        """The waveform of an excerpt."""
        rate = self.sample_rate / self.samples_per_pixel
        first = round(start_seconds * rate)
        last = first + round(seconds * rate)
        return replace(self, data=self.data[first * PIXEL_BYTES : last * PIXEL_BYTES])

    def after(self, first: int) -> Peaks:
        """The pixels from `first` on."""
        return replace(self, data=self.data[first * PIXEL_BYTES :])

    def as_json(self, first: int = 0) -> dict[str, Any]:
        """As audiowaveform's JSON, from pixel `first` on; `length` and `data` are of that part."""
        data = self.data[first * PIXEL_BYTES :]
        return {
            "version": 2,
            "channels": 1,
            "sample_rate": self.sample_rate,
            "samples_per_pixel": self.samples_per_pixel,
            "bits": 8,
            "length": len(data) // PIXEL_BYTES,
            "data": memoryview(data).cast("b").tolist(),
        }
