"""One process of ours under test: started, killed, frozen, and its log read afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 30.0


class Process:
    """`python …` in a session of its own, its output in a file."""

    def __init__(self, name: str, args: list[str], env: dict[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, *args],
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._frozen = False

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def text(self) -> str:
        """All it has printed."""
        return self.log.read_text(errors="replace")

    def said(self, words: str, within: float = START_SECONDS) -> None:
        """Wait until it has printed `words`."""
        wait_for(lambda: words in self.text or not self.running, within=within)
        assert words in self.text, f"{self.name} said no {words!r}:\n{self.text}"

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill9(self) -> None:
        """SIGKILL to it and its children; nothing of it runs when this returns."""
        if self.running:
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(10)

    def freeze(self) -> None:
        self._frozen = True
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._frozen = False
        self.signal(signal.SIGCONT)

    def terminate(self, within: float = 10.0) -> tuple[int, float]:
        """SIGTERM; return the exit code and how many seconds it took."""
        begun = time.monotonic()
        self.signal(signal.SIGTERM)
        return self.ended(within), time.monotonic() - begun

    def ended(self, within: float) -> int:
        """Wait for its end; return the exit code (negative: the signal)."""
        return self._process.wait(within)

    def end(self) -> None:
        """At the end of a test: politely, then not."""
        if self._frozen:
            self.thaw()
        if self.running:
            self.signal(signal.SIGTERM)
            try:
                self._process.wait(12)
            except subprocess.TimeoutExpired:
                self.kill9()
                raise AssertionError(f"{self.name} did not end within 12 s of SIGTERM") from None

    def memory_kb(self) -> int:
        """Resident set size."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def descriptors(self) -> int:
        """Open file descriptors."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/task"))
