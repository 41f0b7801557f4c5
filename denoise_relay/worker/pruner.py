"""Deletes what is older than `RETENTION_DAYS`, and files that nobody needs: one supervisor of many.

So that recordings are not kept for ever where nobody has set up `denoise_prune` as a cron job.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Final

from django.core.files.storage import FileSystemStorage
from django.db import connections

from denoise_relay.conf import RelaySettings
from denoise_relay.jobs import retention
from denoise_relay.jobs.retention import Tally
from denoise_relay.journal import schedule, segments
from denoise_relay.models import media_storage
from denoise_relay.runtime import database, logs
from denoise_relay.worker import workspace

#: Seconds between two looks whether a task is due. Nothing depends on the minute.
LOOK_SECONDS: Final = 60.0
#: Old jobs go soon after their day, in small transactions.
JOBS_EVERY_SECONDS: Final = 3600.0
#: What processes that died have left of jobs that ran.
SEGMENTS_EVERY_SECONDS: Final = 3600.0
#: Orphans are found by listing the storage.
FILES_EVERY_SECONDS: Final = 86_400.0


class Stopping(Exception):
    """The process ends; the next run goes on."""


class Pruner:
    """One per supervisor. `run` is its loop."""

    def __init__(self, settings: RelaySettings) -> None:
        self._settings = settings
        self._stopping = threading.Event()

    async def run(self) -> None:
        """Prune when it is due, until cancelled."""
        try:
            while True:
                try:
                    await self.prune_if_due()
                except Exception as error:  # noqa: BLE001 - storages raise whatever their client raises
                    logs.logger.warning(
                        "Old recordings could not be deleted: %s",
                        type(error).__name__,
                        extra=logs.fields("prune_failed", error=repr(error)),
                    )
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            # A thread cannot be cancelled; it sees this after its batch.
            self._stopping.set()

    async def prune_if_due(self) -> None:
        """Do what is due, if no other process has taken it. Raises what the storage raises."""
        self._stopping.clear()
        if self._settings.RETENTION_DAYS and await self._take("prune_jobs", JOBS_EVERY_SECONDS):
            await asyncio.to_thread(self._prune, jobs=True)
        if await self._take("prune_segments", SEGMENTS_EVERY_SECONDS):
            await database.call(segments.discard_left_behind)
        if await self._take("prune_files", FILES_EVERY_SECONDS):
            await asyncio.to_thread(self._prune, jobs=False)

    async def _take(self, name: str, every_seconds: float) -> bool:
        return await database.call(schedule.take, name, every_seconds)

    def _prune(self, *, jobs: bool) -> None:
        tally = Tally()
        try:
            if jobs:
                days = self._settings.RETENTION_DAYS
                retention.prune_jobs(tally, days=days, dry_run=False, progress=self._progress)
            else:
                workspace.delete_abandoned(self._settings)
                # A remote storage is asked once for each recording, and may bill it: there,
                # `denoise_prune` does it when somebody wants it.
                if isinstance(media_storage(), FileSystemStorage):
                    retention.prune_orphans(tally, dry_run=False, progress=self._progress)
        except Stopping:
            pass
        finally:
            connections.close_all()  # this thread's, which may not be used again for an hour
        if tally:
            logs.logger.info(
                "Deleted %d old jobs and %d orphaned files",
                tally["jobs"],
                tally["orphans"],
                extra=logs.fields("pruned", jobs=tally["jobs"], orphans=tally["orphans"]),
            )

    def _progress(self, _tally: Tally) -> None:
        if self._stopping.is_set():
            raise Stopping
