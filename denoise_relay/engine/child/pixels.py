"""The shape of a recording as a stream: each pixel is said as soon as it is complete."""

from __future__ import annotations

import numpy as np

from denoise_relay.engine.child.decode import Samples


class PixelMeter:
    """Samples in, pixels out (`denoise_relay.waveform`): signed bytes, minimum and maximum in turn,
    the channels taken together. Values beyond ±1 saturate."""

    def __init__(self, samples_per_pixel: int) -> None:
        self._length = samples_per_pixel
        #: Minimum and maximum over the channels of each sample of the unfinished pixel.
        self._low = np.zeros(0, np.float32)
        self._high = np.zeros(0, np.float32)

    def push(self, samples: Samples) -> bytes:
        """The pixels that are complete; `samples` has the shape (channels, samples)."""
        if not samples.shape[1]:
            return b""
        low = np.concatenate([self._low, samples.min(axis=0)])
        high = np.concatenate([self._high, samples.max(axis=0)])
        whole = len(low) // self._length * self._length
        self._low, self._high = low[whole:], high[whole:]
        return self._pixels(low[:whole], high[:whole])

    def finish(self) -> bytes:
        """The last pixel, if the recording ends in the middle of one."""
        low, self._low = self._low, self._low[:0]
        high, self._high = self._high, self._high[:0]
        if not len(low):
            return b""
        short = self._length - len(low)
        return self._pixels(np.pad(low, (0, short), "edge"), np.pad(high, (0, short), "edge"))

    def _pixels(self, low: Samples, high: Samples) -> bytes:
        pairs = np.stack(
            [
                low.reshape(-1, self._length).min(axis=1),
                high.reshape(-1, self._length).max(axis=1),
            ],
            axis=1,
        )
        return bytes(np.clip(np.rint(pairs * 128), -128, 127).astype(np.int8))
