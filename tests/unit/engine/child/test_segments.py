"""The clean recording in segments, while it is made: gapless, in step, whatever the rate."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import av
import numpy as np
import pytest

from denoise_relay import engine
from denoise_relay.waveform import samples_per_pixel
from tests.unit.engine import material
from tests.unit.engine.engine_runs import children, ignore, linux


def _decoded(audio: bytes) -> tuple[material.Signal, int]:
    with av.open(io.BytesIO(audio)) as container:
        assert container.streams.audio[0].format.name == "s16"
        frames = list(container.decode(audio=0))
    parts = [frame.to_ndarray() for frame in frames]
    return np.concatenate(parts, axis=1)[0] / 2**15, frames[0].sample_rate


@pytest.mark.parametrize(
    ("rate", "channels", "seconds"),
    [(44_100, 2, 10.3), (48_000, 1, 8.0), (8_000, 1, 9.99), (96_000, 1, 4.2), (11_025, 1, 0.4)],
)
@pytest.mark.asyncio
async def test_segments_are_the_result(
    rate: int, channels: int, seconds: float, target: Path, tmp_path: Path
) -> None:
    voice = np.tile(material.mix(material.speech(rate), 15), 4)[: round(seconds * rate)]
    signal = np.stack([voice * (1 - 0.3 * number) for number in range(channels)])
    source = material.make(tmp_path, "s16.wav", signal, rate=rate)
    segments: list[engine.Segment] = []
    seen: list[float] = []

    await engine.denoise(
        source,
        target,
        on_progress=lambda pct, message: seen.append(pct),
        on_segment=segments.append,
    )

    assert [segment.number for segment in segments] == list(range(len(segments)))
    result, _rate = material.decode(target)
    assert sum(round(segment.duration_seconds * rate) for segment in segments) == result.shape[1]
    pixel = samples_per_pixel(rate, seconds)
    assert {(segment.sample_rate, segment.samples_per_pixel) for segment in segments} == {
        (rate, pixel)
    }
    for segment in segments[:-1]:
        assert segment.duration_seconds == segments[0].duration_seconds
        assert 0.9 * engine.SEGMENT_SECONDS < segment.duration_seconds <= engine.SEGMENT_SECONDS
        assert segment.duration_seconds * rate % pixel == pytest.approx(0, abs=1e-6)
    _same_shape(result, b"".join(segment.peaks for segment in segments), pixel)
    parts = [_decoded(segment.audio) for segment in segments]
    (heard_rate,) = {heard_rate for _part, heard_rate in parts}
    assert heard_rate == min(rate, 24_000)
    heard = np.concatenate([part for part, _ in parts])
    expected = material.resample(result.mean(axis=0, keepdims=True), rate, heard_rate)[0]
    assert abs(len(heard) - len(expected)) <= 2
    most = min(len(heard), len(expected)) - 100
    assert np.abs(heard[:most] - expected[:most]).max() < 2e-4


def _same_shape(result: material.Signal, peaks: bytes, pixel: int) -> None:
    """The peaks are those of the result, but for what its 16 bits round."""
    pairs = np.frombuffer(peaks, np.int8).reshape(-1, 2)
    assert len(pairs) == -(-result.shape[1] // pixel)
    padded = np.pad(result, ((0, 0), (0, len(pairs) * pixel - result.shape[1])), "edge")
    blocks = padded.reshape(len(result), -1, pixel)
    assert np.abs(pairs[:, 0] / 128 - blocks.min(axis=(0, 2))).max() < 0.009
    assert np.abs(pairs[:, 1] / 128 - blocks.max(axis=(0, 2))).max() < 0.009


@pytest.mark.asyncio
async def test_the_first_segment_comes_long_before_the_end(target: Path, long_file: Path) -> None:
    at: list[float] = []
    percent = [0.0]

    def note(pct: float, message: str) -> None:
        percent[0] = pct

    await engine.denoise(
        long_file, target, on_progress=note, on_segment=lambda segment: at.append(percent[0])
    )
    assert len(at) == 26
    # The leveller looks some seconds ahead.
    assert at[0] < 15
    assert at == sorted(at)


@linux
@pytest.mark.asyncio
async def test_an_error_of_the_caller_ends_the_work(target: Path, long_file: Path) -> None:
    def refuse(segment: engine.Segment) -> None:
        raise ValueError("enough")

    before = children()
    with pytest.raises(ValueError, match="enough"):
        await engine.denoise(long_file, target, on_progress=ignore, on_segment=refuse)
    assert children() == before
    assert not target.exists()


@pytest.mark.asyncio
async def test_cancelling_leaves_nothing(target: Path, long_file: Path) -> None:
    got = asyncio.Event()
    task = asyncio.create_task(
        engine.denoise(long_file, target, on_progress=ignore, on_segment=lambda segment: got.set())
    )
    await asyncio.wait_for(got.wait(), 30)
    task.cancel()
    await asyncio.wait({task}, timeout=10)
    assert task.cancelled()
    assert list(target.parent.iterdir()) == []
