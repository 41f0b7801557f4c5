"""What the parent accepts as a segment of an untrusted child."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from denoise_relay import engine
from denoise_relay.engine.protocol import MAX_SEGMENTS
from denoise_relay.engine.segments import Segments
from tests.unit.engine.engine_runs import ignore, pretend

GOOD = {"number": 0, "duration_seconds": 4.0, "sample_rate": 8000, "samples_per_pixel": 32}
PEAKS = bytes(2000)


def _written(folder: Path, number: int, peaks: bytes = PEAKS, audio: bytes = b"fLaC") -> None:
    (folder / f"{number}.peaks").write_bytes(peaks)
    (folder / f"{number}.flac").write_bytes(audio)


@pytest.mark.asyncio
async def test_good_segments_are_taken_and_their_files_deleted(tmp_path: Path) -> None:
    segments = Segments(tmp_path, print)
    _written(tmp_path, 0)
    taken = await segments.take(GOOD)
    assert (taken.number, taken.peaks, taken.audio) == (0, PEAKS, b"fLaC")
    _written(tmp_path, 1, peaks=bytes(2))
    assert (await segments.take(GOOD | {"number": 1, "duration_seconds": 0.004})).number == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 1},
        {"number": -1},
        {"number": True},
        {"number": "0"},
        {"number": "../0"},
        {"number": MAX_SEGMENTS},
        {"duration_seconds": 0},
        {"duration_seconds": -4.0},
        {"duration_seconds": 4.1},
        {"duration_seconds": 1.0},
        {"sample_rate": 0},
        {"sample_rate": 10**9},
        {"samples_per_pixel": 0},
        {"samples_per_pixel": 64},
        {"more": 1},
    ],
    ids=repr,
)
@pytest.mark.asyncio
async def test_a_strange_line_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    _written(tmp_path, 0)
    with pytest.raises(ValueError):
        await Segments(tmp_path, print).take(GOOD | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 0},
        {"number": 2},
        {"sample_rate": 16_000},
        {"samples_per_pixel": 16},
        {"duration_seconds": 4.000001},
    ],
    ids=repr,
)
@pytest.mark.asyncio
async def test_later_segments_must_be_like_the_first(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    segments = Segments(tmp_path, print)
    for number in range(3):
        _written(tmp_path, number)
    await segments.take(GOOD)
    _written(tmp_path, 0)
    with pytest.raises(ValueError):
        await segments.take(GOOD | {"number": 1} | changes)


@pytest.mark.asyncio
async def test_nothing_comes_after_a_shorter_one(tmp_path: Path) -> None:
    segments = Segments(tmp_path, print)
    for number, peaks in enumerate([PEAKS, PEAKS[:1000], PEAKS[:1000]]):
        _written(tmp_path, number, peaks)
    await segments.take(GOOD)
    await segments.take(GOOD | {"number": 1, "duration_seconds": 2.0})
    with pytest.raises(ValueError):
        await segments.take(GOOD | {"number": 2, "duration_seconds": 2.0})


@pytest.mark.parametrize(
    ("peaks", "audio"),
    [
        (PEAKS[:-2], b"fLaC"),
        (PEAKS + b"\0\0", b"fLaC"),
        (bytes(10_000), b"fLaC"),
        (PEAKS, b"RIFF"),
        (PEAKS, b""),
        (PEAKS, b"fLaC" + bytes(300_000)),
    ],
)
@pytest.mark.asyncio
async def test_a_strange_file_is_refused(peaks: bytes, audio: bytes, tmp_path: Path) -> None:
    _written(tmp_path, 0, peaks, audio)
    with pytest.raises(ValueError):
        await Segments(tmp_path, print).take(GOOD)


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")
@pytest.mark.asyncio
async def test_links_pipes_and_folders_are_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"fLaC and more")
    audio = tmp_path / "0.flac"
    for make in (lambda: audio.symlink_to(secret), lambda: os.mkfifo(audio), lambda: audio.mkdir()):
        (tmp_path / "0.peaks").write_bytes(PEAKS)
        make()
        with pytest.raises((ValueError, OSError)):
            await Segments(tmp_path, print).take(GOOD)
        audio.rmdir() if audio.is_dir() else audio.unlink()


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.asyncio
async def test_a_segment_without_its_files_or_unasked_is_a_crash(
    asked: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, target: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    pretend(monkeypatch, f"import json; print(json.dumps({{'segment': {GOOD!r}}}))")
    with pytest.raises(engine.EngineCrashed) as caught:
        await engine.denoise(
            source, target, on_progress=ignore, on_segment=print if asked else None
        )
    assert "protocol" in caught.value.detail
