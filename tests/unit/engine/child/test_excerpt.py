"""The passage with most speech is found, and cut out to the sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from denoise_relay import engine
from denoise_relay.engine.child.excerpt import find_passage
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


@pytest.mark.asyncio
async def test_the_child_process_cuts(talk: Path, target: Path) -> None:
    found = await engine.excerpt(talk, target, seconds=10)
    assert 40 <= found.start_seconds <= 42.5
    assert found.duration_seconds == 10
    assert (await engine.probe(target)).duration_seconds == 10
