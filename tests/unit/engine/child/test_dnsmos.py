"""The extra `quality`: scores without a reference, of a bounded part of a recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from denoise_relay import engine
from denoise_relay.engine.child import dnsmos
from denoise_relay.engine.child.dnsmos import Passages, Rater
from tests.unit.engine import material
from tests.unit.engine.material import Signal

needs_model = pytest.mark.skipif(not dnsmos.installed(), reason="needs the extra `quality`")
RATE = 16_000


def passages(signal: Signal, rate: int = RATE) -> list[Signal]:
    signal = np.atleast_2d(signal).astype(np.float32)
    kept = Passages(rate=rate, seconds=signal.shape[1] / rate)
    for start in range(0, signal.shape[1], rate):
        kept.push(signal[:, start : start + rate])
    return [np.asarray(passage, np.float64) for passage in kept.each()]


@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_passages_are_spread_over_the_recording(rate: int) -> None:
    """Each sample says when it was: 0 at the start, 1 at the end."""
    found = passages(np.linspace(0, 1, 300 * rate), rate)
    assert len(found) == dnsmos.MOST_PASSAGES
    assert all(len(passage) == pytest.approx(144_160, abs=2) for passage in found)
    middles = [np.median(passage) for passage in found]
    np.testing.assert_allclose(middles, (np.arange(6) + 0.5) / 6, atol=0.005)


@pytest.mark.parametrize(("seconds", "count"), [(0.1, 1), (9, 1), (10, 1), (20, 2), (60, 6)])
def test_a_short_recording_has_fewer(seconds: float, count: int) -> None:
    found = passages(np.linspace(0, 1, round(seconds * RATE)))
    assert len(found) == count
    assert all(len(passage) <= 144_160 for passage in found)


def rated(signal: Signal) -> float | None:
    return Rater().rate([signal.astype(np.float32)])


@needs_model
def test_noise_lowers_the_score() -> None:
    voice = material.speech(RATE)
    scores = [rated(voice), *(rated(material.mix(voice, snr)) for snr in (20, 5))]
    clean, good, bad = (score for score in scores if score is not None)
    assert 5 >= clean > good > bad + 0.3
    assert bad >= 1


@needs_model
@pytest.mark.parametrize("seconds", [0.5, 10.0])
def test_silence_and_scraps_have_no_score(seconds: float) -> None:
    assert rated(np.zeros(round(seconds * RATE))) is None
    assert rated(material.speech(RATE)[: RATE // 2]) is None


@needs_model
@pytest.mark.asyncio
async def test_both_sides_are_rated(tmp_path: Path) -> None:
    voice = material.speech(48_000)
    before = material.make(tmp_path, "s16.wav", material.mix(voice, 5), rate=48_000)
    after = material.make(tmp_path, "a.flac", voice, rate=48_000)
    place = tmp_path / "analysis"
    place.mkdir()
    facts = await engine.analyse(before, after, place)
    assert facts.before.dnsmos is not None
    assert facts.after.dnsmos is not None
    assert facts.after.dnsmos > facts.before.dnsmos + 0.3


def test_without_the_extra_nothing_is_rated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dnsmos, "_PACKAGE", "there_is_no_such_package")
    assert not dnsmos.installed()
    with pytest.raises(ImportError):
        Rater()
