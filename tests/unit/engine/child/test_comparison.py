"""The comparison file: both sides in one, each sample at its place, equally loud."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from denoise_relay import engine
from tests.unit.engine import material
from tests.unit.engine.material import Signal

RATE = 48_000
pytestmark = pytest.mark.asyncio


def clicks(seconds: float = 4.0, rate: int = RATE, *, level: float = 0.5) -> Signal:
    """A smooth click of 2 ms around each half second and a quarter, shape (samples,)."""
    signal = np.zeros(round(seconds * rate))
    half = rate // 1000
    for at in np.arange(0.25, seconds - 0.1, 0.5):
        middle = round(at * rate)
        signal[middle - half : middle + half + 1] = level * np.hanning(2 * half + 1)
    return signal


async def compare(
    folder: Path, before: Path, after: Path, **options: bool
) -> tuple[engine.Analysis, Signal]:
    """What the engine says, and the comparison's samples, shape (channels, samples)."""
    place = folder / "analysis"
    place.mkdir()
    facts = await engine.analyse(before, after, place, **options)
    signal, rate = material.decode(place / "comparison.flac")
    assert rate == facts.sample_rate
    assert len(signal) == 2 * facts.channels
    assert facts.duration_seconds == pytest.approx(signal.shape[1] / rate)
    return facts, signal


async def test_both_sides_to_the_sample(tmp_path: Path) -> None:
    noisy = np.round(material.mix(material.speech(RATE), 5) * 32767) / 32768
    clean = np.round(material.speech(RATE)[: len(noisy)] * 32767) / 32768
    before = material.make(tmp_path, "s16.wav", noisy, rate=RATE)
    after = material.make(tmp_path, "a.flac", clean, rate=RATE)
    facts, signal = await compare(tmp_path, before, after)
    assert (facts.sample_rate, facts.channels, facts.removed_gain) == (RATE, 1, 1.0)
    np.testing.assert_allclose(signal, np.stack([noisy, clean]), atol=1 / 32768)


@pytest.mark.parametrize(
    "rates", [(44_100, RATE), (RATE, 44_100), (16_000, RATE), (96_000, 96_000)]
)
async def test_clicks_stay_in_step_at_other_rates(rates: tuple[int, int], tmp_path: Path) -> None:
    before = material.make(tmp_path, "s16.wav", clicks(rate=rates[0]), rate=rates[0])
    after = material.make(tmp_path, "a.flac", clicks(rate=rates[1]), rate=rates[1])
    facts, (first, second) = await compare(tmp_path, before, after)
    assert facts.sample_rate == min(rates[1], RATE)
    assert abs(material.lag(first, second)) < 0.5
    assert abs(material.lag(clicks(rate=facts.sample_rate), second)) < 1
    assert facts.duration_seconds == pytest.approx(4, abs=1e-3)


@pytest.mark.parametrize("stereo", ["before", "after", "both"])
async def test_stereo_on_either_side(stereo: str, tmp_path: Path) -> None:
    left, right = clicks(level=0.5), clicks(level=0.25)
    two, one = np.stack([left, right]), left[None]
    before = two if stereo != "after" else one
    after = two if stereo != "before" else one
    facts, signal = await compare(
        tmp_path,
        material.make(tmp_path, "s16.wav", before, rate=RATE),
        material.make(tmp_path, "a.flac", after, rate=RATE),
    )
    assert facts.channels == 2
    sides = [np.repeat(side, 2, axis=0)[:2] if len(side) == 1 else side for side in (before, after)]
    np.testing.assert_allclose(signal, np.concatenate(sides), atol=2 / 32768)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.webm", "a.avi", "a.mp3", "a.aac"])
async def test_compressed_files_and_videos(name: str, tmp_path: Path) -> None:
    """In step with what the engine makes of them."""
    rate = material.BY_NAME[name].rate
    before = material.make(tmp_path, name, clicks(rate=rate))
    decoded, own = material.decode(before)
    after = material.make(tmp_path, "a.flac", decoded, rate=own)
    _facts, (first, second) = await compare(tmp_path, before, after)
    assert abs(material.lag(first, second)) < 0.1
    assert np.abs(first - second).max() < 1e-3


@pytest.mark.parametrize("seconds", [2.5, 5.0])
async def test_it_is_as_long_as_the_recording(seconds: float, tmp_path: Path) -> None:
    before = material.make(tmp_path, "s16.wav", clicks(4), rate=RATE)
    after = material.make(tmp_path, "a.flac", clicks(seconds), rate=RATE)
    facts, (_first, second) = await compare(tmp_path, before, after)
    assert facts.duration_seconds == 4
    kept = round(min(seconds, 4) * RATE)
    np.testing.assert_allclose(second[:kept], clicks(4)[:kept], atol=1 / 32767)
    assert not second[kept:].any()


