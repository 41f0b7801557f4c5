"""Measures how loud a stream is from block to block, by ITU-R BS.1770, and its true peaks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.loudness_meter import Ebur128

Curve = npt.NDArray[np.float64]  # shape (values,)

#: Length of a gating block, and the distance from one to the next.
BLOCK_SECONDS: Final = 0.4
STEP_SECONDS: Final = 0.1
#: Blocks below it count as silence; then those this far below the mean of the rest.
_ABSOLUTE_GATE_LUFS: Final = -70.0
_RELATIVE_GATE_LU: Final = -10.0
#: Loudness of a signal whose weighted power is 1.
_OFFSET_LUFS: Final = -0.691

#: True peaks are looked for in each of these stretches of a second.
HOPS_PER_SECOND: Final = 100
_OVERSAMPLING: Final = 4
#: Of the interpolating filter, in samples to each side.
_REACH: Final = 16
#: A hop whose samples stay below this share of what is asked for is not interpolated.
_UNLIKELY: Final = 0.4


class BlockLoudnessMeter:
    """The loudness of each gating block of a stream.

    Memory: 8 bytes for each tenth of a second.
    """

    def __init__(self, *, channels: int, rate: int) -> None:
        self._filter = Ebur128(channels=channels, rate=rate)
        self._blocks: list[float] = []

    def push(self, samples: Samples) -> None:
        self._blocks.extend(float(said["lavfi.r128.M"]) for said in self._filter.push(samples))

    def blocks(self) -> Curve:
        """LUFS of the block that ends at each step: at `STEP_SECONDS`, at twice that, …

        Below -100 until a whole block has been pushed.
        """
        return np.array(self._blocks, float)


def integrated(blocks: Curve) -> float | None:
    """The loudness of the whole, in LUFS; None where all is silence or it is too short."""
    loud = blocks[blocks > _ABSOLUTE_GATE_LUFS]
    if not len(loud):
        return None
    gate = _mean(loud) + _RELATIVE_GATE_LU
    return _mean(loud[loud > gate])


def _mean(blocks: Curve) -> float:
    power = np.mean(10 ** ((blocks - _OFFSET_LUFS) / 10))
    return _OFFSET_LUFS + 10 * math.log10(float(power))


@dataclass(frozen=True, kw_only=True)
class Hops:
    """A stream in stretches of `length` samples."""

    length: int
    rate: int
    #: The greatest magnitude of each, between its samples, too, of any channel.
    peaks: npt.NDArray[np.float32]
    #: Its mean square, of all channels together.
    powers: npt.NDArray[np.float32]


class TruePeakMeter:
    """The peak and the power of each hop of a stream.

    Memory: 8 bytes for each hundredth of a second. Peaks below `least` are not exact.
    """

    def __init__(self, *, channels: int, rate: int, least: float = 0.0) -> None:
        self._rate, self._hop = rate, rate // HOPS_PER_SECOND
        self._least = least * _UNLIKELY
        self._filters = _interpolators()
        # What is before the first sample is silence, as for a player.
        self._held = np.zeros((channels, _REACH), np.float32)
        self._peaks: list[npt.NDArray[np.float32]] = [np.zeros(0, np.float32)]
        self._powers: list[npt.NDArray[np.float32]] = [np.zeros(0, np.float32)]

    def push(self, samples: Samples) -> None:
        held = np.concatenate([self._held, samples], axis=1)
        count = (held.shape[1] - 2 * _REACH) // self._hop * self._hop
        if count <= 0:
            self._held = held
            return
        self._measure(held[:, : count + 2 * _REACH])
        self._held = held[:, count:]

    def finish(self) -> Hops:
        """All hops, the last of which may be filled up with silence. Ends the stream."""
        left = self._held.shape[1] - _REACH
        if left > 0:
            whole = -(-left // self._hop) * self._hop + 2 * _REACH
            self._measure(np.pad(self._held, ((0, 0), (0, whole - self._held.shape[1]))))
        return Hops(
            length=self._hop,
            rate=self._rate,
            peaks=np.concatenate(self._peaks),
            powers=np.concatenate(self._powers),
        )

    def _measure(self, held: Samples) -> None:
        """Of samples with `_REACH` more on both sides."""
        hops = held[:, _REACH:-_REACH].reshape(len(held), -1, self._hop)
        peaks = np.asarray(np.abs(hops).max(axis=(0, 2)), np.float32)
        self._powers.append(np.asarray((hops**2).mean(axis=2).sum(axis=0), np.float32))
        for index in np.flatnonzero(peaks >= self._least):
            near = held[:, index * self._hop : (index + 1) * self._hop + 2 * _REACH]
            between = (np.convolve(row, taps, "valid") for row in near for taps in self._filters)
            peaks[index] = max(peaks[index], *(float(np.abs(row).max()) for row in between))
        self._peaks.append(peaks)


def _interpolators() -> list[npt.NDArray[np.float32]]:
    """Filters for the times at 1/4, 2/4 and 3/4 after each sample."""
    steps = np.arange(-_REACH, _REACH + 1)
    filters = []
    for phase in range(1, _OVERSAMPLING):
        at = steps - phase / _OVERSAMPLING
        window = np.cos(np.pi * at / (2 * (_REACH + 1))) ** 2
        taps = np.sinc(at) * window
        # Convolution turns its filter round.
        filters.append((taps / taps.sum())[::-1].astype(np.float32))
    return filters
