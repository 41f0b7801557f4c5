"""Probes a file of the test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from denoise_relay.engine.child.probe import probe_file
from denoise_relay.engine.errors import MediaRejected
from tests.unit.engine import material
from tests.unit.engine.material import Format

TONE = 0.5 * np.sin(np.arange(3 * 44_100) / 20) + 0.01 * material.noise(3 * 44_100)


def tone(format: Format) -> material.Signal:
    return np.stack([TONE] * format.channels)


def refused(path: Path, **limits: Any) -> MediaRejected:
    with pytest.raises(MediaRejected) as caught:
        probe_file(path, **limits)
    return caught.value
