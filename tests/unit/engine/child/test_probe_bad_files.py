"""Files that are refused, each with its reason."""

from __future__ import annotations

import struct
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from denoise_relay.engine.child.probe import probe_file
from tests.unit.engine import material
from tests.unit.engine.child.probing import TONE, refused
from tests.unit.engine.material import FORMATS, Format


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.wav"
    path.touch()
    assert refused(path).code == "empty"


def test_a_track_without_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as header_only:
        header_only.setparams((1, 2, 44_100, 0, "NONE", ""))
    assert refused(path).code == "empty"


@pytest.mark.parametrize(
    "content",
    [b"hello world\n" * 400, bytes(5000), material.noise(10_000).tobytes(), b"\xff", b"RIFF"],
    ids=["text", "zeros", "noise", "one byte", "four bytes"],
)
def test_what_is_no_media(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "upload.mp3"
    path.write_bytes(content)
    rejection = refused(path)
    assert rejection.code == "not_media"
    assert "WAV, MP3, M4A" in str(rejection)


@pytest.mark.parametrize(("muxer", "codec"), [("nut", "pcm_s16le"), ("ast", "pcm_s16be_planar")])
def test_media_of_another_kind(muxer: str, codec: str, tmp_path: Path) -> None:
    """Formats that FFmpeg knows and nobody records in."""
    other = Format(name="other", container=muxer, codec=codec)
    path = material.encode(tmp_path / "upload.wav", other, TONE)
    assert refused(path).code == "unsupported"


def test_a_video_without_sound(tmp_path: Path) -> None:
    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for index in range(25):
            picture = av.VideoFrame(64, 48, "yuv420p")
            picture.pts = index
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
    assert refused(path).code == "no_audio"


def test_what_is_too_long(files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(files["s16.wav"])
    rejection = refused(path, max_duration_seconds=2.4)
    assert rejection.code == "too_long"
    assert str(rejection) == (
        "Duration exceeds the maximum limit of 0.04 minutes. Duration: 0.1 minutes. "
        "Send a shorter recording."
    )
    assert probe_file(path, max_duration_seconds=3.0).duration_seconds == 3.0


def test_a_rate_that_nothing_plays(files: dict[str, bytes], tmp_path: Path) -> None:
    data = bytearray(files["s16.wav"])
    struct.pack_into("<I", data, 24, 50)
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    rejection = refused(path)
    assert rejection.code == "unsupported"
    assert "50 Hz" in str(rejection)


#: What these announce is in no header, so that a cut leaves a shorter, whole file.
ANNOUNCE_NOTHING = {"a.aac"}


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("name", sorted({format.name for format in FORMATS} - ANNOUNCE_NOTHING))
def test_a_cut_file(name: str, share: float, files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(files[name][: int(len(files[name]) * share)])
    assert refused(path).code == "truncated"


def test_a_flac_cut_between_two_frames(files: dict[str, bytes], tmp_path: Path) -> None:
    """Every frame is whole, so that only the number of samples in the header tells."""
    path = tmp_path / "a.flac"
    path.write_bytes(files["a.flac"])
    with av.open(str(path)) as container:
        starts = [packet.pos for packet in container.demux(audio=0) if packet.size]
    path.write_bytes(files["a.flac"][: starts[-3]])
    assert refused(path).code == "truncated"


def test_a_cut_mp4_whose_index_comes_first(tmp_path: Path) -> None:
    """`faststart` files open well, and only the samples are missing."""
    path = tmp_path / "fast.mp4"
    with av.open(str(path), "w", "mp4", options={"movflags": "faststart"}) as container:
        stream: Any = container.add_stream("aac", rate=44_100, layout="mono")
        frame = av.AudioFrame.from_ndarray(TONE[None].astype(np.float32), "fltp", "mono")
        frame.sample_rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    path.write_bytes(data[: len(data) * 3 // 4])
    assert refused(path).code == "truncated"


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"%PDF-1.7\n", "a PDF document"),
        (b"PK\x03\x04\x14\x00", "an office document"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (b"  <!DOCTYPE html><html>", "a web page"),
        (b"MThd\x00\x00\x00\x06", "a MIDI file"),
    ],
)
def test_what_else_people_send_is_named(head: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "talk.mp3"
    path.write_bytes(head + bytes(4000))
    assert words in str(refused(path))


@pytest.mark.parametrize("offset", [0.0, 0.2])
@pytest.mark.parametrize("name", ["s16.wav", "a.mp3", "aac.m4a", "opus.ogg"])
def test_a_recording_of_nothing(name: str, offset: float, tmp_path: Path) -> None:
    """Digital silence, and what a broken microphone adds: a constant and the last bit."""
    rate = material.BY_NAME[name].rate
    dither = np.random.default_rng(1).integers(0, 2, rate * 2) / 32768
    silence = dither + offset if name == "s16.wav" else np.zeros(rate * 2)
    path = material.make(tmp_path, name, silence)
    assert refused(path).code == "silent"


def test_a_recording_that_begins_with_a_long_silence_is_none(tmp_path: Path) -> None:
    speech = material.speech(8000) * 1e-3
    path = material.make(
        tmp_path, "s16.wav", np.concatenate([np.zeros(8000 * 600), speech]), rate=8000
    )
    assert probe_file(path).duration_seconds == 604.0


@pytest.mark.parametrize("entry", [b"enca", b"drms"])
def test_a_recording_that_is_protected(
    entry: bytes, files: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "bought.m4a"
    path.write_bytes(files["aac.m4a"].replace(b"mp4a", entry))
    assert refused(path).code == "protected"
