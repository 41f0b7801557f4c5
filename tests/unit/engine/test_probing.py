"""Good files are measured rightly; bad ones are refused, each for its own reason."""

from __future__ import annotations

import asyncio
import io
import socket
import struct
import threading
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from denoise_relay import engine
from denoise_relay.engine.child import container as source_module
from denoise_relay.engine.child.probe import probe_file
from denoise_relay.engine.errors import MediaRejected
from tests.unit.engine import material
from tests.unit.engine.material import FORMATS, Format

TONE = 0.5 * np.sin(np.arange(3 * 44_100) / 20) + 0.01 * material.noise(3 * 44_100)


def tone(format: Format) -> material.Signal:
    return np.stack([TONE] * format.channels)


def refused(path: Path, **limits: Any) -> MediaRejected:
    with pytest.raises(MediaRejected) as caught:
        probe_file(path, **limits)
    return caught.value


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Three seconds in each format."""
    folder = tmp_path_factory.mktemp("formats")
    return {
        format.name: material.encode(folder / format.name, format, tone(format)).read_bytes()
        for format in FORMATS
    }


# --- good files ----------------------------------------------------------------------------


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


# --- bad files -----------------------------------------------------------------------------


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


@pytest.mark.parametrize(("muxer", "codec"), [("aiff", "pcm_s16be"), ("flv", "mp3"), ("au", None)])
def test_media_of_another_kind(muxer: str, codec: str | None, tmp_path: Path) -> None:
    other = Format(name="other", container=muxer, codec=codec or "pcm_s16be")
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


# --- hostile files -------------------------------------------------------------------------

PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{url}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{url}'\n",
    "dash": (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT3S"><Period><AdaptationSet><Representation id="1" '
        'bandwidth="1"><BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period></MPD>'
    ),
}


@pytest.mark.parametrize("name", ["upload.mp3", "upload.wav", "upload.m3u8"])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_does_not_read_other_files(
    kind: str, name: str, files: dict[str, bytes], tmp_path: Path
) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(files["s16.wav"])
    for url in (secret.name, str(secret), f"file://{secret}"):
        path = tmp_path / name
        path.write_text(PLAYLISTS[kind].format(url=url))
        assert refused(path).code in ("not_media", "unsupported")


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_does_not_reach_the_network(kind: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        called = threading.Event()

        def answer() -> None:
            server.accept()[0].close()
            called.set()

        threading.Thread(target=answer, daemon=True).start()
        path = tmp_path / "upload.wav"
        path.write_text(PLAYLISTS[kind].format(url=f"http://{host}:{port}/a.wav"))
        refused(path)
        assert not called.is_set()
        socket.create_connection((host, port)).close()
        assert called.wait(5)  # the trap does work


def test_a_demuxer_that_slips_through_still_opens_nothing(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes], tmp_path: Path
) -> None:
    """The second lock, should a future FFmpeg let an allowed format name other files."""
    (tmp_path / "secret.wav").write_bytes(files["s16.wav"])
    path = tmp_path / "upload.wav"
    path.write_text(PLAYLISTS["concat"].format(url="secret.wav"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(source_module, "DEMUXERS", (*source_module.DEMUXERS, "concat"))

    refused(path)

    with open(path, "rb") as file, av.open(file) as unlocked:  # as PyAV opens it by itself
        assert unlocked.streams.audio


def test_a_playlist_that_slips_through_opens_nothing_either(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes], tmp_path: Path
) -> None:
    """HLS opens its parts by another way than concat does: through the callback."""
    tried: list[str] = []

    def spy(url: str, flags: int, options: dict[str, Any]) -> None:
        tried.append(url)
        refuse(url, flags, options)

    refuse = source_module._refuse_to_open
    monkeypatch.setattr(source_module, "_refuse_to_open", spy)
    monkeypatch.setattr(source_module, "DEMUXERS", (*source_module.DEMUXERS, "hls"))
    monkeypatch.setattr(source_module.Source, "name", "upload.m3u8", raising=False)
    (tmp_path / "secret.mp3").write_bytes(files["a.mp3"])
    path = tmp_path / "upload"
    path.write_text(PLAYLISTS["hls"].format(url=f"file://{tmp_path}/secret.mp3"))

    assert refused(path).code == "unsupported"
    assert tried == [f"file://{tmp_path}/secret.mp3"]


def test_video_is_never_decoded(files: dict[str, bytes], tmp_path: Path) -> None:
    """FFmpeg would decode a picture to learn its kind of pixels."""
    path = tmp_path / "a.avi"
    path.write_bytes(files["a.avi"])
    with open(path, "rb") as file:
        with source_module.open_container(source_module.Source(file)) as container:
            assert container.streams.video[0].codec_context.pix_fmt is None
        file.seek(0)
        with av.open(file) as unlocked:
            assert unlocked.streams.video[0].codec_context.pix_fmt == "yuv420p"


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damage_ends_in_an_answer(
    data: st.DataObject, files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In the child, because the next damage may crash a codec: that too would fail here."""
    content = bytearray(files[data.draw(st.sampled_from(sorted(files)))])
    near_start = st.integers(0, min(2000, len(content) - 8))
    anywhere = st.integers(0, len(content) - 8)
    patch = st.tuples(near_start | anywhere, st.binary(min_size=1, max_size=8))
    for position, patched in data.draw(st.lists(patch, min_size=1, max_size=12)):
        content[position : position + len(patched)] = patched
    del content[data.draw(st.integers(100, len(content))) :]
    path = tmp_path_factory.mktemp("damaged") / "upload"
    path.write_bytes(content)
    try:
        facts = asyncio.run(engine.probe(path))
    except MediaRejected:
        return
    assert 0 <= facts.duration_seconds < 1e6
