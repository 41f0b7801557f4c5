"""A video with its clean sound: pictures as they were, and in step with what is heard."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from denoise_relay import engine
from tests.unit.engine import material

RATE = 48_000
SECONDS = 6
#: Of a click in the sound, from its first sample on.
CLICK = 3.25


@dataclass(frozen=True, kw_only=True)
class Video:
    """A file to make. Times in seconds."""

    container: str
    codec: str
    audio_codec: str = "aac"
    audio_start: float = 0.0
    video_start: float = 0.0
    #: Of the sound, at half a second before the click.
    gap: float = 0.0
    subtitles: str = ""

    def make(self, path: Path) -> Path:
        packets: list[Any] = []
        with av.open(str(path), "w", format=self.container) as file:
            video: Any = file.add_stream(self.codec, rate=25)
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            audio: Any = file.add_stream(self.audio_codec, rate=RATE, layout="mono")
            if self.subtitles:
                lines: Any = file.add_mux_stream(self.subtitles)
            for index in range(25 * SECONDS):
                values = np.full((72, 64), index * 5 % 256, np.uint8)
                picture = av.VideoFrame.from_ndarray(values, "yuv420p")
                picture.pts = index + round(self.video_start * 25)
                picture.time_base = Fraction(1, 25)
                packets += video.encode(picture)
            packets += video.encode(None)
            for start in range(0, SECONDS * RATE, 1024):
                frame = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(_sound()[None, start : start + 1024]), "fltp", "mono"
                )
                frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
                paused = self.gap if start > (CLICK - 0.5) * RATE else 0.0
                frame.pts = start + round((self.audio_start + paused) * RATE)
                packets += audio.encode(frame)
            packets += audio.encode(None)
            if self.subtitles:
                line: Any = av.Packet(b"\0\5Hello" if self.subtitles == "mov_text" else b"Hello")
                line.stream, line.time_base = lines, Fraction(1, 1000)
                line.pts = line.dts = 1000
                line.duration = 2000
                packets.append(line)
            packets.sort(key=lambda packet: packet.dts * packet.time_base)
            file.mux(packets)
        return path


def _sound() -> material.Signal:
    sound = np.asarray(material.noise(SECONDS * RATE) * 0.01, np.float32)
    sound[round(CLICK * RATE)] = 0.9
    return sound


def _pictures(path: Path) -> tuple[list[bytes], list[float]]:
    """The packets in order, and when each picture is shown."""
    with av.open(str(path)) as file:
        packets = [bytes(packet) for packet in file.demux(video=0) if packet.size]
    with av.open(str(path)) as file:
        return packets, [float(frame.time or 0) for frame in file.decode(video=0)]


def _click(path: Path) -> float:
    """When it is heard, in seconds."""
    with av.open(str(path)) as file:
        frames: list[Any] = list(file.decode(audio=0))
    to_float = av.AudioResampler(format="fltp", layout="mono")
    parts = [part.to_ndarray()[0] for frame in frames for part in to_float.resample(frame)]
    samples = np.concatenate(parts)
    return float(frames[0].time) + int(np.argmax(np.abs(samples))) / frames[0].sample_rate


async def _rendered(source: Path, folder: Path, format: str) -> Path:
    sound, rate = material.decode(source)
    clean = material.encode(folder / "clean.flac", material.BY_NAME["a.flac"], sound, rate=rate)
    target = folder / f"out.{format}"
    await engine.render(source, clean, target)
    return target


@pytest.mark.parametrize("format", ["mp4", "mkv"])
@pytest.mark.parametrize(
    "video",
    [
        Video(container="mp4", codec="libx264"),
        Video(container="mp4", codec="libx264", audio_start=0.5),
        Video(container="mp4", codec="libx264", video_start=0.48),
        Video(container="mov", codec="mpeg4", audio_codec="pcm_s16le"),
        Video(container="matroska", codec="libx264"),
        Video(container="matroska", codec="libx264", audio_start=0.5),
        Video(container="matroska", codec="libx264", audio_start=100, video_start=100),
        Video(container="webm", codec="libvpx-vp9", audio_codec="libopus"),
        Video(container="avi", codec="mpeg4", audio_codec="mp3"),
    ],
    ids=lambda video: f"{video.container}-{video.codec}-{video.audio_start}-{video.video_start}",
)
@pytest.mark.asyncio
async def test_pictures_are_copied_and_stay_in_step(
    video: Video, format: str, tmp_path: Path
) -> None:
    source = video.make(tmp_path / "source")
    target = await _rendered(source, tmp_path, format)
    packets, times = _pictures(source)
    new_packets, new_times = _pictures(target)
    assert new_packets == packets
    # The time line begins with what comes first.
    start = times[0] - new_times[0]
    assert start == pytest.approx(min(video.audio_start, video.video_start), abs=0.05)
    assert np.abs(np.array(times) - new_times - start).max() < 0.002
    assert _click(target) == pytest.approx(_click(source) - start, abs=0.002)
    with av.open(str(target)) as file:
        assert [stream.type for stream in file.streams] == ["video", "audio"]
        assert file.streams.audio[0].codec.name == "aac"


@pytest.mark.parametrize(
    ("container", "codec", "format", "kept"),
    [("mp4", "mov_text", "mp4", True), ("mp4", "mov_text", "mkv", False),
     ("matroska", "subrip", "mkv", True), ("matroska", "subrip", "mp4", False)],
)  # fmt: skip
@pytest.mark.asyncio
async def test_subtitles_stay_where_they_can(
    container: str, codec: str, format: str, kept: bool, tmp_path: Path
) -> None:
    source = Video(container=container, codec="libx264", subtitles=codec).make(tmp_path / "source")
    target = await _rendered(source, tmp_path, format)
    with av.open(str(target)) as file:
        assert len(file.streams.subtitles) == kept
        assert len(file.streams.video) == len(file.streams.audio) == 1


@pytest.mark.asyncio
async def test_an_mp4_says_first_what_is_in_it(tmp_path: Path) -> None:
    source = Video(container="matroska", codec="libx264").make(tmp_path / "source")
    data = (await _rendered(source, tmp_path, "mp4")).read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.asyncio
async def test_pictures_that_the_format_cannot_hold_are_refused(tmp_path: Path) -> None:
    source = Video(container="webm", codec="libvpx", audio_codec="libopus").make(
        tmp_path / "source"
    )
    with pytest.raises(engine.MediaRejected, match="Choose another"):
        await _rendered(source, tmp_path, "mp4")
    assert not (tmp_path / "out.mp4").exists()
    assert (await _rendered(source, tmp_path, "mkv")).exists()


@pytest.mark.asyncio
async def test_a_recording_without_pictures_is_refused(tmp_path: Path) -> None:
    source = material.make(tmp_path, "s16.wav", material.speech(44_100))
    with pytest.raises(engine.MediaRejected) as caught:
        await _rendered(source, tmp_path, "mp4")
    assert caught.value.code == "no_video"


@pytest.mark.parametrize("container", ["mp4", "matroska"])
@pytest.mark.asyncio
async def test_pauses_of_the_sound_are_kept(container: str, tmp_path: Path) -> None:
    source = Video(container=container, codec="libx264", gap=1.0).make(tmp_path / "source")
    expected = CLICK + 1.0
    target = await _rendered(source, tmp_path, "mkv")
    assert _click(target) == pytest.approx(expected, abs=0.03)
    assert _pictures(target) == _pictures(source)


@pytest.mark.parametrize("format", ["mp4", "mkv"])
@pytest.mark.asyncio
async def test_a_phone_held_upright_stays_so(format: str, tmp_path: Path) -> None:
    source = Video(container="mp4", codec="libx264").make(tmp_path / "source")
    data = bytearray(source.read_bytes())
    # The matrix of the first track's header (ISO/IEC 14496-12, 8.3.2): a quarter turn.
    matrix = data.index(b"tkhd") + 4 + 4 + 20 + 16
    turned = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 48 << 16, 0, 1 << 30)
    data[matrix : matrix + len(turned)] = turned
    source.write_bytes(data)
    assert _rotation(source) == _rotation(await _rendered(source, tmp_path, format)) == -90


def _rotation(path: Path) -> int:
    with av.open(str(path)) as file:
        return next(file.decode(video=0)).rotation


@pytest.mark.asyncio
async def test_hevc_gets_the_tag_that_apple_plays(tmp_path: Path) -> None:
    source = Video(container="matroska", codec="libx265").make(tmp_path / "source")
    with av.open(str(await _rendered(source, tmp_path, "mp4"))) as file:
        assert file.streams.video[0].codec_context.codec_tag == "hvc1"
