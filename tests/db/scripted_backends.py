"""Small backends, each with one way to behave."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

from denoise_relay.backends.base import Backend, Preset, Result, Run
from denoise_relay.conf import RelaySettings
from denoise_relay.exceptions import JobFailed

Behaviour = Callable[[Run], Awaitable[Result]]


def write_result(run: Run, content: bytes = b"clean") -> Result:
    """A result file in the job's workspace."""
    file = run.assignment.workspace / "denoised.flac"
    file.write_bytes(content)
    return Result(file=file)


async def finish(run: Run) -> Result:
    """Accept, say something, end well."""
    await run.accepted(str(run.assignment.job))
    run.report(50, "Half of it")
    return write_result(run)


async def hang(run: Run) -> Result:
    """Work until cancelled."""
    await run.accepted(str(run.assignment.job))
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


class Scripted(Backend):
    """Behaves as told, and counts: how often each job was run, how many at a time."""

    name = "scripted"

    def __init__(
        self, settings: RelaySettings, behaviour: Behaviour = finish, *, slots: int = 100
    ) -> None:
        super().__init__(settings)
        self.behaviour = behaviour
        self.slots = slots
        self.runs: Counter[UUID] = Counter()
        self.active = 0
        self.most_active = 0
        self.cancelled = 0
        self.closed = 0
        self.workspaces: list[Path] = []

    @property
    def capacity(self) -> int:
        return self.slots

    async def run(self, run: Run) -> Result:
        self.runs[run.assignment.job] += 1
        self.workspaces.append(run.assignment.workspace)
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        try:
            return await self.behaviour(run)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.active -= 1

    async def aclose(self) -> None:
        self.closed += 1


class QuickBackend(Backend):
    """Fails files that hold `fail`; never ends those that hold `hang`."""

    name = "quick"

    async def run(self, run: Run) -> Result:
        content = await asyncio.to_thread(run.assignment.source.read_bytes)
        await run.accepted("quick-1")
        run.report(50, "Half way")
        if b"fail" in content:
            raise JobFailed("No speech found.")
        if b"hang" in content:
            await asyncio.Event().wait()
        target = run.assignment.workspace / "result.flac"
        await asyncio.to_thread(target.write_bytes, content.upper())
        return Result(file=target)


class PresetBackend(Backend):
    """Has two presets, and writes the name of the job's into its result."""

    name = "with-presets"

    @classmethod
    def presets(cls, settings: RelaySettings) -> tuple[Preset, ...]:
        return (
            Preset(name="fine", label="Fine", description="Takes its time."),
            Preset(name="swift", label="Swift", description="Takes less."),
        )

    async def run(self, run: Run) -> Result:
        await run.accepted("preset-1")
        return write_result(run, run.assignment.preset.encode())
