"""Of a damaged file, what can be read is read, and what is missing is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from denoise_relay.engine.child.convert import convert_file
from denoise_relay.engine.child.probe import probe_file
from denoise_relay.engine.errors import MediaRejected
from tests.unit.engine import material
from tests.unit.engine.child.probing import refused

#: What is announced of the three seconds of `files`, where a header says it.
CUT = {
    "s16.wav": 3.0,
    "s24.wav": 3.0,
    "f32.wav": 3.0,
    "a.mp3": 3.0,
    "a.flac": 3.0,
    "a.mkv": 3.0,
    "vorbis.ogg": 0.0,
    "opus.ogg": 0.0,
    "a.avi": 0.0,
}


@pytest.mark.parametrize(("name", "announced"), CUT.items())
def test_a_recorder_that_died(
    name: str, announced: float, files: dict[str, bytes], tmp_path: Path
) -> None:
    whole, cut, target = tmp_path / "whole", tmp_path / "cut", tmp_path / "sent.flac"
    content = files[name]
    whole.write_bytes(content)
    cut.write_bytes(content[: int(len(content) * (0.6 if announced else 0.8))])

    assert refused(cut).code == "truncated"
    facts = probe_file(cut, rescue=True)
    assert facts.damaged
    assert 1.0 <= facts.duration_seconds <= 2.7
    assert facts.announced_seconds == pytest.approx(announced, abs=0.1)

    seconds = convert_file(cut, target, probe=facts, on_progress=lambda _share: None)
    assert seconds == pytest.approx(facts.duration_seconds, abs=0.15)
    before, _rate = material.decode(whole)
    after, _rate = material.decode(target)
    # But for the last moment, which the cut went through.
    count = after.shape[1] - after.shape[1] // 10
    assert np.abs(after[:, :count] - before[:, :count]).max() < 1e-4
    assert not probe_file(target).damaged


@pytest.mark.parametrize("name", ["s16.wav", "a.mp3", "opus.ogg"])
def test_less_than_a_second_is_refused(name: str, files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "cut"
    path.write_bytes(files[name][: len(files[name]) // 4])
    with pytest.raises(MediaRejected) as caught:
        probe_file(path, rescue=True)
    assert caught.value.code == "truncated"


@pytest.mark.parametrize("name", ["aac.m4a", "a.mp4", "a.mov"])
def test_an_mp4_without_its_index_is_refused_with_the_reason(
    name: str, files: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "cut"
    path.write_bytes(files[name][: len(files[name]) * 9 // 10])
    with pytest.raises(MediaRejected, match="before its index was written") as caught:
        probe_file(path, rescue=True)
    assert caught.value.code == "truncated"


@pytest.mark.parametrize("name", ["s16.wav", "a.mp3", "a.flac", "opus.ogg", "a.mp4", "a.mkv"])
def test_a_whole_file_is_not_damaged(name: str, files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "whole"
    path.write_bytes(files[name])
    facts = probe_file(path, rescue=True)
    assert (facts.damaged, facts.announced_seconds) == (False, 0.0)


def test_a_hole_is_left_out_of_the_copy(files: dict[str, bytes], tmp_path: Path) -> None:
    """A lost block of a file that is cut, too: the packets behind it are read."""
    content = bytearray(files["a.mp3"][: len(files["a.mp3"]) * 9 // 10])
    third = len(content) // 3
    content[third : third + 4096] = bytes(4096)
    path, target = tmp_path / "cut", tmp_path / "sent.flac"
    path.write_bytes(content)
    facts = probe_file(path, rescue=True)
    convert_file(path, target, probe=facts, on_progress=lambda _share: None)
    assert 2.0 < material.decode(target)[0].shape[1] / 44_100 < 2.8
