"""A child process of the demo: started with a log, watched, and ended in time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from project.demo.sites import Site

ROOT = Path(__file__).resolve().parent.parent.parent
TAIL_LINES = 20


class ChildDied(Exception):
    """A child ended by itself; the text has its last lines."""


class Child:
    """One process, in a session of its own: Ctrl-C reaches the parent alone, which then ends
    its children in order."""

    def __init__(self, site: Site, module: str, *args: str) -> None:
        self.site = site
        site.folder.mkdir(parents=True, exist_ok=True)
        # Each start begins a new log, so that none grows for ever.
        with site.log.open("w") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own module and a port
                [sys.executable, "-m", module, *args],
                cwd=ROOT,
                env=site.environ(),
                # Never written to: its end tells the child that we are gone.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raise `ChildDied` if the process has ended."""
        if (code := self._process.poll()) is not None:
            raise ChildDied(self._obituary(code))

    def finish(self, within: float) -> None:
        """Wait for a good end; raise `ChildDied` for a bad one or none within the time."""
        try:
            code = self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise ChildDied(f"The {self.site.name} was not ready in {within:.0f} s.") from None
        if code != 0:
            raise ChildDied(self._obituary(code))

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

    def _obituary(self, code: int) -> str:
        lines = self.site.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        head = f"The {self.site.name} ended by itself (exit code {code}). Its last lines:"
        return "\n".join([head, *(f"  {line}" for line in lines)])
