"""Measures the waveform of a stream: the least and the greatest sample of each pixel."""

from __future__ import annotations

import os
import time
from typing import Final

import numpy as np
import numpy.typing as npt

from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.lockstep import Track
from denoise_relay.engine.errors import MediaRejected
from denoise_relay.waveform import MAX_PIXELS, samples_per_pixel

_FULL_SCALE: Final = 128.0

_Pixels = npt.NDArray[np.int8]  # shape (pixels, 2): minimum, maximum


class PeakMeter:
    """The waveform of what is pushed, all channels taken together.

    Each pixel is `samples_per_pixel` long, a power of two, which grows with the stream so that
    there are never more than `waveform.MAX_PIXELS`. Memory does not grow.
    """

    def __init__(self, rate: int) -> None:
        self.samples_per_pixel = samples_per_pixel(rate, 0.0)
        self._pixels: _Pixels = np.zeros((0, 2), np.int8)
        #: Not joined yet, since that is work for all that is there.
        self._new: list[_Pixels] = []
        self._count = 0
        #: The pixel that is not whole yet, and how many samples it has.
        self._open: list[_Pixels] = []
        self._open_samples = 0

    def push(self, samples: Samples) -> None:
        """`samples`: shape (channels, samples)."""
        low, high = samples.min(axis=0), samples.max(axis=0)
        head = min(-self._open_samples % self.samples_per_pixel, len(low))
        if head:
            self._extend(low[:head], high[:head])
            low, high = low[head:], high[head:]
        whole = len(low) - len(low) % self.samples_per_pixel
        if whole:
            shape = (-1, self.samples_per_pixel)
            lows = low[:whole].reshape(shape).min(axis=1)
            highs = high[:whole].reshape(shape).max(axis=1)
            self._append(_quantised(lows, highs))
        if len(low) > whole:
            self._extend(low[whole:], high[whole:])
        while self._count + bool(self._open) > MAX_PIXELS:
            self._halve()

    def finish(self) -> bytes:
        """Signed bytes: minimum, maximum, minimum, …"""
        if self._open:
            self._close_pixel()
        while self._count > MAX_PIXELS:
            self._halve()
            if self._open:
                self._close_pixel()
        return self._joined().tobytes()

    def _extend(self, low: npt.NDArray[np.float32], high: npt.NDArray[np.float32]) -> None:
        self._open.append(_quantised(low.min(keepdims=True), high.max(keepdims=True)))
        self._open_samples += len(low)
        if self._open_samples == self.samples_per_pixel:
            self._close_pixel()

    def _close_pixel(self) -> None:
        self._append(_merged(np.concatenate(self._open)[None]))
        self._open, self._open_samples = [], 0

    def _append(self, pixels: _Pixels) -> None:
        self._new.append(pixels)
        self._count += len(pixels)

    def _halve(self) -> None:
        pixels = self._joined()
        even = len(pixels) - len(pixels) % 2
        if even < len(pixels):  # the last one goes on
            self._open.insert(0, pixels[even:])
            self._open_samples += self.samples_per_pixel
        self._pixels = _merged(pixels[:even].reshape(-1, 2, 2))
        self._count = len(self._pixels)
        self.samples_per_pixel *= 2

    def _joined(self) -> _Pixels:
        self._pixels = np.concatenate([self._pixels, *self._new])
        self._new = []
        return self._pixels


def _quantised(low: npt.NDArray[np.float32], high: npt.NDArray[np.float32]) -> _Pixels:
    pixels = np.stack([low, high], axis=1) * np.float32(_FULL_SCALE)
    limited = np.clip(np.rint(pixels), -_FULL_SCALE, _FULL_SCALE - 1)
    return np.asarray(limited, np.int8)


def _merged(groups: npt.NDArray[np.int8]) -> _Pixels:
    """From shape (pixels, parts, 2)."""
    return np.stack([groups[:, :, 0].min(axis=1), groups[:, :, 1].max(axis=1)], axis=1)


def write_peaks(
    source: str | os.PathLike[str], target: str | os.PathLike[str], *, seconds: float
) -> int:
    """Write the waveform of a recording to `target`, which must be new; return its samples per
    pixel at the recording's own rate, or 0 where nothing was written.

    That is so when it cannot be decoded or written, or when this would take longer than `seconds`.
    """
    deadline = time.monotonic() + seconds
    try:
        with Track(source) as track:
            meter = PeakMeter(track.rate)
            pieces = track.pieces(rate=track.rate, channels=track.channels, count=track.rate)
            for samples in pieces:
                meter.push(samples)
                if time.monotonic() > deadline:
                    return 0
        data = meter.finish()
        with open(target, "xb") as file:
            file.write(data)
    except (MediaRejected, MemoryError, OSError):
        return 0
    return meter.samples_per_pixel
