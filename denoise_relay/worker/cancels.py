"""Passes a person's cancel on to the backend, where that can stop work that it has taken."""

from __future__ import annotations

import asyncio
import contextlib
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

    def forward_soon(self, job: UUID) -> None:
        """Tell the backend that a person has canceled this job. (If another process has claimed
        it, it goes on there, and nothing is told.)"""
        if type(self._backend).cancel is not Backend.cancel:
            task = spawn(self._forward(job), f"denoise-cancel-{job.hex[:8]}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Forward no more. Waits for nothing."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _forward(self, job: UUID) -> None:
        with contextlib.suppress(DatabaseFailure):
            for upstream_id in await database.read(_canceled, job):
                try:
                    async with asyncio.timeout(TIMEOUT_SECONDS):
                        await self._backend.cancel(upstream_id)
                except Exception as error:  # noqa: BLE001 - backends raise whatever they like
                    logs.logger.info(
                        "A cancel was not passed on: %s",
                        type(error).__name__,
                        extra=logs.fields("cancel_lost", error=repr(error)),
                    )


def _canceled(job: UUID) -> list[str]:
    """The backend's ids of the work of a canceled job, in parts or whole; none for another."""
    alias = router.db_for_write(Job)
    canceled = Job.objects.using(alias).filter(pk=job, status=Status.CANCELED)
    upstream_id = canceled.values_list("upstream_id", flat=True).first()
    if not upstream_id:
        return []
    if upstream_id != str(job):
        return [upstream_id]
    parts = Part.objects.using(alias).filter(job=job, result="").exclude(upstream_id="")
    return list(parts.values_list("upstream_id", flat=True))
