"""The local engine on an idle machine, beside bare loops over the library that it uses.

One file through `engine.denoise` with all cores; the same file through one bare loop; and through
as many bare loops at once as there are cores, which is the most that the library can do here. All
of them are whole processes, from start to end, and as nice as the engine's child is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time
import wave
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from bench.process import CORES, ROOT
from bench.report import Figure, Goal
from denoise_relay import engine

TITLE = "Engine: one file on an idle machine"
RATE = 48_000
SPEECH = ROOT / "tests/unit/engine/data/voices.flac"
NOISE_DB = 5.0
NICENESS = 10
#: Seconds of a file, and the rounds in which it is done; None: all. Bare loops do no more than 60 s
#: of the longest, since they are as fast on the rest.
LENGTHS: dict[int, int | None] = {10: None, 60: None, 300: 1}
LONGEST_LOOP = 60
CHANNELS = {1: "mono", 2: "stereo"}
TIMEOUT_SECONDS = 120.0
ENGINE, LOOP, LOOPS = "engine.denoise", "bare loop", f"bare loops, {len(CORES)} at once"


def _case(seconds: int, channels: int) -> str:
    return f"{seconds} s, {CHANNELS[channels]}"


GOALS = (
    *(
        Goal(
            case=_case(10, channels),
            metric="x real time",
            way=ENGINE,
            beside=LOOP,
            limit=0.95,
            least=True,
        )
        for channels in CHANNELS
    ),
    *(
        Goal(
            case=_case(seconds, channels),
            metric="x real time",
            way=ENGINE,
            beside=LOOPS,
            beside_case=_case(min(seconds, LONGEST_LOOP), channels),
            limit=0.9,
            least=True,
        )
        for seconds in (60, 300)
        for channels in CHANNELS
    ),
)


@dataclass(frozen=True)
class Done:
    """What some work took. `cpu` is that of all processes together."""

    audio_seconds: float
    wall: float
    cpu: float
    peak_mib: float = 0.0

    def __str__(self) -> str:
        text = (
            f"{self.audio_seconds / self.wall:6.1f} x real time, "
            f"{self.cpu * 1000 / self.audio_seconds:5.1f} ms of CPU for a second"
        )
        return f"{text}, {self.peak_mib:.0f} MiB" if self.peak_mib else text


def run(rounds: int) -> list[Figure]:
    """Two rounds take about a minute on two idle cores."""
    found: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="denoise-bench-") as folder:
        for number, (seconds, most), channels in product(range(rounds), LENGTHS.items(), CHANNELS):
            if most is not None and number >= most:
                continue
            case = _case(seconds, channels)
            for way, done in _measured(Path(folder), seconds, channels):
                found[case, way, "x real time"].append(done.audio_seconds / done.wall)
                if way != LOOPS:  # they do several files
                    found[case, way, "CPU ms"].append(done.cpu * 1000)
                if done.peak_mib:
                    found[case, way, "MiB"].append(done.peak_mib)
                print(f"{case:14}{way:24}{done}", flush=True)
    return [
        Figure(case=case, way=way, metric=metric, values=tuple(values))
        for (case, way, metric), values in found.items()
    ]


def _measured(folder: Path, seconds: int, channels: int) -> Iterator[tuple[str, Done]]:
    """The ways, one after the other."""
    source = _recording(folder, seconds, channels)
    yield ENGINE, _engine(source, folder, seconds)
    if seconds <= LONGEST_LOOP:
        yield LOOP, _loops(1, source, folder, seconds)
        yield LOOPS, _loops(len(CORES), source, folder, seconds)


def _engine(source: Path, folder: Path, seconds: int) -> Done:
    """One file through the engine's child, with all cores; and the child's largest memory."""
    peak = 0

    def look(_pct: float, _message: str) -> None:
        nonlocal peak
        peak = max(peak, _peak_of_children())

    before = _cpu_of_children()
    begun = time.monotonic()
    asyncio.run(
        engine.denoise(
            source,
            folder / "denoised.flac",
            cores=engine.Cores(len(CORES)),
            on_progress=look,
            timeout_seconds=TIMEOUT_SECONDS,
        )
    )
    wall = time.monotonic() - begun
    return Done(seconds, wall, _cpu_of_children() - before, peak / 1024)


def _loops(count: int, source: Path, folder: Path, seconds: int) -> Done:
    """So many bare loops at once, each over the whole file."""
    before, begun = _cpu_of_children(), time.monotonic()
    with contextlib.ExitStack() as stack:
        loops = []
        for number in range(count):
            target = str(folder / f"{number}.wav")
            command = [sys.executable, "-m", "bench.bare_loop", str(source), target]
            loop = stack.enter_context(
                subprocess.Popen(["nice", "-n", str(NICENESS), *command], cwd=ROOT)
            )
            stack.callback(loop.kill)
            loops.append(loop)
        for loop in loops:
            if loop.wait(TIMEOUT_SECONDS):
                raise RuntimeError(f"a bare loop ended with code {loop.returncode}")
        wall = time.monotonic() - begun
    return Done(count * seconds, wall, _cpu_of_children() - before)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _peak_of_children() -> int:
    """The largest resident memory that a child has had so far, in KiB."""
    peaks = [0]
    with contextlib.suppress(OSError, IndexError):
        for pid in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split():
            status = Path(f"/proc/{pid}/status").read_text()
            peaks.append(int(status.split("VmHWM:")[1].split()[0]))
    return max(peaks)


def _recording(folder: Path, seconds: int, channels: int) -> Path:
    """Speech with noise, 16 bits; both sides of stereo differ. Made once."""
    path = folder / f"{seconds}-{channels}.wav"
    if path.exists():
        return path
    voice = _speech()
    clean = np.tile(voice, -(-seconds * RATE // len(voice)))[: seconds * RATE]
    noise = np.random.default_rng(7).standard_normal((channels, len(clean))).astype(np.float32)
    sides = np.stack([np.roll(clean, 2 * RATE * side) for side in range(channels)])
    mixed = sides + noise * np.float32(clean.std() / 10 ** (NOISE_DB / 20))
    mixed *= 0.9 / np.abs(mixed).max()
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, RATE, 0, "NONE", ""))
        file.writeframes(np.ascontiguousarray((mixed * 2**15).astype(np.int16).T).tobytes())
    return path


def _speech() -> npt.NDArray[np.float32]:
    with av.open(SPEECH) as container:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])
