"""Makes in one pass over a recording and its result all that a player shows of them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

import numpy as np

from denoise_relay.engine.child import comparison, dnsmos, picture
from denoise_relay.engine.child.container import Source
from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.lockstep import Lockstep
from denoise_relay.engine.child.loudness_meter import LoudnessMeter
from denoise_relay.engine.child.noise import PowerMeter, SpeechSampler, noise_and_snr
from denoise_relay.engine.child.peaks import PeakMeter
from denoise_relay.engine.child.probe import measure
from denoise_relay.engine.child.spectrogram import Spectrogram
from denoise_relay.engine.errors import MediaRejected
from denoise_relay.engine.protocol import Analysis, SideStatistics

#: A recording may decode to this much more than it announces (factor, seconds).
_OVERRUN: Final = (1.1, 10.0)
#: The most that `removed_gain` can be, or its inverse.
_MOST_GAIN: Final = 100.0
_SIDES: Final = ("original", "denoised")


class _Side:
    """All meters of one side."""

    def __init__(self, *, rate: int, channels: int, seconds: float, rated: bool) -> None:
        self.peaks = PeakMeter(rate)
        self.power = PowerMeter(rate)
        self.loudness = LoudnessMeter(channels=channels, rate=rate)
        self.spectrogram = Spectrogram(rate=rate, channels=channels, seconds=seconds)
        self.passages = dnsmos.Passages(rate=rate, seconds=seconds) if rated else None

    def push(self, samples: Samples) -> None:
        self.peaks.push(samples)
        self.power.push(samples)
        self.loudness.push(samples)
        self.spectrogram.push(samples)
        if self.passages is not None:
            self.passages.push(samples)

    def statistics(self, sampler: SpeechSampler, rater: dnsmos.Rater | None) -> SideStatistics:
        loudness, true_peak = self.loudness.finish()
        powers = self.power.finish()
        floor, snr = noise_and_snr(powers, sampler.finish(len(powers)))
        score = rater.rate(self.passages.each()) if rater and self.passages else None
        return SideStatistics(
            loudness_lufs=loudness,
            true_peak_db=true_peak,
            noise_floor_db=floor,
            snr_db=snr,
            dnsmos=score,
        )


class _Gain:
    """By what factor the result is most like the recording (least squares)."""

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


def announced_seconds(path: str | os.PathLike[str]) -> float:
    """How long a recording says that it is. Raises `MediaRejected`."""
    with open(path, "rb") as file:
        probe, _silent = measure(Source(file))
    return probe.duration_seconds


def longest_seconds(announced: float) -> float:
    """How long a recording may be that says that."""
    factor, seconds = _OVERRUN
    return announced * factor + seconds


def analyse_files(
    before: str | os.PathLike[str],
    after: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    announced: float,
    loudness_changed: bool,
) -> Analysis:
    """Decode both once, side by side, and write `engine.ANALYSIS_FILES`, which must be new.

    Twice if one of them is louder than full scale. Memory hardly grows with the length: 8 bytes for
    each 32 ms. Raises `MediaRejected` if one of them cannot be read, or the recording is longer
    than what it announces, in seconds.
    """
    place = Path(folder)
    target = place / "comparison.flac"
    gain = _Gain()
    rater = dnsmos.Rater() if dnsmos.installed() else None
    with contextlib.ExitStack() as stack:
        both = stack.enter_context(Lockstep(before, after))
        rate, channels = both.rate, both.channels
        writer = stack.enter_context(
            comparison.ComparisonWriter(target, channels=channels, rate=rate)
        )
        sides = [
            _Side(rate=rate, channels=channels, seconds=announced, rated=rater is not None)
            for _ in _SIDES
        ]
        # In the result speech is heard through any noise, and once is enough for both.
        sampler = SpeechSampler(rate=rate, seconds=announced)
        count = 0
        for pair in both.pairs():
            count += pair[0].shape[1]
            if count > longest_seconds(announced) * rate:
                raise MediaRejected("unsupported", "The file plays longer than it says.")
            for side, samples in zip(sides, pair, strict=True):
                side.push(samples)
            sampler.push(pair[1])
            if loudness_changed:
                gain.push(*pair)
            writer.write(*pair)
        writer.finish()
    quieter = comparison.gain_for(writer.peak)
    if quieter < 1:
        with Lockstep(before, after) as both:
            comparison.write_again(both.pairs(), target, channels=channels, rate=rate, gain=quieter)
    _write_pictures(place, sides)
    first, second = (side.statistics(sampler, rater) for side in sides)
    return Analysis(
        sample_rate=rate,
        samples_per_pixel=sides[0].peaks.samples_per_pixel,
        channels=channels,
        duration_seconds=count / rate,
        before=first,
        after=second,
        removed_gain=gain.value(),
    )


def _write_pictures(folder: Path, sides: list[_Side]) -> None:
    """Waveforms and spectrograms."""
    powers = [side.spectrogram.finish() for side in sides]
    top = picture.top_of_scale(*powers)
    for name, side, spectrogram in zip(_SIDES, sides, powers, strict=True):
        (folder / f"{name}.peaks").write_bytes(side.peaks.finish())
        target = folder / f"spectrogram-{name}.webp"
        picture.write_picture(target, spectrogram, top_db=top)
