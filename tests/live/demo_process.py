"""The demo as a person has it: one process in a terminal, two ports, a folder."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import httpx

from tests.ports import free_row
from tests.processes import ROOT
from tests.waiting import wait_for

START_SECONDS = 60.0
# What make does to a recipe: a parent that waits, and a variable in the environment.
AS_MAKE = (
    sys.executable,
    "-c",
    "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))",
)


class DemoProcess:
    """`python manage.py demo --port PORT --state DIR`, with what it prints."""

    command = "demo"
    #: How many it takes in a row.
    ports = 2
    #: Added to the environment.
    environ: Mapping[str, str] = {}

    def __init__(
        self, state: Path, *options: str, port: int | None = None, make: bool = False
    ) -> None:
        self.state = state
        self.port = port or free_row(self.ports)
        self._process = subprocess.Popen(
            [
                *(AS_MAKE if make else ()),
                sys.executable,
                "manage.py",
                self.command,
                "--port",
                str(self.port),
                "--state",
                str(state),
                *options,
            ],
            cwd=ROOT,
            env={
                **{
                    name: value
                    for name, value in os.environ.items()
                    if name not in ("DJANGO_SETTINGS_MODULE", "MAKELEVEL")
                    and not name.startswith("DENOISE_RELAY_")
                },
                **({"MAKELEVEL": "1"} if make else {}),
                **self.environ,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, name="demo-output", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        with self._process.stdout as lines:
            self._lines.extend(lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if exc[0] is not None:
            print(  # noqa: T201
                self.output, *(p.read_text() for p in self.state.glob("*/log.txt")), sep="\n"
            )
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
        self._reader.join(10)

    @property
    def output(self) -> str:
        return "".join(self._lines)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def ready(self) -> Self:
        """Wait until it says so."""
        wait_for(
            lambda: f"Ready:  {self.url}/" in self.output or self._process.poll() is not None,
            within=START_SECONDS,
        )
        assert self._process.poll() is None, self.output
        return self

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def ended(self, within: float) -> int:
        """Wait for its end; return the exit code."""
        code = self._process.wait(within)
        self._reader.join(10)
        return code

    def children(self) -> list[int]:
        """Process ids of the two sites."""
        return children_of(self.pid)

    def browser(self) -> httpx.Client:
        """Something with cookies that people's browsers would send."""
        return httpx.Client(base_url=self.url, trust_env=False, timeout=20)

    def journal(self, job: str) -> list[tuple[int, str, float]]:
        """`(seq, stage, pct)` of a job, read from the site's database, without any request."""
        database = self.state / "site/db.sqlite3"
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as rows:
            return rows.execute(
                "SELECT seq, stage, pct FROM denoise_relay_event WHERE job_id = ? ORDER BY seq",
                [job.replace("-", "")],
            ).fetchall()


def children_of(pid: int) -> list[int]:
    """Process ids of the children of a process's main thread; none if it has ended."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(child) for child in children.split()]


def command_line(pid: int) -> bytes:
    """A process's arguments, each ended by NUL; nothing if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def alive(pid: int) -> bool:
    """Whether a process runs (one that has ended and awaits its parent does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def elapsed_since(moment: float) -> float:
    """Seconds since a `time.monotonic()`."""
    return time.monotonic() - moment
