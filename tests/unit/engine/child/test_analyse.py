"""What an analysis does with files that are broken, odd or made to harm, and what it leaves."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

import numpy as np
import pytest

from denoise_relay import engine
from denoise_relay.engine.child import analyse
from tests.unit.engine import material
from tests.unit.engine.engine_runs import pretend

RATE = 44_100
pytestmark = pytest.mark.asyncio


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return material.make(tmp_path, "s16.wav", material.speech(RATE))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "analysis"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>503 Service Unavailable</html>" * 100,
        b"fLaC" + bytes(10_000),
        b"#EXTM3U\nfile:///etc/passwd\n",
        random.Random(1).randbytes(100_000),
    ],
    ids=["empty", "html", "flac", "playlist", "noise"],
)
@pytest.mark.parametrize("side", ["before", "after"])
async def test_what_cannot_be_read(
    side: str, content: bytes, recording: Path, place: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.flac"
    bad.write_bytes(content)
    pair = (bad, recording) if side == "before" else (recording, bad)
    with pytest.raises(engine.MediaRejected):
        await engine.analyse(*pair, place)
    assert not list(place.iterdir())


async def test_a_result_that_is_damaged_in_the_middle(
    recording: Path, place: Path, tmp_path: Path
) -> None:
    """It is rejected, or silent from there on: never a crash."""
    path = material.make(tmp_path, "a.flac", np.tile(material.speech(RATE), 5))
    data = path.read_bytes()
    random_bytes = random.Random(2).randbytes
    path.write_bytes(data[: len(data) // 3] + random_bytes(len(data) // 2))
    with pytest.raises(engine.MediaRejected) as caught:
        await engine.analyse(path, path, place)
    assert caught.value.code == "truncated"
    assert not list(place.iterdir())


async def test_files_that_are_not_there(recording: Path, place: Path, tmp_path: Path) -> None:
    for arguments in (
        (recording, tmp_path / "gone.flac", place),
        (tmp_path / "gone.wav", recording, place),
        (recording, recording, tmp_path / "gone"),
    ):
        with pytest.raises(FileNotFoundError):
            await engine.analyse(*arguments)
    assert not list(place.iterdir())


async def test_a_recording_that_plays_longer_than_it_says(
    recording: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analyse, "_OVERRUN", (1.0, 0.0))
    with pytest.raises(engine.MediaRejected, match="longer than it says"):
        analyse.analyse_files(recording, recording, place, announced=2.0, loudness_changed=False)


async def test_a_recording_that_changes_in_the_middle(place: Path, tmp_path: Path) -> None:
    """Another rate and another number of channels, as in a radio stream."""
    voice = material.speech(RATE)
    first = material.make(tmp_path, "a.aac", voice, rate=RATE).read_bytes()
    other = np.stack([material.resample(voice[None], RATE, 48_000)[0]] * 2)
    path = material.make(tmp_path, "a.aac", other, rate=48_000)
    path.write_bytes(first + path.read_bytes())
    result = material.make(tmp_path, "a.flac", np.tile(voice, 2))
    facts = await engine.analyse(path, result, place)
    assert facts.duration_seconds == pytest.approx(8, abs=0.2)
    signal, _rate = material.decode(place / "comparison.flac")
    before, after = signal
    assert abs(material.lag(after[5 * RATE : 7 * RATE], before[5 * RATE : 7 * RATE])) < 0.1 * RATE
    assert before[5 * RATE :].std() == pytest.approx(after[5 * RATE :].std(), rel=0.2)


async def test_surround_is_compared_in_stereo(recording: Path, place: Path, tmp_path: Path) -> None:
    surround = np.stack([material.speech(RATE)] * 6) * 0.3
    path = material.make(tmp_path, "flac.mkv", surround)
    facts = await engine.analyse(path, recording, place)
    assert facts.channels == 2
    signal, _rate = material.decode(place / "comparison.flac")
    assert len(signal) == 4


@pytest.mark.parametrize("rate", [3_000, 8_000, 11_025, 192_000])
async def test_unusual_rates(rate: int, place: Path, tmp_path: Path) -> None:
    voice = material.resample(material.speech(48_000)[None], 48_000, rate)
    path = material.make(tmp_path, "a.flac", voice, rate=rate)
    facts = await engine.analyse(path, path, place)
    assert facts.sample_rate == min(rate, 48_000)
    assert facts.duration_seconds == pytest.approx(4, abs=0.01)
    assert all((place / name).stat().st_size for name in engine.ANALYSIS_FILES)


async def test_no_result_in_time_leaves_nothing(recording: Path, place: Path) -> None:
    with pytest.raises(engine.EngineCrashed, match="internal error"):
        await engine.analyse(recording, recording, place, timeout_seconds=0.01)
    assert not list(place.iterdir())


async def test_a_cancelled_analysis_leaves_nothing(long_file: Path, place: Path) -> None:
    task = asyncio.create_task(engine.analyse(long_file, long_file, place))
    async with asyncio.timeout(30):
        while not list(place.iterdir()):
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not list(place.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_FSIZE")
async def test_no_file_grows_beyond_what_the_recording_may_take(
    recording: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(
        monkeypatch,
        "import sys, runpy\n"
        "from denoise_relay.engine.child import comparison\n"
        "comparison.largest_comparison_bytes = lambda seconds: 50_000\n"
        "sys.argv[0] = 'child'\n"
        "runpy.run_module('denoise_relay.engine.child', run_name='__main__')\n",
    )
    with pytest.raises(engine.EngineCrashed):
        await engine.analyse(recording, recording, place)
    assert not list(place.iterdir())
