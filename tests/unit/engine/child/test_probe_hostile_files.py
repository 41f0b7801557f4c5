"""Files that try to read other files, to reach the network, or to waste time."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from denoise_relay import engine
from denoise_relay.engine.child import container as source_module
from denoise_relay.engine.errors import MediaRejected
from tests.unit.engine.child.probing import refused

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
def test_a_damaged_file_is_measured_or_rejected(
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
