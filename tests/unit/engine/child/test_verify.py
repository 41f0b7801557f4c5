"""The facts about results: good, silent, cut, of another kind, or no audio at all."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from denoise_relay import engine
from denoise_relay.engine.child.verify import verify_files
from denoise_relay.engine.errors import MediaRejected
from tests.unit.engine import material
from tests.unit.engine.material import Signal

RATE = 44_100


@pytest.fixture(scope="module")
def recording() -> Signal:
    """8 s of speech in noise."""
    return np.tile(material.mix(material.speech(RATE), 10), 2)


def verify(
    folder: Path, before: Signal, after: Signal, name: str = "a.flac"
) -> engine.Verification:
    source = material.make(folder, "s16.wav", before, rate=RATE)
    return verify_files(source, material.make(folder, name, after, rate=RATE))


def lost_db(facts: engine.Verification) -> float:
    return facts.speech_before_db - facts.speech_after_db


@pytest.mark.parametrize("gain_db", [0, -40])
@pytest.mark.parametrize("name", ["a.flac", "s16.wav", "a.mp3"])
def test_a_good_result(name: str, gain_db: float, recording: Signal, tmp_path: Path) -> None:
    clean = np.tile(material.speech(RATE), 2)
    gain = 10 ** (gain_db / 20)
    facts = verify(tmp_path, recording * gain, clean * gain, name)
    assert facts.playable
    assert facts.before_seconds == pytest.approx(8, abs=0.01)
    assert facts.after_seconds == pytest.approx(8, abs=0.1)
    assert 4 < facts.speech_seconds < 8
    assert abs(lost_db(facts)) < 3
    assert facts.lost_seconds == 0
    assert (facts.tracks, facts.channels_before, facts.channels_after) == (1, 1, 1)


def test_a_silent_result(recording: Signal, tmp_path: Path) -> None:
    assert lost_db(verify(tmp_path, recording, np.zeros(len(recording)))) > 100


def test_one_side_that_went_silent(recording: Signal, tmp_path: Path) -> None:
    """The interview whose second speaker was lost."""
    sides = np.stack([recording, recording * 0.04])
    facts = verify(tmp_path, sides, np.stack([recording, recording * 1e-5]))
    assert lost_db(facts) > 60
    assert facts.channels_before == 2


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_a_result_that_goes_silent(share: float, recording: Signal, tmp_path: Path) -> None:
    """The level of all its speech hardly says so: half of it are 3 dB."""
    begin = round(len(recording) * (1 - share))
    result = recording.copy()
    result[begin:] = 0
    facts = verify(tmp_path, recording, result)
    assert lost_db(facts) < 15
    assert facts.lost_seconds == pytest.approx(share * facts.speech_seconds, abs=1.1)


def test_a_distant_speaker_who_is_gone(recording: Signal, tmp_path: Path) -> None:
    near, far = recording, recording * 0.1
    facts = verify(
        tmp_path, np.concatenate([near, far, near]), np.concatenate([near, far * 1e-3, near])
    )
    assert lost_db(facts) < 1
    assert facts.lost_seconds == pytest.approx(facts.speech_seconds / 3, abs=1.1)


@pytest.mark.parametrize("change", [(48_000, 1), (RATE, 2)], ids=["rate", "channels"])
def test_a_recording_that_changes_in_the_middle(
    change: tuple[int, int], recording: Signal, tmp_path: Path
) -> None:
    """As a radio stream does. The engine converts the rest, and the result is as long as both."""
    rate, channels = change
    first = material.make(tmp_path, "a.aac", recording, rate=RATE).read_bytes()
    second = np.stack([material.resample(recording[None], RATE, rate)[0]] * channels)
    path = material.make(tmp_path, "a.aac", second, rate=rate)
    path.write_bytes(first + path.read_bytes())
    result = material.make(tmp_path, "a.flac", np.tile(recording, 2), rate=RATE)
    facts = verify_files(path, result)
    assert facts.before_seconds == pytest.approx(16, abs=0.2)
    assert abs(lost_db(facts)) < 1
    assert facts.lost_seconds == 0


def test_a_constant_offset_is_no_speech_that_was_lost(recording: Signal, tmp_path: Path) -> None:
    facts = verify(tmp_path, recording * 0.01 + 0.3, recording * 0.01)
    assert abs(lost_db(facts)) < 1


def test_a_result_that_is_cut(recording: Signal, tmp_path: Path) -> None:
    facts = verify(tmp_path, recording, recording[: RATE * 5])
    assert facts.after_seconds == pytest.approx(5)
    assert abs(lost_db(facts)) < 3


def test_mono_made_of_stereo(recording: Signal, tmp_path: Path) -> None:
    facts = verify(tmp_path, np.stack([recording, recording]), recording)
    assert (facts.channels_before, facts.channels_after) == (2, 1)
    assert abs(lost_db(facts)) < 1


def test_a_result_that_is_no_audio(recording: Signal, tmp_path: Path) -> None:
    source = material.make(tmp_path, "s16.wav", recording, rate=RATE)
    result = tmp_path / "result.wav"
    result.write_bytes(b"<html>503</html>" * 100)
    facts = verify_files(source, result)
    assert not facts.playable
    assert facts.after_seconds == 0


def test_a_recording_without_speech(tmp_path: Path) -> None:
    noise = material.noise(RATE * 4) * 0.1
    facts = verify(tmp_path, noise, noise * 1e-4)
    assert facts.speech_seconds == 0
    assert lost_db(facts) == 0


def test_tracks_are_counted(recording: Signal, tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w", format="matroska") as container:
        streams = [container.add_stream("flac", rate=RATE, layout="mono") for _ in range(2)]
        for stream in streams:
            samples = (recording[None, : RATE * 2] * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
            frame.sample_rate, frame.pts = RATE, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    assert verify_files(path, path).tracks == 2


def test_a_recording_that_cannot_be_read_is_not_judged(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no audio")
    with pytest.raises(MediaRejected):
        verify_files(path, path)


@pytest.mark.asyncio
async def test_the_facts_cross_the_pipe(recording: Signal, tmp_path: Path) -> None:
    path = material.make(tmp_path, "s16.wav", recording, rate=RATE)
    facts = await engine.verify(path, path)
    assert facts.playable
    assert lost_db(facts) == 0
    with pytest.raises(FileNotFoundError):
        await engine.verify(path, tmp_path / "gone.flac")
