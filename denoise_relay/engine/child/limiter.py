"""Finds the gain that brings a recording to a loudness without one peak above a ceiling."""

from __future__ import annotations

from typing import Final

import numpy as np

from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.loudness import (
    BLOCK_SECONDS,
    STEP_SECONDS,
    Curve,
    Hops,
    integrated,
)

#: What is quieter than this below its target stays quieter: it is noise more than speech.
MOST_GAIN_DB: Final = 50.0
#: Where a peak is lowered, the gain falls and rises over twice so many hops: 60 ms.
_FADE_HOPS: Final = 3
#: The limiter makes a recording quieter; that is made up for in so many steps.
_STEPS: Final = 16
#: Mean square of a hop below which it is silent: -90 dBFS.
_SILENCE: Final = 1e-9
_CLOSE_ENOUGH_LU: Final = 0.02


class GainCurve:
    """A gain for each sample: one for all, and lower around peaks."""

    def __init__(self, hops: Hops, *, gain_db: float, ceiling: float) -> None:
        """`ceiling`: the magnitude that nothing may exceed."""
        self.gain_db = gain_db
        self._gain = 10 ** (gain_db / 20)
        self._hops = hops
        wanted = np.minimum(ceiling / np.maximum(hops.peaks * self._gain, 1e-9), 1.0)
        #: The factor at each end of a hop; between them it is a straight line.
        self._points = _smooth(np.asarray(wanted, float))
        self._position = 0

    def apply(self, samples: Samples) -> Samples:
        """The following samples with their gain."""
        at = (np.arange(samples.shape[1]) + self._position) / self._hops.length
        self._position += samples.shape[1]
        first = int(at[0]) if len(at) else 0
        points = self._points[first : int(at[-1]) + 2 if len(at) else 1]
        curve = np.interp(at - first, np.arange(len(points)), points) * self._gain
        return samples * curve.astype(np.float32)

    def lowered(self, count: int) -> Curve:
        """By how many dB the limiter lowers each of the first `count` gating blocks, about
        (negative or 0)."""
        powers = self._hops.powers.astype(float)
        left = powers * (self._points[:-1] + self._points[1:]) ** 2 / 4
        times = np.arange(len(self._points)) * self._hops.length / self._hops.rate
        ends = (np.arange(count) + 1) * STEP_SECONDS

        def of_blocks(values: Curve) -> Curve:
            sums = np.concatenate([[0.0], np.cumsum(values)])
            starts = ends - BLOCK_SECONDS
            return np.asarray(np.interp(ends, times, sums) - np.interp(starts, times, sums))

        # Sums of a long recording have no digits left for silence, which no gate lets pass anyway.
        silence = _SILENCE * BLOCK_SECONDS * self._hops.rate / self._hops.length
        shares = np.maximum(of_blocks(left), silence) / np.maximum(of_blocks(powers), silence)
        return np.asarray(10 * np.log10(np.minimum(shares, 1.0)))


def _smooth(wanted: Curve) -> Curve:
    """A smooth curve at the ends of hops, nowhere above what is wanted of a hop."""
    if not len(wanted):
        return np.ones(1)
    reach = _FADE_HOPS
    # The least of all hops over which an end's mean is taken, and so of both that it touches.
    padded = np.pad(wanted, 2 * reach + 1, "edge")
    least = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 2).min(axis=1)
    weights = np.hanning(2 * reach + 3)[1:-1]
    windows = np.lib.stride_tricks.sliding_window_view(least, len(weights))
    return np.asarray(windows @ (weights / weights.sum()))


def gain_curve(blocks: Curve, hops: Hops, *, target_lufs: float, ceiling: float) -> GainCurve:
    """The gains that bring a recording to `target_lufs`. `blocks` is its loudness as it is.

    One without anything loud stays as it is.
    """
    loudness = integrated(blocks)
    gain_db = 0.0 if loudness is None else min(target_lufs - loudness, MOST_GAIN_DB)
    curve = GainCurve(hops, gain_db=gain_db, ceiling=ceiling)
    for _ in range(_STEPS if loudness is not None else 0):
        reached = integrated(blocks + gain_db + curve.lowered(len(blocks)))
        missing = 0.0 if reached is None else target_lufs - reached
        if abs(missing) < _CLOSE_ENOUGH_LU or gain_db + missing > MOST_GAIN_DB:
            break
        gain_db += missing
        curve = GainCurve(hops, gain_db=gain_db, ceiling=ceiling)
    return curve
