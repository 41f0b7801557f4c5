"""Files for people: the mix they chose, in their format, in step with the recording."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from denoise_relay import engine
from tests.unit.engine import material
from tests.unit.engine.engine_runs import ignore

RATE = 44_100


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording and its clean copy, 12 s in stereo."""
    folder = tmp_path_factory.mktemp("render")
    voice = np.tile(material.speech(RATE), 3) * 0.5
    clean = np.stack([voice, voice * 0.5])
    hiss = np.stack([material.noise(len(voice), seed) for seed in (1, 2)]) * 0.03
    material.make(folder, "s16.wav", clean + hiss)
    material.make(folder, "a.flac", clean)
    return folder


def _sides(folder: Path) -> tuple[material.Signal, material.Signal]:
    return material.decode(folder / "s16.wav")[0], material.decode(folder / "a.flac")[0]


async def _render(folder: Path, target: Path, **options: float) -> material.Signal:
    before, after = folder / "s16.wav", folder / "a.flac"
    rendering = await engine.render(before, after, target, **options)
    result, rate = material.decode(target)
    assert rate == RATE
    assert rendering.duration_seconds == pytest.approx(12.0, abs=1e-3)
    assert [path for path in target.parent.iterdir() if path != target] == []
    return result


@pytest.mark.parametrize("format", ["flac", "wav"])
@pytest.mark.parametrize("mix", [1.0, 0.65, 0.0])
@pytest.mark.asyncio
async def test_a_lossless_mix_is_exact(
    format: str, mix: float, folder: Path, tmp_path: Path
) -> None:
    result = await _render(folder, tmp_path / f"out.{format}", mix=mix)
    before, after = _sides(folder)
    assert result.shape == after.shape
    assert np.abs(result - (mix * after + (1 - mix) * before)).max() < 1e-4
    if mix == 1.0:
        assert np.array_equal(result, after)


@pytest.mark.asyncio
async def test_noise_is_lowered_by_what_was_asked_for(folder: Path, tmp_path: Path) -> None:
    result = await _render(folder, tmp_path / "out.flac", max_attenuation_db=12.0)
    before, after = _sides(folder)
    left = np.std(result - after) / np.std(before - after)
    assert 20 * np.log10(left) == pytest.approx(-12.0, abs=0.05)


@pytest.mark.parametrize(("format", "most_extra"), [("mp3", 0), ("m4a", 1024)])
@pytest.mark.asyncio
async def test_a_lossy_mix_is_in_step_and_close(
    format: str, most_extra: int, folder: Path, tmp_path: Path
) -> None:
    target = tmp_path / f"out.{format}"
    result = await _render(folder, target, mix=0.8)
    before, after = _sides(folder)
    expected = 0.8 * after + 0.2 * before
    assert 0 <= result.shape[1] - expected.shape[1] <= most_extra
    for channel in (0, 1):
        heard = result[channel, : expected.shape[1]]
        assert material.lag(expected[channel], heard) == pytest.approx(0, abs=0.1)
        assert material.si_sdr(expected[channel], heard) > 10


@pytest.mark.asyncio
async def test_an_mp3_has_a_constant_bit_rate(folder: Path, tmp_path: Path) -> None:
    await _render(folder, tmp_path / "out.mp3")
    with av.open(str(tmp_path / "out.mp3")) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
        assert container.streams.audio[0].bit_rate == 192_000
    assert {packet.size for packet in packets} == {626, 627}


@pytest.mark.asyncio
async def test_an_m4a_can_be_played_before_all_of_it_is_there(folder: Path, tmp_path: Path) -> None:
    await _render(folder, tmp_path / "out.m4a")
    data = (tmp_path / "out.m4a").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("format", ["flac", "wav", "mp3", "m4a"])
