"""The runner: takes one leased job from its present state to its end."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _

from denoise_relay import engine
from denoise_relay.backends import presets
from denoise_relay.backends.base import Assignment, Backend, Result
from denoise_relay.conf import RelaySettings
from denoise_relay.events import Fact, Stage, clean_text
from denoise_relay.exceptions import JobFailed, LeaseLost, ServiceFailed, ServiceForgot
from denoise_relay.journal import leases, segments
from denoise_relay.journal.leases import Lease
from denoise_relay.journal.writer import JournalWriter
from denoise_relay.lifecycle import Status, is_fetchable
from denoise_relay.media import storage
from denoise_relay.models import Job
from denoise_relay.runtime import database, logs, metrics
from denoise_relay.worker import conversion, parts, workspace
from denoise_relay.worker.analysis import Analysis
from denoise_relay.worker.conclusion import CONCLUDE_SECONDS, conclude
from denoise_relay.worker.deadline import Deadline
from denoise_relay.worker.finishing import Finished, Finisher
from denoise_relay.worker.parts import PartedJob
from denoise_relay.worker.previews import PreviewWriter
from denoise_relay.worker.results import ResultStore

#: Characters of an error that are kept for staff.
DETAIL_LIMIT = 4000


class Runner:
    """Runs one job, and implements what its backend calls (`backends.base.Run`)."""

    def __init__(
        self,
        lease: Lease,
        *,
        backend: Backend,
        writer: JournalWriter,
        finisher: Finisher,
        settings: RelaySettings,
    ) -> None:
        self._lease, self._settings = lease, settings
        self._backend = backend
        self._finisher = finisher
        self._writer = writer
        self._previews = PreviewWriter(lease)
        self._assignment: Assignment | None = None
        self._attempt = 0
        self._upstream_id = ""
        #: Set when it ended because the job was canceled, or claimed by another process.
        self.lost = False
        self._parted = False

    # Called by the backend

    @property
    def assignment(self) -> Assignment:
        if self._assignment is None:
            raise RuntimeError("the backend was called before the runner had an assignment")
        return self._assignment

    def report(self, pct: float, message: str) -> None:
        self._writer.report(self._lease, Fact(pct=pct, message=message))

    def preview(self, segment: engine.Segment) -> None:
        if self._settings.PREVIEW:
            self._previews.add(segment)

    async def submitting(self) -> int:
        attempt = self._attempt + 1
        await self._write(
            Fact(message=_("Uploading")),
            status=Status.SUBMITTING,
            attempt=attempt,
            submitted_at=timezone.now(),
        )
        self._attempt = attempt
        return attempt

    async def not_taken(self) -> None:
        await self._write(None, attempt=self._attempt - 1)
        self._attempt -= 1

    async def accepted(self, upstream_id: str) -> None:
        await self._write(None, status=Status.PROCESSING, upstream_id=upstream_id)
        self._upstream_id = upstream_id

    # Called by the supervisor

    async def run(self) -> None:
        """Return when the job has ended or its lease is lost. May be cancelled: the supervisor
        then releases the job."""
        begun = asyncio.get_running_loop().time()
        try:
            job, now = await database.call_with_retry(leases.leased_job, self._lease)
            deadline = Deadline(job, now, self._settings)
            await self._finish(await self._work(job, deadline), begun)
        except (LeaseLost, Job.DoesNotExist) as error:
            self.lost = True
            metrics.LEASES_LOST.inc()
            self._log("lease_lost", "Job %s is no longer ours: %s", type(error).__name__)
        except JobFailed as error:
            fetchable = not isinstance(error, ServiceFailed | ServiceForgot)
            await self._fail(str(error), error.detail, fetchable=fetchable)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Not this task was cancelled, but something inside the backend. The job must end.
            await self._crashed(error)
        except Exception as error:  # noqa: BLE001 - invariant 5: the job ends after every failure
            await self._crashed(error)
        finally:
            self._writer.forget(self._lease)
            await self._previews.stop()

    async def _work(self, job: Job, deadline: Deadline) -> Finished:
        """Let the backend process the job, and finish the file that it made, before the deadline.
        Raises `JobFailed`."""
        self._attempt, self._upstream_id = job.attempt, job.upstream_id
        if job.upstream_id and job.status == Status.QUEUED:  # see `jobs.fetching`
            await self._write(None, status=Status.PROCESSING)
        offered = self._backend.presets(self._settings)
        preset = presets.preset_to_run(job.preset, offered, self._settings)
        results = ResultStore(self)
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(workspace.new_folder(self._settings)))
            try:
                async with asyncio.timeout_at(deadline.at) as timeout:
                    assignment = await workspace.assignment(job, folder, preset)
                    result = await self._done(job, assignment)
                    return await self._finisher.finish(
                        self,
                        self._lease,
                        job,
                        result,
                        # What is missing cannot be compared.
                        recording=self.assignment.source if job.damaged else assignment.source,
                        backend=self._backend,
                        deadline=deadline,
                        results=results,
                        workspace=stack,
                    )
            except TimeoutError as error:
                if not timeout.expired():
                    raise  # the backend's own
                if results.fault is not None:
                    raise results.failure(results.fault) from error
                text = _("This took too long and was stopped.")
                raise JobFailed(text, detail="deadline") from error

    async def _done(self, job: Job, assignment: Assignment) -> Result:
        assignment = self._assignment = await conversion.prepared(
            job, assignment, self._backend, report=self.report, keep=self._sent
        )
        if not parts.needed(job, self._backend.limits, size_bytes=assignment.size_bytes):
            return await self._backend.run(self)
        self._parted = True
        return await PartedJob(
            self, self._lease, job, backend=self._backend, settings=self._settings
        ).run()

    async def _sent(self, name: str) -> None:
        await self._write(None, sent=name)

    async def _finish(self, done: Finished, begun: float) -> None:
        try:
            await done.analysis.wait(asyncio.get_running_loop().time() - begun)
        except asyncio.CancelledError:
            # The result has been made, and is not to be made again.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONCLUDE_SECONDS):
                    await self._end_well(done)
            raise
        await self._end_well(done)

    async def _end_well(self, done: Finished) -> None:
        url = done.where.get("result_url", "")
        fact = Fact(stage=Stage.DONE, pct=100.0, message=_("Done"), url=url, warning=done.warning)
        try:
            changes = {"status": Status.DONE, **done.where}
            await self._conclude(fact, changes, done.analysis)
        except Exception:
            # The end was not written, so no row names the file. (After a cancellation one may.)
            done.analysis.cancel()
            await asyncio.to_thread(storage.discard, done.where.get("result", ""))
            raise

    async def _fail(self, message: str, detail: str, *, fetchable: bool = True) -> None:
        fact = Fact(stage=Stage.ERROR, message=message)
        changes = {
            "status": Status.ERROR,
            "error_detail": clean_text(detail, DETAIL_LIMIT),
            "fetchable": fetchable and is_fetchable(self._lease.job, self._upstream_id),
        }
        try:
            await self._conclude(fact, changes)
        except LeaseLost:
            return
        self._log("job_failed", "Job %s ended with an error: %s", message)

    async def _conclude(
        self, fact: Fact, changes: dict[str, Any], analysis: Analysis | None = None
    ) -> None:
        """Commit the job's end, and delete what is of no use after it."""

        def discard_segments(job: UUID) -> None:
            # Asked after the commit. An analysis that goes on deletes them itself at its end.
            if analysis is None or not analysis.unfinished:
                segments.discard(job)

        clean_up = [parts.discard_results] if self._parted else []
        await conclude(self._lease, self._writer, fact, changes, *clean_up, discard_segments)

    async def _crashed(self, error: BaseException) -> None:
        logs.logger.error(
            "Job %s failed",
            self._lease.job,
            exc_info=error,
            extra=logs.fields("job_crashed", job=str(self._lease.job)),
        )
        await self._fail(_("Something went wrong on our side."), repr(error))

    async def _write(self, fact: Fact | None, **changes: Any) -> None:
        await self._writer.write(self._lease, fact, **changes)

    def _log(self, action: str, text: str, why: str) -> None:
        job = self._lease.job
        logs.logger.info(text, job, why, extra=logs.fields(action, job=str(job)))
