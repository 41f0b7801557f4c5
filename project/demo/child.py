"""A child process: started with a log, watched, started again, and ended in time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TAIL_LINES = 20


class ChildDied(Exception):
    """A child ended by itself, or never was ready; the text has its last lines."""


class Child:
    """`python -m MODULE …` in a session of its own: Ctrl-C reaches the parent alone, which then
    ends its children in order. Each run begins a new log, so that none grows for ever."""

    def __init__(
        self, name: str, log: Path, environ: Mapping[str, str], module: str, *args: str
    ) -> None:
        self.name = name
        self.log = log
        self._environ = environ
        self._command = [sys.executable, "-m", module, *args]
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        self._start()

    def _start(self) -> None:
        self.started_at = time.monotonic()
        with self.log.open("a") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own modules and a port
                self._command,
                cwd=ROOT,
                env=self._environ,
                # Never written to: its end tells the child that we are gone.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ended(self) -> str:
        """How it ended, in a few words; "" while it runs."""
        code = self._process.poll()
        if code is None:
            return ""
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def restart(self) -> None:
        """Start again what has ended; the log goes on."""
        self.wait_until(time.monotonic())
        self._start()

    def check(self) -> None:
        """Raise `ChildDied` if the process has ended."""
        if how := self.ended():
            raise ChildDied(self._obituary(how))

    def finish(self, within: float) -> None:
        """Wait for a good end; raise `ChildDied` for a bad one or none within the time."""
        try:
            code = self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise ChildDied(f"The {self.name} was not ready in {within:.0f} s.") from None
        if code != 0:
            raise ChildDied(self._obituary(self.ended()))

    def until(self, ready: Callable[[], bool], deadline: float) -> None:
        """Return once `ready`; raise `ChildDied` if it ends, or is not by `time.monotonic`."""
        while time.monotonic() < deadline:
            self.check()
            if ready():
                return
            time.sleep(0.1)
        raise ChildDied(f"The {self.name} took too long to start; see {self.log}.")

    def terminate(self) -> None:
        """Ask it to end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def wait_until(self, deadline: float) -> None:
        """Wait for its end until `deadline` (`time.monotonic`), then kill it and its children."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, deadline - time.monotonic()))
        # Also after a good end: an engine it may have left behind is in the same group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5)
        if self._process.stdin:
            self._process.stdin.close()

    def _obituary(self, how: str) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        head = f"The {self.name} ended by itself ({how}). Its last lines:"
        return "\n".join([head, *(f"  {line}" for line in lines)])


def end_all(children: Sequence[Child], within: float) -> None:
    """End them, the last one first; kill what is not gone after `within` seconds."""
    deadline = time.monotonic() + within
    for child in reversed(children):
        child.terminate()
    for child in reversed(children):
        child.wait_until(deadline)