@pytest.mark.parametrize("seconds", [0.0, 0.025, 0.2, -0.05])
async def test_a_result_that_is_late_is_put_in_step(seconds: float, tmp_path: Path) -> None:
    """As services return it that do not take away the delay of their model or their codec."""
    clean = np.tile(material.speech(RATE), 6)
    late = round(seconds * RATE)
    result = np.concatenate([np.zeros(max(late, 0)), clean])[max(-late, 0) :]
    before = material.make(tmp_path, "s16.wav", material.mix(clean, 0), rate=RATE)
    after = material.make(tmp_path, "a.flac", result, rate=RATE)
    facts, (_first, second) = await compare(tmp_path, before, after)
    assert facts.duration_seconds == 24
    begin = max(-late, 0)  # what came too early begins in the middle
    np.testing.assert_allclose(second[begin:], clean[begin:], atol=1 / 32767)
    assert not second[:begin].any()


@pytest.mark.parametrize("hertz", [50, 400])
async def test_a_hum_does_not_bring_it_out_of_step(hertz: float, tmp_path: Path) -> None:
    """It is as much like itself a period later."""
    hum = 0.3 * np.sin(2 * np.pi * hertz * np.arange(5 * RATE) / RATE)
    noisy = hum + material.noise(5 * RATE) * 0.01
    before = material.make(tmp_path, "s16.wav", noisy, rate=RATE)
    after = material.make(tmp_path, "a.flac", hum * 0.5, rate=RATE)
    _facts, (_first, second) = await compare(tmp_path, before, after)
    np.testing.assert_allclose(second, hum * 0.5, atol=1 / 32767)


@pytest.mark.parametrize(("peak", "gain"), [(1.6, 1 / 1.6), (4.0, 0.5)])
async def test_what_is_louder_than_full_scale(peak: float, gain: float, tmp_path: Path) -> None:
    """Both sides are made quieter, or what was removed would be wrong at each peak."""
    loud, clean = clicks(level=peak), clicks(level=0.3)
    before = material.make(tmp_path, "f32.wav", loud, rate=RATE)
    after = material.make(tmp_path, "a.flac", clean, rate=RATE)
    facts, (first, second) = await compare(tmp_path, before, after)
    assert facts.duration_seconds == 4
    np.testing.assert_allclose(first, np.minimum(loud * gain, 1), atol=2 / 32768)
    np.testing.assert_allclose(second, clean * gain, atol=2 / 32768)


async def test_a_quiet_recording_has_the_bits_that_it_needs(tmp_path: Path) -> None:
    quiet = material.speech(RATE) * 1e-3
    path = material.make(tmp_path, "f32.wav", quiet, rate=RATE)
    _facts, (first, second) = await compare(tmp_path, path, path)
    np.testing.assert_allclose(first, quiet, atol=2**-23)
    np.testing.assert_array_equal(first, second)


async def test_a_changed_level_is_found(tmp_path: Path) -> None:
    noisy = material.mix(material.speech(RATE), 20)
    before = material.make(tmp_path, "s16.wav", noisy, rate=RATE)
    after = material.make(tmp_path, "f32.wav", noisy * 0.4, rate=RATE)
    facts, _signal = await compare(tmp_path, before, after, loudness_changed=True)
    assert facts.removed_gain == pytest.approx(2.5, rel=1e-3)


async def test_silence_has_no_level_to_compare(tmp_path: Path) -> None:
    path = material.make(tmp_path, "s16.wav", np.zeros(RATE), rate=RATE)
    facts, _signal = await compare(tmp_path, path, path, loudness_changed=True)
    assert facts.removed_gain == 1


async def test_one_sample(tmp_path: Path) -> None:
    path = material.make(tmp_path, "s16.wav", np.array([0.5]), rate=RATE)
    facts, signal = await compare(tmp_path, path, path)
    np.testing.assert_allclose(signal, [[0.5], [0.5]], atol=1e-3)
    assert facts.duration_seconds == 1 / RATE


async def test_waveforms_of_both(tmp_path: Path) -> None:
    before = material.make(tmp_path, "s16.wav", clicks(level=0.5), rate=44_100)
    after = material.make(tmp_path, "a.flac", clicks(level=0.25), rate=44_100)
    facts, signal = await compare(tmp_path, before, after)
    for name, side in zip(("original", "denoised"), signal, strict=True):
        data = (tmp_path / "analysis" / f"{name}.peaks").read_bytes()
        high = np.frombuffer(data, np.int8).reshape(-1, 2)[:, 1] / 128
        parts = np.split(side, np.arange(1, len(high)) * facts.samples_per_pixel)
        np.testing.assert_allclose(high, [part.max() for part in parts], atol=0.5 / 128)
