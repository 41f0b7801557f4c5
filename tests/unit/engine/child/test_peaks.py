"""The waveform: the least and the greatest sample of each pixel, each in its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from denoise_relay import engine
from denoise_relay.engine.child import peaks
from denoise_relay.engine.child.peaks import PeakMeter
from denoise_relay.waveform import samples_per_pixel
from tests.unit.engine import material
from tests.unit.engine.material import Format, Signal

RATE = 44_100


def pixels(data: bytes) -> Signal:
    return np.frombuffer(data, np.int8).reshape(-1, 2).astype(np.float64) / 128


def expected(signal: Signal, count: int) -> Signal:
    """Pixel by pixel, as slowly and as plainly as possible."""
    signal = np.atleast_2d(signal)
    parts = [signal[:, start : start + count] for start in range(0, signal.shape[1], count)]
    return np.array([[part.min(), part.max()] for part in parts])


@pytest.mark.parametrize("piece", [1, 100, 256, 1000, 48_000])
def test_pieces_of_any_length_give_the_same(piece: int) -> None:
    signal = material.noise(3_001).reshape(1, -1) * 0.2
    meter = PeakMeter(48_000)
    for start in range(0, signal.shape[1], piece):
        meter.push(signal[:, start : start + piece].astype(np.float32))
    found = pixels(meter.finish())
    np.testing.assert_allclose(found, expected(signal, 256), atol=0.5 / 128)


@pytest.mark.parametrize("most", [7, 8, 10, 64])
@pytest.mark.parametrize("count", [1, 255, 256, 257, 2_047, 2_048, 2_049, 10_000])
def test_pixels_grow_with_the_stream(
    most: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peaks, "MAX_PIXELS", most)
    monkeypatch.setattr("denoise_relay.waveform.MAX_PIXELS", most)
    signal = material.noise(count).reshape(1, -1) * 0.2
    meter = PeakMeter(48_000)
    for start in range(0, count, 300):
        meter.push(signal[:, start : start + 300].astype(np.float32))
    found = pixels(meter.finish())
    assert meter.samples_per_pixel == samples_per_pixel(48_000, count / 48_000)
    assert len(found) <= most
    np.testing.assert_allclose(found, expected(signal, meter.samples_per_pixel), atol=0.5 / 128)


def test_what_is_too_loud_stays_in_the_picture() -> None:
    meter = PeakMeter(48_000)
    meter.push(np.array([[3.0, -3.0, 0.0]], np.float32))
    assert np.frombuffer(meter.finish(), np.int8).tolist() == [-128, 127]


@pytest.mark.asyncio
@pytest.mark.parametrize("format", material.FORMATS, ids=lambda format: format.name)
async def test_a_probe_draws_every_format(format: Format, tmp_path: Path) -> None:
    """A tone on the left from 1 s to 2 s, on the right from 2 s to 3 s."""
    time = np.arange(4 * format.rate) / format.rate
    tone = 0.5 * np.sin(2 * np.pi * 300 * time)
    left, right = (tone * ((time >= at) & (time < at + 1)) for at in (1, 2))
    sides = np.stack([left, right]) if format.channels == 2 else left[None]
    path = material.encode(tmp_path / format.name, format, sides)
    facts = await engine.probe(path, peaks=tmp_path / "peaks")
    assert facts.samples_per_pixel == samples_per_pixel(facts.sample_rate, 4)
    found = pixels((tmp_path / "peaks").read_bytes())
    at = np.arange(len(found)) * facts.samples_per_pixel / facts.sample_rate
    end = 3 if format.channels == 2 else 2
    assert at[-1] == pytest.approx(4, abs=0.1)
    sounding = found[(at > 1.05) & (at < end - 0.05)]
    silent = found[(at < 0.95) | ((at > end + 0.1) & (at < 3.9))]
    np.testing.assert_allclose(sounding, [[-0.5, 0.5]] * len(sounding), atol=0.1)
    assert np.abs(silent).max() < 0.05


@pytest.mark.asyncio
async def test_without_time_there_is_no_waveform_and_no_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("denoise_relay.engine.commands._PEAKS_SECONDS", 0.0)
    path = material.make(tmp_path, "s16.wav", material.speech(RATE))
    facts = await engine.probe(path, peaks=tmp_path / "peaks")
    assert facts.samples_per_pixel == 0
    assert facts.duration_seconds == pytest.approx(4, abs=0.1)
    assert not (tmp_path / "peaks").exists()


@pytest.mark.asyncio
async def test_where_it_cannot_be_written_there_is_no_refusal(tmp_path: Path) -> None:
    path = material.make(tmp_path, "s16.wav", material.speech(RATE))
    facts = await engine.probe(path, peaks=tmp_path / "missing" / "peaks")
    assert facts.samples_per_pixel == 0


@pytest.mark.asyncio
async def test_a_refused_file_leaves_no_waveform(tmp_path: Path) -> None:
    path = material.make(tmp_path, "s16.wav", np.zeros(RATE))
    with pytest.raises(engine.MediaRejected):
        await engine.probe(path, peaks=tmp_path / "peaks")
    assert not (tmp_path / "peaks").exists()


@pytest.mark.asyncio
async def test_nothing_is_drawn_unless_asked(tmp_path: Path) -> None:
    path = material.make(tmp_path, "s16.wav", material.speech(RATE))
    assert (await engine.probe(path)).samples_per_pixel == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["s16.wav"]
