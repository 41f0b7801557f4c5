"""Has what the player needs made of a result: beside its verification, and after the job's end.

Nothing of a job depends on it: what fails leaves a plain player and a line in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from django.db import Error as DatabaseFailure

from denoise_relay import engine
from denoise_relay.conf import RelaySettings
from denoise_relay.jobs import analyses
from denoise_relay.journal import segments
from denoise_relay.journal.leases import Lease
from denoise_relay.models import Job
from denoise_relay.runtime import database, logs, metrics
from denoise_relay.runtime.background import spawn

#: What a job's end waits for its analysis: a second, or this part of the job's time.
WAIT_SECONDS: Final = 1.0
WAIT_SHARE: Final = 0.05
#: Analyses that one process may have begun; of further results none is made.
MAX_UNFINISHED: Final = 32
#: For one analysis, besides a tenth of the recording's length.
BASE_SECONDS: Final = 60.0
MOST_SECONDS: Final = 600.0


class Analysis:
    """The analysis of one result; one that does nothing where none is made."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        #: Set when the result has been stored.
        self._kept = asyncio.Event()

    @property
    def unfinished(self) -> bool:
        """Whether it goes on."""
        return self._task is not None and not self._task.done()

    def keep(self, workspace: contextlib.ExitStack) -> None:
        """Let the findings be stored, because the result has been; close `workspace` at the
        end."""
        self._kept.set()
        if self._task is None:
            workspace.close()
        else:
            self._task.add_done_callback(lambda _: workspace.close())

    async def wait(self, job_seconds: float) -> None:
        """Wait for the end, as long as the end of a job that took so long may wait for it."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=max(WAIT_SECONDS, WAIT_SHARE * job_seconds))

    def cancel(self) -> None:
        """Stop: the result is not wanted. After its end nothing happens."""
        if self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        """Stop it unless the result was stored, and return when nothing uses the workspace."""
        if self._task is not None and not self._kept.is_set():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class Analyst:
    """Begins analyses, of which no more run at a time than there are cores.

    One per process, used from one event loop.
    """

    def __init__(self, settings: RelaySettings) -> None:
        self._enabled = settings.ANALYSE_RESULTS and engine.available()
        self._slots = asyncio.Semaphore(max(1, os.cpu_count() or 1))
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def analysing(
        self, job: Job, lease: Lease, before: Path, result: Path | None, workspace: Path
    ) -> AsyncIterator[Analysis]:
        """The analysis of a result in the job's workspace, which begins now, and ends with the
        block unless it is told to `keep`."""
        analysis = Analysis()
        if len(self._tasks) >= MAX_UNFINISHED:
            log_failure(job, "too many are waiting")
        elif self._enabled and result is not None:
            work = self._run(analysis, job, lease, before, result, workspace)
            task = analysis._task = spawn(work, f"denoise-analysis-{job.pk.hex[:8]}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            yield analysis
        finally:
            await analysis.close()

    async def stop(self) -> None:
        """End all analyses; `denoise_analyse` makes up for them. May be repeated."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(
        self,
        analysis: Analysis,
        job: Job,
        lease: Lease,
        before: Path,
        result: Path,
        workspace: Path,
    ) -> None:
        folder = workspace / "analysis"
        try:
            async with self._slots:
                found = await analyse(job, before, result, folder)
            await analysis._kept.wait()
            await _store(job, lease, found, folder)
        except Exception as error:  # noqa: BLE001 - whatever it is, the job goes on
            log_failure(job, getattr(error, "detail", "") or repr(error))
            # Of a job that still runs they are deleted at its end.
            with contextlib.suppress(DatabaseFailure):
                await database.call(segments.discard_of_ended, job.pk)


async def _store(job: Job, lease: Lease, found: engine.Analysis, folder: Path) -> None:
    stored = await asyncio.to_thread(analyses.store, job, found, folder)
    try:
        unneeded = await database.call(analyses.write, job.pk, lease.epoch, stored)
    except DatabaseFailure as error:
        if not isinstance(error, database.LOST):  # otherwise the rows may be there
            await asyncio.to_thread(analyses.discard, stored.files.values())
        raise
    await asyncio.to_thread(analyses.discard, unneeded)


async def analyse(job: Job, before: Path, after: Path, folder: Path) -> engine.Analysis:
    """Analyse a job's recordings into the new `folder`, within a time that their length allows.

    Raises what `engine.analyse` raises.
    """
    await asyncio.to_thread(folder.mkdir)
    allowed = min(BASE_SECONDS + (job.duration_seconds or 0.0) / 10, MOST_SECONDS)
    with metrics.ANALYSIS_SECONDS.time():
        return await engine.analyse(
            before,
            after,
            folder,
            loudness_changed=job.loudness_lufs is not None,
            timeout_seconds=allowed,
        )


def log_failure(job: Job, why: str) -> None:
    """Say that a job has no analysis."""
    logs.logger.warning(
        "The recordings of job %s were not analysed: %s",
        job.pk,
        why,
        extra=logs.fields("analysis_failed", job=str(job.pk), error=why),
    )
