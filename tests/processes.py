"""Processes of a test: started, signalled, waited for, and their output read from a file."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import httpx

from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 30.0
#: From SIGTERM to the end of a process, at most; the app promises 10 s.
STOP_SECONDS = 12.0
TAIL_LINES = 100
ASGI_APPLICATION = "project.asgi:application"


def python(*args: str | Path) -> list[str]:
    """The command that runs this interpreter."""
    return [sys.executable, *map(str, args)]


def manage(*args: str | Path) -> list[str]:
    """The command that runs a management command of the demo project."""
    return python("manage.py", *args)


def daphne(port: int, *options: str) -> list[str]:
    """The command that serves the demo project with Daphne."""
    address = ("-b", "127.0.0.1", "-p", str(port))
    return python("-m", "daphne", *address, *options, ASGI_APPLICATION)


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path = ROOT,
    with_stderr: bool = False,
) -> str:
    """Run a command until it succeeds, and return its stdout (`with_stderr`: that after it).

    Raises `AssertionError` with its output if its exit code is not 0.
    """
    done = subprocess.run(
        command, cwd=cwd, env=env, timeout=180, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr if with_stderr else done.stdout


def listens(port: int) -> bool:
    """Whether something accepts connections on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """A process in a session of its own, with its output in a file.

    As a context manager it is stopped at the end; after an error its output is printed.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        log: Path,
        cwd: Path = ROOT,
    ) -> None:
        self.name = name
        self.log = log
        self._frozen = False
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self.stop()
        finally:
            if exc[0] is not None:
                print(self.output)  # noqa: T201

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def output(self) -> str:
        """Everything it has printed."""
        return self.log.read_text(errors="replace")

    def tail(self) -> str:
        """Its name and the end of its output, for error messages."""
        lines = self.output.splitlines()[-TAIL_LINES:]
        return "\n".join([f"--- {self.name} ({self.pid})", *lines])

    # Waiting

    def wait_until(self, condition: Callable[[], object], within: float = START_SECONDS) -> None:
        """Wait for a condition that this process brings about.

        Raises `AssertionError` if the process ends first, or after `within` seconds.
        """
        try:
            wait_for(lambda: condition() or not self.running, within=within)
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from error
        # It may have ended just after it met the condition.
        assert self.running or condition(), f"ended too early\n{self.tail()}"

    def wait_for_output(self, words: str, within: float = START_SECONDS) -> None:
        """Wait until it has printed `words`."""
        self.wait_until(lambda: words in self.output, within)

    def wait_for_port(self, port: int, within: float = START_SECONDS) -> None:
        """Wait until it accepts connections on a port."""
        self.wait_until(lambda: listens(port), within)

    def wait(self, within: float) -> int:
        """Wait for its end; return the exit code (negative: the signal)."""
        return self._process.wait(within)

    # Signals

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def freeze(self) -> None:
        """SIGSTOP, until `resume`."""
        self._frozen = True
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        self._frozen = False
        self.send(signal.SIGCONT)

    def terminate(self, within: float = 10.0) -> tuple[int, float]:
        """SIGTERM; return the exit code and how many seconds the end took."""
        begun = time.monotonic()
        self.send(signal.SIGTERM)
        return self.wait(within), time.monotonic() - begun

    def kill(self) -> None:
        """SIGKILL to it and its children; none of them runs when this returns."""
        if self.running:
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(10)

    def stop(self) -> None:
        """End it, if it runs: by SIGTERM, or else by SIGKILL.

        Raises `AssertionError` if SIGTERM did not end it within `STOP_SECONDS`.
        """
        if self._frozen:
            self.resume()
        if self.running:
            try:
                self.terminate(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(
                    f"not ended {STOP_SECONDS} s after SIGTERM\n{self.tail()}"
                ) from None

    # Resources

    def memory_kb(self, field: str = "VmRSS") -> int:
        """The resident set size: now, or at its peak (`VmHWM`)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition(f"{field}:")[2].split()[0])

    def descriptors(self) -> int:
        """Open file descriptors."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/task"))


class WebProcess(Process):
    """A web server on a port of this machine."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        port: int,
        env: Mapping[str, str],
        log: Path,
        cwd: Path = ROOT,
        ready_path: str = "/healthz/live",
    ) -> None:
        self.port = port
        self._ready_path = ready_path
        super().__init__(name, command, env=env, log=log, cwd=cwd)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        """The address of the socket for many jobs; a job's own has its id appended."""
        return f"ws://127.0.0.1:{self.port}/ws/denoise/"

    def answers(self) -> bool:
        """Whether the path that shows its readiness answers 200."""
        try:
            url = f"{self.url}{self._ready_path}"
            return httpx.get(url, trust_env=False, timeout=10).status_code == 200
        except httpx.TransportError:
            return False

    def wait_until_ready(self, within: float = START_SECONDS) -> Self:
        self.wait_until(self.answers, within)
        return self
