"""The acceptance matrix: which recordings the engine has to improve, and by how much."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from denoise_relay import engine
from denoise_relay.engine.child.decode import Block
from denoise_relay.engine.child.pipeline import Chain
from tests.unit.engine import material
from tests.unit.engine.material import Signal
from tests.unit.engine.quality import noises
from tests.unit.engine.quality.measures import Score, score
from tests.unit.engine.quality.noises import RATE

LEVELS_DB = (-10, -35, -45, -50, -55, -60)
USUAL_DB = -23


@dataclass(frozen=True, kw_only=True)
class Case:
    """One recording of `noises.speech`."""

    noise: str = "pink"
    snr_db: float = 15
    #: dBFS of the active speech, of each channel; `-inf` is a channel of silence.
    levels_db: tuple[float, ...] = (USUAL_DB,)
    rate: int = RATE
    narrowband: bool = False
    clipped: bool = False
    #: A constant that the recorder adds.
    offset: float = 0.0
    reverberant: bool = False

    @property
    def name(self) -> str:
        parts = [f"{self.noise} {self.snr_db:g} dB"]
        if self.levels_db != (USUAL_DB,):
            levels = [f"{level:g}" for level in self.levels_db]
            parts.append(f"at {' | '.join(levels)} dBFS")
        if self.rate != RATE:
            parts.append(f"{self.rate / 1000:g} kHz")
        for what in ("narrowband", "clipped", "reverberant"):
            parts += [what] if getattr(self, what) else []
        parts += [f"offset {self.offset:g}"] if self.offset else []
        return ", ".join(parts)

    def reference(self) -> Signal:
        """The clean speech, at the case's rate."""
        clean = noises.speech()
        clean = noises.narrowband(clean) if self.narrowband else clean
        return material.resample(clean[None], RATE, self.rate)[0]

    def recording(self) -> Signal:
        """What the engine gets; shape (channels, samples), in the 16 bits of a file."""
        clean = noises.speech()
        clean = noises.reverberant(clean) if self.reverberant else clean
        noisy = noises.add(clean, noises.NOISES[self.noise](len(clean)), self.snr_db)
        noisy = noises.narrowband(noisy) if self.narrowband else noisy
        noisy = noises.clipped(noisy) if self.clipped else noisy
        noisy = material.resample(noisy[None], RATE, self.rate)[0]
        gains = 10 ** (np.array(self.levels_db)[:, None] / 20)
        # Not cut at full scale: a float file holds the few peaks of noise that -10 dBFS has there.
        return np.round((noisy * gains + self.offset) * 32768) / 32768


#: Noise x distance, at the usual level.
NOISE_CASES = [
    Case(noise=noise, snr_db=snr_db)
    for noise in noises.NOISES
    for snr_db in (-5, 5, 15)
    if noise != "babble" or snr_db == 15
]
#: Every level, in mono and in stereo with the other side at the usual level; also after clipping
#: and with an offset. Each must sound like the same recording at the usual level.
LEVEL_CASES = [
    *(Case(noise="white", levels_db=(level,)) for level in LEVELS_DB),
    *(Case(noise="white", levels_db=(USUAL_DB, level)) for level in (-52, -60)),
    *(Case(noise="white", levels_db=(level,), clipped=True) for level in (-35, -60)),
    *(Case(noise="white", levels_db=(level,), offset=0.1) for level in (-23, -60)),
]
#: Everything else, near a usual recording.
OTHER_CASES = [
    Case(snr_db=5, levels_db=(USUAL_DB, float("-inf"))),
    *(Case(noise="white", snr_db=5, rate=rate) for rate in (16_000, 22_050, 44_100, 96_000)),
    Case(noise="white", snr_db=5, rate=192_000),
    *(Case(snr_db=snr_db, rate=8000, narrowband=True) for snr_db in (5, 15)),
    Case(snr_db=5, clipped=True),
]
#: Not better afterwards, or not for every model: docs/engines.md says so, and nothing is promised
#: but length and position. A call that was recorded at a high rate, a room, other people's voices.
HOPELESS_CASES = [
    *(Case(noise="babble", snr_db=snr_db) for snr_db in (-5, 5)),
    Case(narrowband=True),
    Case(snr_db=30, reverberant=True),
]


@functools.cache
def outcome(case: Case, preset: engine.Preset) -> tuple[Score, ...]:
    """The score of each channel that has speech, after checking length and position of all."""
    recording, reference = case.recording(), case.reference()
    result = denoised(recording, case.rate, preset)
    assert result.shape == recording.shape
    scores = []
    for level_db, channel in zip(case.levels_db, result, strict=True):
        if level_db == float("-inf"):
            assert np.abs(channel).max() < 1e-3
            continue
        assert abs(material.lag(reference, channel)) < 0.5
        scores.append(score(reference, channel, case.rate))
    return tuple(scores)


def denoised(recording: Signal, rate: int, preset: engine.Preset) -> Signal:
    """The engine's result, by its pipeline, without the child process."""
    samples = np.ascontiguousarray(recording, np.float32)
    with tempfile.TemporaryDirectory(prefix="denoise-quality-") as folder:
        path = Path(folder, "result.flac")
        with (
            path.open("xb") as file,
            Chain(file, channels=len(samples), rate=rate, preset=preset) as chain,
        ):
            for start in range(0, samples.shape[1], 4096):
                chunk = np.ascontiguousarray(samples[:, start : start + 4096])
                chain.push(Block(samples=chunk, rate=rate))
            chain.drain()
            chain.finish()
        return material.decode(path)[0]


def before(case: Case) -> Score:
    """The score of the recording itself."""
    return score(case.reference(), case.recording()[0], case.rate)
