"""Runs of the engine for the tests beside: long files, and who is left afterwards."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from denoise_relay import engine
from denoise_relay.engine import process

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


def pretend(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let the child be another program."""
    monkeypatch.setattr(process, "_PROGRAM", ("-c", code))


class Running:
    """A denoising that has begun to denoise, and its child."""

    def __init__(self, source: Path, target: Path, cores: engine.Cores | None = None) -> None:
        self.begun = asyncio.Event()
        before = children()
        self.task = asyncio.create_task(
            engine.denoise(
                source,
                target,
                cores=cores,
                on_progress=lambda pct, message: self._note(message),
            )
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
