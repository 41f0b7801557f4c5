"""Finds the passage of a recording with most speech."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from denoise_relay.engine.child.container import Source, audio_stream, open_container
from denoise_relay.engine.child.decode import Block, decode
from denoise_relay.engine.child.speech import HOP_SECONDS, SpeechDetector
from denoise_relay.engine.errors import MediaRejected

#: A window with less than this sum of probabilities has no speech: the loudest window is taken.
_LEAST_SPEECH: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class Passage:
    """Where to cut, in seconds, and what will come out."""

    start_seconds: float
    rate: int
    channels: int


def find_passage(path: str | os.PathLike[str], seconds: float) -> Passage:
    """The window of this length with most speech, on any channel; the first of several.

    Raises `MediaRejected`. Memory: 8 bytes for each 32 ms.
    """
    speech: list[npt.NDArray[np.float32]] = []
    loudness: list[npt.NDArray[np.float32]] = []
    with open(path, "rb") as file, open_container(Source(file)) as container:
        first: Block | None = None
        for block in decode(container, audio_stream(container)):
            if first is None:
                first = block
                detector = SpeechDetector(channels=len(block.samples), rate=block.rate)
            if block.rate != first.rate or len(block.samples) != len(first.samples):
                break  # rare; the passage is then looked for before the change
            speech.append(detector.push(block.samples).max(axis=0, initial=0.0))
            loudness.append(_powers(block))
        if first is None:
            raise MediaRejected("empty")
        speech.append(detector.finish().max(axis=0, initial=0.0))
    found = _best_window(np.concatenate(speech), seconds / HOP_SECONDS)
    if found is not None:
        start = found * HOP_SECONDS
    else:
        powers = np.concatenate(loudness)
        hops_per_second = len(powers) / (len(np.concatenate(speech)) * HOP_SECONDS)
        start = (_best_window(powers, seconds * hops_per_second, least=0.0) or 0) / hops_per_second
    return Passage(start_seconds=start, rate=first.rate, channels=len(first.samples))


def _powers(block: Block) -> npt.NDArray[np.float32]:
    """The power of each 100 ms or so of a block: one value at least."""
    pieces = max(round(block.samples.shape[1] / block.rate * 10), 1)
    parts = np.array_split(block.samples, pieces, axis=1)
    return np.array([part.var() if part.size else 0.0 for part in parts], np.float32)


def _best_window(
    values: npt.NDArray[np.float32], width: float, least: float = _LEAST_SPEECH
) -> int | None:
    """Where the window with the largest sum begins; None if that is less than `least`."""
    hops = max(min(round(width), len(values)), 1)
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    windows = sums[hops:] - sums[:-hops]
    if not len(windows) or windows.max() < least:
        return None
    # The first of those that are as good but for rounding.
    return int(np.argmax(windows >= windows.max() - 1e-6))
