"""A long recording is cut in pauses, and its parts are joined so that nobody hears where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from denoise_relay import engine
from denoise_relay.engine.child.cut import cut_file, largest_cut_bytes
from denoise_relay.engine.child.join import join_files
from denoise_relay.engine.child.parts import plan_cuts, plan_parts
from denoise_relay.engine.errors import MediaRejected
from tests.unit.engine import material
from tests.unit.engine.material import Signal

RATE = 16_000
OVERLAP = 2 * RATE


def talk(seconds: float, channels: int = 1) -> Signal:
    """Speech with noise, and a pause each 4 s."""
    times = round(seconds / 4)
    speech = np.tile(material.speech(RATE), times)[: round(seconds * RATE)]
    noisy = speech * 0.5 + material.noise(len(speech), 1) * 1e-3
    return np.stack([noisy, noisy[::-1]][:channels])


@settings(max_examples=60, deadline=None)
@given(
    total=st.floats(1, 5000),
    longest=st.floats(10, 900),
    seed=st.integers(0, 100),
)
def test_cuts_leave_no_part_too_long_and_none_too_short(
    total: float, longest: float, seed: int
) -> None:
    loudness = np.random.default_rng(seed).random(round(total * 10)).astype(np.float32)
    cuts = plan_cuts(loudness, total, longest)
    borders = [0.0, *cuts, total]
    lengths = np.diff(borders)
    assert (lengths <= longest).all()
    # A part is longer than its overlaps, so that they do not meet.
    assert (lengths >= min(longest * 0.3, total)).all()


def test_cuts_are_in_pauses(tmp_path: Path) -> None:
    signal = talk(60)[0]
    for middle in (19.2, 40.7):
        signal[round((middle - 0.3) * RATE) : round((middle + 0.3) * RATE)] *= 1e-3
    path = material.make(tmp_path, "s16.wav", signal, rate=RATE)
    plan = plan_parts(path, max_seconds=28, max_bytes=2**30, overlap_seconds=2)
    assert (plan.rate, plan.channels, plan.total) == (RATE, 1, 60 * RATE)
    for cut, middle in zip(plan.cuts, (19.2, 40.7), strict=True):
        assert cut / RATE == pytest.approx(middle, abs=0.3)


def test_parts_fit_into_the_bytes(tmp_path: Path) -> None:
    path = material.make(tmp_path, "s16.wav", talk(120, 2), rate=RATE)
    limit = 5_000_000
    plan = plan_parts(path, max_seconds=900, max_bytes=limit, overlap_seconds=2)
    borders = [0, *plan.cuts, plan.total]
    assert len(plan.cuts) >= 2
    for length in np.diff(borders):
        seconds = length / RATE + 4
        assert largest_cut_bytes(seconds, rate=RATE, channels=2) <= limit


def test_too_many_parts_are_refused(tmp_path: Path) -> None:
    path = material.make(tmp_path, "s16.wav", talk(600), rate=RATE)
    with pytest.raises(MediaRejected) as caught:
        plan_parts(path, max_seconds=14, max_bytes=2**30, overlap_seconds=2)
    assert caught.value.code == "too_long"


@pytest.mark.parametrize("name", ["s16.wav", "a.flac", "s24.wav"])
def test_a_cut_is_the_recording_itself(name: str, tmp_path: Path) -> None:
    source = material.make(tmp_path, name, talk(12, 2), rate=RATE)
    target = tmp_path / "cut.flac"
    start, end = 3 * RATE + 17, 8 * RATE
    assert cut_file(source, target, start=start, end=end) == (end - start) / RATE

    whole, _ = material.decode(source)
    cut, rate = material.decode(target)
    assert rate == RATE
    assert np.array_equal(cut, whole[:, start:end])
    assert target.stat().st_size < largest_cut_bytes(5, rate=RATE, channels=2)


def test_a_cut_beyond_the_end_ends_there(tmp_path: Path) -> None:
    source = material.make(tmp_path, "s16.wav", talk(4), rate=RATE)
    assert cut_file(source, tmp_path / "cut.flac", start=RATE, end=90 * RATE) == 3


def joined(
    folder: Path, signal: Signal, cuts: list[int], change: list[tuple[float, int]]
) -> Signal:
    """The parts of a signal, each made louder and later by its service, and joined again."""
    total = signal.shape[1]
    source = material.make(folder, "s24.wav", signal, rate=RATE).rename(folder / "source.wav")
    borders = [0, *cuts, total]
    results = []
    for index, (gain, delay) in enumerate(change):
        start = max(borders[index] - OVERLAP, 0)
        end = min(borders[index + 1] + OVERLAP, total)
        part = np.pad(signal[:, start:end] * gain, ((0, 0), (delay, 0)))
        path = material.make(folder, "s24.wav", part, rate=RATE)
        results.append(path.rename(folder / f"{index}.wav"))
    target = folder / "joined.flac"
    join_files(
        source, results, target, rate=RATE, channels=len(signal), total=total, cuts=cuts,
        overlap=OVERLAP,
    )  # fmt: skip
    return material.decode(target)[0]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    "change",
    [
        [(1.0, 0)] * 3,
        [(0.7, 37)] * 3,
        [(0.7, 0), (1.0, 400), (0.9, 37)],
    ],
    ids=["as it was", "each the same", "each another"],
)
def test_joined_parts_are_the_recording(
    channels: int, change: list[tuple[float, int]], tmp_path: Path
) -> None:
    signal = talk(60, channels)
    after = joined(tmp_path, signal, [20 * RATE + 5, 41 * RATE], change)
    assert after.shape == signal.shape
    wanted = signal * change[0][0]
    # Also in the middle of each seam: neither a click nor a step.
    assert np.abs(after - wanted).max() < 1e-3
    steps = np.abs(np.diff(after)).max() / np.abs(np.diff(wanted)).max()
    assert steps == pytest.approx(1, abs=0.02)


def test_a_result_that_came_early_and_short(tmp_path: Path) -> None:
    """What is missing at its beginning is in the overlap; at the end, there is silence."""
    signal = talk(40)
    cut = 20 * RATE
    parts = [signal[:, : cut + OVERLAP - 500], signal[:, cut - OVERLAP + 300 :]]
    results = [
        material.make(tmp_path, "s24.wav", part, rate=RATE).rename(tmp_path / f"{index}.wav")
        for index, part in enumerate(parts)
    ]
    target = tmp_path / "joined.flac"
    source = material.make(tmp_path, "s24.wav", signal, rate=RATE)
    join_files(
        source, results, target, rate=RATE, channels=1, total=40 * RATE, cuts=[cut],
        overlap=OVERLAP,
    )  # fmt: skip
    after = material.decode(target)[0]
    assert np.abs(after - signal).max() < 2e-2


def test_results_of_another_kind_are_converted(tmp_path: Path) -> None:
    """MP3 at another rate, in mono, of a stereo recording."""
    signal = np.repeat(talk(40), 2, axis=0)
    source = material.make(tmp_path, "s16.wav", signal, rate=RATE)
    cut = 20 * RATE
    results = []
    for index, part in enumerate((signal[:1, : cut + OVERLAP], signal[:1, cut - OVERLAP :])):
        at_44 = material.resample(np.ascontiguousarray(part), RATE, 44_100)
        path = material.make(tmp_path, "a.mp3", at_44, rate=44_100)
        results.append(path.rename(tmp_path / f"{index}.mp3"))
    target = tmp_path / "joined.flac"
    join_files(
        source, results, target, rate=RATE, channels=2, total=40 * RATE, cuts=[cut],
        overlap=OVERLAP,
    )  # fmt: skip
    after, rate = material.decode(target)
    assert (rate, after.shape) == (RATE, signal.shape)
    assert material.si_sdr(signal[0], after[0]) > 15
    assert abs(material.lag(signal[0], after[1])) < 1


@pytest.mark.asyncio
async def test_the_child_process_plans_cuts_and_joins(tmp_path: Path) -> None:
    signal = talk(60)
    source = material.make(tmp_path, "s16.wav", signal, rate=RATE)
    plan = await engine.plan_parts(
        source, max_seconds=30, max_bytes=10_000_000, overlap_seconds=2.0
    )
    assert plan == await engine.plan_parts(
        source, max_seconds=30, max_bytes=10_000_000, overlap_seconds=2.0
    )
    borders = [0, *plan.cuts, plan.total]
    results = []
    for index in range(len(borders) - 1):
        start = max(borders[index] - OVERLAP, 0)
        end = min(borders[index + 1] + OVERLAP, plan.total)
        results.append(tmp_path / f"{index}.flac")
        await engine.cut_part(source, results[-1], start=start, end=end, max_bytes=10_000_000)
    target = tmp_path / "joined.flac"
    await engine.join_parts(source, results, target, plan=plan, overlap=OVERLAP)
    before, after = material.decode(source)[0], material.decode(target)[0]
    assert np.abs(after - before).max() < 1e-4
