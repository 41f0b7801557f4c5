"""Plans the parts of a recording that is too long for one submission: cuts in pauses."""

from __future__ import annotations

import math
import os
from typing import Final

import numpy as np
import numpy.typing as npt

from denoise_relay.engine.child.container import Source, audio_stream, open_container
from denoise_relay.engine.child.cut import largest_cut_bytes
from denoise_relay.engine.child.decode import decode
from denoise_relay.engine.child.encode import flac_rate
from denoise_relay.engine.errors import MediaRejected
from denoise_relay.engine.protocol import MAX_PARTS, PartsPlan

#: A cut is the quietest place around where the parts would be equally long: within this share of
#: the longest that a part may be.
_SEARCHED_SHARE: Final = 0.1
#: Seconds of one value of loudness, and values over which a pause is averaged.
_BIN_SECONDS: Final = 0.1
_PAUSE_BINS: Final = 3


def plan_parts(
    path: str | os.PathLike[str],
    *,
    max_seconds: float,
    max_bytes: int,
    overlap_seconds: float,
) -> PartsPlan:
    """Where to cut, so that each part with its overlap on both sides is within both limits.

    Deterministic. Raises `MediaRejected` if that takes more than `MAX_PARTS`, or if the limits
    leave no room for a part.
    """
    loudness, total, rate, channels = _loudness(path)
    fixed = largest_cut_bytes(0, rate=rate, channels=channels)
    per_second = (largest_cut_bytes(1000, rate=rate, channels=channels) - fixed) / 1000
    longest = min(max_seconds, (max_bytes - fixed) / per_second) - 2 * overlap_seconds
    if flac_rate(rate) != rate:
        raise MediaRejected("unsupported")  # its parts would have another rate
    if longest < 4 * overlap_seconds or _count(total / rate, longest) > MAX_PARTS:
        raise MediaRejected("too_long")
    cuts = plan_cuts(loudness, total / rate, longest)
    samples = tuple(round(cut * rate) for cut in cuts)
    return PartsPlan(rate=rate, channels=channels, total=total, cuts=samples)


def plan_cuts(
    loudness: npt.NDArray[np.float32], total_seconds: float, longest_seconds: float
) -> list[float]:
    """Seconds at which to cut; no part is longer than `longest_seconds`. `loudness` has a value for
    each `_BIN_SECONDS`."""
    smooth = np.convolve(loudness, np.ones(_PAUSE_BINS) / _PAUSE_BINS, "same")
    count = _count(total_seconds, longest_seconds)
    reach = _SEARCHED_SHARE / 2 * longest_seconds
    cuts: list[float] = []
    for number in range(1, count):
        middle = number * total_seconds / count
        first = int((middle - reach) / _BIN_SECONDS) + 1
        last = int((middle + reach) / _BIN_SECONDS)
        searched = smooth[first:last]
        quietest = first + int(np.argmin(searched)) if len(searched) else first
        cuts.append((quietest + 0.5) * _BIN_SECONDS)
    return cuts


def _count(total_seconds: float, longest_seconds: float) -> int:
    """Parts of equal length, so that each cut may be moved by half of what is searched."""
    if total_seconds <= longest_seconds:
        return 1
    return math.ceil(total_seconds / ((1 - _SEARCHED_SHARE) * longest_seconds))


def _loudness(
    path: str | os.PathLike[str],
) -> tuple[npt.NDArray[np.float32], int, int, int]:
    """The power of each bin on the louder channel; samples, rate and channels of the track."""
    powers: list[float] = []
    total = 0
    with open(path, "rb") as file, open_container(Source(file)) as container:
        rate = channels = 0
        for block in decode(container, audio_stream(container)):
            if not rate:
                rate, channels = block.rate, len(block.samples)
                bin_length = round(rate * _BIN_SECONDS)
                waiting = np.zeros((channels, 0), np.float32)
            if block.rate != rate or len(block.samples) != channels:
                break  # as `cut_file` does
            total += block.samples.shape[1]
            waiting = np.concatenate([waiting, block.samples], axis=1)
            whole = waiting.shape[1] // bin_length
            bins = waiting[:, : whole * bin_length].reshape(channels, whole, bin_length)
            powers += [float(power) for power in bins.var(axis=2).max(axis=0)]
            waiting = waiting[:, whole * bin_length :]
    if not rate:
        raise MediaRejected("empty")
    return np.array(powers, np.float32), total, rate, channels
