"""The sound of a file is copied as it is, or not at all."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from denoise_relay import engine
from denoise_relay.engine.child.extract import extract_track
from denoise_relay.engine.child.probe import probe_file
from tests import corpus
from tests.unit.engine import material

COPIED = {
    "film.mov": "m4a",
    "film.mp4": "m4a",
    "obs.mkv": "m4a",
    "signal.aac": "m4a",
    "screen.webm": "ogg",
    "meeting.webm": "ogg",
    "divx.avi": "mp3",
    "flash.flv": "mp3",
    "flac.oga": "flac",
    "alac.caf": "m4a",
}


@pytest.mark.parametrize(("name", "extension"), COPIED.items())
def test_the_copy_decodes_to_the_same(name: str, extension: str, tmp_path: Path) -> None:
    source, target = tmp_path / "upload", tmp_path / f"sent.{extension}"
    source.write_bytes(corpus.content(name))
    assert engine.COPIED_AS[probe_file(source).codec][0] == extension
    assert extract_track(source, target, extension=extension)
    before, rate = material.decode(source)
    after, rate_after = material.decode(target)
    assert rate_after == rate
    assert abs(after.shape[1] - before.shape[1]) <= 0.1 * rate
    count = min(after.shape[1], before.shape[1])
    assert np.array_equal(after[:, :count], before[:, :count])
    assert not probe_file(target).has_video


@pytest.mark.parametrize(("name", "extension"), [("old.amr", "m4a"), ("cast.mp3", "mp3")])
def test_what_would_sound_different_is_not_copied(
    name: str, extension: str, tmp_path: Path
) -> None:
    """MP4 as Apple has it holds no AMR, and a bare MP3 cannot say what to skip at its start."""
    source = tmp_path / "upload"
    source.write_bytes(corpus.content(name))
    assert not extract_track(source, tmp_path / "sent", extension=extension)


@pytest.mark.asyncio
async def test_the_child_makes_flac_where_a_copy_will_not_do(tmp_path: Path) -> None:
    source = tmp_path / "cast.mp3"
    source.write_bytes(corpus.content("cast.mp3"))
    target = tmp_path / "sent"
    made = await engine.convert(source, target, copy="mp3", on_progress=lambda *_: None)
    assert made.extension == "flac"
    assert target.read_bytes()[:4] == b"fLaC"


def test_sound_that_starts_later_than_the_picture_starts_with_the_copy(tmp_path: Path) -> None:
    source, target = tmp_path / "late.mkv", tmp_path / "sent.m4a"
    clean = material.speech(48_000)[48_000:96_000]
    with av.open(str(source), "w", format="matroska") as container:
        video: Any = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio: Any = container.add_stream("aac", rate=48_000, layout="mono")
        for index in range(40):
            picture = av.VideoFrame(64, 48, "yuv420p")
            picture.pts, picture.time_base = index, Fraction(1, 25)
            container.mux(video.encode(picture))
        frame = av.AudioFrame.from_ndarray(clean[None].astype(np.float32), "fltp", "mono")
        frame.sample_rate, frame.time_base = 48_000, Fraction(1, 48_000)
        frame.pts = 24_000
        container.mux([*audio.encode(frame), *audio.encode(None), *video.encode(None)])
    assert extract_track(source, target, extension="m4a")
    after, _rate = material.decode(target)
    before, _rate = material.decode(source)
    assert abs(material.lag(before[0], after[0])) < 0.5
