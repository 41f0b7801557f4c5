"""Where a recording is cut so that several lanes denoise it at once, and what that costs.

The model remembers: what it does with a frame depends on the seconds before. So each lane hears
the last seconds before its passage again, without anybody listening. A new state needs most: its
idea of how loud the recording is takes 4 s to settle. One that has heard another passage of the
same recording needs 2. How much the result then differs from that of a single lane is in
docs/engines.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from denoise_relay.engine.child.decode import Samples
from denoise_relay.engine.child.model import MODEL_RATE

#: Samples of the model's frames; everything begins and ends with one.
FRAME: Final = 480
#: Seconds that a lane hears before its passage: a new one, and one that was used before.
NEW_LEAD_SECONDS: Final = 4.0
LEAD_SECONDS: Final = 2.0
#: No passage is shorter, so that the lead-in is not most of the work; none is much longer, since
#: the later ones of those that are done at once wait in memory.
_LEAST_SECONDS: Final = 15.0
_MOST_SECONDS: Final = 80.0
#: How far a cut is moved to where it is quiet, and how long the quiet must be.
REACH: Final = MODEL_RATE
_QUIET: Final = MODEL_RATE // 10
#: Lanes take 15 MB each, their passages 30.
MAX_LANES: Final = 8


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How many passages are denoised at once, and about where the cuts are, in samples."""

    at_once: int
    cuts: tuple[int, ...]
    #: The longest passage, in samples; 0 if there is only one.
    longest: int


def plan(seconds: float, *, at_once: int) -> Plan:
    """Passages that take equally long, lead-ins included, as many as a multiple of the lanes.

    The last one goes on to the end, whenever that comes. Fewer lanes than `at_once` for a recording
    that is too short.
    """
    at_once = min(at_once, MAX_LANES, int((seconds - NEW_LEAD_SECONDS) // _LEAST_SECONDS))
    if at_once <= 1:
        return Plan(at_once=1, cuts=(), longest=0)
    count = at_once * math.ceil(seconds / (at_once * _MOST_SECONDS))
    leads = [lead_seconds(number, at_once) for number in range(count)]
    work = (seconds + sum(leads)) / count
    ends = np.cumsum([work - lead for lead in leads])[:-1]
    cuts = tuple(round(float(end) * MODEL_RATE) for end in ends)
    return Plan(at_once=at_once, cuts=cuts, longest=round(work * MODEL_RATE))


def lead_seconds(number: int, at_once: int) -> float:
    """How much a lane hears before the passage with this number."""
    if not number:
        return 0.0
    return NEW_LEAD_SECONDS if number < at_once else LEAD_SECONDS


def quietest(samples: Samples) -> int:
    """Where, between two frames, it is quietest around on the louder channel."""
    whole = samples.shape[1] // FRAME
    frames = samples[:, : whole * FRAME].reshape(len(samples), whole, FRAME)
    powers = np.square(frames, dtype=np.float64).mean(axis=2).max(axis=0)
    width = _QUIET // FRAME
    sums = np.convolve(powers, np.ones(width), "valid")
    return (int(np.argmin(sums)) + width // 2) * FRAME
