"""Quiet recordings come to level before the model, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from denoise_relay.engine.child.level import Leveller
from tests.unit.engine import material
from tests.unit.engine.material import Signal

RATE = 8000
TARGET_DB, LOW_DB = -12.0, -40.0


def level(signal: Signal, *, block: int = 997, rate: int = RATE) -> tuple[Signal, Signal]:
    """All levelled samples and their gains, each of the shape of `signal`."""
    samples = np.atleast_2d(signal).astype(np.float32)
    leveller = Leveller(channels=len(samples), rate=rate, target_db=TARGET_DB, low_db=LOW_DB)
    parts = [
        leveller.push(samples[:, start : start + block])
        for start in range(0, samples.shape[1], block)
    ]
    parts.append(leveller.finish())
    levelled, gains = (np.concatenate(each, axis=1) for each in zip(*parts, strict=True))
    return levelled.astype(float), gains.astype(float)


def db(signal: Signal) -> float:
    return float(10 * np.log10(np.mean(signal**2)))


def noise(seconds: float, level_db: float) -> Signal:
    return material.noise(round(seconds * RATE)) * 10 ** (level_db / 20)


@pytest.mark.parametrize("level_db", [-75, -60, -45, -23, -5])
def test_any_level_becomes_the_target(level_db: float) -> None:
    levelled, _gains = level(noise(4, level_db))
    assert db(levelled) == pytest.approx(TARGET_DB, abs=0.5)


def test_each_channel_is_levelled_by_itself() -> None:
    levelled, gains = level(np.stack([noise(4, -24), noise(4, -52)]))
    assert [db(channel) for channel in levelled] == pytest.approx([TARGET_DB] * 2, abs=0.5)
    assert 20 * np.log10(gains[1] / gains[0]) == pytest.approx(28, abs=0.1)


def test_a_constant_offset_is_removed() -> None:
    levelled, _gains = level(noise(4, -50) + 0.25)
    assert abs(levelled.mean()) < 1e-2
    assert db(levelled) == pytest.approx(TARGET_DB, abs=0.5)


def test_the_gain_has_fallen_before_a_loud_voice_begins() -> None:
    quiet, loud = noise(10, -60), noise(4, -20)
    _levelled, gains = level(np.concatenate([quiet, loud]))
    assert gains[0, 80_000] == pytest.approx(gains[0, -1], rel=0.05)


def test_a_pause_that_is_not_too_quiet_keeps_the_gain() -> None:
    """A gain that moves costs quality, so it does not follow pauses."""
    pause = noise(5, -46)
    _levelled, gains = level(np.concatenate([noise(4, -24), pause, noise(4, -24)]))
    assert np.ptp(20 * np.log10(gains)) < 0.5


def test_a_far_speaker_is_lifted_just_enough_to_be_heard() -> None:
    levelled, _gains = level(np.concatenate([noise(6, -20), noise(8, -60), noise(6, -20)]))
    far = levelled[:, 9 * RATE : 11 * RATE]
    assert db(far) == pytest.approx(LOW_DB, abs=0.5)


def test_the_gain_has_no_steps() -> None:
    _levelled, gains = level(np.concatenate([noise(6, -20), noise(8, -60), noise(6, -20)]))
    per_second = np.abs(np.diff(20 * np.log10(gains))).max() * RATE
    assert per_second < 100


def test_silence_stays_finite() -> None:
    levelled, gains = level(np.zeros(3 * RATE))
    assert np.all(levelled == 0)
    assert np.isfinite(gains).all()


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(0, 40_000),
    block=st.integers(1, 20_000),
    channels=st.integers(1, 2),
)
def test_every_sample_comes_out_once_whatever_the_blocks(
    count: int, block: int, channels: int
) -> None:
    signal = np.stack([material.noise(count, seed) * 0.1 for seed in range(channels)])
    levelled, gains = level(signal, block=block)
    assert levelled.shape == gains.shape == signal.shape
    if count:
        whole, _ = level(signal, block=count)
        assert np.allclose(levelled, whole, atol=1e-6)
        # Undone, what is left is the signal but for its offset.
        difference = levelled / gains - signal
        assert np.abs(difference).max() < 0.2
