"""Makes in one pass over a recording and its result all that a player shows of them."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np

from denoise_relay.engine.child import comparison
from denoise_relay.engine.child.container import Source
from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.lockstep import Lockstep
from denoise_relay.engine.child.peaks import PeakMeter
from denoise_relay.engine.child.probe import measure
from denoise_relay.engine.errors import MediaRejected
from denoise_relay.engine.protocol import Analysis, SideStatistics

#: A recording may decode to this much more than it announces (factor, seconds).
_OVERRUN: Final = (1.1, 10.0)
#: The most that `removed_gain` can be, or its inverse.
_MOST_GAIN: Final = 100.0


def longest_seconds(path: str | os.PathLike[str]) -> float:
    """How long a recording may be for what it announces. Raises `MediaRejected`."""
    with open(path, "rb") as file:
        probe, _silent = measure(Source(file))
    factor, seconds = _OVERRUN
    return probe.duration_seconds * factor + seconds


class _Gain:
    """By what factor the result is the most like the recording (least squares)."""

    def __init__(self) -> None:
        self._product = self._power = 0.0

    def push(self, before: Samples, after: Samples) -> None:
        self._product += float(np.vdot(before, after))
        self._power += float(np.vdot(after, after))

    def value(self) -> float:
        """1 where the two have nothing in common."""
        if self._power <= 0 or self._product <= 0:
            return 1.0
        return min(max(self._product / self._power, 1 / _MOST_GAIN), _MOST_GAIN)


def analyse_files(
    before: str | os.PathLike[str],
    after: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    longest_seconds: float,
    loudness_changed: bool,
) -> Analysis:
    """Decode both once, side by side, and write `engine.ANALYSIS_FILES`, which must be new.

    Twice if one of them is louder than full scale. Memory does not grow with the length. Raises
    `MediaRejected` if one of them cannot be read, or the recording is longer than
    `longest_seconds`.
    """
    place = Path(folder)
    gain = _Gain()
    with Lockstep(before, after) as both:
        rate, channels = both.rate, both.channels
        peaks = PeakMeter(rate), PeakMeter(rate)
        target = place / "comparison.flac"
        writer = comparison.ComparisonWriter(target, channels=channels, rate=rate)
        count = 0
        for pair in both.pairs():
            count += pair[0].shape[1]
            if count > longest_seconds * rate:
                raise MediaRejected("unsupported", "The file plays longer than it says.")
            for meter, samples in zip(peaks, pair, strict=True):
                meter.push(samples)
            if loudness_changed:
                gain.push(*pair)
            writer.write(*pair)
        writer.finish()
    quieter = comparison.gain_for(writer.peak)
    if quieter < 1:
        with Lockstep(before, after) as both:
            comparison.write_again(both.pairs(), target, channels=channels, rate=rate, gain=quieter)
    for meter, name in zip(peaks, ("original.peaks", "denoised.peaks"), strict=True):
        (place / name).write_bytes(meter.finish())
    nothing = SideStatistics(
        loudness_lufs=None, true_peak_db=None, noise_floor_db=None, snr_db=None, dnsmos=None
    )
    return Analysis(
        sample_rate=rate,
        samples_per_pixel=peaks[0].samples_per_pixel,
        channels=channels,
        duration_seconds=float(Fraction(count, rate)),
        before=nothing,
        after=nothing,
        removed_gain=gain.value(),
    )
