"""Writes a recording and its result into one file, as channels beside each other.

A player that streams one file hears both at the same sample, which two media elements never do.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final, Self

import numpy as np

from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.encode import FlacWriter
from denoise_relay.engine.child.lockstep import HIGHEST_RATE

#: What is louder is made quieter, by 6 dB at most; beyond that it clips, as anywhere.
_LEAST_GAIN: Final = 0.5
#: RMS of a second. A recording that was never louder is written with 24 bits, not 16.
_QUIET: Final = 10 ** (-36 / 20)
_BYTES_PER_SAMPLE: Final = 3
_HEADER_BYTES: Final = 1024 * 1024


class ComparisonWriter:
    """The comparison file under construction: the recording's channels, then the result's.

    A context manager that closes the file.
    """

    def __init__(
        self,
        target: str | os.PathLike[str],
        *,
        channels: int,
        rate: int,
        gain: float = 1.0,
    ) -> None:
        """`channels`: of each side. `gain`: for both sides."""
        self._file = open(target, "wb")  # noqa: SIM115
        self._writer = FlacWriter(self._file, channels=2 * channels, rate=rate)
        self._gain = np.float32(gain)
        self._fine = True
        #: The greatest magnitude of either side, before the gain.
        self.peak = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()

    def write(self, before: Samples, after: Samples) -> None:
        both = np.concatenate([before, after])
        self.peak = max(self.peak, float(np.abs(both).max(initial=0.0)))
        # Once loud, its quiet passages are pauses: the noise of 16 bits is heard in none of them.
        level = float(np.sqrt(np.mean(before**2)) * self._gain)
        self._fine = self._fine and level < _QUIET
        self._writer.write(both * self._gain, fine=self._fine)

    def finish(self) -> None:
        """Complete the file."""
        self._writer.finish()
        self._file.flush()
        os.fsync(self._file.fileno())


def gain_for(peak: float) -> float:
    """By what both sides must be multiplied, so that neither clips: 1 if they do not."""
    return max(1.0 / peak, _LEAST_GAIN) if peak > 1.0 else 1.0


def write_again(
    pairs: Iterable[tuple[Samples, Samples]],
    target: str | os.PathLike[str],
    *,
    channels: int,
    rate: int,
    gain: float,
) -> None:
    """Replace a comparison that clipped."""
    with ComparisonWriter(target, channels=channels, rate=rate, gain=gain) as writer:
        for before, after in pairs:
            writer.write(before, after)
        writer.finish()


def largest_comparison_bytes(seconds: float) -> int:
    """No comparison of this length is larger: uncompressed samples, and room for the header."""
    return int(seconds * HIGHEST_RATE * 4 * _BYTES_PER_SAMPLE * 1.1) + _HEADER_BYTES
