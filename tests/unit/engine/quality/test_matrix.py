"""Every preset improves every kind of recording that it is meant for, at any level.

Crossed: noise x distance, at the usual level; every level in mono, two in stereo beside a loud
side, two after clipping, two with an offset; each sample rate once; a telephone call at two
distances. Not crossed: level x noise, rate x level.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from denoise_relay import engine
from tests.unit.engine import material
from tests.unit.engine.quality.cases import (
    HOPELESS_CASES,
    LEVEL_CASES,
    NOISE_CASES,
    OTHER_CASES,
    USUAL_DB,
    Case,
    before,
    denoised,
    outcome,
)
from tests.unit.engine.quality.floors import FLOORS

pytestmark = pytest.mark.quality

each_preset = pytest.mark.parametrize("preset", engine.PRESETS)
#: Of `best`, on the recordings of `LEVEL_CASES` before they are clipped.
LEAST_PESQ = 2.98


def each(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


@each_preset
@each([*NOISE_CASES, *OTHER_CASES])
def test_the_recording_gets_better(case: Case, preset: engine.Preset) -> None:
    assert outcome(case, preset)[0].pesq > before(case).pesq
    assert_above_the_floor(case, preset)


@each_preset
@each(LEVEL_CASES)
def test_the_level_makes_no_difference(case: Case, preset: engine.Preset) -> None:
    usual = dataclasses.replace(case, levels_db=(USUAL_DB,), offset=0.0)
    (wanted,) = outcome(usual, preset)
    scores = outcome(case, preset)

    assert len(scores) == len(case.levels_db)
    for score in scores:
        assert score.pesq == pytest.approx(wanted.pesq, abs=0.05)
        assert score.stoi == pytest.approx(wanted.stoi, abs=0.02)
        assert score.si_sdr == pytest.approx(wanted.si_sdr, abs=0.5)
        if preset == "best" and not case.clipped:
            assert score.pesq >= LEAST_PESQ


@each_preset
@each(HOPELESS_CASES)
def test_what_does_not_get_better_gets_no_worse_than_it_was(
    case: Case, preset: engine.Preset
) -> None:
    assert_above_the_floor(case, preset)


@each_preset
@pytest.mark.asyncio
async def test_the_child_process_does_the_same(preset: engine.Preset, tmp_path: Path) -> None:
    case = LEVEL_CASES[-1]
    recording = case.recording()
    source = material.make(tmp_path, "s24.wav", recording, rate=case.rate)
    target = tmp_path / "result.flac"
    await engine.denoise(source, target, preset=preset, on_progress=lambda pct, message: None)
    result, rate = material.decode(target)

    assert rate == case.rate
    assert np.allclose(result, denoised(recording, case.rate, preset), atol=2**-20)


def assert_above_the_floor(case: Case, preset: engine.Preset) -> None:
    floor = FLOORS[case.name][engine.PRESETS.index(preset)]
    (score,) = outcome(case, preset)
    assert score.pesq >= floor.pesq
    assert score.stoi >= floor.stoi
    assert score.si_sdr >= floor.si_sdr
