"""What goes in comes out as long as it was, where it was: in every format, rate and layout."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from denoise_relay import engine
from tests.unit.engine import material
from tests.unit.engine.material import FORMATS, Format


def ignore(pct: float, message: str) -> None:
    pass


def one_second(rate: int) -> material.Signal:
    return material.speech(rate)[rate : rate * 2]


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
@pytest.mark.asyncio
async def test_every_format_keeps_length_place_rate_and_channels(
    format: Format, tmp_path: Path
) -> None:
    noisy = np.stack([material.mix(one_second(format.rate), 10)] * format.channels)
    source = material.make(tmp_path, format.name, noisy)
    target = tmp_path / "out.flac"

    facts = await engine.denoise(source, target, on_progress=ignore)

    before, rate = material.decode(source)
    after, rate_after = material.decode(target)
    assert (rate_after, after.shape) == (rate, before.shape)
    assert abs(material.lag(before[0], after[0])) < 0.5
    assert facts.duration_seconds == pytest.approx(before.shape[1] / rate, abs=0.05)
    assert (facts.sample_rate, facts.channels) == (format.rate, format.channels)
    assert facts.has_video == (format.video is not None)


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 96_000])
@pytest.mark.asyncio
async def test_every_rate_comes_back(rate: int, tmp_path: Path) -> None:
    clean = one_second(rate)
    source = material.make(tmp_path, "s16.wav", material.mix(clean, 10), rate=rate)
    target = tmp_path / "out.flac"

    await engine.denoise(source, target, on_progress=ignore)

    after, rate_after = material.decode(target)
    assert (rate_after, after.shape) == (rate, (1, len(clean)))
    assert abs(material.lag(clean, after[0])) < 0.5


@pytest.mark.asyncio
async def test_a_video_with_a_variable_frame_rate_keeps_its_sound_in_place(tmp_path: Path) -> None:
    """As phones record: pictures come when they come, which the sound does not follow."""
    noisy = material.mix(one_second(48_000), 10)
    source = tmp_path / "phone.mkv"
    with av.open(str(source), "w", format="matroska") as container:
        video = container.add_stream("mpeg4", rate=1000)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("flac", rate=48_000, layout="mono")
        for milliseconds in (0, 10, 200, 210, 211, 900):
            picture = av.VideoFrame(64, 48, "yuv420p")
            picture.pts = milliseconds
            container.mux(video.encode(picture))
        samples = (noisy[None] * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
        frame.sample_rate, frame.pts = 48_000, 0
        container.mux([*audio.encode(frame), *audio.encode(None), *video.encode(None)])
    target = tmp_path / "out.flac"

    facts = await engine.denoise(source, target, on_progress=ignore)

    after, _rate = material.decode(target)
    assert facts.has_video
    assert after.shape == (1, len(noisy))
    assert abs(material.lag(noisy, after[0])) < 0.5


@pytest.mark.asyncio
async def test_channels_are_denoised_apart(tmp_path: Path) -> None:
    clean = one_second(48_000)
    silence = np.zeros_like(clean)
    source = material.make(tmp_path, "s16.wav", np.stack([clean, silence]), rate=48_000)
    target = tmp_path / "out.flac"

    await engine.denoise(source, target, on_progress=ignore)

    (left, right), _ = material.decode(target)
    assert material.si_sdr(clean, left) > 10
    assert np.abs(right).max() < 1e-3


@pytest.mark.asyncio
async def test_surround_is_mixed_down_to_stereo_without_clipping(tmp_path: Path) -> None:
    loud = one_second(44_100) / np.abs(one_second(44_100)).max()
    source = material.make(tmp_path, "s16.wav", np.stack([loud] * 6))
    target = tmp_path / "out.flac"

    facts = await engine.denoise(source, target, on_progress=ignore)

    after, _ = material.decode(target)
    assert facts.channels == 6
    assert after.shape == (2, len(loud))
    assert np.abs(after).max() < 0.999
    assert material.si_sdr(loud, after[0]) > 10


@pytest.mark.parametrize("count", [1, 100, 481])
@pytest.mark.asyncio
async def test_the_shortest_files_keep_their_length(count: int, tmp_path: Path) -> None:
    source = material.make(tmp_path, "s16.wav", material.speech(44_100)[44_100 : 44_100 + count])
    target = tmp_path / "out.flac"

    await engine.denoise(source, target, on_progress=ignore)

    assert material.decode(target)[0].shape == (1, count)


@pytest.mark.asyncio
async def test_the_header_lets_browsers_seek(tmp_path: Path) -> None:
    """STREAMINFO has the number of samples and the checksum, which come last to the encoder."""
    source = material.make(tmp_path, "s16.wav", one_second(44_100))
    target = tmp_path / "out.flac"

    await engine.denoise(source, target, on_progress=ignore)

    info = target.read_bytes()[8:42]
    assert int.from_bytes(info[13:18], "big") & (1 << 36) - 1 == 44_100
    assert info[18:34] != bytes(16)
    with av.open(str(target)) as container:
        container.seek(500_000)
        frame = next(container.decode(audio=0))
    assert frame.time is not None
    assert 0 < frame.time <= 0.5


@pytest.mark.asyncio
async def test_a_change_in_midstream_is_converted_to_what_came_first(tmp_path: Path) -> None:
    clean = one_second(44_100)
    parts = [
        material.make(tmp_path, "a.aac", clean).read_bytes(),
        material.make(
            tmp_path, "a.aac", np.stack([one_second(32_000)] * 2), rate=32_000
        ).read_bytes(),
    ]
    source = tmp_path / "both.aac"
    source.write_bytes(b"".join(parts))
    target = tmp_path / "out.flac"

    await engine.denoise(source, target, on_progress=ignore)

    after, rate = material.decode(target)
    assert (rate, len(after)) == (44_100, 1)
    assert after.shape[1] / rate == pytest.approx(2, abs=0.15)
    assert material.si_sdr(clean, np.roll(after[0], -1024)[: len(clean)]) > 5
