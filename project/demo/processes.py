"""Child processes: started with a log, watched, started again, and ended in time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from project.demo import parent_watch

ROOT = Path(__file__).resolve().parent.parent.parent
#: Lines of its log that are shown of a process that died.
TAIL_LINES = 20
#: Before a process that died is started again; doubled for one that dies sooner than
#: `STABLE_SECONDS`, up to the longest.
PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 16.0
STABLE_SECONDS = 10.0
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class ProcessDied(Exception):
    """A process ended by itself, or was not ready in time; the text has its last lines."""


class Child:
    """`python -m MODULE …` in a session of its own: Ctrl-C reaches the parent alone, which then
    ends its children in order. Each run begins a new log, so that none grows without end."""

    def __init__(
        self, name: str, log: Path, environ: Mapping[str, str], module: str, *args: str
    ) -> None:
        self.name = name
        self.log = log
        self._environ = {**environ, parent_watch.VARIABLE: str(os.getpid())}
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
                stdin=subprocess.DEVNULL,
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
        """Raise `ProcessDied` if it has ended."""
        if how := self.ended():
            raise ProcessDied(self._exit_report(how))

    def finish(self, within: float) -> None:
        """Wait for its end; raise `ProcessDied` for a bad one or none within the seconds."""
        try:
            code = self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise ProcessDied(f"The {self.name} was not ready in {within:.0f} s.") from None
        if code != 0:
            raise ProcessDied(self._exit_report(self.ended()))

    def until(self, ready: Callable[[], bool], deadline: float) -> None:
        """Return once `ready`; raise `ProcessDied` if it ends, or is not by `time.monotonic`."""
        while time.monotonic() < deadline:
            self.check()
            if ready():
                return
            time.sleep(0.1)
        raise ProcessDied(f"The {self.name} took too long to start; see {self.log}.")

    def terminate(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def wait_until(self, deadline: float) -> None:
        """Wait for its end until `deadline` (`time.monotonic`), then kill it and its children."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, deadline - time.monotonic()))
        # Also after a good end: an engine that it left behind is in the same group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5)

    def _exit_report(self, how: str) -> str:
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


@dataclass(kw_only=True)
class Restarter:
    """Starts again what died, and says so. `check` is called several times a second."""

    say: Callable[[str], None]
    #: When to start those that have died (`time.monotonic`).
    _due: dict[Child, float] = field(default_factory=dict, init=False)
    _pauses: dict[Child, float] = field(default_factory=dict, init=False)

    def check(self, children: Iterable[Child]) -> None:
        now = time.monotonic()
        for child in children:
            name = f"{child.name[0].upper()}{child.name[1:]}"
            if child not in self._due:
                if how := child.ended():
                    self._due[child] = now + (pause := self._pause(child, now))
                    self.say(f"{name} has died ({how}); a new one in {pause:g} s.")
            elif now >= self._due[child]:
                del self._due[child]
                child.restart()
                self.say(f"{name} starts again as process {child.pid}.")

    def _pause(self, child: Child, now: float) -> float:
        if now - child.started_at >= STABLE_SECONDS:
            pause = PAUSE_SECONDS
        else:
            pause = min(2 * self._pauses.get(child, PAUSE_SECONDS / 2), LONGEST_PAUSE_SECONDS)
        self._pauses[child] = pause
        return pause


class _Stopped(Exception):
    """SIGINT or SIGTERM arrived."""


@contextlib.contextmanager
def until_signal(stop: Callable[[], None], say: Callable[[str], None]) -> Iterator[None]:
    """Run the block until it ends, raises, or SIGINT or SIGTERM arrives; then call `stop`.

    A signal is a good end. Further ones are ignored: if `stop` were cut short, a child would be
    left behind.
    """

    def interrupt(_number: int, _frame: object) -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        raise _Stopped

    before = [(number, signal.signal(number, interrupt)) for number in SIGNALS]
    try:
        yield
    except _Stopped:
        say("Stopping. Unfinished jobs go on at the next start.")
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        try:
            stop()
        finally:
            for number, handler in before:
                signal.signal(number, handler)
