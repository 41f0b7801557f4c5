"""A server under measurement: alone on the last core, watched through /proc, ended for sure.

Whatever makes the load belongs on the first core (`pin_load`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 30.0
STOP_SECONDS = 10.0
#: The cores that we may use, before anything is pinned.
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORES, LOAD_CORES = CORES[-1:], CORES[:1]


@dataclass(frozen=True)
class Server:
    """A running process and its children; `port` is 0 where it does not listen."""

    port: int
    pid: int

    def processes(self) -> list[int]:
        """It and all its descendants that run now."""
        found = [self.pid]
        for pid in found:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    found += map(int, children.read_text().split())
        return found

    def cpu_seconds(self) -> float:
        """User and system time so far of the process tree, ended threads and children included.

        In nanoseconds for what runs, in clock ticks (10 ms) for children that have ended.
        """
        seconds = 0.0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                # What clock_getcpuclockid(3) returns: the clock of another process.
                seconds += time.clock_gettime((~pid << 3) | 2)
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                # cutime and cstime: of children that were waited for.
                seconds += sum(map(int, fields[13:15])) / TICKS
        return seconds

    def resident_mib(self) -> float:
        """Resident memory of the tree now; shared pages count in each process."""
        return self._memory("Rss")

    def proportional_mib(self) -> float:
        """Memory of the tree now, a shared page divided by its users (PSS)."""
        return self._memory("Pss")

    def _memory(self, name: str) -> float:
        total = 0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith(f"{name}:"):
                        total += int(line.split()[1])
        return total / 1024


@contextlib.contextmanager
def pinned(cores: Sequence[int]) -> Iterator[None]:
    """Keep this thread, and what it starts meanwhile, on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def pin_load() -> contextlib.AbstractContextManager[None]:
    """Keep the load on the first core, away from servers (where there is more than one)."""
    return pinned(LOAD_CORES)


def manage(environment: Mapping[str, str], *words: str) -> str:
    """Run `manage.py` and return what it printed."""
    done = subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout.strip()


def free_port() -> int:
    """A port that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(
    command: Sequence[str | Path],
    environment: Mapping[str, str] | None = None,
    *,
    port: int = 0,
    cores: Sequence[int] = SERVER_CORES,
    log: Path | None = None,
) -> Iterator[Server]:
    """Run a command on the last core until the block ends, once it listens on `port` (if not 0).

    What it prints goes to `log`. Raises `RuntimeError` if it ends or does not listen in time.
    At the end it gets SIGTERM, then SIGKILL together with its children.
    """
    output = log.open("ab") if log else subprocess.DEVNULL
    with pinned(cores):
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdout=output,
            stderr=output,
        )
    server = Server(port=port, pid=process.pid)
    try:
        if port:
            _wait_until_open(process, port)
        yield server
    finally:
        _end(process, server)
        if not isinstance(output, int):
            output.close()


def daphne(
    application: str, environment: Mapping[str, str]
) -> contextlib.AbstractContextManager[Server]:
    """Run `daphne application` on a free port, on the last core, until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), application]
    return serving(command, environment, port=port)


def _end(process: subprocess.Popen[bytes], server: Server) -> None:
    children = server.processes()[1:]
    process.terminate()
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # Those of a killed parent are nobody's; those of one that ended well are gone.
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _wait_until_open(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with code {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server did not listen within {START_SECONDS} s")
