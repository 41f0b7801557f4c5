"""The voice gets clearer, and nothing that a recording may contain upsets the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from denoise_relay import engine
from denoise_relay.engine.child import nsnet2
from denoise_relay.engine.child.decode import Block
from denoise_relay.engine.child.encode import flac_rate
from denoise_relay.engine.child.model import load
from denoise_relay.engine.child.nsnet2 import Nsnet2
from denoise_relay.engine.child.pipeline import Chain
from denoise_relay.engine.child.resample import Resampler
from tests.unit.engine import material
from tests.unit.engine.material import Signal

each_preset = pytest.mark.parametrize("preset", engine.PRESETS)


def run_chain(
    path: Path,
    signal: Signal,
    rate: int = 48_000,
    block: int = 1000,
    preset: engine.Preset = "best",
) -> Signal:
    samples = np.atleast_2d(signal).astype(np.float32)
    with (
        open(path, "xb") as file,
        Chain(file, channels=len(samples), rate=rate, preset=preset) as chain,
    ):
        for start in range(0, samples.shape[1], block):
            chunk = np.ascontiguousarray(samples[:, start : start + block])
            chain.push(Block(samples=chunk, rate=rate))
        chain.drain()
        chain.finish()
    return material.decode(path)[0]


@each_preset
@pytest.mark.parametrize(("rate", "least_gain_db"), [(48_000, 8), (16_000, 5)])
def test_speech_in_noise_gets_clearer(
    rate: int, least_gain_db: float, preset: engine.Preset, tmp_path: Path
) -> None:
    clean = material.speech(rate)
    noisy = material.mix(clean, 3)

    after = run_chain(tmp_path / "out.flac", noisy, rate, preset=preset)[0]

    assert material.si_sdr(clean, noisy) == pytest.approx(3, abs=0.2)
    assert material.si_sdr(clean, after) > 3 + least_gain_db


@each_preset
def test_clean_speech_stays_what_it_was(preset: engine.Preset, tmp_path: Path) -> None:
    clean = material.speech()
    after = run_chain(tmp_path / "out.flac", clean, preset=preset)[0]
    assert material.si_sdr(clean, after) > 20


@each_preset
def test_the_delay_of_the_model_is_what_we_trim(preset: engine.Preset) -> None:
    """A wrong delay would show as a lag."""
    clean = np.tile(material.speech(), 4).astype(np.float32) * 0.2
    model = load(preset, 1)
    try:
        first = model.push(clean[None])
        rest = model.finish()
    finally:
        model.close()

    assert 0 < first.shape[1] < len(clean)
    after = np.concatenate([first, rest], axis=1)[0]
    assert len(after) == len(clean)
    assert abs(material.lag(clean, after)) < 0.1


@each_preset
def test_block_sizes_do_not_change_the_result(preset: engine.Preset, tmp_path: Path) -> None:
    noisy = material.mix(material.speech(), 5)[:48_000]
    whole = run_chain(tmp_path / "whole.flac", noisy, block=len(noisy), preset=preset)
    pieces = run_chain(tmp_path / "pieces.flac", noisy, block=317, preset=preset)
    assert np.abs(whole - pieces).max() <= 2 / 32768  # the level is a float sum over blocks


@each_preset
@pytest.mark.parametrize("count", [0, 1, 511, 48_000])
def test_a_model_returns_as_many_samples_as_it_took(count: int, preset: engine.Preset) -> None:
    model = load(preset, 2)
    try:
        after = [model.push(np.zeros((2, count), np.float32)), model.finish()]
    finally:
        model.close()
    assert sum(part.shape[1] for part in after) == count


def test_runs_of_the_fast_model_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run of some 10 s begins without memory; what it hears before must be enough."""
    noisy = material.mix(np.tile(material.speech(), 6), 10).astype(np.float32)[None] * 0.2
    model = Nsnet2(1)
    in_runs = np.concatenate([model.push(noisy), model.finish()], axis=1)[0]
    monkeypatch.setattr(nsnet2, "_NEW_FRAMES", 10_000)
    model = Nsnet2(1)
    at_once = np.concatenate([model.push(noisy), model.finish()], axis=1)[0]

    assert material.si_sdr(at_once, in_runs) > 20


@each_preset
def test_mono_in_stereo_stays_mono_in_stereo(preset: engine.Preset, tmp_path: Path) -> None:
    noisy = material.mix(material.speech(), 5)
    left, right = run_chain(tmp_path / "out.flac", np.stack([noisy, noisy]), preset=preset)
    assert np.array_equal(left, right)


def test_silence_stays_silent(tmp_path: Path) -> None:
    after = run_chain(tmp_path / "out.flac", np.zeros(48_000))
    assert after.shape == (1, 48_000)
    assert np.abs(after).max() < 1e-4


def test_overload_saturates_and_does_not_wrap(tmp_path: Path) -> None:
    """A wrapped sample would jump from one rail to the other within one step of 1/48000 s."""
    loud = material.speech() * 6
    after = run_chain(tmp_path / "out.flac", loud)[0]
    assert np.abs(after).max() > 0.99
    assert np.abs(np.diff(after)).max() < 1.5
    assert material.si_sdr(np.clip(loud, -1, 1), after) > 10


def test_the_model_recovers_after_samples_out_of_range(tmp_path: Path) -> None:
    clean = material.speech()
    bad = clean.copy()
    bad[1000:1100] = 8.0
    after = run_chain(tmp_path / "out.flac", bad)[0]
    assert material.si_sdr(clean[96_000:], after[96_000:]) > 15


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 96_000])
def test_resampling_adds_no_delay(rate: int) -> None:
    clean = material.speech(rate).astype(np.float32)[None]
    up = Resampler(channels=1, rate_in=rate, rate_out=48_000)
    down = Resampler(channels=1, rate_in=48_000, rate_out=rate)
    middle = np.concatenate([up.push(clean), up.finish()], axis=1)
    after = np.concatenate([down.push(middle), down.finish()], axis=1)
    assert abs(after.shape[1] - clean.shape[1]) < 16
    assert abs(material.lag(clean[0], after[0])) < 0.05


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (8000, 8000),
        (44_101, 44_101),
        (192_000, 192_000),
        (88_211, 88_210),
        (768_000, 655_350),
    ],
)
def test_flac_rate_is_the_nearest_that_flac_has(rate: int, expected: int) -> None:
    assert flac_rate(rate) == expected


def test_a_rate_that_flac_lacks_is_written_at_the_nearest(tmp_path: Path) -> None:
    after = run_chain(tmp_path / "out.flac", np.zeros(88_211), rate=88_211)
    assert after.shape == (1, 88_210)
