"""The acceptance matrix as a table, for docs/engines.md."""

from __future__ import annotations

from denoise_relay import engine
from tests.unit.engine.quality.cases import (
    HOPELESS_CASES,
    LEVEL_CASES,
    NOISE_CASES,
    OTHER_CASES,
    Case,
    before,
    outcome,
)
from tests.unit.engine.quality.measures import Score


def run() -> None:
    """Print PESQ, STOI and SI-SDR before, and after each preset."""
    print(f"| recording | before | {' | '.join(engine.PRESETS)} |")
    print("|---" * (2 + len(engine.PRESETS)) + "|")
    for case in [*NOISE_CASES, *LEVEL_CASES, *OTHER_CASES, *HOPELESS_CASES]:
        scores = [_worst(case, preset) for preset in engine.PRESETS]
        cells = " | ".join(_text(score) for score in [before(case), *scores])
        print(f"| {case.name.replace(' | ', ' and ')} | {cells} |", flush=True)


def _worst(case: Case, preset: engine.Preset) -> Score:
    """Of the channels."""
    return min(outcome(case, preset), key=lambda score: score.pesq)


def _text(score: Score) -> str:
    return f"{score.pesq:.2f}, {score.stoi:.2f}, {score.si_sdr:.1f}"
