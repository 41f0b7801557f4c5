"""Loudness, noise floor and signal-to-noise ratio, against what is known of the material."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from denoise_relay import engine
from denoise_relay.engine.child import noise
from denoise_relay.engine.child.loudness_meter import LoudnessMeter
from denoise_relay.engine.child.noise import PowerMeter, SpeechSampler, noise_and_snr
from denoise_relay.engine.child.speech import HOP_SECONDS
from tests.unit.engine import material
from tests.unit.engine.material import Signal

RATE = 48_000
Result = tuple[float | None, float | None]


def pieces(signal: Signal, length: int = RATE) -> list[Signal]:
    signal = np.atleast_2d(signal).astype(np.float32)
    starts = range(0, signal.shape[1], length)
    return [np.ascontiguousarray(signal[:, start : start + length]) for start in starts]


def loudness(signal: Signal, rate: int = RATE) -> Result:
    meter = LoudnessMeter(channels=len(np.atleast_2d(signal)), rate=rate)
    for piece in pieces(signal):
        meter.push(piece)
    return meter.finish()


def sine(level_db: float, seconds: float = 5.0, rate: int = RATE, hertz: float = 997.0) -> Signal:
    time = np.arange(round(seconds * rate)) / rate
    return 10 ** (level_db / 20) * np.sin(2 * np.pi * hertz * time)


@pytest.mark.parametrize("rate", [8_000, 44_100, RATE])
@pytest.mark.parametrize("level", [-3.0, -23.0, -50.0])
def test_loudness_of_a_tone(level: float, rate: int) -> None:
    """A tone at -23 dBFS on one channel has -26.01 LUFS (EBU Tech 3341: two have -23)."""
    found, peak = loudness(sine(level, rate=rate), rate)
    assert found == pytest.approx(level - 3.01, abs=0.1)
    assert peak == pytest.approx(level, abs=0.3)


def test_two_channels_are_louder_than_one() -> None:
    found, _peak = loudness(np.stack([sine(-23)] * 2))
    assert found == pytest.approx(-23, abs=0.1)


def test_a_true_peak_is_between_the_samples() -> None:
    """A quarter of the rate, an eighth out of phase: each sample is 3 dB under the peak."""
    tone = np.sin(np.pi / 2 * np.arange(2 * RATE) + np.pi / 4) * np.hanning(2 * RATE)
    _loudness, peak = loudness(tone)
    assert np.abs(tone).max() == pytest.approx(0.707, abs=0.001)
    assert peak == pytest.approx(0.0, abs=0.3)


def test_pauses_do_not_count() -> None:
    paused = np.concatenate([sine(-20), np.zeros(20 * RATE)])
    assert loudness(paused)[0] == pytest.approx(-23, abs=0.3)


@pytest.mark.parametrize("extra", [0, 1, 4_799])
def test_the_last_samples_do_not_hide_the_rest(extra: int) -> None:
    found, _peak = loudness(sine(-20)[: RATE + extra])
    assert found == pytest.approx(-23, abs=0.1)


@pytest.mark.parametrize("count", [1, 100, RATE])
def test_silence_has_no_loudness(count: int) -> None:
    assert loudness(np.zeros(count)) == (None, None)


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, RATE])
@pytest.mark.parametrize("length", [333, 4_410, 48_000])
def test_the_power_of_each_hop(rate: int, length: int) -> None:
    """Hops that are no whole number of samples drift from their places by none."""
    signal = material.noise(10 * rate).reshape(2, -1) + 3.0
    meter = PowerMeter(rate)
    for piece in pieces(signal, length):
        meter.push(piece)
    found = meter.finish()
    hops = int(signal.shape[1] / rate / HOP_SECONDS)
    edges = np.rint(np.arange(hops + 1) * HOP_SECONDS * rate).astype(int)
    wanted = [signal[:, low:high].var(axis=1).mean() for low, high in pairwise(edges)]
    np.testing.assert_allclose(found[:hops], wanted, rtol=1e-3)
    assert len(found) - hops in (0, 1)


def measured(signal: Signal, heard: Signal, rate: int = RATE) -> Result:
    """Floor and ratio of `signal`, with the speech that is in `heard`."""
    meter = PowerMeter(rate)
    sampler = SpeechSampler(rate=rate, seconds=len(heard) / rate)
    for piece, voice in zip(pieces(signal), pieces(heard), strict=True):
        meter.push(piece)
        sampler.push(voice)
    powers = meter.finish()
    return noise_and_snr(powers, sampler.finish(len(powers)))


def talk(rate: int = RATE) -> Signal:
    """12 s of speech, and 4 s of nothing."""
    speech = material.speech(rate)
    return np.concatenate([speech, speech, np.zeros(4 * rate), speech])


@pytest.mark.parametrize("rate", [16_000, RATE])
@pytest.mark.parametrize("level", [-30.0, -50.0, -70.0])
def test_the_noise_in_the_pauses(level: float, rate: int) -> None:
    voice = talk(rate) * 0.5
    hiss = material.noise(len(voice)) * 10 ** (level / 20)
    floor, snr = measured(voice + hiss, voice, rate)
    assert floor == pytest.approx(level, abs=0.5)
    power = np.mean(material.speech(rate) ** 2) * 0.25
    assert snr == pytest.approx(10 * np.log10(power) - level, abs=2.5)


def test_steady_noise_with_coughs_in_it() -> None:
    """Single loud events in the pauses are no noise floor."""
    voice = talk() * 0.5
    hiss = material.noise(len(voice)) * 1e-3
    for at in (9.0, 10.0, 11.0):
        hiss[round(at * RATE) : round((at + 0.1) * RATE)] *= 100
    assert measured(voice + hiss, voice)[0] == pytest.approx(-60, abs=1)


def test_a_long_recording_is_heard_in_passages() -> None:
    """One minute of twenty, from start to end, and only there."""
    sampler = SpeechSampler(rate=8_000, seconds=1200)
    piece = np.zeros((1, 8_000), np.float32)
    for _ in range(1200):
        sampler.push(piece)
    known = ~np.isnan(sampler.finish(37_500))
    assert known.sum() == noise._PASSAGES * noise._PASSAGE_HOPS
    assert known[0]
    assert known[37_000:].any()
    assert (np.diff(known.astype(int)) == 1).sum() == noise._PASSAGES - 1


def test_passages_and_powers_are_in_step() -> None:
    """Speech in the second half of ten minutes: what is heard there is what is loud there."""
    voice = np.concatenate([np.zeros(300 * 8_000), np.tile(material.speech(8_000), 75)])
    hiss = material.noise(len(voice)) * 1e-3
    floor, snr = measured(voice + hiss, voice, 8_000)
    assert floor == pytest.approx(-60, abs=0.5)
    power = 10 * np.log10(np.mean(material.speech(8_000) ** 2))
    assert snr == pytest.approx(power + 60, abs=2.5)


def test_without_pauses_the_quietest_part_counts() -> None:
    """Speech without a pause, in the noise of its own room."""
    powers = np.full(100, 1e-2, np.float32)
    powers[::5] = 1e-5
    floor, snr = noise_and_snr(powers, np.ones(100, np.float32))
    assert floor == pytest.approx(-50)
    assert snr == pytest.approx(29, abs=0.1)


def test_without_speech_there_is_a_floor_and_no_ratio() -> None:
    floor, snr = noise_and_snr(np.full(100, 1e-4, np.float32), np.zeros(100, np.float32))
    assert floor == pytest.approx(-40)
    assert snr is None


def test_pauses_of_digital_silence_have_a_finite_floor() -> None:
    powers = np.zeros(200, np.float32)
    powers[:50] = 1e-2
    speech = (powers > 0).astype(np.float32)
    assert noise_and_snr(powers, speech) == (pytest.approx(-100), pytest.approx(80))


@pytest.mark.parametrize("hops", [0, 1, 100])
def test_silence_has_no_noise(hops: int) -> None:
    assert noise_and_snr(np.zeros(hops, np.float32), np.zeros(hops, np.float32)) == (None, None)


async def analysed(folder: Path, before: Signal, after: Signal) -> engine.Analysis:
    source = material.make(folder, "s16.wav", before, rate=RATE)
    result = material.make(folder, "a.flac", after, rate=RATE)
    place = folder / "analysis"
    place.mkdir()
    return await engine.analyse(source, result, place)


@pytest.mark.asyncio
async def test_both_sides_cross_the_pipe(tmp_path: Path) -> None:
    voice = talk() * 0.5
    hiss = material.noise(len(voice))
    facts = await analysed(tmp_path, voice + hiss * 1e-2, voice + hiss * 1e-3)
    for side, level in ((facts.before, -40), (facts.after, -60)):
        assert side.noise_floor_db == pytest.approx(level, abs=0.5)
        assert side.loudness_lufs is not None
        assert -40 < side.loudness_lufs < -10
        assert side.true_peak_db is not None
        assert -10 < side.true_peak_db < 0
    assert facts.before.snr_db is not None
    assert facts.after.snr_db == pytest.approx(facts.before.snr_db + 20, abs=1)


@pytest.mark.asyncio
@pytest.mark.parametrize("count", [1, 3 * RATE])
async def test_silence_has_no_statistics(count: int, tmp_path: Path) -> None:
    nothing = engine.SideStatistics(
        loudness_lufs=None, true_peak_db=None, noise_floor_db=None, snr_db=None, dnsmos=None
    )
    facts = await analysed(tmp_path, np.zeros(count), np.zeros(count))
    assert facts.before == facts.after == nothing
