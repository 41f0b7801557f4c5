"""What the child process may use: memory, files, secrets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from denoise_relay import engine
from denoise_relay.engine.child import limits
from tests.unit.engine import material
from tests.unit.engine.engine_runs import Running, linux, pretend


@linux
@pytest.mark.asyncio
async def test_limits_hold_in_the_child(long_file: Path, target: Path) -> None:
    running = Running(long_file, target)
    pid = await running.child()
    status = Path(f"/proc/{pid}/status").read_text()
    table = Path(f"/proc/{pid}/limits").read_text()
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    session = os.getsid(pid)
    niceness = os.getpriority(os.PRIO_PROCESS, pid)
    await running.stop()

    hard = {line[:26].strip(): line[26:].split()[1] for line in table.splitlines()[1:]}
    assert hard["Max address space"] == str(limits.MEMORY_BYTES)
    assert hard["Max core file size"] == "0"
    assert hard["Max open files"] == str(limits.OPEN_FILES)
    assert hard["Max cpu time"] == "3601"
    assert 1_000_000 < int(hard["Max file size"]) < 30_000_000  # 100 s of 44.1 kHz mono: 9 MB
    assert "NoNewPrivs:\t1" in status
    assert session == pid
    assert niceness >= limits.NICENESS
    assert b"OMP_NUM_THREADS=1" in environment


@linux
@pytest.mark.asyncio
async def test_secrets_stay_in_the_server(
    monkeypatch: pytest.MonkeyPatch, long_file: Path, target: Path
) -> None:
    for name in ("DENOISE_RELAY_API_KEY", "SECRET_KEY", "DATABASE_URL", "HOME"):
        monkeypatch.setenv(name, f"secret-{name}")
    running = Running(long_file, target)
    environment = Path(f"/proc/{await running.child()}/environ").read_bytes()
    await running.stop()
    assert b"secret-" not in environment


@linux
@pytest.mark.asyncio
async def test_memory_beyond_the_limit_is_a_crash(
    monkeypatch: pytest.MonkeyPatch, long_file: Path
) -> None:
    pretend(
        monkeypatch,
        "import os; from denoise_relay.engine.child import limits;"
        "limits.apply(cpu_seconds=9, parent_pid=os.getppid());"
        f"bytearray({limits.MEMORY_BYTES})",
    )
    with pytest.raises(engine.EngineCrashed) as caught:
        await engine.probe(long_file)
    assert "MemoryError" in caught.value.detail


@linux
def test_memory_does_not_grow_with_duration(tmp_path: Path) -> None:
    """A copy stands in for the model (which keeps nothing), so that ten minutes take seconds."""
    code = (
        "import sys\n"
        "from denoise_relay.engine.child import deepfilternet, pipeline, probe\n"
        "def copy(self, samples, cleaned): cleaned[:] = samples\n"
        "deepfilternet.Channel.process = copy\n"
        "measured = probe.probe_file(sys.argv[1])\n"
        "pipeline.denoise_file(sys.argv[1], sys.argv[2], probe=measured,\n"
        "    on_progress=lambda share: None, on_writing=lambda: None)\n"
        # Not getrusage: its peak counts what this process had before it became that one.
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
    )
    peak_kib = []
    for seconds in (20, 600):
        tiled = np.tile(material.speech(22_050), seconds // 4)
        source = material.make(tmp_path, "s16.wav", tiled, rate=22_050)
        result = tmp_path / f"{seconds}.flac"
        ran = subprocess.run(
            [sys.executable, "-c", code, source, result], capture_output=True, timeout=50
        )
        peak_kib.append(int(ran.stdout))
        assert result.stat().st_size > seconds * 10_000
    # Held as 48 kHz floats, the difference would be 111 MB.
    assert peak_kib[1] < peak_kib[0] + 12 * 1024
