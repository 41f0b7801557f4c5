"""The passage with most speech is found, and cut out to the sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from denoise_relay import engine
from denoise_relay.engine.child.excerpt import cut_passage, find_passage, largest_excerpt_bytes
from tests.unit.engine import material

RATE = 16_000


def noise(seconds: float, level: float = 1e-3) -> material.Signal:
    return material.noise(round(seconds * RATE)) * level


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 s of noise, 12 s of quiet speech, 30 s of louder noise."""
    speech = np.tile(material.speech(RATE), 3) * 0.01
    signal = np.concatenate([noise(40), speech, noise(30, 0.1)])
    return material.make(tmp_path_factory.mktemp("talk"), "s16.wav", signal, rate=RATE)


def test_the_passage_with_most_speech(talk: Path) -> None:
    passage = find_passage(talk, 10)
    assert 40 <= passage.start_seconds <= 42.5
    assert (passage.rate, passage.channels) == (RATE, 1)


def test_without_speech_the_loudest_passage(tmp_path: Path) -> None:
    signal = np.concatenate([noise(20), noise(10, 0.1), noise(20)])
    path = material.make(tmp_path, "s16.wav", signal, rate=RATE)
    assert find_passage(path, 10).start_seconds == pytest.approx(20, abs=0.5)


@pytest.mark.parametrize("name", ["s16.wav", "a.flac", "s24.wav"])
def test_the_cut_is_the_recording_itself(name: str, tmp_path: Path) -> None:
    signal = np.stack([np.tile(material.speech(44_100), 3)] * 2)
    source = material.make(tmp_path, name, signal, rate=44_100)
    target = tmp_path / "cut.flac"
    passage = find_passage(source, 5)
    assert cut_passage(source, target, passage=passage, seconds=5) == 5

    whole, _ = material.decode(source)
    cut, rate = material.decode(target)
    start = round(passage.start_seconds * 44_100)
    assert rate == 44_100
    assert np.array_equal(cut, whole[:, start : start + 5 * 44_100])
    assert target.stat().st_size < largest_excerpt_bytes(passage, 5)


def test_an_excerpt_longer_than_the_recording_is_all_of_it(tmp_path: Path) -> None:
    source = material.make(tmp_path, "s16.wav", material.speech(RATE), rate=RATE)
    passage = find_passage(source, 30)
    assert passage.start_seconds == 0
    assert cut_passage(source, tmp_path / "cut.flac", passage=passage, seconds=30) == 4


@pytest.mark.asyncio
async def test_the_child_process_cuts(talk: Path, target: Path) -> None:
    found = await engine.excerpt(talk, target, seconds=10)
    assert 40 <= found.start_seconds <= 42.5
    assert found.duration_seconds == 10
    assert (await engine.probe(target)).duration_seconds == 10
