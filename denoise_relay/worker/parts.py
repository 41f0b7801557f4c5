"""A recording that is longer or larger than its backend takes: in parts, and joined again.

To the backend each part is a job of its own, with its own name, intent and id, so that what holds
for the submission of a job holds for each part (docs/guarantees.md). What is done is in the
journal: a later runner submits no part again that was taken.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import uuid
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import router
from django.utils import timezone
from django.utils.translation import gettext as _

from denoise_relay import engine
from denoise_relay.backends.base import Assignment, Backend, Limits, Result, Run
from denoise_relay.conf import RelaySettings
from denoise_relay.engine import PartsPlan
from denoise_relay.exceptions import JobFailed, ServiceFailed
from denoise_relay.journal import parts as journal
from denoise_relay.journal.leases import Lease
from denoise_relay.media import storage
from denoise_relay.models import Job, Part
from denoise_relay.runtime import database, logs
from denoise_relay.runtime.background import spawn

#: Seconds that a part goes on beyond each cut, so that a model has heard what came before.
OVERLAP_SECONDS = 2.0
#: Of the progress, what the parts take together; joining them is the rest.
_PARTS_PCT = 97.0


def needed(job: Job, limits: Limits, *, size_bytes: int | None = None) -> bool:
    """Whether this job is done in parts. `size_bytes` is of what would be sent."""
    if limits == Limits() or not engine.available():
        return False
    in_parts = job.upstream_id == str(job.pk)
    if (job.upstream_id and not in_parts) or job.attempt:
        # Begun as a whole, when the limits were others: it has been paid for.
        return False
    too_long = limits.seconds is not None and (job.duration_seconds or 0) > limits.seconds
    size_bytes = job.size_bytes if size_bytes is None else size_bytes
    return too_long or in_parts or size_bytes > (limits.size_bytes or 2**50)


class PartedJob:
    """One job in parts, on behalf of its runner."""

    def __init__(
        self, run: Run, lease: Lease, job: Job, *, backend: Backend, settings: RelaySettings
    ) -> None:
        self._run, self._lease, self._job = run, lease, job
        self._backend, self._settings = backend, settings
        self._slots = asyncio.Semaphore(settings.UPSTREAM_PARTS_AT_ONCE)
        self._pct: list[float] = []
        self._parts: list[Part] = []

    async def run(self) -> Result:
        """Do the job. Raises `JobFailed`, and `LeaseLost` as soon as the job is not ours."""
        plan = await self._plan()
        overlap = round(OVERLAP_SECONDS * plan.rate)
        borders = [0, *plan.cuts, plan.total]
        spans = list(itertools.pairwise(borders))
        self._parts = await database.call_with_retry(journal.planned, self._lease, spans)
        # An earlier runner's cuts count, whatever the limits are now.
        plan = dataclasses.replace(plan, cuts=tuple(part.start for part in self._parts[1:]))
        self._pct = [0.0] * len(self._parts)
        # The job's own id says to a later runner that it was begun in parts.
        await self._run.accepted(str(self._job.pk))
        await self._all(plan, overlap)
        self._run.report(_PARTS_PCT, _("Joining the parts"))
        return Result(file=await self._join(plan, overlap))

    async def _plan(self) -> PartsPlan:
        limits = self._backend.limits
        try:
            return await engine.plan_parts(
                self._run.assignment.source,
                max_seconds=limits.seconds or float("1e9"),
                max_bytes=limits.size_bytes or 2**50,
                overlap_seconds=OVERLAP_SECONDS,
            )
        except engine.MediaRejected as error:
            raise JobFailed(str(error), detail=f"rejected: {error.code}") from error

    async def _all(self, plan: PartsPlan, overlap: int) -> None:
        """Do all parts; when one fails for good, stop the others."""
        name = f"denoise-part-{self._job.pk.hex[:8]}"
        tasks = [
            spawn(self._part(part, plan, overlap), f"{name}-{part.index}") for part in self._parts
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _part(self, part: Part, plan: PartsPlan, overlap: int) -> None:
        if part.result:
            self._progress(part, 100.0, "")
            return
        async with self._slots:
            folder = self._run.assignment.workspace / f"part-{part.index}"
            await asyncio.to_thread(folder.mkdir)
            source = folder / f"part{engine.OUTPUT_SUFFIX}"
            await engine.cut_part(
                self._run.assignment.source,
                source,
                start=max(part.start - overlap, 0),
                end=min(part.end + overlap, plan.total),
                max_bytes=self._backend.limits.size_bytes or 2**50,
            )
            result = await self._submitted(part, source, folder)
            stored = await asyncio.to_thread(storage.store_result, self._job, result)
            try:
                await self._update(part, result=stored)
            except Exception:
                await asyncio.to_thread(storage.discard, stored)
                raise
            await asyncio.to_thread(source.unlink)
            await asyncio.to_thread(result.unlink)
            self._progress(part, 100.0, "")

    async def _submitted(self, part: Part, source: Path, folder: Path) -> Path:
        """The result of a part, which is submitted again if the service says that it failed.

        After any other failure the part may be there, and paid for: it fails the job, as it would
        fail a job that is no part.
        """
        while True:
            try:
                result = await self._backend.run(_PartRun(self, part, source, folder))
            except ServiceFailed as error:
                failures = part.failures + 1
                if failures >= self._settings.UPSTREAM_PART_ATTEMPTS:
                    raise JobFailed(str(error), detail=f"{part}: {error.detail}") from error
                _log(self._job, part, error)
                # Another id: the failed one is in the upstream's history, and would be found.
                await self._update(
                    part,
                    failures=failures,
                    submission=uuid.uuid4(),
                    attempt=0,
                    submitted_at=None,
                    upstream_id="",
                )
                continue
            if result.file is None:
                raise JobFailed(
                    _("This recording is too long."),
                    detail="results are not stored here (STORE_RESULTS), so parts cannot be joined",
                )
            return result.file

    async def _join(self, plan: PartsPlan, overlap: int) -> Path:
        workspace = self._run.assignment.workspace
        target = workspace / f"joined{engine.OUTPUT_SUFFIX}"
        results = [
            await asyncio.to_thread(
                storage.local_file, part.result.name or "", workspace / f"result-{part.index}"
            )
            for part in self._parts
        ]
        await engine.join_parts(
            self._run.assignment.source, results, target, plan=plan, overlap=overlap
        )
        return target

    async def _update(self, part: Part, **changes: Any) -> None:
        await database.call_with_retry(journal.update, self._lease, part, **changes)
        for name, value in changes.items():
            setattr(part, name, value)

    def _progress(self, part: Part, pct: float, message: str) -> None:
        self._pct[part.index] = max(self._pct[part.index], pct)
        lengths = [each.end - each.start for each in self._parts]
        done = sum(p * length for p, length in zip(self._pct, lengths, strict=True)) / sum(lengths)
        text = _("Part %(number)d of %(count)d: %(message)s") % {
            "number": part.index + 1,
            "count": len(self._parts),
            "message": message or _("Done"),
        }
        self._run.report(done * _PARTS_PCT / 100, text)


class _PartRun:
    """What a backend sees of a part (`backends.base.Run`)."""

    def __init__(self, job: PartedJob, part: Part, source: Path, workspace: Path) -> None:
        self._parted, self._part = job, part
        self._source, self._workspace = source, workspace

    @property
    def assignment(self) -> Assignment:
        part = self._part
        return Assignment(
            job=part.submission,
            source=self._source,
            extension=engine.OUTPUT_SUFFIX.removeprefix("."),
            size_bytes=self._source.stat().st_size,
            attempt=part.attempt,
            submitted_at=part.submitted_at,
            upstream_id=part.upstream_id,
            workspace=self._workspace,
            preset=self._parted._run.assignment.preset,
            previews=False,
        )

    def report(self, pct: float, message: str) -> None:
        self._parted._progress(self._part, pct, message)

    def preview(self, segment: engine.Segment) -> None:
        """Not shown: parts are made side by side, and overlap."""

    async def submitting(self) -> int:
        attempt = self._part.attempt + 1
        now = timezone.now()
        await self._parted._update(self._part, attempt=attempt, submitted_at=now)
        return attempt

    async def not_taken(self) -> None:
        await self._parted._update(self._part, attempt=self._part.attempt - 1)

    async def accepted(self, upstream_id: str) -> None:
        await self._parted._update(self._part, upstream_id=upstream_id)


def discard_results(job: UUID) -> None:
    """Delete the results of a job's parts, once the job has ended. May be repeated."""
    parts = Part.objects.using(router.db_for_write(Part))
    for part in parts.filter(job=job).exclude(result=""):
        storage.discard(part.result.name or "")


def _log(job: Job, part: Part, error: JobFailed) -> None:
    logs.logger.warning(
        "Part %d of job %s failed and is submitted again: %s",
        part.index,
        job.pk,
        error,
        extra=logs.fields("part_failed", job=str(job.pk), error=error.detail),
    )
