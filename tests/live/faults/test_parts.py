"""Forty minutes through an upstream that takes fifteen, killed in the middle: billed once."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

from tests.changes import softer_and_later
from tests.live.cluster import LEASE_SECONDS, PostgresCluster
from tests.unit.engine import material
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(240)

RATE = 8000
SECONDS = 2400


def forty_minutes() -> tuple[bytes, material.Signal]:
    """A WAV of speech with noise, and its samples."""
    speech = np.tile(material.speech(RATE), SECONDS // 4) * 0.5
    signal = speech + material.noise(len(speech), 1) * 1e-3
    with tempfile.TemporaryDirectory() as folder:
        path = material.make(Path(folder), "s16.wav", signal, rate=RATE)
        return path.read_bytes(), material.decode(path)[0]


def loudness(signal: material.Signal) -> float:
    return float(10 * np.log10(np.mean(signal**2)))


async def test_killed_with_parts_in_flight(cluster: PostgresCluster) -> None:
    upstream = cluster.upstream
    upstream.transform, upstream.job_seconds = softer_and_later, 3.0
    cluster.environ["DENOISE_RELAY_MAX_DURATION_SECONDS"] = "3600"
    web, victim = cluster.web(), cluster.worker()
    recording, before = forty_minutes()
    job = await cluster.upload(web, recording)
    await eventually(lambda: len(upstream.records) >= 2, within=60)
    victim.kill()
    cluster.worker()
    async with cluster.watching(job, viewers=2) as viewers:
        for viewer in viewers:
            await viewer.finished(within=LEASE_SECONDS + 120)

    row = cluster.job(job)
    assert row["status"] == "done", f"{row}\n{cluster.logs()}"
    parts = cluster.rows('SELECT * FROM denoise_relay_part WHERE job_id = %s ORDER BY "index"', job)
    assert len(parts) == 3
    assert upstream.submits() == {str(part["submission"]): 1 for part in parts}
    cluster.frames.check(job, cluster.journal(job))

    after, rate = material.decode(cluster.folder / "media" / row["result"])
    assert (rate, after.shape) == (RATE, before.shape)
    wanted = before * 0.7
    for part in parts[1:]:
        seam = slice(part["start"] - RATE, part["start"] + RATE)
        # Neither a click nor a step: 0.5 LU would be 6 % of the amplitude.
        assert np.abs(after[0, seam] - wanted[0, seam]).max() < 2e-3
        sides = [slice(part["start"] - 20 * RATE, part["start"]),
                 slice(part["start"], part["start"] + 20 * RATE)]  # fmt: skip
        for side in sides:
            assert abs(loudness(after[:, side]) - loudness(wanted[:, side])) < 0.1
    assert np.abs(after - wanted).max() < 2e-3
    assert not any((cluster.folder / "media" / part["result"]).exists() for part in parts)
    cluster.jobs.remove(job)
    await cluster.finish()