@pytest.mark.parametrize("rate", [3_000, 11_025, 96_000])
@pytest.mark.asyncio
async def test_every_rate_will_do(rate: int, format: str, tmp_path: Path) -> None:
    voice = material.speech(rate)
    before = material.make(tmp_path, "s16.wav", voice, rate=rate)
    after = material.make(tmp_path, "a.flac", voice * 0.5, rate=rate)
    target = tmp_path / f"out.{format}"
    await engine.render(before, after, target, mix=0.5)
    result, result_rate = material.decode(target)
    assert result_rate == (
        rate if format in ("flac", "wav") else min(max(rate, 8_000), 48_000)
    ) or (format == "mp3" and result_rate == 32_000)
    # AAC fills up its last frame.
    assert -0.001 < result.shape[1] / result_rate - 4.0 < 0.13


@pytest.mark.asyncio
async def test_a_clean_copy_with_another_rate_and_fewer_channels(tmp_path: Path) -> None:
    voice = material.speech(RATE) * 0.5
    before = material.make(tmp_path, "s16.wav", np.stack([voice, -voice]))
    after = material.make(tmp_path, "a.flac", material.speech(16_000) * 0.25, rate=16_000)
    target = tmp_path / "out.flac"
    await engine.render(before, after, target, mix=0.5)
    result, rate = material.decode(target)
    assert (len(result), rate) == (2, 16_000)
    # The middle of both is the clean copy, the difference that of the recording.
    middle, side = result.mean(axis=0), (result[0] - result[1]) / 2
    clean = material.decode(after)[0][0]
    assert np.abs(middle - clean / 2).max() < 1e-3
    assert material.si_sdr(clean, side) > 30


@pytest.mark.asyncio
async def test_a_clean_copy_that_is_too_short_stays_so(tmp_path: Path) -> None:
    voice = material.speech(RATE) * 0.5
    before = material.make(tmp_path, "s16.wav", voice)
    after = material.make(tmp_path, "a.flac", voice[: 2 * RATE])
    target = tmp_path / "out.flac"
    rendering = await engine.render(before, after, target, mix=0.5)
    assert rendering.duration_seconds == 2.0
    assert material.decode(target)[0].shape == (1, 2 * RATE)


@pytest.mark.asyncio
async def test_a_clean_copy_without_end_is_cut(tmp_path: Path) -> None:
    voice = material.speech(RATE) * 0.5
    before = material.make(tmp_path, "s16.wav", voice)
    after = material.make(tmp_path, "a.flac", np.tile(voice, 10))
    rendering = await engine.render(before, after, tmp_path / "out.flac")
    assert rendering.duration_seconds == pytest.approx(4 * 1.1 + 10, abs=0.01)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("out.ogg", {}),
        ("out", {}),
        ("out.flac", {"mix": 1.1}),
        ("out.flac", {"mix": float("nan")}),
        ("out.flac", {"max_attenuation_db": -1.0}),
        ("out.flac", {"loudness_lufs": 0.0}),
    ],
)
@pytest.mark.asyncio
async def test_what_is_out_of_range_is_an_error(
    name: str, options: dict[str, float], folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError):
        await _render(folder, tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.asyncio
async def test_a_file_that_is_none_is_rejected(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.flac"
    broken.write_bytes(b"fLaC" + bytes(1000))
    with pytest.raises(engine.MediaRejected):
        await engine.render(folder / "s16.wav", broken, tmp_path / "out.mp3")
    with pytest.raises(FileNotFoundError):
        await engine.render(folder / "s16.wav", tmp_path / "gone", tmp_path / "out.mp3")
    assert list(tmp_path.iterdir()) == [broken]


@pytest.mark.asyncio
async def test_progress_rises_to_the_end(folder: Path, tmp_path: Path) -> None:
    seen: list[float] = []
    await engine.render(
        folder / "s16.wav",
        folder / "a.flac",
        tmp_path / "out.flac",
        loudness_lufs=-16.0,
        on_progress=lambda pct, message: seen.append(pct),
    )
    assert seen == sorted(seen)
    assert seen[-1] == 100
    assert len(seen) > 2
    await engine.probe(tmp_path / "out.flac")


@pytest.mark.asyncio
async def test_a_rendering_replaces_an_older_one(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp3"
    target.write_bytes(b"old")
    await engine.render(folder / "s16.wav", folder / "a.flac", target, on_progress=ignore)
    assert (await engine.probe(target)).codec == "mp3"
