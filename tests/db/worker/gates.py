"""Stands for the engine's analysis in tests about what surrounds it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from denoise_relay import engine
from denoise_relay.media import derived
from tests.db.analyses import PIXEL, RATE

SIDE = engine.SideStatistics(
    loudness_lufs=-20.456, true_peak_db=-1.0, noise_floor_db=-50.0, snr_db=20.0, dnsmos=None
)
FOUND = engine.Analysis(
    sample_rate=RATE,
    samples_per_pixel=PIXEL,
    channels=1,
    duration_seconds=4.0,
    before=SIDE,
    after=replace(SIDE, noise_floor_db=-70.0),
    removed_gain=0.5,
)


class Gate:
    """Stands for `engine.analyse`: begins, and ends when it is told to."""

    def __init__(self) -> None:
        self.begun: list[Path] = []
        self.timeouts: list[float] = []
        self.loudness_changed: list[bool] = []
        self.go_on = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(
        self,
        before: Path,
        after: Path,
        folder: Path,
        *,
        loudness_changed: bool,
        timeout_seconds: float,
    ) -> engine.Analysis:
        self.begun.append(folder)
        self.timeouts.append(timeout_seconds)
        self.loudness_changed.append(loudness_changed)
        await self.go_on.wait()
        if self.error:
            raise self.error
        for side in derived.SIDES:
            (folder / f"{side}.peaks").write_bytes(b"\xff\x01" * 3)
        (folder / "comparison.flac").write_bytes(b"both")
        (folder / "spectrogram-original.png").write_bytes(b"picture")
        (folder / "spectrogram-denoised.png").symlink_to(before)
        return FOUND


def analyses_running() -> list[str]:
    """The names of their tasks."""
    return [t.get_name() for t in asyncio.all_tasks() if "denoise-analysis" in t.get_name()]
