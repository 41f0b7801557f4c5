"""Good files are measured rightly; bad ones are refused, each for its own reason."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from denoise_relay.engine.child.probe import probe_file
from tests.unit.engine import material
from tests.unit.engine.child.probing import TONE, tone
from tests.unit.engine.material import FORMATS, Format


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
def test_a_good_file_is_measured(format: Format, files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "upload"  # no ending: only the content counts
    path.write_bytes(files[format.name])

    facts = probe_file(path)

    assert facts.duration_seconds == pytest.approx(TONE.size / format.rate, abs=0.06)
    assert (facts.sample_rate, facts.channels) == (format.rate, format.channels)
    assert facts.has_video == (format.video is not None)
    assert facts.codec == format.codec.removeprefix("lib")
    containers = {"ipod": "mov", "mp4": "mov", "webm": "matroska", "adts": "aac"}
    assert facts.container == containers.get(format.container, format.container)


@pytest.mark.parametrize("size", [0, 0xFFFF_FFFF, 0x7FFF_FFFF - 36])
def test_a_wav_from_a_pipe_is_whole(size: int, files: dict[str, bytes], tmp_path: Path) -> None:
    data = bytearray(files["s16.wav"])
    struct.pack_into("<I", data, 4, min(size + 36, 0xFFFF_FFFF))
    struct.pack_into("<I", data, data.index(b"data") + 4, size)
    path = tmp_path / "pipe.wav"
    path.write_bytes(data)
    assert probe_file(path).duration_seconds == pytest.approx(3, abs=0.01)


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "vorbis.ogg", "opus.ogg", "a.mp3", "a.aac"])
def test_a_file_written_without_seeking_is_whole(name: str, tmp_path: Path) -> None:
    """Live recordings cannot go back to fill in sizes."""

    class Pipe(io.RawIOBase):
        data = bytearray()

        def write(self, chunk: Any) -> int:
            self.data += chunk
            return len(chunk)

        def seekable(self) -> bool:
            return False

        def writable(self) -> bool:
            return True

    pipe = Pipe()
    pipe.data = bytearray()
    path, format = tmp_path / name, material.BY_NAME[name]
    material.encode(path, format, tone(format), target=pipe)
    path.write_bytes(pipe.data)
    assert probe_file(path).duration_seconds == pytest.approx(TONE.size / format.rate, abs=0.06)


def test_cover_art_is_not_video(files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "cover.m4a"
    (tmp_path / "plain.m4a").write_bytes(files["aac.m4a"])
    with av.open(str(tmp_path / "plain.m4a")) as plain, av.open(str(path), "w", "mp4") as out:
        audio = out.add_stream_from_template(plain.streams.audio[0])
        cover: Any = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame(64, 48, "yuvj420p")
        picture.pts = 0
        out.mux(cover.encode(picture) + cover.encode(None))
        for packet in plain.demux(audio=0):
            if packet.size:
                packet.stream = audio
                out.mux(packet)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    assert not probe_file(path).has_video


def test_matroska_is_measured_by_its_clock(tmp_path: Path) -> None:
    """It rounds each packet of 23.2 ms to 23: the sum would be 0.3 s short after half a minute."""
    path = material.make(tmp_path, "a.mkv", np.tile(TONE, 10))
    assert probe_file(path).duration_seconds == pytest.approx(30, abs=0.06)


def test_tags_in_an_old_encoding_are_no_obstacle(files: dict[str, bytes], tmp_path: Path) -> None:
    data = bytearray(files["s16.wav"])
    tag = b"INFOINAM\x06\0\0\0caf\xe9s\0"
    chunk = b"LIST" + struct.pack("<I", len(tag)) + tag
    at = data.index(b"data")
    data[at:at] = chunk
    struct.pack_into("<I", data, 4, len(data) - 8)
    path = tmp_path / "tagged.wav"
    path.write_bytes(data)
    assert probe_file(path).duration_seconds == 3.0


def test_progress_reaches_the_end(files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(files["s16.wav"])
    shares: list[float] = []
    probe_file(path, on_progress=shares.append)
    assert shares == sorted(shares)
    assert 0.9 < shares[-1] <= 1
