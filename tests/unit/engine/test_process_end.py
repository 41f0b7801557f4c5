"""How a child process ends: canceled, killed, too slow, or with its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from denoise_relay import engine
from tests.unit.engine.engine_runs import Running, children, ignore, linux, pretend
from tests.waiting import eventually, wait_for


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@linux
@pytest.mark.asyncio
async def test_cancelling_kills_and_reaps(long_file: Path, target: Path) -> None:
    running = Running(long_file, target)
    pid = await running.child()

    await running.stop()

    await eventually(lambda: not alive(pid))
    assert not target.exists()


@linux
@pytest.mark.asyncio
async def test_cancelling_at_any_moment_leaves_no_child(long_file: Path, target: Path) -> None:
    before = children()
    for delay in np.linspace(0, 0.3, 10):
        task = asyncio.create_task(engine.denoise(long_file, target, on_progress=ignore))
        await asyncio.wait({task}, timeout=float(delay))
        task.cancel()
        await asyncio.wait({task}, timeout=10)
        assert task.cancelled()
    await eventually(lambda: children() <= before)


@linux
@pytest.mark.asyncio
async def test_a_second_cancellation_does_not_stop_the_reaping(
    long_file: Path, target: Path
) -> None:
    running = Running(long_file, target)
    pid = await running.child()
    running.task.cancel()
    await asyncio.sleep(0)
    running.task.cancel()
    await asyncio.wait({running.task}, timeout=10)
    await eventually(lambda: not alive(pid))


@linux
@pytest.mark.asyncio
async def test_a_killed_child_is_a_crash(long_file: Path, target: Path) -> None:
    running = Running(long_file, target)
    os.kill(await running.child(), signal.SIGSEGV)
    with pytest.raises(engine.EngineCrashed) as caught:
        await asyncio.wait_for(running.task, 20)
    assert "SIGSEGV" in caught.value.detail
    assert "SIGSEGV" not in str(caught.value)
    assert not target.exists()


@linux
@pytest.mark.asyncio
async def test_an_exception_in_on_progress_ends_the_child(long_file: Path, target: Path) -> None:
    before = children()

    def complain(pct: float, message: str) -> None:
        raise LookupError(message)

    with pytest.raises(LookupError):
        await engine.denoise(long_file, target, on_progress=complain)
    await eventually(lambda: children() <= before)


@linux
@pytest.mark.parametrize(
    ("call", "expected"), [("probe", engine.MediaRejected), ("denoise", engine.EngineCrashed)]
)
@pytest.mark.asyncio
async def test_time_is_bounded(
    call: str,
    expected: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
    long_file: Path,
    target: Path,
) -> None:
    pretend(monkeypatch, "import time; time.sleep(60)")
    before = children()
    endless = (
        engine.probe(long_file, timeout_seconds=0.3)
        if call == "probe"
        else engine.denoise(long_file, target, on_progress=ignore, timeout_seconds=0.3)
    )
    with pytest.raises(expected) as caught:
        await endless
    assert getattr(caught.value, "code", "too_slow") == "too_slow"
    await eventually(lambda: children() <= before)


@linux
def test_the_child_dies_with_a_killed_server(long_file: Path, tmp_path: Path) -> None:
    code = (
        "import asyncio, os, sys\n"
        "from denoise_relay import engine\n"
        "tell = lambda pct, message: print(message, flush=True)\n"
        "asyncio.run(engine.denoise(sys.argv[1], sys.argv[2], on_progress=tell))\n"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", code, long_file, tmp_path / "out.flac"], stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    with server, server.stdout:
        while server.stdout.readline() != b"Isolating voice\n":
            assert server.poll() is None
        listed = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        assert listed
        server.kill()
    wait_for(lambda: not any(alive(int(pid)) for pid in listed))


@linux
def test_a_child_that_says_nothing_dies_with_its_parent_too() -> None:
    """One that writes ends by itself at the broken pipe; here only the kernel's signal can."""
    child = (
        "import os, time; from denoise_relay.engine.child import limits;"
        "limits.apply(cpu_seconds=60, parent_pid=os.getppid());"
        "print(os.getpid(), flush=True); time.sleep(60)"
    )
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent, parent.stdout:
        pid = int(parent.stdout.readline())
        parent.kill()
    wait_for(lambda: not alive(pid))


@linux
def test_a_child_whose_parent_died_before_it_could_notice_exits() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "denoise_relay.engine.child", "--parent", "1", "probe", "/dev/null"],
        capture_output=True,
        timeout=30,
    )
    assert (ran.returncode, ran.stdout) == (1, b"")
