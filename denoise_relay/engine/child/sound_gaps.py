"""Finds where the sound of a video pauses: its time line goes on, and there are no samples.

A decoder delivers the samples one after the other, so that a result has no such pauses. In a video
they must be put back, or all sound after one comes early.
"""

from __future__ import annotations

import os
from array import array
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np

from denoise_relay.engine.child.container import Source, audio_stream, open_container

#: Shorter ones are what containers round.
_LEAST_SECONDS: Final = 0.05
_MOST_GAPS: Final = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """A pause of the sound, in seconds."""

    #: In the samples that there are.
    at_seconds: float
    seconds: float


def sound_gaps(source: str | os.PathLike[str], first: Fraction) -> deque[Gap]:
    """The pauses of the track that is denoised, the first sample of which is at the time `first`.

    None if they are longer than the sound together, or too many: then the times are wrong.
    """
    starts, lengths = array("d"), array("d")
    with open(source, "rb") as file, open_container(Source(file)) as container:
        packet: Any
        for packet in container.demux(audio_stream(container)):
            if packet.pts is not None and packet.duration:
                starts.append(float(packet.pts * packet.time_base))
                lengths.append(float(packet.duration * packet.time_base))
    if not starts:
        return deque()
    times, durations = np.array(starts), np.array(lengths)
    # MP4 says a pause as the duration of what comes before.
    usual = float(np.median(durations))
    durations = np.where(durations > usual + _LEAST_SECONDS, usual, durations)
    ends = np.maximum.accumulate(np.append(float(first), times + durations))
    missing = times - ends[:-1]
    missing[missing < _LEAST_SECONDS] = 0.0
    before = np.cumsum(missing) - missing
    found = [
        Gap(
            at_seconds=float(ends[index] - float(first) - before[index]),
            seconds=float(missing[index]),
        )
        for index in np.flatnonzero(missing)
    ]
    if len(found) > _MOST_GAPS or missing.sum() > durations.sum():
        return deque()
    return deque(found)
