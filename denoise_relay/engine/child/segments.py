"""Says the clean recording in segments while it is made: their shapes, and their sound."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.audio.frame import AudioFrame

from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.pixels import PixelMeter
from denoise_relay.engine.child.resample import Resampler
from denoise_relay.engine.protocol import MAX_SEGMENTS, SEGMENT_SECONDS, SegmentLine
from denoise_relay.waveform import PIXEL_BYTES, samples_per_pixel, whole_pixels

#: Hz. A preview: speech needs no more.
_AUDIO_RATE: Final = 24_000
_FULL_SCALE: Final = 2**15


class SegmentWriter:
    """Writes each segment as `<number>.flac` and `<number>.peaks` into a folder, and then says so.

    A segment has a whole number of pixels, and is `SEGMENT_SECONDS` long or a little less; the last
    is what is left. Its sound is mono, and goes on where that of the segment before ends. A folder
    that cannot be written to ends the segments, not the recording.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        rate: int,
        seconds: float,
        on_segment: Callable[[SegmentLine], None],
    ) -> None:
        """`seconds` is how long the recording is, for the detail of its shape."""
        self._folder = Path(folder)
        self._rate = rate
        self._pixel = samples_per_pixel(rate, seconds)
        #: Samples of a segment.
        self._length = whole_pixels(SEGMENT_SECONDS, rate, self._pixel) * self._pixel
        self._audio_rate = min(rate, _AUDIO_RATE)
        self._meter = PixelMeter(self._pixel)
        self._resampler = Resampler(channels=1, rate_in=rate, rate_out=self._audio_rate)
        self._peaks = b""
        self._audio = np.zeros((1, 0), np.float32)
        self._number = 0
        #: Samples pushed that are in no segment yet.
        self._waiting = 0
        self._on_segment = on_segment
        self._stopped = False

    def push(self, samples: Samples) -> None:
        """Samples of the clean recording, shape (channels, samples)."""
        if self._stopped:
            return
        self._waiting += samples.shape[1]
        self._peaks += self._meter.push(samples)
        mono = np.asarray(samples.mean(axis=0, keepdims=True), np.float32)
        self._hold(self._resampler.push(mono))
        while self._waiting >= self._length and not self._missing(self._length):
            self._write(self._length)

    def finish(self) -> None:
        """Write what is left, after everything has been pushed."""
        if self._stopped:
            return
        self._peaks += self._meter.finish()
        self._hold(self._resampler.finish())
        while self._waiting:
            length = min(self._waiting, self._length)
            # A resampler may owe a few samples at the end.
            self._hold(np.zeros((1, self._missing(length)), np.float32))
            self._write(length)

    def _hold(self, audio: Samples) -> None:
        self._audio = np.concatenate([self._audio, audio], axis=1)

    def _missing(self, samples: int) -> int:
        """By how much the sound is too short for a segment of so many samples."""
        return max(self._audio_length(samples) - self._audio.shape[1], 0)

    def _audio_length(self, samples: int) -> int:
        """Computed from the start of the recording, so that the rounding does not add up."""
        start = self._number * self._length
        scale = Fraction(self._audio_rate, self._rate)
        return max(round((start + samples) * scale) - round(start * scale), 1)

    def _write(self, samples: int) -> None:
        audio, self._audio = np.split(self._audio, [self._audio_length(samples)], axis=1)
        size = -(-samples // self._pixel) * PIXEL_BYTES
        peaks, self._peaks = self._peaks[:size], self._peaks[size:]
        line = SegmentLine(
            number=self._number,
            duration_seconds=samples / self._rate,
            sample_rate=self._rate,
            samples_per_pixel=self._pixel,
        )
        self._waiting -= samples
        if self._stopped:
            return
        try:
            (self._folder / f"{self._number}.peaks").write_bytes(peaks)
            (self._folder / f"{self._number}.flac").write_bytes(_flac(audio, self._audio_rate))
        except OSError:
            self._stopped = True
            return
        self._number += 1
        self._stopped = self._number >= MAX_SEGMENTS
        self._on_segment(line)


def _flac(audio: Samples, rate: int) -> bytes:
    """A mono FLAC file of 16 bits; `audio` has the shape (1, samples)."""
    file = io.BytesIO()
    scaled = np.rint(audio * np.float32(_FULL_SCALE))
    samples = np.clip(scaled, -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)
    with av.open(file, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate, layout="mono")
        stream.format = "s16"
        frame = AudioFrame.from_ndarray(samples, "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()
