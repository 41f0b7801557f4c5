"""Finds out by how much a result comes after its recording."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

#: One channel.
Signal = npt.NDArray[np.float32]

#: Below this correlation nothing is said.
_LEAST_CORRELATION: Final = 0.3


def lag_between(expected: Signal, heard: Signal, most: int, *, margin: float = 1.0) -> int:
    """By how many samples `heard` comes after `expected`, -`most` to `most`.

    0 if they have too little in common, or do not correlate `margin` times as well as they do where
    they are.
    """
    size = 1 << max(len(expected) + len(heard), 2 * most + 1).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(expected, size))
    correlation = np.fft.irfft(spectrum, size)
    candidates = np.concatenate([correlation[-most:], correlation[: most + 1]])
    best = int(np.argmax(candidates))
    power = float(np.sqrt((expected**2).sum() * (heard**2).sum()))
    if power <= 0 or candidates[best] / power < _LEAST_CORRELATION:
        return 0
    return best - most if candidates[best] >= margin * candidates[most] else 0
