"""A backend that begins jobs and does nothing, and an access policy that lets anybody watch."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from denoise_relay.backends.base import Backend, Result, Run

#: Names the file that gets a byte for each job that was begun.
BEGUN_VARIABLE = "BENCH_BEGUN"


class IdleBackend(Backend):
    """Keeps each job until the worker stops."""

    name = "idle"

    async def run(self, run: Run) -> Result:
        with open(os.environ[BEGUN_VARIABLE], "ab") as file:  # noqa: ASYNC230 - one byte
            file.write(b".")
        await asyncio.Event().wait()
        raise AssertionError("nothing ends a job here")


def anybody(viewer: Any, job: Any, action: str) -> bool:
    """The policy of a public site."""
    return True
