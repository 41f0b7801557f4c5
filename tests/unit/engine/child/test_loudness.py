"""The meters and the limiter, beside what they must agree with."""

from __future__ import annotations

import numpy as np
import pytest

from denoise_relay.engine.child.limiter import GainCurve, gain_curve
from denoise_relay.engine.child.loudness import BlockLoudnessMeter, Hops, TruePeakMeter, integrated
from tests.unit.engine import material


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000, 96_000])
@pytest.mark.parametrize(("channels", "expected"), [(1, -23.0), (2, -20.0)])
def test_the_reference_tone(rate: int, channels: int, expected: float) -> None:
    """EBU Tech 3341, 2.1: 1 kHz at -20 dBFS in one channel has -23 LUFS."""
    tone = 0.1 * np.sin(2 * np.pi * 997 * np.arange(rate * 10) / rate)
    meter = BlockLoudnessMeter(channels=channels, rate=rate)
    for piece in np.array_split(np.stack([tone] * channels).astype(np.float32), 37, axis=1):
        meter.push(np.ascontiguousarray(piece))
    assert integrated(meter.blocks()) == pytest.approx(expected, abs=0.06)


def test_silence_has_no_loudness() -> None:
    meter = BlockLoudnessMeter(channels=1, rate=8_000)
    meter.push(np.zeros((1, 80_000), np.float32))
    assert integrated(meter.blocks()) is None
    assert integrated(np.zeros(0)) is None


def test_pauses_do_not_count() -> None:
    """Both gates: 10 s at -20 LUFS stay so with 10 s at -40 and 10 s at -80 behind."""
    blocks = np.repeat([-20.0, -40.0, -80.0], 100)
    assert integrated(blocks) == pytest.approx(-20.0, abs=1e-6)


@pytest.mark.parametrize("phase", [0.0, 0.125, 0.25, 0.4])
def test_peaks_between_samples_are_found(phase: float) -> None:
    rate = 48_000
    tone = 0.5 * np.sin(2 * np.pi * (0.25 * np.arange(rate) + phase))
    meter = TruePeakMeter(channels=1, rate=rate)
    for piece in np.array_split(tone[None].astype(np.float32), 11, axis=1):
        meter.push(piece)
    peaks = meter.finish().peaks
    assert len(peaks) == 100
    # Without its ends, where the tone begins and stops all at once.
    assert 20 * np.log10(peaks[1:-1].max() / 0.5) == pytest.approx(0, abs=0.7)
    assert 20 * np.log10(peaks[1:-1].min() / 0.5) > -0.7


def test_peaks_are_at_their_hop() -> None:
    rate = 8_000
    signal = np.zeros((2, rate), np.float32)
    signal[1, 4_005] = -0.7
    meter = TruePeakMeter(channels=2, rate=rate)
    for piece in np.array_split(signal, 7, axis=1):
        meter.push(piece)
    hops = meter.finish()
    assert int(np.argmax(hops.peaks)) == int(np.argmax(hops.powers)) == 4_005 // 80
    assert hops.powers.max() == pytest.approx(0.7**2 / 80)
    assert hops.length == 80


def test_no_sample_exceeds_the_ceiling_and_the_gain_is_smooth() -> None:
    rate, hop = 48_000, 480
    generator = np.random.default_rng(3)
    signal = generator.uniform(-0.2, 0.2, (1, rate * 4)).astype(np.float32)
    signal[0, generator.integers(0, rate * 4, 30)] = 0.9
    hops = _hops(np.abs(signal[0]).reshape(-1, hop).max(axis=1))
    curve = GainCurve(hops, gain_db=6.0, ceiling=0.8)
    pieces = np.array_split(signal, 13, axis=1)
    limited = np.concatenate([curve.apply(piece) for piece in pieces], axis=1)
    assert np.abs(limited).max() <= 0.8 + 1e-6
    gains = limited / signal
    assert gains.max() == pytest.approx(10 ** (6 / 20), rel=1e-3)
    # No step that could be heard as a click.
    change = np.abs(np.diff(20 * np.log10(gains[0, ::48])))
    assert change.max() < 0.25


def test_a_quiet_recording_is_not_amplified_without_end() -> None:
    curve = gain_curve(
        np.full(100, -69.0), _hops(np.full(1000, 1e-4)), target_lufs=-16.0, ceiling=0.8
    )
    assert curve.gain_db == 50.0


def test_silence_stays_as_it_is() -> None:
    curve = gain_curve(np.full(100, -120.0), _hops(np.zeros(1000)), target_lufs=-16.0, ceiling=0.8)
    assert curve.gain_db == 0.0
    assert np.array_equal(curve.apply(np.ones((1, 4), np.float32)), np.ones((1, 4)))


def test_silence_in_a_long_recording_changes_nothing() -> None:
    """Sums over an hour leave no digits for what is silent."""
    speech = np.tile(np.repeat([0.5, 0.2, 0.0], [20, 180, 200]), 900)
    blocks = np.tile(np.repeat([-20.0, -120.0], 20), 900)
    curve = gain_curve(blocks, _hops(speech), target_lufs=-16.0, ceiling=0.7)
    assert 4.0 < curve.gain_db < 6.0
    assert np.isfinite(curve.lowered(len(blocks))).all()


def _hops(peaks: material.Signal) -> Hops:
    samples = np.asarray(peaks, np.float32)
    return Hops(length=480, rate=48_000, peaks=samples, powers=samples**2)
