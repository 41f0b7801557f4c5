"""Spectrograms: each sound at its time and its frequency, both pictures on one scale."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from denoise_relay import engine
from denoise_relay.engine.child import picture, spectrogram
from denoise_relay.engine.child.spectrogram import COLUMNS, ROWS, Spectrogram
from tests.unit.engine import material
from tests.unit.engine.material import Signal


def measured(signal: Signal, rate: int, *, told: float | None = None, piece: int = 0) -> Signal:
    """Shape (columns, rows)."""
    signal = np.atleast_2d(signal).astype(np.float32)
    seconds = signal.shape[1] / rate
    meter = Spectrogram(rate=rate, channels=len(signal), seconds=told or seconds)
    for start in range(0, signal.shape[1], piece or rate):
        meter.push(signal[:, start : start + (piece or rate)])
    return meter.finish().astype(np.float64)


def tone(hertz: float, seconds: float, rate: int) -> Signal:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def frequencies(rate: int) -> Signal:
    """The middle of each row, in Hz."""
    edges = np.geomspace(50, min(20_000, rate / 2), ROWS + 1)
    return np.sqrt(edges[:-1] * edges[1:])


@pytest.mark.parametrize("hertz", [60, 440, 3_000, 15_000])
@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_a_tone_is_at_its_frequency(hertz: float, rate: int) -> None:
    if hertz > rate / 2:
        hertz = 7_000
    columns = measured(tone(hertz, 3, rate), rate)
    loudest = frequencies(rate)[columns[10:-10].mean(axis=0).argmax()]
    assert loudest == pytest.approx(hertz, rel=0.15 if hertz < 100 else 0.03)


def test_a_tone_of_full_scale_is_about_0_db() -> None:
    """A row is wider than the tone."""
    columns = measured(tone(1_000, 3, 48_000), 48_000)
    assert -6 < 10 * np.log10(columns[500:900].max()) < 0


@pytest.mark.parametrize("seconds", [2, 20, 300])
@pytest.mark.parametrize("told", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
def test_a_click_is_at_its_time(seconds: float, told: float, at: float) -> None:
    """However long it is, and whatever was said of its length."""
    rate = 8_000
    signal = material.noise(round(seconds * rate)) * 1e-4
    signal[round(at * len(signal))] = 1.0
    columns = measured(signal, rate, told=told * seconds, piece=7_919)
    assert len(columns) <= COLUMNS
    loudest = (columns.sum(axis=1).argmax() + 0.5) / len(columns)
    window = 512 / len(signal)
    assert loudest == pytest.approx(at, abs=1.5 / len(columns) + window / 2)


def test_a_column_is_the_mean_of_its_time() -> None:
    """Two thirds of a recording are loud: so are two thirds of the columns."""
    rate = 8_000
    signal = material.noise(100 * rate)
    signal[signal.shape[0] * 2 // 3 :] *= 1e-3
    powers = measured(signal, rate).mean(axis=1)
    assert (powers > powers.max() / 100).mean() == pytest.approx(2 / 3, abs=0.005)


def test_channels_that_cancel_are_seen() -> None:
    signal = tone(1_000, 1, 16_000)
    np.testing.assert_allclose(
        measured(np.stack([signal, -signal]), 16_000), measured(signal, 16_000), rtol=1e-3
    )


@pytest.mark.parametrize("count", [1, 2, 100, 4_097])
def test_very_short_recordings(count: int) -> None:
    columns = measured(np.ones(count), 48_000)
    assert 1 <= len(columns) <= COLUMNS
    assert columns.shape[1] == ROWS
    assert np.isfinite(columns).all()


def test_memory_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty minutes that were said to be a second."""
    monkeypatch.setattr(spectrogram, "COLUMNS", 100)
    meter = Spectrogram(rate=3_000, channels=1, seconds=1)
    piece = (material.noise(30_000) * 0.1).astype(np.float32)[None]
    for _ in range(10):
        meter.push(piece)
    tracemalloc.start()
    for _ in range(120):
        meter.push(piece)
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert now < 500_000
    assert peak < 10_000_000


def test_lightness_rises_along_the_colours() -> None:
    """So that the picture can be read without colours, and printed."""
    linear = (picture.colour_map() / 255.0) ** 2.2
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > -1e-4).all()
    assert luminance[0] < 0.02
    assert luminance[-1] > 0.85


def test_no_two_colours_are_one_to_colour_blind_eyes() -> None:
    """Protanopia and deuteranopia (Viénot et al., 1999): steps stay as far apart as lightness."""
    linear = (picture.colour_map()[::16] / 255.0) ** 2.2
    for matrix in (
        [[0.1124, 0.8876, 0.0], [0.1124, 0.8876, 0.0], [0.004, -0.004, 1.0]],
        [[0.2928, 0.7072, 0.0], [0.2928, 0.7072, 0.0], [-0.0223, 0.0223, 1.0]],
    ):
        seen = np.clip(linear @ np.array(matrix).T, 0, 1) ** (1 / 2.2)
        assert np.abs(np.diff(seen, axis=0)).max(axis=1).min() > 0.03


def pixels(path: Path) -> Signal:
    with av.open(str(path)) as container:
        (frame,) = container.decode(video=0)
        image: Any = frame.to_ndarray(format="rgb24")
    return np.asarray(image, np.float64)


@pytest.mark.asyncio
async def test_pictures_of_both_sides(tmp_path: Path) -> None:
    """Noise in the first half of the recording; the result has the tone alone."""
    rate = 48_000
    clean = tone(1_000, 8, rate) * 0.1
    noisy = clean.copy()
    noisy[: 4 * rate] += material.noise(4 * rate) * 0.1
    before = material.make(tmp_path, "s16.wav", noisy, rate=rate)
    after = material.make(tmp_path, "a.flac", clean, rate=rate)
    place = tmp_path / "analysis"
    place.mkdir()
    await engine.analyse(before, after, place)
    assert sorted(path.name for path in place.iterdir()) == sorted(engine.ANALYSIS_FILES)
    first, second = (
        pixels(place / f"spectrogram-{name}.webp") for name in ("original", "denoised")
    )
    assert first.shape == second.shape == (ROWS, COLUMNS, 3)
    row = ROWS - 1 - int(np.abs(frequencies(rate) - 1_000).argmin())
    np.testing.assert_allclose(first[row, 1000:1500], second[row, 1000:1500], atol=20)
    assert first[20:60, :780].mean() > 100 > 40 > second[20:60].mean()
    assert first[20:60, 820:].mean() < 40


@pytest.mark.parametrize("level", [1.0, 1e-3])
def test_pictures_are_small(level: float, tmp_path: Path) -> None:
    """Noise is the worst that a picture can be of."""
    columns = (np.random.default_rng(0).exponential(size=(COLUMNS, ROWS)) * level).astype("f4")
    target = tmp_path / "picture.webp"
    picture.write_picture(target, columns, top_db=picture.top_of_scale(columns))
    assert target.stat().st_size <= picture.LARGEST_BYTES
    assert pixels(target).shape == (ROWS, COLUMNS, 3)


def test_silence_is_dark(tmp_path: Path) -> None:
    columns = np.zeros((10, ROWS), np.float32)
    target = tmp_path / "picture.webp"
    picture.write_picture(target, columns, top_db=picture.top_of_scale(columns, columns))
    assert pixels(target).max() < 60
