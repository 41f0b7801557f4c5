"""Passes a person's cancel on to the backend, where that can stop work that it has taken."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from typing import Final
from uuid import UUID

from django.db import Error as DatabaseFailure
from django.db import router

from denoise_relay.backends.base import Backend
from denoise_relay.lifecycle import Status
from denoise_relay.models import Job, Part
from denoise_relay.runtime import database, logs
from denoise_relay.runtime.background import spawn

#: For one cancel. It is a favour to the service: nothing waits for it, and it may be lost.
TIMEOUT_SECONDS: Final = 30.0


class CancelForwarder:
    """One per supervisor."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._tasks: set[asyncio.Task[None]] = set()

    def forward_soon(self, jobs: Collection[UUID]) -> None:
        """Tell the backend of those of these jobs that a person has canceled. (Others were claimed
        by another process, and go on there.)"""
        if type(self._backend).cancel is not Backend.cancel:
            task = spawn(self._forward(list(jobs)), "denoise-cancels")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Forward no more. Waits for nothing."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _forward(self, jobs: Collection[UUID]) -> None:
        with contextlib.suppress(DatabaseFailure):
            for upstream_id in await database.read(_canceled, jobs):
                try:
                    async with asyncio.timeout(TIMEOUT_SECONDS):
                        await self._backend.cancel(upstream_id)
                except Exception as error:  # noqa: BLE001 - backends raise whatever they like
                    logs.logger.info(
                        "A cancel was not passed on: %s",
                        type(error).__name__,
                        extra=logs.fields("cancel_lost", error=repr(error)),
                    )


def _canceled(jobs: Collection[UUID]) -> list[str]:
    """The backend's ids of the work of canceled jobs, in parts or whole."""
    alias = router.db_for_write(Job)
    found = Job.objects.using(alias).filter(pk__in=jobs, status=Status.CANCELED)
    ids = dict(found.values_list("pk", "upstream_id"))
    whole = [upstream_id for pk, upstream_id in ids.items() if upstream_id not in ("", str(pk))]
    parts = Part.objects.using(alias).filter(job__in=ids, result="").exclude(upstream_id="")
    return [*whole, *parts.values_list("upstream_id", flat=True)]
