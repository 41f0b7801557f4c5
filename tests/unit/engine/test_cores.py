"""Engines that run at the same time share the cores; one that is alone has all of them."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import numpy as np
import pytest

from denoise_relay import engine
from tests.unit.engine import material
from tests.unit.engine.engine_runs import Running, children, ignore, linux, pretend
from tests.waiting import eventually


@pytest.mark.parametrize("count", [0, 1, 2, 3, 8])
def test_engines_together_have_no_more_than_the_cores(count: int) -> None:
    cores = engine.Cores(count)
    with contextlib.ExitStack() as stack:
        shares = []
        for engines in range(1, max(count, 1) + 1):
            shares.append(stack.enter_context(cores.share()))
            each = [share.cores for share in shares]
            assert sum(each) == max(count, 1)
            assert max(each) - min(each) <= 1
            assert len(each) == engines
        # More engines than cores, which the backend's capacity prevents, get one each.
        assert stack.enter_context(cores.share()).cores == 1
    with cores.share() as share:
        assert share.cores == max(count, 1)


def test_an_engine_is_told_when_others_come_and_go() -> None:
    cores = engine.Cores(4)
    told: list[int] = []
    with cores.share() as share:
        with share.follow(told.append):
            with cores.share(), cores.share():
                assert share.cores == 2  # of 4, 2 and 1 are for the others
            assert told == [4, 2, 4]
        with cores.share():
            assert share.cores == 2
    assert told == [4, 2, 4]


#: Tells what it is told in the last digit: progress never falls.
LISTENER = (
    "import os, json\n"
    "for number, line in enumerate(open(0), 1):\n"
    "    told = json.dumps({'pct': 10 * number + int(line), 'message': 'Isolating voice'})\n"
    "    os.write(1, told.encode() + b'\\n')\n"
)


@pytest.mark.asyncio
async def test_the_child_hears_of_it(
    monkeypatch: pytest.MonkeyPatch, long_file: Path, target: Path
) -> None:
    pretend(monkeypatch, LISTENER)
    before = children()
    cores = engine.Cores(4)
    told: list[int] = []
    task = asyncio.create_task(
        engine.denoise(
            long_file,
            target,
            cores=cores,
            on_progress=lambda pct, message: told.append(round(pct) % 10),
        )
    )
    await eventually(lambda: children() > before)
    with cores.share():
        await eventually(lambda: told[-1:] == [2])
    await eventually(lambda: told[-1:] == [4])
    task.cancel()
    await asyncio.wait({task}, timeout=10)
    assert task.cancelled()


@pytest.mark.asyncio
async def test_a_child_that_does_not_listen_is_told_little(
    monkeypatch: pytest.MonkeyPatch, long_file: Path, target: Path
) -> None:
    """Nothing piles up in the parent."""
    pretend(monkeypatch, "import time; time.sleep(60)")
    before = children()
    cores = engine.Cores(2)
    task = asyncio.create_task(engine.denoise(long_file, target, cores=cores, on_progress=ignore))
    await eventually(lambda: children() > before)
    for _ in range(100_000):
        with cores.share():
            pass
    task.cancel()
    await asyncio.wait({task}, timeout=10)
    assert task.cancelled()
    await eventually(lambda: children() <= before)


@linux
@pytest.mark.asyncio
async def test_limits_and_end_of_a_child_with_two_cores(long_file: Path, target: Path) -> None:
    running = Running(long_file, target, engine.Cores(2))
    pid = await running.child()
    table = Path(f"/proc/{pid}/limits").read_text()
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    await eventually(lambda: len(list(Path(f"/proc/{pid}/task").iterdir())) > 2)

    await running.stop()

    hard = {line[:26].strip(): line[26:].split()[1] for line in table.splitlines()[1:]}
    assert hard["Max cpu time"] == "7201"  # an hour on both
    assert b"MALLOC_ARENA_MAX=3" in environment
    await eventually(lambda: not Path(f"/proc/{pid}").exists())
    assert not target.exists()


@pytest.mark.timeout(180)
@pytest.mark.asyncio
async def test_two_cores_make_one_file(tmp_path: Path, target: Path) -> None:
    """As long as the recording, in segments in order, with progress that rises, and clean."""
    seconds = 36  # long enough to be cut
    clean = np.tile(material.speech(44_100), seconds // 4) * 0.5
    source = material.make(tmp_path, "s16.wav", material.mix(clean, 5), rate=44_100)
    seen: list[float] = []
    segments: list[engine.Segment] = []

    await engine.denoise(
        source,
        target,
        cores=engine.Cores(2),
        on_progress=lambda pct, message: seen.append(pct),
        on_segment=segments.append,
    )

    result = material.decode(target)[0]
    assert result.shape == (1, len(clean))
    assert material.si_sdr(clean, result[0]) > 5 + 8
    assert seen == sorted(seen)
    assert len({round(pct) for pct in seen}) > 8
    assert seen[-1] == 100
    assert [segment.number for segment in segments] == list(range(len(segments)))
    assert sum(segment.duration_seconds for segment in segments) == pytest.approx(seconds)
