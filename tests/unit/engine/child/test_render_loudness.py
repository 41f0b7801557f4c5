"""Loudness as asked for, and no true peak above -1 dB, whatever the recording is like."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from denoise_relay import engine
from tests.unit.engine import material

RATE = 44_100


def _loudness(signal: material.Signal, rate: int) -> float:
    """Integrated, by FFmpeg."""
    graph = av.filter.Graph()
    layout = material.LAYOUTS[len(signal)]
    source = graph.add_abuffer(
        sample_rate=rate, format="fltp", layout=layout, time_base=Fraction(1, rate)
    )
    meter, sink = graph.add("ebur128", "metadata=1"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    samples = np.ascontiguousarray(signal, np.float32)
    frame = av.AudioFrame.from_ndarray(samples, "fltp", layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    graph.push(frame)
    loudness = "-70"
    while True:
        try:
            loudness = sink.pull().metadata["lavfi.r128.I"]
        except av.error.BlockingIOError:
            return float(loudness)


def _true_peak_db(signal: material.Signal, rate: int) -> float:
    """Four times oversampled, by FFmpeg's resampler."""
    peaks = [np.abs(material.resample(row[None], rate, 4 * rate)).max() for row in signal]
    return float(20 * np.log10(max(peaks)))


def _quiet_speech() -> material.Signal:
    return np.tile(material.speech(RATE), 4) * 0.05


def _loud_stereo() -> material.Signal:
    voice = np.tile(material.speech(RATE), 4)
    return np.stack([voice, np.roll(voice, RATE) * 0.9])


def _knocks() -> material.Signal:
    """20 dB above the speech, each second."""
    signal = _quiet_speech() * 2
    knock = np.sin(2 * np.pi * 800 * np.arange(RATE // 100) / RATE) * np.hanning(RATE // 100)
    for start in range(RATE // 3, len(signal) - RATE, RATE):
        signal[start : start + len(knock)] = 0.95 * knock
    return signal


def _between_samples() -> material.Signal:
    """A tone whose peaks are between the samples: 3 dB above them."""
    at = np.arange(8 * RATE)
    tone = np.sin(np.pi / 2 * at + np.pi / 4) * 0.35
    return np.where(at % RATE < RATE // 20, tone * 2.5, tone * 0.3)


@pytest.mark.parametrize("make", [_quiet_speech, _loud_stereo, _knocks, _between_samples])
@pytest.mark.parametrize(
    ("format", "target"), [("flac", -16.0), ("flac", -23.0), ("mp3", -16.0), ("m4a", -16.0)]
)
@pytest.mark.asyncio
async def test_loudness_and_peaks(
    make: Callable[[], material.Signal], format: str, target: float, tmp_path: Path
) -> None:
    clean = make()
    source = material.make(tmp_path, "s16.wav", clean)
    after = material.make(tmp_path, "a.flac", clean)
    out = tmp_path / f"out.{format}"

    rendering = await engine.render(source, after, out, loudness_lufs=target)

    result, rate = material.decode(out)
    assert _loudness(result, rate) == pytest.approx(target, abs=0.5)
    assert _true_peak_db(result, rate) < -1.0
    assert -20 < rendering.gain_db <= 50
