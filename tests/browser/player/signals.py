"""A recording of which all is known: what it is, its loudness, and where in it each sample is.

Everything repeats each second, so that what was played at different times can be compared sample by
sample. The voice is a tone; the noise is a hum and some hiss; both recordings have the same click
in each second.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from denoise_relay.engine.child.encode import FlacWriter

Samples = NDArray[np.float32]

RATE: Final = 48_000
#: Where in each second the click is, and how long.
CLICK_AT: Final = RATE // 2
CLICK_SAMPLES: Final = 24
#: Half the height of the click: nothing else is as high.
CLICK_HEIGHT: Final = 0.9


def second() -> tuple[Samples, Samples]:
    """One second of the original and of the clean recording, mono."""
    time = np.arange(RATE) / RATE
    voice = 0.1 * np.sin(2 * np.pi * 440 * time)
    voice[CLICK_AT : CLICK_AT + CLICK_SAMPLES] = CLICK_HEIGHT
    noise = 0.25 * np.sin(2 * np.pi * 100 * time)
    noise += np.random.default_rng(9).uniform(-0.004, 0.004, RATE)
    noise[CLICK_AT : CLICK_AT + CLICK_SAMPLES] = 0
    # As 16 bits store it.
    original, clean = (np.rint(it * 32768) / 32768 for it in (voice + noise, voice))
    return original.astype(np.float32), clean.astype(np.float32)


def write_comparison(path: Path, seconds: int, *, stereo: bool = False) -> None:
    """Write the comparison file. In stereo, the right sides are half as high as the left ones."""
    original, clean = second()
    sides = [original, original / 2, clean, clean / 2] if stereo else [original, clean]
    block = np.stack(sides)
    with path.open("wb") as file:
        writer = FlacWriter(file, channels=len(sides), rate=RATE)
        for _ in range(seconds):
            writer.write(block)
        writer.finish()


def loudness(samples: Samples) -> float:
    """Integrated loudness of mono samples in LUFS (ITU-R BS.1770), by FFmpeg."""
    graph = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=RATE, format="flt", layout="mono", time_base=Fraction(1, RATE)
    )
    meter = graph.add("ebur128", "metadata=1")
    sink = graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples.reshape(1, -1)), "flt", "mono")
    frame.sample_rate = RATE
    frame.pts = 0
    graph.push(frame)
    graph.push(None)
    found = float("nan")
    while True:
        try:
            found = float(graph.pull().metadata.get("lavfi.r128.I", found))
        except (EOFError, BlockingIOError):
            return found
