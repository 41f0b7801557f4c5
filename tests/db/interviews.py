"""A long recording, of which an excerpt can be made."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np

from tests.unit.engine import material

RATE = 8000


@functools.cache
def interview() -> bytes:
    """A WAV of 70 s: 36 s of noise, 34 s of speech."""
    speech = np.tile(material.speech(RATE), 9)[: 34 * RATE]
    signal = np.concatenate([material.noise(36 * RATE) * 1e-3, speech])
    with tempfile.TemporaryDirectory() as folder:
        return material.make(Path(folder), "s16.wav", signal, rate=RATE).read_bytes()
