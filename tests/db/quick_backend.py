"""A backend that needs no engine: upper-cases the file's bytes, or fails on request."""

from __future__ import annotations

import asyncio

from denoise_relay.backends.base import Backend, Result, Run
from denoise_relay.exceptions import JobFailed


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
