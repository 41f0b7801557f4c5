"""Speech is found at any level, and other sounds are not taken for it."""

from __future__ import annotations

import numpy as np
import pytest

from denoise_relay.engine.child.speech import HOP_SECONDS, SpeechDetector
from tests.unit.engine import material
from tests.unit.engine.material import Signal


def detect(signal: Signal, rate: int = 48_000, block: int = 4001) -> Signal:
    samples = np.atleast_2d(signal).astype(np.float32)
    detector = SpeechDetector(channels=len(samples), rate=rate)
    found = [
        detector.push(samples[:, start : start + block])
        for start in range(0, samples.shape[1], block)
    ]
    return np.concatenate([*found, detector.finish()], axis=1).astype(float)


@pytest.mark.parametrize("level_db", [0, -30, -50])
def test_speech_is_found_where_it_is_at_any_level(level_db: float) -> None:
    clean = material.speech(16_000) * 10 ** (level_db / 20)
    pause = material.noise(3 * 16_000) * 1e-3 * 10 ** (level_db / 20)
    found = detect(np.concatenate([pause, clean, pause]), 16_000)[0]
    speech = slice(round(3.5 / HOP_SECONDS), round(6.5 / HOP_SECONDS))
    assert found[speech].mean() > 0.8
    assert found[: round(2.5 / HOP_SECONDS)].mean() < 0.2


def test_channels_are_judged_by_themselves() -> None:
    clean = material.speech(44_100)
    found = detect(np.stack([clean * 0.01, material.noise(len(clean)) * 0.1]), 44_100)
    assert found.shape == (2, -(-len(clean) * 16_000 // 44_100 // 512))
    assert found[0].mean() > 0.7
    assert found[1].mean() < 0.1


@pytest.mark.parametrize("kind", ["silence", "hiss", "tone"])
def test_no_speech_is_found_in_other_sounds(kind: str) -> None:
    time = np.arange(4 * 16_000) / 16_000
    sound = {
        "silence": np.zeros(len(time)),
        "hiss": material.noise(len(time)) * 0.1,
        "tone": 0.3 * np.sin(2 * np.pi * 440 * time),
    }[kind]
    assert detect(sound, 16_000).mean() < 0.1


def test_blocks_do_not_matter() -> None:
    clean = material.speech(16_000)
    assert np.allclose(detect(clean, 16_000, 160), detect(clean, 16_000, len(clean)), atol=1e-3)
